//! What a runner is told as JSON: at its start, and with some orders.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use cluster_sdk::{Inquiry, LocalNode, OfferKind, abi::host::Start};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a runner is for, and what it may.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) plugin: PluginName,
    /// What it may read beside the system's files.
    pub(super) read: Vec<PathBuf>,
    /// What it may read and write.
    pub(super) write: Vec<PathBuf>,
    pub(super) memory_bytes_max: u64,
}

/// Which plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PluginName {
    /// One whose file comes with the setup; this is what it is called.
    File(PathBuf),
    /// One that is linked into the program.
    Builtin(String),
}

/// What is asked of a config.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) kind: OfferKind,
    pub(super) name: String,
    pub(super) config: Value,
    pub(super) local: LocalNode,
}

/// A [`Start`], and how often the runner wants a sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    kind: OfferKind,
    name: String,
    config: Value,
    topology: String,
    local: LocalNode,
    log_level: String,
    heartbeat_ms: u64,
    diagnose: Option<Inquiry>,
}

// === impl Launch ===

impl Launch {
    pub(super) fn new(start: &Start, heartbeat: Duration) -> Self {
        Self {
            kind: start.kind,
            name: start.name.clone(),
            config: start.config.clone(),
            topology: start.topology.clone(),
            local: start.local.clone(),
            log_level: start.log_level.to_string(),
            heartbeat_ms: u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX),
            diagnose: start.diagnose.clone(),
        }
    }

    pub(super) fn into_start(self) -> (Start, Duration) {
        let start = Start {
            kind: self.kind,
            name: self.name,
            config: self.config,
            topology: self.topology,
            local: self.local,
            // It is one of the host's; where not, too little is not lost.
            log_level: self.log_level.parse().unwrap_or(tracing::level_filters::LevelFilter::INFO),
            diagnose: self.diagnose,
        };
        (start, Duration::from_millis(self.heartbeat_ms))
    }
}

/// The files that a plugin's config names: what an operator writes there, the plugin is meant to read; relative paths begin where
/// the host was started, as they do for the plugin. Of a symbolic link the directory too, because Kubernetes exchanges what such links point at.
pub(super) fn named_files<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<PathBuf> {
    let mut named = Vec::new();
    for path in texts.map(Path::new).filter(|path| path.is_file()) {
        named.push(path.to_owned());
        if path.is_symlink() {
            named.extend(path.parent().map(Path::to_owned));
        }
    }
    named
}

/// All texts in a config.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// As JSON; what is written here always can be.
pub(super) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
