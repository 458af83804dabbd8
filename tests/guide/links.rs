//! Links in the pages of this repository lead to files and headings that there are.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use super::{page, repository};

/// Directories whose pages are looked at.
const DIRECTORIES: &[&str] = &[
    "",
    "docs",
    "plugins",
    "examples/sidecar-erlang",
    "examples/sidecar-elixir",
    "examples/elixir-strategy",
];

/// The text without blocks and spans of code.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.extend([line, "\n"]);
        }
    }
    prose
}

/// The targets of links, with what is in spans of code left out.
fn targets(prose: &str) -> Vec<String> {
    let shown: String = prose.split('`').step_by(2).collect();
    let behind = shown.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    behind.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of headings, as GitHub makes them.
fn anchors(prose: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = BTreeSet::new();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    for heading in headings.map(|line| line.trim_start_matches('#').trim().to_lowercase()) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    anchors
}

/// `docs/../README.md` is `README.md`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn all_pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for directory in DIRECTORIES {
        for entry in fs::read_dir(repository().join(directory)).unwrap() {
            let name = entry.unwrap().file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                pages.push(Path::new(directory).join(name));
            }
        }
    }
    pages.sort();
    pages
}

/// Every link within the repository leads to a file that is there, and to a heading in it.
#[test]
fn links() {
    let root = repository();
    let mut broken = Vec::new();
    for page in all_pages() {
        let text = prose(&fs::read_to_string(root.join(&page)).unwrap());
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path =
                if file.is_empty() { page.clone() } else { normal(&page.parent().unwrap().join(file)) };
            let place = format!("{}: {target}", page.display());
            if !root.join(&path).exists() {
                broken.push(format!("{place}: there is no {}", path.display()));
            } else if !anchor.is_empty() {
                let there = anchors(&prose(&fs::read_to_string(root.join(&path)).unwrap()));
                if !there.contains(anchor) {
                    broken.push(format!("{place}: {} has no such heading", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every page of the guide is in its contents.
#[test]
fn contents() {
    let contents = fs::read_to_string(repository().join("docs/README.md")).unwrap();
    let linked: BTreeSet<String> = targets(&prose(&contents)).into_iter().collect();
    for page in all_pages().iter().filter(|page| page.starts_with("docs")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || linked.contains(name), "docs/README.md has no link to {name}");
    }
}

/// Headings become anchors as GitHub makes them, and links in code are none.
#[test]
fn reading() {
    let text = prose(
        "# At 3 a.m.\n## `nodes` and `Node.list`\n## A\n## A\n```\n# no\n[x](y)\n```\n[a](b.md#c) `[d](e)`\n",
    );
    assert_eq!(
        anchors(&text),
        BTreeSet::from(["a", "a-1", "at-3-am", "nodes-and-nodelist"].map(str::to_owned))
    );
    assert_eq!(targets(&text), ["b.md#c"]);
    assert_eq!(normal(Path::new("docs/../README.md")), Path::new("README.md"));
    assert_eq!(page::blocks("a.md", "").len(), 0);
}
