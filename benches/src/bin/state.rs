//! What it costs to remember: from a change of the local node's attributes to its event at a subscriber, with a state
//! directory and without, beside a bare append and `fdatasync` of as many bytes in the same directory.

use std::{
    error::Error,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::ExitCode,
};

use benches::{Table, ns_each, rounds, wall};
use cluster_core::{Delivery, Start};
use cluster_host::{Config, Host, Registry};

/// Changes that one figure is taken from.
const CHANGES: usize = 200;
/// Bytes of such an event in the journal, about.
const EVENT_BYTES: usize = 400;
/// An event costs a wake-up of the thread that writes beside the disk.
const BESIDE_BARE: f64 = 2.0;

fn main() -> ExitCode {
    let mut table = Table::new("state");
    match measure(&mut table) {
        Ok(()) => table.exit(),
        Err(error) => {
            table.note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir_in(".")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut failure = None;
    let [with, without, bare] = rounds(|| {
        let figures = runtime.block_on(async {
            let with = changes(scratch.path(), true).await?;
            let without = changes(scratch.path(), false).await?;
            Ok::<_, Box<dyn Error>>([with, without, appends(scratch.path())?])
        });
        figures.unwrap_or_else(|error| {
            failure = Some(error);
            [f64::NAN; 3]
        })
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    table.ratio("an event on disk first", with, ("an event without a state directory", without), None);
    table.ratio("an event on disk first", with, ("append and fdatasync", bare), Some(BESIDE_BARE));
    Ok(())
}

/// Nanoseconds from a change to its event.
async fn changes(scratch: &Path, remembers: bool) -> Result<f64, Box<dyn Error>> {
    let state = if remembers { "[state]\ndirectory = \"state\"\n" } else { "" };
    let file = scratch.join("host.toml");
    fs::write(&file, format!("[node]\nname = \"self@127.0.0.1\"\n{state}"))?;
    let loaded = Config::load(&file, &|_| None).map_err(|problems| format!("{problems:?}"))?;
    let mut registry = Registry::scan(scratch);
    let host = Host::builder(loaded.config.clone(), Registry::scan(scratch)).start()?;
    let mut events = host.handle().log().subscribe(Start::Now);
    let mut config = loaded.config;
    let mut change = async |number: usize| {
        if let Some(node) = &mut config.node {
            node.attributes.insert("number".to_owned(), number.to_string());
        }
        host.handle().apply(config.clone(), &mut registry).await?;
        let wanted = number.to_string();
        loop {
            let Some(Delivery::Events(batch)) = events.next().await else {
                return Err::<(), Box<dyn Error>>("the log ended, or its epoch".into());
            };
            let is_it = |member: &cluster_core::Member| member.attributes.get("number") == Some(&wanted);
            if batch.events().iter().any(|event| event.member.as_deref().is_some_and(is_it)) {
                return Ok(());
            }
        }
    };
    change(0).await?;
    let begin = wall();
    for number in 1..=CHANGES {
        change(number).await?;
    }
    let figure = ns_each(wall().saturating_sub(begin), CHANGES);
    host.stop().await;
    Ok(figure)
}

/// Nanoseconds for each bare append.
fn appends(scratch: &Path) -> Result<f64, Box<dyn Error>> {
    let mut file = File::create(scratch.join("bare"))?;
    let begin = wall();
    for _ in 0..CHANGES {
        file.write_all(&[b'x'; EVENT_BYTES])?;
        file.sync_data()?;
    }
    Ok(ns_each(wall().saturating_sub(begin), CHANGES))
}
