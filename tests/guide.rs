//! The guide, which is `README.md` and the pages in `docs/`: what it shows is what happens. Each command is run, each
//! configuration is checked, each output is compared, each link leads somewhere, and the examples of the libraries print
//! what is written of them.
//!
//! | block | what becomes of it |
//! |---|---|
//! | `sh` | run, those of a page one after the other in an empty directory, in namespaces where only loopback is |
//! | `text` | part of what the `sh` block before it has printed; times and long numbers may differ, `…` stands for anything |
//! | `text figure` | nothing: a picture, or a format |
//! | `toml` | `cluster-host check`, with all plugins of this repository; `toml topology` is the inside of one topology |
//! | `json`, `yaml` | parsed; YAML that begins with `scrape_configs:` is read by Prometheus' promtool |
//! | `promql` | read by promtool |
//! | `elixir` | parsed by Elixir; a `config` is evaluated |
//! | `ini` | a drop-in of the service: `systemd-analyze verify` |
//! | `rust` | a documentation test of the crate that includes the page |
//! | `sh no-run: WHY`, and so `toml`, `ini`, `dockerfile` | told in a list, which is short; TOML is parsed nevertheless |
//!
//! `<!-- sh` to `-->` is a block that readers do not see: it makes what they have already. In it, as in all blocks,
//! `$GUIDE_PLUGINS` is a directory with the plugins of this repository and `$GUIDE_SOURCE` is the repository.

mod examples;
mod libcluster;
mod links;
mod page;
mod reference;
mod run;

use std::{fs, path::PathBuf, sync::Mutex, thread};

use serde_json::Value;

use self::page::{Language, Page};
use crate::host::{BASIC, DNS, EPMD, GOSSIP, K8S, Plugins};

/// Blocks of all pages that are not run, at most.
const NOT_RUN_MAX: usize = 20;
/// Pages whose commands run at once.
const PAGES_AT_ONCE: usize = 3;

/// The root of the repository.
fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The pages of the guide, by their names in the repository. `GUIDE_PAGE` names one of them alone, to
/// work on.
fn pages() -> Vec<Page> {
    let docs = fs::read_dir(repository().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap()));
    let mut names: Vec<String> = docs.filter(|name| name.ends_with(".md")).collect();
    names.push("README.md".to_owned());
    names.sort();
    if let Ok(only) = std::env::var("GUIDE_PAGE") {
        names.retain(|name| *name == only);
    }
    names.iter().map(|name| Page::read(&repository(), name)).collect()
}

/// Every command of every page succeeds, prints what is shown, and every configuration passes the check.
#[test]
fn commands() {
    let plugins = Plugins::with(&[BASIC, DNS, EPMD, GOSSIP, K8S]);
    let queue = Mutex::new(pages());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PAGES_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(page) = next else { break };
                    if let Err(failure) = run::page(&page, plugins.path()) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} pages fail\n\n{}", failures.len(), failures.join("\n\n"));
}

/// What is data can be read as such.
#[test]
fn data() {
    for page in pages() {
        for block in &page.blocks {
            let fault = match block.language {
                Language::Json => {
                    serde_json::from_str::<Value>(&block.text).err().map(|error| error.to_string())
                }
                Language::Toml => block.text.parse::<toml::Table>().err().map(|error| error.to_string()),
                Language::Yaml => {
                    serde_saphyr::from_multiple::<Value>(&block.text).err().map(|error| error.to_string())
                }
                Language::Sh
                | Language::Text
                | Language::PromQl
                | Language::Elixir
                | Language::Rust
                | Language::Ini
                | Language::Dockerfile => None,
            };
            assert_eq!(fault, None, "{}:{}", page.name, block.line);
        }
    }
}

/// What is not run says why, and there is little of it.
#[test]
fn not_run() {
    let mut reasons = Vec::new();
    for page in pages() {
        for block in &page.blocks {
            if let Some(reason) = &block.no_run {
                reasons.push(format!("{}:{}: {reason}", page.name, block.line));
            }
        }
    }
    println!("blocks that are not run:\n{}", reasons.join("\n"));
    assert!(reasons.len() <= NOT_RUN_MAX, "{} blocks are not run:\n{}", reasons.len(), reasons.join("\n"));
}

/// Pages with Rust are among the documentation tests of a crate.
#[test]
fn rust() {
    let included: String = ["cluster-core", "cluster-sdk", "cluster-host"]
        .iter()
        .map(|name| fs::read_to_string(repository().join(name).join("src/lib.rs")).unwrap())
        .collect();
    for page in pages() {
        if let Some(block) = page.blocks.iter().find(|block| block.language == Language::Rust) {
            let inclusion = format!("include_str!(\"../../{}\")", page.name);
            assert!(included.contains(&inclusion), "{}:{}: nobody includes it", page.name, block.line);
        }
    }
}
