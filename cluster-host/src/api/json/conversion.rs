//! The shapes of core values.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use cluster_core::{
    Cursor, Member as CoreMember, Node as CoreNode, NodeName, Snapshot, TopologyName,
    membership::explain::{self, LinkExplained, VouchExplained},
};

use super::{
    Attempt, Dead, Event, Explanation, Forgotten, Link, Member, Node, Preview, Reload, Time, Topologies,
    Topology, Vouch, Vouched,
};
use crate::{
    api::source::{Forgotten as CoreForgotten, TopologyInfo},
    preview::Preview as CorePreview,
    reload::Reloaded,
};

/// # Examples
///
/// ```
/// use cluster_host::{Config, Host, Registry, api::json::Member};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// let snapshot = host.wait_up(1).await.ok_or("it has ended")?;
/// let member = snapshot.up().next().ok_or("it has none")?;
/// let shape = serde_json::to_value(Member::from(&**member))?;
/// assert_eq!((&shape["name"], &shape["self"], &shape["state"]), (&json!("app@127.0.0.1"), &json!(true), &json!("up")));
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
impl<'a> From<&'a CoreMember> for Member<'a> {
    fn from(member: &'a CoreMember) -> Self {
        let vouched = |vouched: &'a cluster_core::Vouched| Vouched {
            name: vouched.name.as_str().into(),
            link: vouched.link.as_str().into(),
            since: vouched.since.into(),
            reason: text(vouched.reason.as_ref()),
        };
        Self {
            name: member.name.as_str().into(),
            is_self: member.is_self,
            state: member.state.as_str().into(),
            incarnation: member.incarnation,
            addresses: Cow::Borrowed(&member.addresses),
            attributes: member.attributes.iter().map(|(key, value)| (key.into(), value.into())).collect(),
            topologies: member.topologies.iter().map(vouched).collect(),
            since: member.since.into(),
            reason: text(member.reason.as_ref()),
        }
    }
}

impl<'a> Reload<'a> {
    /// The shape of what a reload did, or would do.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::{Reloaded, api::json::Reload};
    ///
    /// let mut reloaded = Reloaded::default();
    /// reloaded.changes.added.push("office".parse()?);
    /// let shape = serde_json::to_value(Reload::new(true, &reloaded))?;
    /// assert_eq!((&shape["dry_run"], &shape["topologies"]["added"][0]), (&true.into(), &"office".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(dry_run: bool, reloaded: &'a Reloaded) -> Self {
        let Reloaded { changes, warnings, previews } = reloaded;
        let names = |names: &'a [TopologyName]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            dry_run,
            topologies: changes.lists().into_iter().map(|(word, list)| (word.into(), names(list))).collect(),
            hooks: changes
                .hooks
                .lists()
                .into_iter()
                .map(|(word, names)| (word.into(), names.iter().map(Into::into).collect()))
                .collect(),
            warnings: warnings.iter().map(Into::into).collect(),
            previews: previews.iter().map(|(name, preview)| (name.as_str().into(), preview.into())).collect(),
        }
    }
}

impl<'a> From<&'a Result<CorePreview, String>> for Preview<'a> {
    fn from(preview: &'a Result<CorePreview, String>) -> Self {
        let names = |names: &'a [NodeName]| names.iter().map(|name| name.as_str().into()).collect();
        match preview {
            Ok(CorePreview { joins, leaves, is_partial }) => {
                Self { joins: names(joins), leaves: names(leaves), partial: *is_partial, error: None }
            }
            Err(error) => {
                Self { joins: Vec::new(), leaves: Vec::new(), partial: false, error: Some(error.into()) }
            }
        }
    }
}

impl<'a> Event<'a> {
    /// The shape of an event that made the cursor's revision.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use cluster_core::{Cursor, Epoch, EventKind};
    /// use cluster_host::api::json::Event;
    ///
    /// let event = cluster_core::Event {
    ///     revision: 7,
    ///     kind: EventKind::NodeLeft,
    ///     node: Some("a@10.0.0.7".parse()?),
    ///     member: None,
    ///     topology: Some("shop".parse()?),
    ///     status: None,
    ///     reason: Some("said goodbye".into()),
    ///     at: SystemTime::UNIX_EPOCH,
    /// };
    /// let shape = Event::new(Cursor { epoch: Epoch(0xb), revision: 7 }, &event);
    /// assert_eq!((shape.cursor.as_ref(), shape.kind.as_ref()), ("000000000000000b:7", "node_left"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(cursor: Cursor, event: &'a cluster_core::Event) -> Self {
        Self {
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            cursor: cursor.to_string().into(),
            kind: event.kind.as_str().into(),
            node: event.node.as_ref().map(|node| node.as_str().into()),
            member: event.member.as_deref().map(Member::from),
            members: None,
            topology: event.topology.as_ref().map(|topology| topology.as_str().into()),
            health: event.status.as_ref().map(|status| status.health.as_str().into()),
            reason: text(event.reason.as_ref()),
            at: event.at.into(),
        }
    }
}

impl<'a> Topologies<'a> {
    /// The shape of the topologies, with their members counted in the snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::{Config, Host, Registry, api::{Source as _, json::Topologies}};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = Registry::new().with_builtin(strategy_epmd::plugin())?;
    /// let config = Config::from_json(json!({ "topologies": {
    ///     "shop": { "strategy": "epmd", "config": { "hosts": ["a@127.0.0.1"] }, "connect": "none" },
    /// } }))?;
    /// let host = Host::builder(config, registry).start()?;
    /// host.wait_up(1).await.ok_or("it has ended")?;
    /// let (cursor, snapshot) = host.handle().log().latest();
    /// let infos = host.handle().topologies();
    /// let shape = Topologies::new(cursor, &infos, &snapshot);
    /// let shop = shape.topologies.first().ok_or("it has none")?;
    /// assert_eq!((shop.strategy.as_ref(), shop.connector.as_ref(), shop.members), ("epmd", "none", 1));
    /// host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(cursor: Cursor, topologies: &'a [TopologyInfo], snapshot: &Snapshot) -> Self {
        let mut members: BTreeMap<&str, u64> = BTreeMap::new();
        for member in snapshot.members.values() {
            for vouched in member.topologies.iter() {
                *members.entry(vouched.name.as_str()).or_default() += 1;
            }
        }
        let topology = |info: &'a TopologyInfo| Topology {
            name: info.name.as_str().into(),
            strategy: info.strategy.as_str().into(),
            plugin: info.plugin.as_deref().map(Into::into),
            connector: info.connector.as_str().into(),
            health: info.status.health.as_str().into(),
            reason: text(info.status.reason.as_ref()),
            since: info.status.since.into(),
            members: members.get(info.name.as_str()).copied().unwrap_or_default(),
            held: info.status.held.iter().map(|name| name.as_str().into()).collect(),
            remembered: info.status.remembered.iter().map(|name| name.as_str().into()).collect(),
            unclaimed: info.status.unclaimed.iter().map(|name| name.as_str().into()).collect(),
            counters: Cow::Borrowed(&info.counters),
            restarts: info.restarts,
            last_report: info.last_report.map(Time),
        };
        Self {
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            topologies: topologies.iter().map(topology).collect(),
        }
    }
}

impl<'a> Forgotten<'a> {
    /// The shape of what became of a node.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::api::{self, json::Forgotten};
    ///
    /// let name = "a@10.0.0.7".parse()?;
    /// let forgotten = api::Forgotten { topologies: vec!["shop".parse()?], ..api::Forgotten::default() };
    /// let shape = Forgotten::new(&name, &forgotten);
    /// assert_eq!((shape.name.as_ref(), shape.topologies.len(), shape.named_by.len()), ("a@10.0.0.7", 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(name: &'a NodeName, forgotten: &'a CoreForgotten) -> Self {
        let names = |names: &'a [TopologyName]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            name: name.as_str().into(),
            topologies: names(&forgotten.topologies),
            dead: dead(&forgotten.dead),
            named_by: names(&forgotten.named_by),
        }
    }
}

/// # Examples
///
/// ```
/// use cluster_host::{Config, Host, Registry, api::{Source as _, json::Explanation}};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// let known = host.handle().explain("app@127.0.0.1".parse()?).await.ok_or("nothing is known of it")?;
/// let shape = Explanation::from(&known);
/// assert!(shape.member.is_some_and(|member| member.is_self));
/// assert!(shape.vouches.is_empty(), "the local node needs nobody who vouches for it");
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
impl<'a> From<&'a explain::Explanation> for Explanation<'a> {
    fn from(known: &'a explain::Explanation) -> Self {
        Self {
            name: known.name.as_str().into(),
            member: known.member.as_deref().map(Member::from),
            vouches: known.vouches.iter().map(Vouch::from).collect(),
            links: known.links.iter().map(Link::from).collect(),
            dead: dead(&known.dead),
        }
    }
}

impl<'a> From<&'a VouchExplained> for Vouch<'a> {
    fn from(vouch: &'a VouchExplained) -> Self {
        Self {
            topology: vouch.topology.as_str().into(),
            node: Node::from(&vouch.node),
            since: vouch.since.into(),
            renewed: vouch.renewed.into(),
            expires: vouch.expires.map(Time),
            stale: vouch.stale,
            absent_rounds: vouch.absent_rounds,
            held_until: vouch.held_until.map(Time),
            remembered: vouch.remembered,
        }
    }
}

impl<'a> From<&'a CoreNode> for Node<'a> {
    fn from(node: &'a CoreNode) -> Self {
        Self {
            incarnation: node.incarnation(),
            addresses: node.addresses().map(Cow::Borrowed).collect(),
            attributes: node.attribute_map(),
            leaving: node.is_leaving(),
        }
    }
}

impl<'a> From<&'a LinkExplained> for Link<'a> {
    fn from(link: &'a LinkExplained) -> Self {
        let attempt = |attempt: &'a explain::Attempt| Attempt {
            at: attempt.at.into(),
            failure: text(attempt.failure.as_ref()),
        };
        Self {
            connector: (&*link.connector).into(),
            state: link.state.as_str().into(),
            since: link.since.into(),
            failures: link.failures,
            attempts: link.attempts.iter().map(attempt).collect(),
            next_attempt: link.next_attempt.map(Time),
            kept: text(link.kept.as_ref()),
        }
    }
}

fn dead(dead: &[(TopologyName, u64)]) -> Vec<Dead<'_>> {
    let dead = dead.iter();
    dead.map(|(topology, incarnation)| Dead { topology: topology.as_str().into(), incarnation: *incarnation })
        .collect()
}

fn text(reason: Option<&Arc<str>>) -> Option<Cow<'_, str>> {
    reason.map(|reason| Cow::Borrowed(&**reason))
}
