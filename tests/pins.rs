//! `[plugins]`: which files may be loaded is said by hashes, a lock file and signatures, and whoever is refused is told
//! the command that mends it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    host::{FAULTY, GOSSIP, Host, Launch, Plugins, built, cluster_host, copy, outcome, private_directory},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";

/// A configuration, its plugin directory and what else it names.
struct Place {
    scratch: TempDir,
    plugins: Plugins,
}

impl Place {
    fn with(files: &[&str]) -> Self {
        Self { scratch: private_directory(), plugins: Plugins::with(files) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.plugins.path().join(name)
    }

    /// Writes a configuration with a topology that uses the plugin `FAULTY`.
    fn configure(&self, plugins: &str, options: &str) {
        let text = format!(
            "[plugins]\n{plugins}\n[topologies.t]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = {{ nodes = []{options} }}\n"
        );
        fs::write(self.path("host.toml"), text).unwrap();
    }

    /// Runs a command on this configuration: its exit code, and all that it says.
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let config = self.path("host.toml");
        let plugins = self.plugins.path();
        let more = ["--config", config.to_str().unwrap(), "--plugins", plugins.to_str().unwrap()];
        let (code, out, errors) = outcome(&cluster_host(&[words, &more].concat()));
        (
            code,
            (out + &errors)
                .replace(plugins.to_str().unwrap(), "PLUGINS")
                .replace(self.path("").to_str().unwrap(), "DIR/"),
        )
    }

    fn lock(&self, more: &[&str]) -> (Option<i32>, String) {
        self.run(&[&["plugins", "lock"], more].concat())
    }

    /// The rows of `plugins --json` that are of files.
    fn listed(&self) -> Vec<Value> {
        let (code, out) = self.run(&["plugins", "--json"]);
        assert_eq!(code, Some(0), "{out}");
        let listing: Value = serde_json::from_str(&out).unwrap();
        let rows = listing["plugins"].as_array().unwrap();
        rows.iter().filter(|row| !row["file"].is_null()).cloned().collect()
    }

    /// Does what a refusal says: the command behind "run ".
    #[track_caller]
    fn obey(&self, refusal: &str) {
        let (_, command) = refusal.split_once("run ").unwrap_or_else(|| panic!("no command: {refusal}"));
        let command = command.trim().replace("PLUGINS", self.plugins.path().to_str().unwrap());
        let command = command.replace("DIR/", self.path("").to_str().unwrap());
        let programs = Path::new(env!("CARGO_BIN_EXE_cluster-host")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let home = self.path("home");
        let done =
            Command::new("sh").args(["-ec", &command]).env("PATH", path).env("HOME", home).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    #[track_caller]
    fn check_refused(&self, reason: &str) -> String {
        let (code, out) = self.run(&["check"]);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains(reason), "{reason}: {out}");
        let (code, host) = self.run(&["run", "--listen", "unix:/nowhere/to/listen"]);
        assert!(code == Some(2) && host.contains(reason), "a host does not start either: {host}");
        out
    }

    #[track_caller]
    fn check_good(&self) {
        let (code, out) = self.run(&["check"]);
        assert_eq!((code, out.as_str()), (Some(0), "ok: 1 topology, strategies: fixed\n"));
    }
}

/// The plugin with another content, and of another version by its handshake.
fn replace(file: &Path, version: &str) {
    let mut bytes = fs::read(built(file.file_name().unwrap().to_str().unwrap())).unwrap();
    let (name, from) = (b"strategy-gossip\0", version_field());
    let at = bytes.windows(name.len()).position(|window| window == name).expect("a handshake");
    bytes[at + from..at + from + version.len()].copy_from_slice(version.as_bytes());
    let new = file.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o644)).unwrap();
    fs::rename(new, file).unwrap();
}

/// How far behind its name a handshake has the version.
fn version_field() -> usize {
    use cluster_sdk::abi::handshake::Handshake;
    std::mem::offset_of!(Handshake, version) - std::mem::offset_of!(Handshake, plugin)
}

/// Each refusal names a command, and after it the file is loaded.
#[test]
fn refusals_are_mended_by_their_commands() {
    let place = Place::with(&[FAULTY]);
    let file = place.file(FAULTY);
    place.configure("allow_unpinned = false\nlock = \"plugins.lock\"", "");
    fs::write(place.path("plugins.lock"), "format = 1\n").unwrap();
    fs::set_permissions(place.path("plugins.lock"), Permissions::from_mode(0o644)).unwrap();
    place.obey(&place.check_refused(": not pinned; if you trust it, "));
    place.check_good();

    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
    place.obey(&place.check_refused(": group-writable (mode 0664); "));
    place.check_good();

    fs::rename(&file, place.path("real.so")).unwrap();
    symlink(place.path("real.so"), &file).unwrap();
    place.obey(&place.check_refused(": a symbolic link to DIR/real.so; "));
    place.check_good();

    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    place.obey(&place.check_refused(": not a content that is pinned for plugin-faulty: its SHA-256 is "));
    place.check_good();

    fs::set_permissions(place.path("plugins.lock"), Permissions::from_mode(0o666)).unwrap();
    place.obey(
        &place.check_refused("host.toml:3: plugins.lock: the lock file DIR/plugins.lock: world-writable "),
    );
    place.check_good();
}

/// `plugins lock` writes what is in the directory, the same each time, and only if all of it could be loaded; `--add`
/// leaves what was valid valid.
#[test]
fn lock_files_are_written() {
    let place = Place::with(&[GOSSIP, FAULTY]);
    place.configure("lock = \"plugins.lock\"", "");
    // A configuration whose lock file is missing is no hindrance to writing it.
    let (code, out) = place.lock(&[]);
    assert_eq!(code, Some(0), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("plugin-faulty 0.1.0 ") && lines[1].starts_with("strategy-gossip 0.1.0 "),
        "{out}"
    );
    assert_eq!(lines[2..], ["DIR/plugins.lock is written"]);
    let first = fs::read_to_string(place.path("plugins.lock")).unwrap();
    assert_eq!(place.lock(&[]).1.lines().last(), Some("DIR/plugins.lock says so already"));
    assert_eq!(place.lock(&["--add"]).1.lines().last(), Some("DIR/plugins.lock says so already"));
    let parsed: toml::Table = first.parse().unwrap();
    let gossip = &parsed["plugin"][1];
    assert_eq!(gossip["offers"].as_array().unwrap(), &["strategy gossip".into()]);
    assert!(gossip["glibc"].as_str().unwrap().starts_with("2."), "{gossip}");
    assert!(gossip["target"].as_str().unwrap().contains("linux"), "{gossip}");
    place.check_good();
    let rows = place.listed();
    assert!(rows.iter().all(|row| row["standing"] == "locked"), "{rows:?}");
    assert_eq!(rows[1]["sha256"], gossip["sha256"].as_str().unwrap());
    let (_, text) = place.run(&["plugins"]);
    assert!(
        text.ends_with(&format!("PLUGINS/{GOSSIP}: strategy-gossip 0.1.0: strategy gossip; locked\n")),
        "{text}"
    );

    replace(&place.file(GOSSIP), "0.2.0");
    fs::write(place.path("plugins.lock.minisig"), "of before").unwrap();
    let (_, out) = place.lock(&["--add"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with("strategy-gossip 0.2.0 ") && !lines[1].ends_with(", of before"), "{out}");
    assert!(lines[2].starts_with("strategy-gossip 0.1.0 ") && lines[2].ends_with(", of before"), "{out}");
    assert_eq!(lines[4], "its signature is of what it was: run minisign -S -m DIR/plugins.lock");
    for version in ["0.2.0", "0.1.0"] {
        replace(&place.file(GOSSIP), version);
        assert_eq!(place.listed()[1]["standing"], "locked", "{version}");
    }
    assert_eq!(place.lock(&[]).0, Some(0));
    assert_eq!(fs::read_to_string(place.path("plugins.lock")).unwrap(), first);

    fs::write(place.file("text.so"), "text").unwrap();
    let (code, out) = place.lock(&[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("PLUGINS/text.so: not a shared library"), "{out}");
    for file in [GOSSIP, FAULTY, "text.so"] {
        fs::remove_file(place.file(file)).unwrap();
    }
    assert_eq!(place.lock(&[]), (Some(1), "cluster-host: there is no plugin file in PLUGINS\n".to_owned()));
    assert_eq!(fs::read_to_string(place.path("plugins.lock")).unwrap(), first, "it is left as it was");
}

/// All that is known of one file, and by what it may be loaded.
#[test]
fn inspecting_one() {
    let place = Place::with(&[FAULTY]);
    let file = place.file(FAULTY);
    let inspect = |config: bool| {
        let config_file = place.path("host.toml");
        let more = if config { vec!["--config", config_file.to_str().unwrap()] } else { vec![] };
        outcome(&cluster_host(&[&["plugins", "inspect", file.to_str().unwrap()], more.as_slice()].concat()))
    };
    let (code, out, errors) = inspect(false);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let fields: Vec<&str> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(fields, ["plugin", "offers", "target", "glibc", "built", "sha256"], "{out}");
    place.configure("allow_unpinned = false", "");
    let (code, out, _) = inspect(true);
    assert_eq!(code, Some(1));
    assert!(out.lines().last().unwrap().starts_with("refused   not pinned; if you trust it, run "), "{out}");
    place.configure("", "");
    assert!(inspect(true).1.ends_with("\ntrust     unpinned\n"));
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let (code, out, errors) = inspect(false);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("world-writable"), "{errors}");
}

/// A new file before its lock: the host that is restarted runs on with the content of before, and says so once. With the
/// lock comes the new one, and `plugins rollback` brings back the old.
#[test]
fn a_file_before_its_lock() {
    let place = Place::with(&[GOSSIP]);
    let file = place.file(GOSSIP);
    let (lock, kept) = (place.path("plugins.lock"), place.path("kept"));
    let plugins = format!("lock = \"{}\"\nkeep = \"{}\"", lock.display(), kept.display());
    place.configure(&plugins, "");
    place.lock(&[]);
    let lan = Lan::with(Plugins::with(&[]));
    let config = lan.config(ALICE, &format!("[plugins]\n{plugins}"));
    let mut alice =
        Host::start(Launch { config, plugins: place.plugins.path().to_owned(), ..Launch::default() });
    alice.wait_up(&[ALICE]);
    let pending = |host: &Host| host.log().matches("a plugin file is pending").count();
    assert_eq!(pending(&alice), 0);

    replace(&file, "9.9.9");
    alice.terminate();
    alice.restart();
    alice.wait_up(&[ALICE]);
    let in_use = alice.topology("lan")["plugin"].as_str().unwrap().to_owned();
    assert!(in_use.starts_with(kept.to_str().unwrap()), "{in_use}");
    assert_eq!(pending(&alice), 1, "{}", alice.log());
    assert!(alice.log().contains("not a content that is pinned for strategy-gossip"), "{}", alice.log());
    let row = &place.listed()[0];
    let in_use = in_use.replace(place.path("").to_str().unwrap(), "DIR/");
    assert_eq!((&row["version"], &row["kept"]), (&"0.1.0".into(), &in_use.as_str().into()), "{row}");
    assert!(row["pending"]["remedy"].as_str().unwrap().contains("plugins lock --add"), "{row}");
    let (_, text) = place.run(&["plugins"]);
    assert!(text.contains(&format!("PLUGINS/{GOSSIP}: pending: not a content that is pinned")), "{text}");
    // Whatever else is wrong: nothing here offers what this configuration asks for.
    let told: Value = serde_json::from_str(&place.run(&["check", "--json"]).1).unwrap();
    let told = &told["pending"][0];
    assert_eq!(told["file"], format!("PLUGINS/{GOSSIP}"), "{told}");
    assert!(told["remedy"].as_str().unwrap().contains("plugins lock --add"), "{told}");

    assert_eq!(place.lock(&["--add"]).0, Some(0));
    alice.terminate();
    alice.restart();
    alice.wait_up(&[ALICE]);
    assert_eq!(alice.topology("lan")["plugin"], file.to_str().unwrap());
    assert_eq!((place.listed()[0]["version"].as_str(), pending(&alice)), (Some("9.9.9"), 1));

    let (code, out) = place.run(&["plugins", "rollback", "strategy-gossip"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with(&format!("PLUGINS/{GOSSIP} has version 0.1.0 again, sha256 ")), "{out}");
    alice.terminate();
    alice.restart();
    alice.wait_up(&[ALICE]);
    assert_eq!((place.listed()[0]["version"].as_str(), pending(&alice)), (Some("0.1.0"), 1));
    let (code, out) = place.run(&["plugins", "rollback", "strategy-gossip"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.starts_with("cluster-host: no earlier content of "), "{out}");
}

/// The same in a host that runs: a file before its lock changes nothing and is told, the lock brings it, and a rollback takes
/// it back; each without anybody leaving.
#[test]
fn noticed_while_it_runs() {
    let place = Place::with(&[GOSSIP]);
    let (lock, kept) = (place.path("plugins.lock"), place.path("kept"));
    let plugins = format!("lock = \"{}\"\nkeep = \"{}\"", lock.display(), kept.display());
    place.configure(&plugins, "");
    place.lock(&[]);
    let lan = Lan::with(Plugins::with(&[GOSSIP]));
    let config = lan.config(ALICE, &format!("[plugins]\n{plugins}"));
    let alice = Host::start(Launch { config, plugins: place.plugins.path().to_owned(), ..Launch::default() });
    let bob = lan.start(BOB, "");
    alice.wait_up(&[ALICE, BOB]);
    let told = |text: &str, times: usize| {
        alice.settle(text, || (alice.log().matches(text).count() == times).then_some(()));
    };
    replace(&place.file(GOSSIP), "9.9.9");
    told("reloaded: nothing has changed", 1);
    told("pending, an earlier content is used", 1);
    assert_eq!(place.lock(&["--add"]).0, Some(0));
    told("reloaded: restarted lan", 1);
    assert_eq!(place.run(&["plugins", "rollback", "strategy-gossip"]).0, Some(0));
    told("reloaded: restarted lan", 2);
    bob.wait_up(&[ALICE, BOB]);
    for host in [&alice, &bob] {
        let view = host.view();
        assert_eq!((view.count("node_down"), view.count("node_left")), (0, 0), "{view}");
        host.check_fold();
    }
}

/// Ends a thread, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// While the file is exchanged without end, a host that has it pinned runs the pinned code or none. Without the pin it
/// runs the other one, so the exchange is one that matters.
#[test]
fn exchanged_while_it_is_loaded() {
    const GOOD: &str = "unknown key";
    const EVIL: &str = "UNKNOWN KEY";
    let place = Place::with(&[FAULTY]);
    let (file, new) = (place.file(FAULTY), place.path("new"));
    let [good, evil] = ["good", "evil"].map(|name| place.path(name));
    copy(&file, &good);
    let mut bytes = fs::read(&file).unwrap();
    // What the plugin says of a key that it does not know, whole.
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(GOOD.len()).position(|window| window == GOOD.as_bytes()) {
        at += found;
        bytes[at..at + EVIL.len()].copy_from_slice(EVIL.as_bytes());
    }
    fs::write(&evil, bytes).unwrap();
    copy(&evil, &evil.with_extension("so"));
    fs::rename(evil.with_extension("so"), &evil).unwrap();
    place.configure("lock = \"plugins.lock\"", ", surplus = 1");
    place.lock(&[]);

    let stop = AtomicBool::new(false);
    let (mut pinned, mut none) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for content in [&good, &evil] {
                    fs::hard_link(content, &new).unwrap();
                    fs::rename(&new, &file).unwrap();
                }
            }
        });
        let _stop = Stop(&stop);
        while pinned < 20 || none < 20 {
            let (code, out) = place.run(&["check"]);
            assert!(code == Some(1) && !out.contains(EVIL), "{out}");
            match out.contains(GOOD) {
                true => pinned += 1,
                false => none += 1,
            }
        }
        place.configure("", ", surplus = 1");
        while !place.run(&["check"]).1.contains(EVIL) {}
    });
}

mod lab {
    use super::*;

    /// Where the kernel lets nobody execute what is in memory alone (`vm.memfd_noexec = 2`, which counts for a process
    /// namespace), pinned plugins are loaded all the same.
    #[test]
    fn hardened_kernel() {
        let place = Place::with(&[FAULTY]);
        place.configure("lock = \"plugins.lock\"", "");
        place.lock(&[]);
        let command = format!(
            "echo 2 >/proc/sys/vm/memfd_noexec; grep -x 2 /proc/sys/vm/memfd_noexec; exec '{}' check --config '{}' --plugins '{}'",
            env!("CARGO_BIN_EXE_cluster-host"),
            place.path("host.toml").display(),
            place.plugins.path().display()
        );
        let namespaces =
            ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sh", "-ec", &command];
        let (code, out, errors) = outcome(&Command::new("unshare").args(namespaces).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(0), "2\nok: 1 topology, strategies: fixed\n"), "{errors}");
    }
}

/// A fleet's way: one lock file, signed; a host believes it by the key in its configuration.
mod minisign {
    use super::*;

    fn minisign(place: &Place, arguments: &[&str]) {
        let done = Command::new("minisign").args(arguments).env("HOME", place.path("home")).output();
        let done = done.unwrap_or_else(|error| panic!("minisign (package minisign) cannot be run: {error}"));
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Unsigned, signed, and changed after it was signed.
    #[test]
    fn a_signed_lock() {
        let place = Place::with(&[FAULTY]);
        fs::create_dir_all(place.path("home/.minisign")).unwrap();
        let public = place.path("public");
        minisign(&place, &["-G", "-W", "-p", public.to_str().unwrap()]);
        let public = fs::read_to_string(public).unwrap();
        let key = public.lines().nth(1).unwrap();
        place.configure(&format!("lock = \"plugins.lock\"\ntrusted_keys = [\"{key}\"]"), "");
        place.lock(&[]);
        place.obey(
            &place.check_refused("plugins.lock: the lock file DIR/plugins.lock is not signed: there is no "),
        );
        place.check_good();
        let row = &place.listed()[0];
        assert_eq!((&row["standing"], &row["signed_by"]), (&"locked".into(), &key.into()), "{row}");

        let mut text = fs::read_to_string(place.path("plugins.lock")).unwrap();
        text.push('\n');
        fs::write(place.path("plugins.lock"), text).unwrap();
        place.obey(&place.check_refused("is not what was signed: its signature is of another content; "));
        place.check_good();

        // A plugin that is signed itself needs no lock.
        place.configure(&format!("trusted_keys = [\"{key}\"]"), "");
        let refused = place.check_refused(": not signed: there is no PLUGINS/libplugin_faulty.so.minisig; ");
        place.obey(&refused);
        place.check_good();
        assert_eq!(place.listed()[0]["standing"], "signed");
    }
}
