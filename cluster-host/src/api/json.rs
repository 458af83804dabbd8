//! The shapes of the API's JSON, which scripts rely on. The server fills them from borrowed values, the client
//! reads the same ones as owned ones. They grow by added keys only; the order of the keys is kept.
//!
//! Epochs are text (16 hexadecimal digits), because a JSON number loses the last digits of a large one. Times are
//! RFC 3339, UTC, with microseconds, so that they sort as text.
//!
//! ```
//! use cluster_host::api::json::{Member, Members};
//!
//! let answer = r#"{
//!     "epoch": "000000000000000b", "revision": 7, "self": null,
//!     "members": [{
//!         "name": "a@10.0.0.7", "self": false, "state": "up", "incarnation": null, "addresses": ["10.0.0.7"],
//!         "attributes": {}, "topologies": [], "since": "2026-01-01T00:00:00.000000Z", "reason": null
//!     }]
//! }"#;
//! let members: Members<'_> = serde_json::from_str(answer)?;
//! let is_up = |member: &&Member<'_>| member.state == "up";
//! assert_eq!(members.members.iter().filter(is_up).count(), 1);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod conversion;
mod hooks;
mod plugins;
mod time;

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::hooks::{Hook, HookFailure, Hooks};
pub use self::plugins::{Plugin, PluginIdentity, Plugins, Refusal, Trust};
pub use self::time::{Precision, Time};

/// The answer of `/v1/members`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Members<'a> {
    /// The epoch of the log.
    pub epoch: Cow<'a, str>,
    /// The revision of the last event that the list includes.
    pub revision: u64,
    /// The node that the host runs beside.
    #[serde(rename = "self")]
    pub this: Option<Cow<'a, str>>,
    /// The members in the order of their names.
    pub members: Vec<Member<'a>>,
}

/// A member: [`cluster_core::Member`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Whether the host runs beside it.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// `discovered`, `up`, `down` or `leaving`.
    pub state: Cow<'a, str>,
    /// Grows with each restart of the node.
    pub incarnation: Option<u64>,
    /// Where it can be reached.
    pub addresses: Cow<'a, [String]>,
    /// What its sources say of it.
    pub attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Who vouches for it.
    pub topologies: Vec<Vouched<'a>>,
    /// Since when it is in this state.
    pub since: Time,
    /// Why.
    pub reason: Option<Cow<'a, str>>,
}

/// A topology that vouches for a member, and the link there: [`cluster_core::Vouched`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vouched<'a> {
    /// The topology.
    pub name: Cow<'a, str>,
    /// `none`, `down`, `connecting`, `up` or `unknown`.
    pub link: Cow<'a, str>,
    /// Since when.
    pub since: Time,
    /// Why it is not up.
    pub reason: Option<Cow<'a, str>>,
}

/// One event, or a `resync`, which has `members` in place of `member`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event<'a> {
    /// The epoch of the log.
    pub epoch: Cow<'a, str>,
    /// The revision that the event made.
    pub revision: u64,
    /// `EPOCH:REVISION`: where to go on.
    pub cursor: Cow<'a, str>,
    /// `node_up` and so on.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The member that it happened to.
    pub node: Option<Cow<'a, str>>,
    /// The member as it is afterwards; absent where it is gone.
    pub member: Option<Member<'a>>,
    /// Only of a `resync`: all members. The server writes these piece by piece, see `stream`.
    #[serde(default, skip_serializing)]
    pub members: Option<Vec<Member<'a>>>,
    /// The topology that it happened in.
    pub topology: Option<Cow<'a, str>>,
    /// Only of `topology_changed`, and absent where the topology is gone: `starting`, `running`, `degraded`, `denied`
    /// or `stopped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Cow<'a, str>>,
    /// Why.
    pub reason: Option<Cow<'a, str>>,
    /// When.
    pub at: Time,
}

/// The answer of `/v1/events?wait=…`: what happened after a cursor, or a resync in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventList<'a> {
    /// Where to go on.
    pub cursor: Cow<'a, str>,
    /// The events, in their order; none where nothing happened meanwhile.
    pub events: Vec<Event<'a>>,
    /// All members, in place of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::stream::Resync>")]
    pub resync: Option<Event<'a>>,
}

/// One of the targets of `/v1/prometheus/targets`: a member, as Prometheus' `http_sd_configs` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target<'a> {
    /// `HOST:PORT`.
    pub targets: Vec<String>,
    /// `__meta_cluster_node`, `_state`, `_self`, `_topologies` (as `,a,b,`) and `_attribute_KEY`.
    pub labels: BTreeMap<String, Cow<'a, str>>,
}

/// The answer of `POST /v1/reload`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reload<'a> {
    /// Nothing was changed: this is what would be.
    pub dry_run: bool,
    /// The topologies by what becomes of them: `added`, `changed`, `restarted`, `adjusted`, `removed`, `unchanged`.
    pub topologies: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
    /// What is allowed in the configuration, but seldom meant.
    pub warnings: Vec<Cow<'a, str>>,
    /// The hooks by what becomes of them: `added`, `changed`, `removed`.
    #[serde(default)]
    pub hooks: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
    /// Of a dry run: what each topology that has or had another source finds.
    pub previews: BTreeMap<Cow<'a, str>, Preview<'a>>,
}

/// Who would join and leave by one topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview<'a> {
    /// Nodes that would be new to it.
    pub joins: Vec<Cow<'a, str>>,
    /// Nodes that it would not vouch for any more.
    pub leaves: Vec<Cow<'a, str>>,
    /// Others may join, and nobody leaves by it.
    pub partial: bool,
    /// Why nothing was found.
    pub error: Option<Cow<'a, str>>,
}

/// The answer of `/v1/topologies`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topologies<'a> {
    /// The epoch of the log.
    pub epoch: Cow<'a, str>,
    /// The revision of the last event.
    pub revision: u64,
    /// The topologies in the order of their names.
    pub topologies: Vec<Topology<'a>>,
}

/// A topology: [`super::TopologyInfo`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topology<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The strategy.
    pub strategy: Cow<'a, str>,
    /// The plugin that offers it.
    pub plugin: Option<Cow<'a, str>>,
    /// The connector.
    pub connector: Cow<'a, str>,
    /// `starting`, `running`, `degraded`, `denied` or `stopped`.
    pub health: Cow<'a, str>,
    /// Why it is not running; while it is, what whoever runs it should know. It may have several lines: the first one says
    /// what it is about, the others what to do.
    pub reason: Option<Cow<'a, str>>,
    /// Since when.
    pub since: Time,
    /// How many members it vouches for.
    pub members: u64,
    /// Members whose withdrawal is held back by the prune policy.
    pub held: Vec<Cow<'a, str>>,
    /// Members that are remembered from before the restart of the host, and that the source has not named since.
    #[serde(default)]
    pub remembered: Vec<Cow<'a, str>>,
    /// Links that nobody vouches for.
    pub unclaimed: Vec<Cow<'a, str>>,
    /// What strategy and connector count.
    pub counters: Cow<'a, BTreeMap<String, u64>>,
    /// How often the strategy was started again.
    pub restarts: u32,
    /// When it last reported.
    pub last_report: Option<Time>,
}

/// The answer of `/v1/members/NAME`: [`cluster_core::membership::explain::Explanation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation<'a> {
    /// The name that was asked about.
    pub name: Cow<'a, str>,
    /// The member, if it is one.
    pub member: Option<Member<'a>>,
    /// Who vouches for it.
    pub vouches: Vec<Vouch<'a>>,
    /// Its links.
    pub links: Vec<Link<'a>>,
    /// Incarnations that are known to be dead.
    pub dead: Vec<Dead<'a>>,
}

/// One topology's word for a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vouch<'a> {
    /// The topology.
    pub topology: Cow<'a, str>,
    /// What its source says.
    pub node: Node<'a>,
    /// Since when without a break.
    pub since: Time,
    /// When the word was last renewed.
    pub renewed: Time,
    /// When it ends unless renewed.
    pub expires: Option<Time>,
    /// Expired, kept only because the link is up.
    pub stale: bool,
    /// Complete views in a row that did not name the node.
    pub absent_rounds: u32,
    /// The prune policy holds back its withdrawal until then.
    pub held_until: Option<Time>,
    /// It is of before the restart of the host: its source has not named the node since.
    #[serde(default)]
    pub remembered: bool,
}

/// A node as a source describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node<'a> {
    /// Grows with each restart of the node.
    pub incarnation: Option<u64>,
    /// Where it can be reached.
    pub addresses: Vec<Cow<'a, str>>,
    /// What the source says of it.
    pub attributes: BTreeMap<String, String>,
    /// Whether it is about to go.
    pub leaving: bool,
}

/// A link by one connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Link<'a> {
    /// The connector.
    pub connector: Cow<'a, str>,
    /// `none`, `down`, `connecting`, `up` or `unknown`.
    pub state: Cow<'a, str>,
    /// Since when.
    pub since: Time,
    /// Failed tries since it was last up.
    pub failures: u32,
    /// The last tries, oldest first.
    pub attempts: Vec<Attempt<'a>>,
    /// When the next try is due.
    pub next_attempt: Option<Time>,
    /// Why the connector did not cut it when nobody vouched for its node any more.
    #[serde(default)]
    pub kept: Option<Cow<'a, str>>,
}

/// One try to make a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt<'a> {
    /// When it ended.
    pub at: Time,
    /// Why it failed; absent where it succeeded.
    pub failure: Option<Cow<'a, str>>,
}

/// An incarnation that is known to be dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dead<'a> {
    /// By the word of this topology.
    pub topology: Cow<'a, str>,
    /// The incarnation.
    pub incarnation: u64,
}

/// The answer of `POST /v1/members/NAME/forget`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten<'a> {
    /// The name that was to be forgotten.
    pub name: Cow<'a, str>,
    /// The topologies that let it go.
    pub topologies: Vec<Cow<'a, str>>,
    /// Incarnations that were known to be dead, and may come back now.
    pub dead: Vec<Dead<'a>>,
    /// The topologies whose sources still name it: as long as they do, it stays a member by them.
    pub named_by: Vec<Cow<'a, str>>,
}

/// An error, as RFC 9457 has it (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem<'a> {
    /// `urn:problem-type:cluster-host:` and a word for what is wrong, which stays the same.
    #[serde(rename = "type", default)]
    pub kind: Cow<'a, str>,
    /// The status in words.
    pub title: Cow<'a, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: Cow<'a, str>,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests;
