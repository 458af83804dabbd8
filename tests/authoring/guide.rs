//! `docs/writing-a-strategy.md`: its commands do what it says, and its examples are as short as it says. Its blocks of
//! Rust are among the documentation tests of `cluster-sdk`.

use std::{fmt::Write as _, fs, path::Path};

use super::command;
use crate::host::{outcome, private_directory};

/// Lines of own logic that the example of a strategy that polls may have.
const POLL_LINES_MAX: usize = 25;

/// A block of code in the guide.
#[derive(Debug)]
struct Block {
    language: String,
    line: usize,
    text: String,
}

fn guide() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/writing-a-strategy.md");
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language: language.to_owned(), line: number + 1, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => writeln!(block.text, "{line}").unwrap(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

/// No block is of a kind that no test runs.
#[test]
fn all_is_run() {
    let blocks = guide();
    for block in &blocks {
        let known = ["sh", "text", "rust"].contains(&block.language.as_str());
        assert!(known, "line {}: {:?} is run by nobody", block.line, block.language);
    }
    let count = |language: &str| blocks.iter().filter(|block| block.language == language).count();
    assert!(count("sh") >= 7 && count("rust") >= 8, "{blocks:#?}");
}

/// The newcomer's path: the commands, one after the other, in an empty directory, of a user whose group may write to what
/// is made. What is shown as output of one is part of its output.
#[test]
fn commands() {
    let directory = private_directory();
    let blocks = guide();
    let mut script =
        "set -euo pipefail\numask 002\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
            .to_owned();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        writeln!(script, "echo '@@ {}'\n{}", block.line, block.text).unwrap();
    }
    let output = command(directory.path(), "bash").args(["-c", &script]).output().unwrap();
    let (code, out, _) = outcome(&output);
    assert_eq!(code, Some(0), "{out}");
    let mut before = None;
    for block in &blocks {
        match block.language.as_str() {
            "sh" => before = Some(block.line),
            "text" => {
                let mark = format!("@@ {}\n", before.expect("a command before its output"));
                let printed = out.split_once(&mark).map(|(_, after)| after).unwrap();
                let printed = printed.split("\n@@ ").next().unwrap();
                assert!(
                    printed.contains(block.text.trim_end()),
                    "line {}: the output is\n{printed}",
                    block.line
                );
            }
            _ => {}
        }
    }
    assert!(out.contains("up") && out.contains("web@127.0.0.7"), "{out}");
}

/// The example that polls is short: what is neither import, comment, attribute nor a closing bracket counts.
#[test]
fn lines_of_the_example() {
    let blocks = guide();
    let code = blocks.iter().find_map(|block| block.text.split_once("cat > src/lib.rs <<'EOF'\n")).unwrap().1;
    let code = code.split_once("\nEOF\n").unwrap().0;
    let mut importing = false;
    let logic: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| {
            let begins = line.starts_with("use ");
            let is_import = importing || begins;
            importing = is_import && !line.ends_with(';');
            let is_word = line.contains(|c: char| c.is_alphanumeric());
            !is_import
                && is_word
                && !line.starts_with("//")
                && !line.starts_with("#[")
                && !line.starts_with("mod ")
        })
        .collect();
    assert!(logic.contains(&"impl Discover for Inventory {"), "{logic:#?}");
    assert!(logic.len() <= POLL_LINES_MAX, "{} lines: {logic:#?}", logic.len());
}
