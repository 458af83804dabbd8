//! `cluster-host reload`

use std::{
    borrow::Cow,
    io::{self, Write},
};

use clap::Args;

use super::{ApiArgs, Exit, Failure, output::plain, show};
use crate::api::json::{Preview, Reload};

const EXAMPLES: &str = "\
Topologies that did not change run on. A configuration that is wrong changes nothing: all its mistakes are told.
SIGHUP does the same, and with [reload] watch = true (the default) so does a change of the files.

Examples:
  cluster-host reload --dry-run
  cluster-host reload";

/// Have the daemon read its configuration and its plugins again
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Change nothing: show what would change, and who would join and leave
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ReloadArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    let body = client.post(&format!("/v1/reload?dry_run={}", args.dry_run)).await?;
    show(out, &body, args.json, |out| Ok(print(out, &client.read(&body)?)?))
}

/// What was changed, a line for each topology, and for each of its members.
fn print(out: &mut dyn Write, reload: &Reload<'_>) -> io::Result<()> {
    for warning in &reload.warnings {
        writeln!(out, "warning: {}", plain(warning))?;
    }
    let none = Vec::new();
    let mut is_empty = true;
    for word in ["added", "changed", "restarted", "adjusted", "removed"] {
        for name in reload.topologies.get(word).unwrap_or(&none) {
            is_empty = false;
            writeln!(out, "{:<11}{name}", if reload.dry_run { would(word) } else { word })?;
            if let Some(preview) = reload.previews.get(name) {
                print_preview(out, preview)?;
            }
        }
    }
    for word in ["added", "changed", "removed"] {
        for name in reload.hooks.get(word).unwrap_or(&none) {
            is_empty = false;
            writeln!(out, "{:<11}hook {name}", if reload.dry_run { would(word) } else { word })?;
        }
    }
    let unchanged = reload.topologies.get("unchanged").map_or(0, Vec::len);
    let (noun, run) = if unchanged == 1 { ("topology", "runs") } else { ("topologies", "run") };
    match (is_empty, reload.dry_run) {
        (true, _) => writeln!(out, "nothing has changed"),
        (false, true) => writeln!(out, "{unchanged} {noun} would run on; nothing was changed"),
        (false, false) => writeln!(out, "{unchanged} {noun} {run} on"),
    }
}

fn print_preview(out: &mut dyn Write, preview: &Preview<'_>) -> io::Result<()> {
    let mut list = |sign: &str, names: &[Cow<'_, str>]| {
        names.iter().try_for_each(|name| writeln!(out, "    {sign} {name}"))
    };
    list("+", &preview.joins)?;
    list("-", &preview.leaves)?;
    if let Some(error) = &preview.error {
        writeln!(out, "    ? {}", plain(error))?;
    } else if preview.partial {
        writeln!(out, "    the first view is not all there is: others may join")?;
    } else if preview.joins.is_empty() && preview.leaves.is_empty() {
        writeln!(out, "    nobody joins or leaves")?;
    }
    Ok(())
}

fn would(word: &str) -> &str {
    match word {
        "added" => "add",
        "changed" => "change",
        "restarted" => "restart",
        "adjusted" => "adjust",
        "removed" => "remove",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &Expect) {
        let mut out = Vec::new();
        print(&mut out, &serde_json::from_str(json).unwrap()).unwrap();
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    /// What was done; what would be done, with who comes and goes by it; and nothing.
    #[test]
    fn printed() {
        check(
            r#"{"dry_run":false,"topologies":{"added":["b"],"removed":["a"],"unchanged":["c","d"]},"warnings":["f:1: odd"],"previews":{}}"#,
            &expect![[r#"
                warning: f:1: odd
                added      b
                removed    a
                2 topologies run on
            "#]],
        );
        check(
            r#"{"dry_run":true,"topologies":{"changed":["a","b","c"],"removed":["d"],"unchanged":[]},"warnings":[],"previews":{
                "a":{"joins":["x@h"],"leaves":["y@h"],"partial":false,"error":null},
                "b":{"joins":[],"leaves":[],"partial":true,"error":null},
                "c":{"joins":[],"leaves":[],"partial":false,"error":"no view within 10 s: 403"},
                "d":{"joins":[],"leaves":[],"partial":false,"error":null}}}"#,
            &expect![[r#"
                change     a
                    + x@h
                    - y@h
                change     b
                    the first view is not all there is: others may join
                change     c
                    ? no view within 10 s: 403
                remove     d
                    nobody joins or leaves
                0 topologies would run on; nothing was changed
            "#]],
        );
        check(
            r#"{"dry_run":true,"topologies":{"unchanged":["a"]},"warnings":[],"previews":{}}"#,
            &expect![[r#"
                nothing has changed
            "#]],
        );
    }
}
