//! `cluster-host config-reference`: every key of a configuration, as Markdown, made of the schemas that it is read by.

use std::{io::Write, process::ExitCode};

use anyhow::{Context as _, Result};
use cluster_sdk::OfferKind;

use super::{
    Exit,
    options::{Options, sections},
    plugins::{self, DirectoryArgs},
};
use crate::{
    changes::FIXED,
    config::{Config, IsolationConfig},
    placement::Plugin,
    plugin::Registry,
};

const HEAD: &str = "\
# Every key of the configuration

<!-- Made by `cluster-host config-reference`. Change the doc comments of the fields, then run `make reference`. -->

One TOML file; unknown keys are refused, and all mistakes are told at once, with their lines: `cluster-host check --config FILE`.

- `${VAR}` and `${VAR:-default}` in a string stand for a variable of the environment, `$$` for one `$`.
- A duration is `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, or a number of milliseconds, as in libcluster.
- A secret is the text itself, `{ file = \"/run/secrets/token\" }` or `{ env = \"TOKEN\" }`, and is never shown.
- `opts.deadline = \"5s\"` below stands for `opts = { deadline = \"5s\" }` in that table, or a table of its own.
- What a change of a topology does to it while the host runs is in [reload.md](reload.md).

The options of each strategy and connector are further down. `cluster-host strategies describe NAME` prints those of any plugin, and
`cluster-host config-reference --plugins DIR` this page for a directory of plugins.
";

/// Print the reference of the configuration as Markdown, with the strategies and connectors there are
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  cluster-host config-reference --plugins plugins > configuration.md")]
pub(super) struct ReferenceArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
}

/// Runs the command.
pub(super) fn reference(args: &ReferenceArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let registry = plugins::registry(&args.directory.plugins)?;
    write!(out, "{HEAD}")?;
    for section in sections(schemars::schema_for!(Config).as_value()) {
        let applied = |option: &str| applied(&section.key, option);
        match section.heading.as_str() {
            "" => write!(out, "\n## At the top\n\n")?,
            heading => write!(out, "\n## `{heading}`\n\n")?,
        }
        if !section.description.is_empty() {
            write!(out, "{}\n\n", section.description)?;
        }
        write!(out, "{}", section.options.markdown(Some(&applied)))?;
    }
    for (kind, heading, note) in [
        (OfferKind::Strategy, "Strategies", "`strategy = \"NAME\"`, and these in `config`."),
        (
            OfferKind::Connector,
            "Connectors",
            "`connect = { NAME = { … } }` with these and `isolation`, which is that of `opts`; `connect = \"NAME\"` for all defaults.",
        ),
    ] {
        write!(out, "\n## {heading}\n\n{note}\n")?;
        offers(&registry, kind, out)?;
    }
    Ok(Exit::Done.into())
}

/// Every strategy, or every connector, as its plugin describes it.
fn offers(registry: &Registry, kind: OfferKind, out: &mut dyn Write) -> Result<()> {
    let mut described = Vec::new();
    for source in registry.sources() {
        let plugin = Plugin::place(registry, source, &IsolationConfig::ByPlugin, &serde_json::Value::Null)?;
        let offers = plugin.describe().with_context(|| format!("describing {source}"))?;
        let offers = offers.into_iter().filter(|offer| offer.kind == kind);
        described.extend(offers.map(|offer| (source.identity().plugin.clone(), offer)));
    }
    described.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    for (plugin, offer) in described {
        let of = if plugin == env!("CARGO_PKG_NAME") { "the host".to_owned() } else { format!("`{plugin}`") };
        write!(out, "\n### `{}`\n\nOf {of}.", offer.name)?;
        if !offer.description.is_empty() {
            write!(out, " {}", offer.description)?;
        }
        write!(out, "\n\n{}", Options::of(&offer.schema).markdown(None))?;
    }
    Ok(())
}

/// What has a change of an option count, by its section and its name there.
fn applied(section: &str, option: &str) -> &'static str {
    let path = if section.is_empty() { option.to_owned() } else { format!("{section}.{option}") };
    let is_in =
        |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if FIXED.iter().any(|(key, _)| is_in(key)) { "at a new start" } else { "at a reload" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What only a new start can change is known by section and option, and by nothing that only begins alike.
    #[test]
    fn what_needs_a_new_start() {
        assert_eq!(applied("", "cluster"), "at a new start");
        assert_eq!(applied("api", "listen"), "at a new start");
        assert_eq!(applied("node", "name"), "at a new start");
        assert_eq!(applied("node", "attributes"), "at a reload");
        assert_eq!(applied("topologies", "opts.deadline"), "at a reload");
    }
}
