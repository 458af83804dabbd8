//! What was found, for people and as JSON.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use cluster_core::{Completeness, Node};
use cluster_sdk::ConfigDuration;
use serde::Serialize;

use crate::{
    cli::output::{Cell, Colour, Table, count, pairs, plain},
    trial::{Findings, Found},
};

#[derive(Serialize)]
struct ViewJson<'a> {
    strategy: &'a str,
    completeness: &'static str,
    /// How long the view vouches for its nodes; for ever where absent.
    ttl_ms: Option<u128>,
    health: Option<&'static str>,
    reason: Option<&'a str>,
    nodes: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    name: &'a str,
    addresses: Vec<&'a str>,
    attributes: BTreeMap<String, String>,
    incarnation: Option<u64>,
    leaving: bool,
}

pub(super) fn json(strategy: &str, view: &Found, findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    let status = findings.status.as_ref();
    let view = ViewJson {
        strategy,
        completeness: completeness(view),
        ttl_ms: view.ttl.map(|ttl| ttl.as_millis()),
        health: status.map(|status| status.health.as_str()),
        reason: status.and_then(|status| status.reason.as_deref()),
        nodes: view.nodes.values().map(NodeJson::of).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &view)?;
    writeln!(out)
}

pub(super) fn text(view: &Found, findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    let colour = Colour::of_stdout();
    let ttl = view.ttl.map(|ttl| format!(", for {}", ConfigDuration::from(ttl))).unwrap_or_default();
    writeln!(out, "{} view: {}{ttl}", completeness(view), count(view.nodes.len(), "node"))?;
    if let Some((health, reason)) =
        findings.status.as_ref().and_then(|status| Some((status.health, status.reason.as_ref()?)))
    {
        writeln!(out, "{}: {}", colour.word(health.as_str()), lines(reason))?;
    }
    if view.nodes.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["NAME", "ADDRESSES", "INCARNATION", "ATTRIBUTES"]);
    for node in view.nodes.values() {
        let leaving = if node.is_leaving() { " (leaving)" } else { "" };
        let addresses: Vec<_> = node.addresses().collect();
        let incarnation = node.incarnation().map(|incarnation| incarnation.to_string()).unwrap_or_default();
        table.row([
            Cell::from(format!("{}{leaving}", node.name())),
            plain(&addresses.join(" ")).into(),
            incarnation.into(),
            plain(&pairs(node.attribute_map())).into(),
        ]);
    }
    table.print(out, colour)
}

/// A reason, with all of its lines: it may be something to copy.
pub(super) fn lines(reason: &str) -> String {
    reason.trim_end().lines().map(plain).collect::<Vec<_>>().join("\n")
}

fn completeness(view: &Found) -> &'static str {
    match view.completeness {
        Completeness::Complete => "complete",
        Completeness::Partial => "partial",
    }
}

// === impl NodeJson ===

impl<'a> NodeJson<'a> {
    fn of(node: &'a Node) -> Self {
        Self {
            name: node.name().as_str(),
            addresses: node.addresses().collect(),
            attributes: node.attribute_map(),
            incarnation: node.incarnation(),
            leaving: node.is_leaving(),
        }
    }
}
