//! Whatever lies in the plugin directory, the host runs on and tells what is wrong with it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{
    host::{FAULTY, GOSSIP, Host, Launch, Plugins, built, cluster_host, copy, outcome},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";

/// A library of this process that is no plugin, such as libc.
fn unrelated_library() -> std::path::PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.split_whitespace().find(|word| word.contains("libc.so") || word.contains("/libc-"));
    path.expect("a libc among the maps").into()
}

/// Fills a directory with files that are not to be loaded: each one's name and a part of why.
fn fill(directory: &Path) -> Vec<(&'static str, &'static str)> {
    let plugin = fs::read(built(FAULTY)).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(directory.join(name), bytes).unwrap();
        fs::set_permissions(directory.join(name), Permissions::from_mode(0o644)).unwrap();
    };
    write("text.so", b"just text\n");
    write("empty.so", b"");
    write("short.so", &plugin[..20]);
    write("half.so", &plugin[..plugin.len() / 2]);
    write("almost.so", &plugin[..plugin.len() - 1]);
    let mut other_machine = plugin.clone();
    // The ELF header's machine: SPARC, which none of our targets is.
    other_machine[18..20].copy_from_slice(&2_u16.to_ne_bytes());
    write("machine.so", &other_machine);
    let mut other_major = plugin.clone();
    replace(&mut other_major, b"libcluster_plugin_v1__", b"libcluster_plugin_v9__");
    write("major.so", &other_major);
    write("writable.so", &plugin);
    fs::set_permissions(directory.join("writable.so"), Permissions::from_mode(0o666)).unwrap();
    symlink(built(FAULTY), directory.join("link.so")).unwrap();
    symlink(directory.join("nowhere"), directory.join("dangling.so")).unwrap();
    fs::create_dir(directory.join("directory.so")).unwrap();
    let fifo = Command::new("mkfifo").arg(directory.join("fifo.so")).status().unwrap();
    assert!(fifo.success());
    copy(&unrelated_library(), &directory.join("unrelated.so"));
    vec![
        ("almost.so", "cut off"),
        ("dangling.so", "symbolic link"),
        ("directory.so", "directory"),
        ("empty.so", "empty"),
        ("fifo.so", "FIFO"),
        ("half.so", "cut off"),
        ("link.so", "symbolic link"),
        ("machine.so", "built for"),
        ("major.so", "ABI"),
        ("short.so", "cut off"),
        ("text.so", "not a shared library"),
        ("unrelated.so", "not a cluster-host plugin"),
        ("writable.so", "world-writable"),
    ]
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += found;
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    assert!(at > 0, "not found");
}

/// Each bad file has its own clear line in `plugins`, which needs no daemon, and the host runs on with the good ones.
#[test]
fn bad_files_beside_good_ones() {
    let lan = Lan::with(Plugins::with(&[GOSSIP]));
    let bad = fill(lan.plugins.path());
    let directory = lan.plugins.path().to_str().unwrap();
    let alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);

    let (code, out, errors) = outcome(&cluster_host(&["plugins", "--json", "--plugins", directory]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let listing: Value = serde_json::from_str(&out).unwrap();
    let rows = listing["plugins"].as_array().unwrap();
    let row = |file: &str| {
        let path = format!("{directory}/{file}");
        rows.iter().find(|row| row["file"] == *path).unwrap_or_else(|| panic!("no {file} in {out}"))
    };
    for (file, part) in &bad {
        let reason =
            row(file)["refused"]["reason"].as_str().unwrap_or_else(|| panic!("{file} is not refused"));
        assert!(reason.contains(part) && !reason.contains('\n'), "{file}: {reason}");
    }
    let good = row(GOSSIP);
    assert!(good["refused"].is_null(), "{good}");
    assert_eq!(good["strategies"], serde_json::json!(["gossip"]));

    let (code, text, errors) = outcome(&cluster_host(&["plugins", "--plugins", directory]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for (file, part) in &bad {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&format!("/{file}: "))).collect();
        assert!(matches!(lines.as_slice(), [line] if line.contains(part)), "{file}: {lines:?}");
    }
    // It answers still, after all of that.
    assert_eq!(alice.members()["self"], ALICE);
}

/// A plugin that the configuration needs and that is refused: `check` and `run` say which file and why.
#[test]
fn needed_but_refused() {
    let lan = Lan::with(Plugins::with(&[]));
    let file = lan.plugins.path().join(GOSSIP);
    fs::write(&file, &fs::read(built(GOSSIP)).unwrap()[..10_000]).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let (config, plugins) = (lan.config(ALICE, ""), lan.plugins.path().to_owned());
    let host = Host::start(Launch { config, plugins, ..Launch::default() });
    assert_eq!(host.wait_end().code(), Some(2), "{}", host.log());
    let checked = cluster_host(&[
        "check",
        "--config",
        host.config_file().to_str().unwrap(),
        "--plugins",
        lan.plugins.path().to_str().unwrap(),
    ]);
    let (code, out, errors) = outcome(&checked);
    assert_eq!(code, Some(1), "{out}{errors}");
    for text in [host.log(), out + &errors] {
        assert!(text.contains(GOSSIP) && text.contains("cut off"), "{text}");
    }
}

/// A plugin that appears twice is only a mistake where its offers are used.
#[test]
fn twice_the_same() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    copy(&built(FAULTY), &lan.plugins.path().join("libcopy.so"));
    let alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);
    let twice = "[topologies.t]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = { nodes = [] }\n";
    let host = lan.start_with(twice.to_owned());
    assert_eq!(host.wait_end().code(), Some(2), "{}", host.log());
    let log = host.log();
    assert!(log.contains("libcopy.so") && log.contains(FAULTY), "{log}");
}
