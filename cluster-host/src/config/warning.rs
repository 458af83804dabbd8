//! What is allowed, but seldom meant.

use super::{ConnectConfig, Loaded, Problem, TopologyConfig, ready, topology};

/// Everything in a configuration that should give its author pause. It is used all the same.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, config::{Mistakes, warnings}};
///
/// let loaded = Config::parse("cluster.toml".as_ref(), "cluster = 'shop'", &|_| None).map_err(Mistakes::from)?;
/// let warnings = warnings(&loaded);
/// let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
/// assert_eq!(lines, ["cluster.toml:1: warning: topologies: there are none: no node will be found"]);
/// # Ok::<(), Mistakes>(())
/// ```
#[must_use]
pub fn warnings(loaded: &Loaded) -> Vec<Problem> {
    let topologies = &loaded.config.topologies;
    let mut warnings = Vec::new();
    let mut warn = |path: &str, message: String| warnings.push(loaded.problem(path, message).into_warning());
    if topologies.is_empty() {
        warn("topologies", "there are none: no node will be found".to_owned());
    }
    let plugins = &loaded.config.plugins;
    if plugins.keep.is_some() && plugins.lock.is_none() && plugins.sha256.is_empty() {
        warn("plugins.keep", "nothing is kept where neither `lock` nor `sha256` names a content".to_owned());
    }
    let hooks = &loaded.config.on_event;
    if !hooks.is_empty() && loaded.config.state.directory.is_none() {
        let message =
            "without `directory` in [state] a restart of the host forgets what was not delivered yet";
        warn("on_event", message.to_owned());
    }
    for (index, hook) in hooks.iter().enumerate() {
        let is_there = |name: &String| topologies.keys().any(|known| known.as_str() == name);
        for (at, name) in hook.topologies.iter().flatten().enumerate().filter(|(_, name)| !is_there(name)) {
            warn(&format!("on_event[{index}].topologies[{at}]"), format!("there is no topology {name:?}"));
        }
    }
    for (index, (name, topology)) in topologies.iter().enumerate() {
        if let Some(message) = ready::never_ready(&loaded.config, name, topology) {
            warn(&topology::path(name), message);
        }
        if listens_to_anyone(topology) {
            let message = "without `secret` and `allow` anyone on the network can make this node dial any address; set one of them in `config`";
            warn(&format!("{}.connect", topology::path(name)), message.to_owned());
        }
        let mut earlier = topologies.iter().take(index);
        if let Some((other, _)) = earlier.find(|(_, other)| doubles_connector(topology, other)) {
            let message = format!(
                "`connect` is that of topology {other}, but `retry`, `dials_max` or `deadline` differ: each gets a connector of its own, and members of both two links"
            );
            warn(&format!("{}.opts", topology::path(name)), message);
        }
    }
    warnings
}

/// Whether strangers' datagrams decide what is dialled.
fn listens_to_anyone(topology: &TopologyConfig) -> bool {
    let is_set = |key| topology.config.get(key).is_some();
    topology.strategy == "gossip"
        && topology.connect != ConnectConfig::None
        && !is_set("secret")
        && !is_set("allow")
}

fn doubles_connector(topology: &TopologyConfig, other: &TopologyConfig) -> bool {
    topology.connect != ConnectConfig::None
        && topology.connect == other.connect
        && !topology.shares_connector(other)
}
