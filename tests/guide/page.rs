//! A page of the guide: Markdown, of which only the blocks of code and the headings are looked at.

use std::{fs, path::Path};

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its name in the repository: `docs/erlang.md`.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
}

/// A block of code.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) language: Language,
    /// The line of its fence, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// Why it is not run.
    pub(super) no_run: Option<String>,
    /// `text`: a picture, and not the output of a command. `toml`: the inside of a topology.
    pub(super) is_part: bool,
    /// Readers do not see it.
    pub(super) is_hidden: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Sh,
    Text,
    Toml,
    Json,
    Yaml,
    PromQl,
    Elixir,
    Rust,
    Ini,
    Dockerfile,
}

// === impl Page ===

impl Page {
    /// Reads a page; a block that no test runs is a failure.
    pub(super) fn read(repository: &Path, name: &str) -> Self {
        let text = fs::read_to_string(repository.join(name)).unwrap();
        let blocks = blocks(name, &text);
        Self { name: name.to_owned(), blocks }
    }
}

/// The blocks of a text, in order.
pub(super) fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(Block, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        if let Some((block, end)) = &mut open {
            if line == *end {
                blocks.extend(open.take().map(|(block, _)| block));
            } else {
                block.text.extend([line, "\n"]);
            }
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some((Block::begin(&place, info, number + 1, false), "```"));
        } else if let Some(info) = line.strip_prefix("<!-- ").filter(|info| *info == "sh") {
            open = Some((Block::begin(&place, info, number + 1, true), "-->"));
        } else {
            assert!(!line.trim_start().starts_with("```"), "{place}: an indented block is run by nobody");
        }
    }
    assert!(open.is_none(), "{name}: the last block is not closed");
    blocks
}

// === impl Block ===

impl Block {
    fn begin(place: &str, info: &str, line: usize, is_hidden: bool) -> Self {
        let (word, rest) = info.split_once(' ').unwrap_or((info, ""));
        let language = match word {
            "sh" => Language::Sh,
            "text" => Language::Text,
            "toml" => Language::Toml,
            "json" => Language::Json,
            "yaml" => Language::Yaml,
            "promql" => Language::PromQl,
            "elixir" => Language::Elixir,
            "rust" => Language::Rust,
            "ini" => Language::Ini,
            "dockerfile" => Language::Dockerfile,
            _ => panic!("{place}: {word:?} is run by nobody"),
        };
        let no_run = rest.strip_prefix("no-run: ").map(str::to_owned);
        let is_part = matches!((language, rest), (Language::Text, "figure") | (Language::Toml, "topology"));
        let may_stay = no_run.is_some()
            && matches!(language, Language::Sh | Language::Toml | Language::Ini | Language::Dockerfile);
        assert!(rest.is_empty() || is_part || may_stay, "{place}: {rest:?} means nothing here");
        let is_left = language == Language::Dockerfile && no_run.is_none();
        assert!(!is_left, "{place}: {word:?} is run by nobody, and does not say why");
        Self { language, line, text: String::new(), no_run, is_part, is_hidden }
    }
}

/// A page's blocks with what is said of each; what is hidden is one too.
#[test]
fn reading() {
    let text = "# A\n```sh\na\n```\n<!-- sh\nb\n-->\n<!-- a note -->\n```sh no-run: c is missing\nc\n```\n```text figure\n<\n```\n";
    let shown: Vec<_> = blocks("a.md", text)
        .iter()
        .map(|block| (block.line, block.text.clone(), block.is_hidden, block.no_run.clone(), block.is_part))
        .collect();
    let reason = Some("c is missing".to_owned());
    assert_eq!(
        shown,
        [
            (2, "a\n".to_owned(), false, None, false),
            (5, "b\n".to_owned(), true, None, false),
            (9, "c\n".to_owned(), false, reason, false),
            (12, "<\n".to_owned(), false, None, true),
        ]
    );
}

/// What no test would run is a failure.
#[test]
fn run_by_nobody() {
    for (text, part) in [
        ("```ruby\n```\n", "\"ruby\" is run by nobody"),
        ("```\n```\n", "\"\" is run by nobody"),
        ("```dockerfile\n```\n", "\"dockerfile\" is run by nobody, and does not say why"),
        ("```sh no-run\n```\n", "\"no-run\" means nothing here"),
        ("```json no-run: no\n```\n", "means nothing here"),
        ("- a\n  ```sh\n  ```\n", "an indented block"),
        ("```sh\n", "not closed"),
    ] {
        let panic = std::panic::catch_unwind(|| blocks("a.md", text)).unwrap_err();
        let said = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        assert!(said.unwrap().contains(part), "{text:?}");
    }
}
