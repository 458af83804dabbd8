//! What a hook is told of an event: a `CloudEvents` 1.0 document in structured mode, and for commands its essentials as
//! variables of the environment.

use axum::body::Bytes;
use cluster_core::{Cursor, Event, NodeName, Snapshot};
use serde::{Serialize, Serializer};

use crate::{
    api::json::{self, Precision, Time},
    client::encode,
};

/// The type of a document in place of events that are gone; those of events are `libcluster.` and their word.
pub(super) const RESYNC: &str = "resync";
/// Characters of a reason that a variable has at most. In the document it is whole.
const REASON_CHARS_MAX: usize = 1_000;

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// All up to it is done when this is delivered.
    pub(super) cursor: Cursor,
    /// The word of the event, or [`RESYNC`].
    pub(super) kind: &'static str,
    pub(super) body: Bytes,
    pub(super) variables: Vec<(&'static str, String)>,
}

/// Whose events they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) cluster: &'a str,
    pub(super) node: Option<&'a NodeName>,
}

#[derive(Serialize)]
struct CloudEvent<'a, T> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: Time,
    datacontenttype: &'static str,
    data: T,
}

/// As the event stream of the API has it.
#[derive(Serialize)]
struct Resync<'a> {
    epoch: String,
    revision: u64,
    cursor: String,
    #[serde(rename = "type")]
    kind: &'static str,
    node: (),
    members: Members<'a>,
    topology: (),
    reason: &'a str,
    at: Time,
}

struct Members<'a>(&'a Snapshot);

// === impl Document ===

impl Document {
    /// That of an event.
    pub(super) fn of_event(
        cursor: Cursor,
        event: &Event,
        source: Source<'_>,
    ) -> Result<Self, serde_json::Error> {
        let node = event.node.as_ref().map(NodeName::as_str);
        let topology = event.topology.as_ref().map(|topology| topology.as_str());
        let kind = event.kind.as_str();
        let data = json::Event::new(cursor, event);
        let body = body(cursor, kind, (source, node.or(topology)), event.at.into(), data)?;
        let state = event.member.as_ref().map(|member| member.state.as_str());
        let reason = event.reason.as_deref();
        let mut variables = variables(cursor, kind, source, event.at.into());
        let known = [
            ("CLUSTER_NODE", node),
            ("CLUSTER_TOPOLOGY", topology),
            ("CLUSTER_STATE", state),
            ("CLUSTER_REASON", reason),
        ];
        variables.extend(known.into_iter().filter_map(|(name, value)| Some((name, plain(value?)))));
        Ok(Self { cursor, kind, body, variables })
    }

    /// That in place of events that are gone: all members.
    pub(super) fn of_snapshot(
        cursor: Cursor,
        (snapshot, reason): (&Snapshot, &str),
        source: Source<'_>,
        at: Time,
    ) -> Result<Self, serde_json::Error> {
        let data = Resync {
            epoch: cursor.epoch.to_string(),
            revision: cursor.revision,
            cursor: cursor.to_string(),
            kind: RESYNC,
            node: (),
            members: Members(snapshot),
            topology: (),
            reason,
            at,
        };
        let body = body(cursor, RESYNC, (source, None), at, data)?;
        let mut variables = variables(cursor, RESYNC, source, at);
        variables.push(("CLUSTER_REASON", plain(reason)));
        Ok(Self { cursor, kind: RESYNC, body, variables })
    }
}

fn body<T: Serialize>(
    cursor: Cursor,
    kind: &str,
    (source, subject): (Source<'_>, Option<&str>),
    time: Time,
    data: T,
) -> Result<Bytes, serde_json::Error> {
    let document = CloudEvent {
        specversion: "1.0",
        id: id(cursor, kind),
        source: source.uri(),
        kind: format!("libcluster.{kind}"),
        subject,
        time,
        datacontenttype: "application/json",
        data,
    };
    serde_json::to_vec(&document).map(Into::into)
}

/// A resync has another one than the event of its revision: who leaves out what it knows would leave it out.
fn id(cursor: Cursor, kind: &str) -> String {
    if kind == RESYNC { format!("{cursor}:{RESYNC}") } else { cursor.to_string() }
}

fn variables(cursor: Cursor, kind: &str, source: Source<'_>, at: Time) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("CLUSTER_EVENT", kind.to_owned()),
        ("CLUSTER_ID", id(cursor, kind)),
        ("CLUSTER_TIME", at.to_text(Precision::Micros)),
        ("CLUSTER_NAME", plain(source.cluster)),
    ];
    variables.extend(source.node.map(|node| ("CLUSTER_SELF", node.to_string())));
    variables
}

/// What a variable can have: a reason may carry whatever a stranger's datagram had.
fn plain(text: &str) -> String {
    let fit = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    fit.take(REASON_CHARS_MAX).collect()
}

// === impl Source ===

impl Source<'_> {
    /// `libcluster:CLUSTER/NODE`, without a node where the host runs beside none.
    fn uri(self) -> String {
        let cluster = encode(self.cluster);
        match self.node {
            Some(node) => format!("libcluster:{cluster}/{}", encode(node.as_str())),
            None => format!("libcluster:{cluster}"),
        }
    }
}

// === impl Members ===

impl Serialize for Members<'_> {
    /// One after the other: a list of their shapes would be a copy of all of them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.members.values().map(|member| json::Member::from(&**member)))
    }
}
