//! The language of scripts. Nodes are written `NAME[/INCARNATION][:ADDRESS][~ZONE][!]`, where `!` means leaving;
//! `me` is the local node.

use std::{fmt, time::Duration};

use super::super::{ConnectorId, Outcome, PrunePolicy};
use crate::{name::NodeName, node::Node, view::NodeList};

/// A connector of every script: dials two at once, its links go down with it, an address change redials.
pub(super) const TCP: Option<ConnectorId> = Some(ConnectorId(1));
/// Another one: its links outlive it, and it is asked for them every 30 s.
pub(super) const ERL: Option<ConnectorId> = Some(ConnectorId(2));

/// The failure that stands for [`Outcome::Kept`].
pub(super) const KEPT: &str = "kept";

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A topology is added.
    Topology(&'static str, Option<ConnectorId>, PrunePolicy),
    /// One without a connector that may have three members.
    Small(&'static str),
    /// A topology is held or linked in another way.
    Change(&'static str, Option<ConnectorId>, PrunePolicy),
    /// Another source takes the place of a topology's own.
    Supersede(&'static str),
    /// The host is restarted and remembers the members; these topologies are not configured any more.
    Restart(&'static [&'static str]),
    /// A topology is removed.
    Remove(&'static str),
    /// A `Reset` of a topology.
    Complete(&'static str, String, Option<u64>),
    /// A `Reset` that may not name all.
    Partial(&'static str, String, Option<u64>),
    /// An `Apply`: upserts, removals.
    Apply(&'static str, String, String, Option<u64>),
    /// The strategy of a topology stops or starts.
    Stop(&'static str),
    Start(&'static str),
    Forget(&'static str),
    /// The supervisor's or the strategy's word of its health.
    Degraded(&'static str, &'static str),
    /// Tells what is known of a node, and the unclaimed links of a topology.
    Explain(&'static str),
    Unclaimed(&'static str),
    RemoveConnector(ConnectorId),
    /// What a connector says by itself of a generation of links.
    Up(ConnectorId, u64, String),
    Down(ConnectorId, u64, String),
    Links(ConnectorId, u64, String),
    /// The answer to the question for all links that is under way.
    List(ConnectorId, u64, String),
    /// The connector cannot tell its links, or not now.
    NoList(ConnectorId, Result<(), &'static str>),
    /// The answer to the last operation that was begun for a node, whether it is still under way or not.
    Answer(ConnectorId, &'static str, Result<(), &'static str>),
    /// The connector itself.
    Started(ConnectorId),
    Stopped(ConnectorId),
    Unavailable(ConnectorId, &'static str),
    Available(ConnectorId),
    /// What is not well with it, if anything.
    Troubled(ConnectorId, Option<&'static str>),
    /// From now on a connector answers each operation at once, or not at all.
    Obliging(ConnectorId, Option<Result<(), &'static str>>),
    /// The local node is told of anew.
    Local(String),
    /// It takes part, or does not for a reason.
    Presence(Result<(), &'static str>),
    /// Time passes.
    Wait(Duration),
}

pub(super) fn topology(name: &'static str, connector: Option<ConnectorId>) -> Op {
    Op::Topology(name, connector, PrunePolicy::default())
}

pub(super) fn complete(topology: &'static str, nodes: &str) -> Op {
    Op::Complete(topology, nodes.to_owned(), None)
}

pub(super) fn partial(topology: &'static str, nodes: &str) -> Op {
    Op::Partial(topology, nodes.to_owned(), None)
}

/// Changes, as `+` or `-` before each node.
pub(super) fn apply(topology: &'static str, changes: &str) -> Op {
    let pick = |sign: char| {
        let nodes: Vec<_> = changes.split_whitespace().filter_map(|node| node.strip_prefix(sign)).collect();
        nodes.join(" ")
    };
    Op::Apply(topology, pick('+'), pick('-'), None)
}

pub(super) fn up(connector: Option<ConnectorId>, nodes: &str) -> Op {
    Op::Up(connector.unwrap(), 1, nodes.to_owned())
}

pub(super) fn down(connector: Option<ConnectorId>, nodes: &str) -> Op {
    Op::Down(connector.unwrap(), 1, nodes.to_owned())
}

pub(super) fn links(connector: Option<ConnectorId>, nodes: &str) -> Op {
    Op::Links(connector.unwrap(), 1, nodes.to_owned())
}

pub(super) fn list(connector: Option<ConnectorId>, nodes: &str) -> Op {
    Op::List(connector.unwrap(), 1, nodes.to_owned())
}

pub(super) fn ok(connector: Option<ConnectorId>, node: &'static str) -> Op {
    Op::Answer(connector.unwrap(), node, Ok(()))
}

pub(super) fn fail(connector: Option<ConnectorId>, node: &'static str, reason: &'static str) -> Op {
    Op::Answer(connector.unwrap(), node, Err(reason))
}

/// The connector keeps the link that it is to cut.
pub(super) fn keeps(connector: Option<ConnectorId>, node: &'static str) -> Op {
    Op::Answer(connector.unwrap(), node, Err(KEPT))
}

pub(super) fn obliging(connector: Option<ConnectorId>) -> Op {
    Op::Obliging(connector.unwrap(), Some(Ok(())))
}

pub(super) fn refusing(connector: Option<ConnectorId>, reason: &'static str) -> Op {
    Op::Obliging(connector.unwrap(), Some(Err(reason)))
}

pub(super) fn silent(connector: Option<ConnectorId>) -> Op {
    Op::Obliging(connector.unwrap(), None)
}

pub(super) fn started(connector: Option<ConnectorId>) -> Op {
    Op::Started(connector.unwrap())
}

pub(super) fn stopped(connector: Option<ConnectorId>) -> Op {
    Op::Stopped(connector.unwrap())
}

pub(super) fn wait(seconds: u64) -> Op {
    Op::Wait(Duration::from_secs(seconds))
}

impl Op {
    /// The same report or input, with a time to live in seconds, or of this generation of links.
    pub(super) fn with(mut self, number: u64) -> Self {
        match &mut self {
            Self::Complete(_, _, ttl) | Self::Partial(_, _, ttl) | Self::Apply(_, _, _, ttl) => {
                *ttl = Some(number);
            }
            Self::Up(_, generation, _)
            | Self::Down(_, generation, _)
            | Self::Links(_, generation, _)
            | Self::List(_, generation, _) => *generation = number,
            other => panic!("{other} has no number"),
        }
        self
    }
}

/// The name of a node of a script; one that is not letters is no valid name.
pub(super) fn name(text: &str) -> NodeName {
    NodeName::try_new(&format!("{text}@h")).unwrap()
}

/// A name as scripts write it.
pub(super) fn short(name: &NodeName) -> &str {
    name.as_str().trim_end_matches("@h")
}

/// A node as scripts write it.
pub(super) fn node(text: &str) -> Node {
    let end = text.find(['/', ':', '~', '!']).unwrap_or(text.len());
    let (name_text, mut rest) = text.split_at(end);
    let mut node = Node::new(name(name_text));
    while let Some(sign) = rest.chars().next() {
        let value = rest.get(1..).unwrap();
        let end = value.find(['/', ':', '~', '!']).unwrap_or(value.len());
        let (value, after) = value.split_at(end);
        node = match sign {
            '/' => node.with_incarnation(value.parse().unwrap()),
            ':' => node.address(value),
            '~' => node.attribute("zone", value),
            _ => node.with_leaving(),
        };
        rest = after;
    }
    node
}

/// Nodes as scripts write them; `?` is a record without a valid name.
pub(super) fn nodes(text: &str) -> NodeList {
    let mut bytes = Vec::new();
    for text in text.split_whitespace() {
        if text == "?" {
            bytes.extend_from_slice(&[4, 0, 0, 0, 2, 0, b'n', b'o']);
        } else {
            node(text).encode(&mut bytes);
        }
    }
    NodeList::parse(bytes).unwrap()
}

/// How an operation ends, as scripts write it.
pub(super) fn outcome(how: Result<(), &'static str>) -> Outcome {
    match how {
        Ok(()) => Outcome::Done,
        Err(KEPT) => Outcome::Kept("it would cost others".into()),
        Err(reason) => Outcome::Failed(reason.into()),
    }
}

/// The name of a connector of a script.
pub(super) fn connector(id: ConnectorId) -> &'static str {
    if Some(id) == TCP { "tcp" } else { "erl" }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl = |ttl: &Option<u64>| ttl.map_or_else(String::new, |ttl| format!(" for {ttl} s"));
        let generation = |generation: &u64| match generation {
            1 => String::new(),
            other => format!(" (generation {other})"),
        };
        let outcome = |outcome: &Result<(), &'static str>| match outcome {
            Ok(()) => "ok".to_owned(),
            Err(KEPT) => KEPT.to_owned(),
            Err(reason) => format!("failed: {reason}"),
        };
        match self {
            Self::Topology(name, id, policy) | Self::Change(name, id, policy) => {
                let verb = if matches!(self, Self::Change(..)) { "changed " } else { "" };
                write!(f, "{verb}topology {name} by {}", id.map_or("none", connector))?;
                let default = PrunePolicy::default();
                if policy.never {
                    f.write_str(", prune never")
                } else if *policy == default {
                    Ok(())
                } else {
                    write!(f, ", {policy:?}")
                }
            }
            Self::Small(name) => write!(f, "topology {name} of three by none"),
            Self::Supersede(name) => write!(f, "{name} has another source"),
            Self::Restart([]) => write!(f, "the host is restarted"),
            Self::Restart(without) => write!(f, "the host is restarted without {}", without.join(" ")),
            Self::Remove(name) => write!(f, "remove {name}"),
            Self::Complete(name, nodes, time) => write!(f, "{name} is [{nodes}]{}", ttl(time)),
            Self::Partial(name, nodes, time) => write!(f, "{name} has [{nodes}]{}", ttl(time)),
            Self::Apply(name, upserts, removals, time) => {
                write!(f, "{name} +[{upserts}] -[{removals}]{}", ttl(time))
            }
            Self::Stop(name) => write!(f, "strategy of {name} stops"),
            Self::Start(name) => write!(f, "strategy of {name} starts"),
            Self::Forget(name) => write!(f, "forget {name}"),
            Self::Degraded(name, reason) => write!(f, "{name} degraded: {reason}"),
            Self::Explain(name) => write!(f, "explain {name}"),
            Self::Unclaimed(name) => write!(f, "unclaimed of {name}"),
            Self::RemoveConnector(id) => write!(f, "remove {}", connector(*id)),
            Self::Up(id, number, nodes) => write!(f, "{} up {nodes}{}", connector(*id), generation(number)),
            Self::Down(id, number, nodes) => {
                write!(f, "{} down {nodes}{}", connector(*id), generation(number))
            }
            Self::Links(id, number, nodes) => {
                write!(f, "{} links [{nodes}]{}", connector(*id), generation(number))
            }
            Self::List(id, number, nodes) => {
                write!(f, "{} lists [{nodes}]{}", connector(*id), generation(number))
            }
            Self::NoList(id, how) => write!(f, "{} gives no list, {}", connector(*id), outcome(how)),
            Self::Answer(id, node, how) => write!(f, "{} answers {node} {}", connector(*id), outcome(how)),
            Self::Started(id) => write!(f, "{} starts", connector(*id)),
            Self::Stopped(id) => write!(f, "{} stops", connector(*id)),
            Self::Unavailable(id, reason) => write!(f, "{} unavailable: {reason}", connector(*id)),
            Self::Available(id) => write!(f, "{} available", connector(*id)),
            Self::Troubled(id, trouble) => write!(f, "{} troubled: {trouble:?}", connector(*id)),
            Self::Obliging(id, None) => write!(f, "{} will be silent", connector(*id)),
            Self::Obliging(id, Some(how)) => write!(f, "{} will answer {}", connector(*id), outcome(how)),
            Self::Local(node) => write!(f, "local {node}"),
            Self::Presence(Ok(())) => f.write_str("present"),
            Self::Presence(Err(reason)) => write!(f, "absent: {reason}"),
            Self::Wait(time) => write!(f, "wait {} s", time.as_secs_f64()),
        }
    }
}
