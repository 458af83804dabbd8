//! The configuration and the plugins that it names: all that `check` tells.

use std::path::Path;

use cluster_sdk::Rung;

use super::ladder::{Ladder, Place, Stage, cause_and_fix};
use crate::{
    config::{self, Config, Loaded, Problem, validate},
    plugin::Registry,
};

/// Problems of a configuration that are shown.
const PROBLEMS_MAX: usize = 16;
/// Where there is no plugin.
const GET_PLUGIN: &str =
    "put the file of the plugin that offers it there, or name its directory with --plugins";

/// Reads the configuration; nothing where it cannot be used at all. Topologies that something is wrong with are left
/// out of what it returns.
pub(super) fn examine(path: &Path, registry: &mut Registry, ladder: &mut Ladder) -> Option<Loaded> {
    let place = Place::default();
    let mut loaded = match Config::load(path, &|name| std::env::var(name).ok()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            tell(ladder, &problems);
            return None;
        }
    };
    let problems = match registry.pin(&loaded.config.plugins) {
        Ok(()) => validate(&loaded, registry),
        Err(error) => vec![loaded.problem("plugins.lock", error.to_string())],
    };
    tell(ladder, &problems);
    for warning in config::warnings(&loaded) {
        let (evidence, fix) = cause_and_fix(&warning.to_string());
        let fix = fix.unwrap_or_else(|| "edit that line, if it is not what you mean".to_owned());
        ladder.add(Stage::Config, &place, Rung::warn("config", evidence, fix));
    }
    for (_, refusal) in registry.pending() {
        let (evidence, fix) = cause_and_fix(&refusal.to_string());
        let fix = fix.unwrap_or_else(|| "lock it: cluster-host plugins lock".to_owned());
        ladder.add(Stage::Plugin, &place, Rung::warn("plugin", format!("not loaded: {evidence}"), fix));
    }
    if !problems.iter().any(|problem| !is_of_plugin(problem)) {
        let count = loaded.config.topologies.len();
        let noun = if count == 1 { "topology" } else { "topologies" };
        let evidence = format!("{}: {count} {noun}", path.display());
        ladder.add(Stage::Config, &place, Rung::pass("config", evidence));
    }
    let is_pinned = !problems.iter().any(|problem| problem.path.starts_with("plugins"));
    loaded.config.topologies.retain(|name, _| {
        let path = cluster_sdk::config::key_path("topologies", name.as_str());
        let is_of = |problem: &Problem| {
            problem.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        is_pinned && !problems.iter().any(is_of)
    });
    Some(loaded)
}

fn tell(ladder: &mut Ladder, problems: &[Problem]) {
    for problem in problems.iter().take(PROBLEMS_MAX) {
        let text = problem.to_string();
        // A file that is refused may be the very one.
        let (evidence, fix) = match text.split_once("refused: ") {
            Some((lookup, refused)) if is_of_plugin(problem) => {
                let (refusal, fix) = cause_and_fix(refused);
                (format!("{}; refused: {refusal}", cause_and_fix(lookup).0), fix)
            }
            _ if text.contains(" at all (plugin directory ") => (text.clone(), Some(GET_PLUGIN.to_owned())),
            _ => cause_and_fix(&text),
        };
        let (stage, rung) =
            if is_of_plugin(problem) { (Stage::Plugin, "plugin") } else { (Stage::Config, "config") };
        let fix = fix.unwrap_or_else(|| match problem.line {
            Some(line) => format!("edit line {line} of {}", problem.file.display()),
            None => format!("name another file in place of {}, or mend it", problem.file.display()),
        });
        ladder.add(stage, &Place::default(), Rung::fail(rung, evidence, fix));
    }
}

/// Whether a problem is that a plugin is missing or refused.
fn is_of_plugin(problem: &Problem) -> bool {
    let path = &problem.path;
    path.starts_with("plugins")
        || path.starts_with("topologies.")
            && (path.ends_with(".strategy") || path.ends_with(".connect"))
            && !problem.message.starts_with("missing")
}
