//! Runs the commands of a page.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    page::{Block, Language, Page},
    repository,
};
use crate::host::{outcome, private_directory};

/// How long the commands of a page may take, with all that they build.
const SECONDS_MAX: &str = "900";
/// Lines of a failed page that are shown.
const LINES_SHOWN_MAX: usize = 80;
/// What stands before topologies that are shown alone, and before the inside of one.
const NODE: &str = "[node]\nname = \"shop@127.0.0.1\"\n";
const TOPOLOGY: &str = "[topologies.shop]\nstrategy = \"epmd\"\nconfig = { hosts = [\"b@127.0.0.1\"] }\n";
/// Before all commands. What lies in /run is the machine's and not the page's, the daemon's default socket among it. Where only loopback is, its address is the one that the pages speak of.
const PRELUDE: &str = "set -euo pipefail
umask 002
exec 2>&1
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
mount -t tmpfs tmpfs /run
";
/// Whether systemd finds anything wrong with the service's unit and a drop-in of it. It asks for the program to be there.
const VERIFY: &str = "verify() {
    mkdir -p unit/cluster-host.service.d
    sed \"s|/usr/bin/cluster-host|$(command -v cluster-host)|\" \
        \"$GUIDE_SOURCE/contrib/systemd/cluster-host.service\" > unit/cluster-host.service
    cp \"$1\" unit/cluster-host.service.d/override.conf
    systemd-analyze verify --man=no --recursive-errors=yes ./unit/cluster-host.service
    rm -r unit
}";

/// Runs a page in an empty directory, as root of namespaces of its own: no port is in use there, nothing is reached but
/// loopback, and what it leaves running ends with it. An error is a text for people.
pub(super) fn page(page: &Page, plugins: &Path) -> Result<(), String> {
    let directory = private_directory();
    let apart = private_directory();
    let mut script = PRELUDE.to_owned();
    for block in &page.blocks {
        if let Some(commands) = commands(block, apart.path()) {
            writeln!(script, "echo '@@ {}'\n{commands}", block.line).unwrap();
        }
    }
    script.push_str("echo '@@ 0'\n");
    let file = apart.path().join("page.sh");
    fs::write(&file, script).unwrap();
    let mut command = namespaced(directory.path());
    command.arg("bash").arg(&file).env("GUIDE_PLUGINS", plugins).env("GUIDE_SOURCE", repository());
    let (code, out, errors) = outcome(&command.output().unwrap());
    if code != Some(0) {
        let lines: Vec<_> = out.lines().collect();
        let line = lines.iter().rev().find_map(|line| line.strip_prefix("@@ ")).unwrap_or("0");
        let last = lines[lines.len().saturating_sub(LINES_SHOWN_MAX)..].join("\n");
        return Err(format!("{}:{line}: exit code {code:?}\n{last}\n{errors}", page.name));
    }
    outputs(page, &out)
}

/// What is run of a block.
fn commands(block: &Block, apart: &Path) -> Option<String> {
    if block.no_run.is_some() {
        return None;
    }
    let write = |text: &str, extension: &str| {
        let file = apart.join(format!("{}.{extension}", block.line));
        fs::write(&file, text).unwrap();
        file
    };
    match block.language {
        Language::Sh => Some(block.text.clone()),
        Language::Toml => {
            let is_topology = block.is_part || block.text.starts_with("[topologies.");
            let node = if is_topology { NODE } else { "" };
            let before = if block.is_part { TOPOLOGY } else { "" };
            // Where relative paths begin, the page has what it speaks of.
            let file = write(&format!("{node}{before}{}", block.text), "toml");
            Some(format!(
                "cp '{0}' checked.toml\ncluster-host check --config checked.toml --plugins \"$GUIDE_PLUGINS\"\nrm checked.toml",
                file.display()
            ))
        }
        Language::Elixir => {
            let file = write(&block.text, "exs");
            let read = format!("File.read!(\"{}\")", file.display());
            let is_config = block.text.starts_with("config ");
            let expression = if is_config {
                format!("Config.Reader.eval!(\"config.exs\", \"import Config\\n\" <> {read})")
            } else {
                format!("Code.string_to_quoted!({read})")
            };
            Some(format!("elixir -e '{expression}'"))
        }
        Language::Ini => Some(format!("{VERIFY}\nverify '{}'", write(&block.text, "conf").display())),
        Language::Yaml if block.text.starts_with("scrape_configs:") => {
            let file = write(&block.text, "yml");
            Some(format!("promtool check config --syntax-only '{}'", file.display()))
        }
        Language::PromQl => {
            let expression = serde_json::Value::from(block.text.as_str());
            let rules =
                format!("{{groups: [{{name: page, rules: [{{record: it, expr: {expression}}}]}}]}}\n");
            Some(format!("promtool check rules '{}'", write(&rules, "yml").display()))
        }
        Language::Text | Language::Json | Language::Yaml | Language::Rust | Language::Dockerfile => None,
    }
}

/// A command in a directory and in namespaces, where `cluster-host` is on the PATH. Cargo runs as it does for a stranger,
/// but that it shares what is built already, and needs no network.
fn namespaced(directory: &Path) -> Command {
    let host = Path::new(env!("CARGO_BIN_EXE_cluster-host"));
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let home = PathBuf::from(variable("HOME"));
    let tools = |name: &str, directory: &str| {
        std::env::var_os(name).map_or_else(|| home.join(directory), PathBuf::from)
    };
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", SECONDS_MAX, "unshare", "--user", "--map-root-user"])
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{}:{}", host.parent().unwrap().display(), variable("PATH")))
        .env("HOME", directory)
        .env("LANG", "C.UTF-8")
        .env("CARGO_HOME", tools("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", tools("RUSTUP_HOME", ".rustup"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        // Intermediate files beside those of this workspace; what is made stays in the author's own `target`.
        .env("CARGO_BUILD_BUILD_DIR", host.ancestors().nth(2).unwrap());
    for (name, value) in [
        ("POD_IP", "127.0.0.1"),
        ("POD_NAME", "shop-0"),
        ("RELEASE_NODE", "shop@127.0.0.1"),
        ("RELEASE_COOKIE", "galleta"),
    ] {
        command.env(name, value);
    }
    command
}

/// What is shown as the output of a block is part of it, line by line.
fn outputs(page: &Page, out: &str) -> Result<(), String> {
    let mut before: Option<&Block> = None;
    for block in &page.blocks {
        match block.language {
            Language::Sh if !block.is_hidden => before = Some(block),
            Language::Text if !block.is_part => {
                let Some(before) = before else {
                    return Err(format!("{}:{}: no command is before this output", page.name, block.line));
                };
                if before.no_run.is_some() {
                    continue;
                }
                let printed = out.split_once(&format!("@@ {}\n", before.line)).map_or("", |(_, after)| after);
                let printed = printed.split("\n@@ ").next().unwrap_or_default();
                if let Err(missing) = is_shown(&block.text, printed) {
                    let place = format!("{}:{}", page.name, block.line);
                    return Err(format!("{place}: not printed: {missing}\nbut\n{printed}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the lines that are shown were printed, in this order; others, as those of a log, may be between. An error is the
/// first that was not.
fn is_shown<'a>(shown: &'a str, printed: &str) -> Result<(), &'a str> {
    let mut printed = printed.lines();
    for line in shown.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        if !printed.any(|other| is_alike(line, other)) {
            return Err(line);
        }
    }
    Ok(())
}

/// Whether two lines have the same words, but for times and long numbers. A `…` at the end of the shown one stands for
/// all that may follow.
fn is_alike(shown: &str, printed: &str) -> bool {
    let mut words = printed.split_whitespace();
    for word in shown.split_whitespace() {
        if let Some(beginning) = word.strip_suffix('…') {
            return kind(words.next().unwrap_or_default()).starts_with(&kind(beginning));
        }
        if words.next().is_none_or(|other| kind(word) != kind(other)) {
            return false;
        }
    }
    words.next().is_none()
}

/// A word in which durations and numbers of six digits or more, hexadecimal ones too, are `#`.
fn kind(word: &str) -> String {
    let mut kind = String::new();
    // In JSON it is in quotes.
    let time = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let date = time.get(..11).unwrap_or_default();
    if date.ends_with('T') && date.split('-').count() == 3 && time.ends_with('Z') {
        return word.replace(time, "#");
    }
    for piece in word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = bare.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (number, unit) = bare.split_at(digits.len());
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_time = is_number(number) && ["ms", "s", "m", "h", "d"].contains(&unit);
        let is_hex = bare.len() == 16 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_long = bare.len() >= 6 && is_number(bare);
        if is_time || is_hex || is_long {
            kind.push('#');
            kind.push_str(piece.strip_prefix(bare).unwrap_or_default());
        } else {
            kind.push_str(piece);
        }
    }
    kind
}

/// Times and long numbers may differ, all else may not.
#[test]
fn alike() {
    for (shown, printed) in [
        ("shop=… down", "shop=connecting at all"),
        ("2026-11-26T11:02:10.333Z node_up", "2026-11-26T11:02:11Z node_up"),
        ("\"at\": \"2026-11-26T11:02:10Z\",", "\"at\": \"2026-11-27T11:02:11.333Z\","),
        ("a@h  up  2s", "a@h   up   17m"),
        ("since 1795649507505; next try in 3s.", "since 1795649507666; next try in 250ms."),
        ("0192a5c7d1e8f402:17 up", "0192a5c7d1e8f4ff:17 up"),
        ("SEVERAL …", "SEVERAL lines of it"),
    ] {
        assert!(is_alike(shown, printed), "{shown} {printed}");
    }
    for (shown, printed) in [
        ("a@h up", "a@h down"),
        ("a@h up", "a@h up now"),
        ("a@h up now", "a@h up"),
        ("port 9000", "port 9001"),
        ("2s", "two"),
    ] {
        assert!(!is_alike(shown, printed), "{shown} {printed}");
    }
    assert_eq!(is_shown("a\n…\nb\n", "log\na\nlog\nb\n"), Ok(()));
    assert_eq!(is_shown("b\na\n", "a\nb\n"), Err("a"));
}
