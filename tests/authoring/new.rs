//! What `plugins new` writes builds, passes its own tests, has no warnings, and works in a real host.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{command, host, run};
use crate::host::{FAULTY, Host, Launch, Plugins, copy, outcome, private_directory};

/// The compiler of Debian's package `rustc-web`, which is not the one that has built the host.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A new crate, tested, linted and built, and a plugin directory with it.
struct Crate {
    directory: TempDir,
    path: PathBuf,
    plugins: Plugins,
}

impl Crate {
    fn new(arguments: &[&str], crate_name: &str) -> Self {
        let directory = private_directory();
        let printed = run(directory.path(), "cluster-host", &[&["plugins", "new"], arguments].concat());
        let path = directory.path().join(crate_name);
        assert!(printed.contains(&format!("cd {crate_name} && cargo test && cargo build\n")), "{printed}");
        run(&path, "cargo", &["test"]);
        run(&path, "cargo", &["clippy", "--all-targets", "--", "--deny", "warnings"]);
        run(&path, "cargo", &["fmt", "--check"]);
        run(&path, "cargo", &["build"]);
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = format!("lib{}.so", name.replace('-', "_"));
        let plugins = Plugins::with(&[FAULTY]);
        copy(&path.join("target/debug").join(&file), &plugins.path().join(&file));
        Self { directory, path, plugins }
    }

    fn host(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let plugins = ["--plugins", self.plugins.path().to_str().unwrap()];
        outcome(&host(self.directory.path(), &[arguments, &plugins].concat()))
    }

    /// What `discover` gives as JSON.
    fn discover(&self, name: &str, config: &str) -> Value {
        let (code, out, errors) = self.host(&["discover", name, "--json", "--config", config]);
        assert_eq!(code, Some(0), "{errors}");
        serde_json::from_str(&out).unwrap()
    }
}

/// A strategy that polls, in a host that is given its own configuration.
#[test]
fn poll() {
    let new = Crate::new(&["pods"], "strategy-pods");
    let view = new.discover("pods", r#"{ host = "127.0.0.1", name = "web@{ip}" }"#);
    assert_eq!(
        (&view["completeness"], &view["nodes"][0]["name"]),
        (&"complete".into(), &"web@127.0.0.1".into())
    );

    let config = fs::read_to_string(new.path.join("cluster.toml")).unwrap();
    let plugins = new.plugins.path().to_owned();
    let host = Host::start(Launch { config, plugins, ..Launch::default() });
    host.wait("app@127.0.0.1 to be up", |view| view.up().contains("app@127.0.0.1"));
}

/// A strategy that watches, told by a registry of this test; and what is said where that talks nonsense.
#[test]
fn watch() {
    let new = Crate::new(&["--watch", "row-s", "--path", "deep/strategy-row-s"], "deep/strategy-row-s");
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(r#"{{"registry": "{}"}}"#, registry.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        ["+ b@h\n+ a@h\n=\n", "hello\n"].map(|lines| {
            let mut stream = registry.accept().unwrap().0;
            stream.write_all(lines.as_bytes()).unwrap();
            stream
        })
    });
    let view = new.discover("row-s", &config);
    let names: Vec<_> = view["nodes"].as_array().unwrap().iter().map(|node| &node["name"]).collect();
    assert_eq!(names, ["a@h", "b@h"]);
    let (code, out, errors) = new.host(&["discover", "row-s", "--config", &config]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        errors.contains("the strategy failed: registry") && errors.contains("sent \"hello\""),
        "{errors}"
    );
    drop(told.join().unwrap());
}

/// A connector, in a host whose strategy names a node of this test.
#[test]
fn connector() {
    let new = Crate::new(&["--connector", "tunnel"], "connector-tunnel");
    let (code, described, _) = new.host(&["strategies", "describe", "tunnel"]);
    assert!(
        code == Some(0) && described.contains("Links are TCP connections that stay open."),
        "{described}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = format!(
        "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"app@127.0.0.1\"] }}\nconnect = {{ tunnel = {{ port = {port} }} }}\n"
    );
    let plugins = new.plugins.path().to_owned();
    let host = Host::start(Launch { config, plugins, ..Launch::default() });
    let link = listener.accept().unwrap();
    host.wait("app@127.0.0.1 to be up", |view| view.up().contains("app@127.0.0.1"));
    drop((listener, link));
    host.wait("its link to be down", |view| !view.up().contains("app@127.0.0.1"));
}

/// A plugin that another compiler has built, Debian's own, runs on a thread of the same host, beside one of ours.
#[test]
fn by_another_compiler() {
    let directory = private_directory();
    run(directory.path(), "cluster-host", &["plugins", "new", "rows"]);
    let path = directory.path().join("strategy-rows");
    let built = command(&path, "cargo").arg("build").env("RUSTC", DEBIAN_RUSTC).output().unwrap();
    assert!(built.status.success(), "{DEBIAN_RUSTC} (package rustc-web): {built:?}");
    let plugins = Plugins::with(&[FAULTY]);
    copy(&path.join("target/debug/libstrategy_rows.so"), &plugins.path().join("libstrategy_rows.so"));
    let listing = ["plugins", "--json", "--plugins", plugins.path().to_str().unwrap()];
    let listing: Value = serde_json::from_str(&run(directory.path(), "cluster-host", &listing)).unwrap();
    let compilers: Vec<_> =
        listing["plugins"].as_array().unwrap().iter().filter_map(|row| row["rustc"].as_str()).collect();
    assert!(compilers.iter().any(|compiler| *compiler != compilers[0]), "one compiler: {compilers:?}");
    let config = "
[topologies.ours]
strategy = \"fixed\"
config = { nodes = [\"a@127.0.0.1\"] }
connect = \"none\"
opts = { isolation = \"in-process\" }
[topologies.theirs]
strategy = \"rows\"
config = { host = \"127.0.0.1\", name = \"b@{ip}\" }
connect = \"none\"
opts = { isolation = \"in-process\" }
";
    let plugins = plugins.path().to_owned();
    let host = Host::start(Launch { config: config.to_owned(), plugins, ..Launch::default() });
    host.wait_up(&["a@127.0.0.1", "b@127.0.0.1"]);
}

/// Nothing is overwritten, whatever it is, and what is no name is told with one that is.
#[test]
fn refused() {
    let directory = private_directory();
    let new = |arguments: &[&str]| {
        let (code, out, errors) =
            outcome(&host(directory.path(), &[&["plugins", "new"], arguments].concat()));
        (code, out + &errors)
    };
    fs::create_dir(directory.path().join("strategy-a")).unwrap();
    assert_eq!(new(&["a"]).0, Some(0), "an empty directory is free");
    let before = contents(&directory.path().join("strategy-a"));
    assert!(before.len() >= 7, "{before:?}");
    for (arguments, part) in [
        (["a", "--poll"].as_slice(), "strategy-a is not empty: name another directory by --path"),
        (
            &["a", "--path", "strategy-a/Cargo.toml"],
            "strategy-a/Cargo.toml: name another directory by --path",
        ),
        (&["My Cloud"], "as in \"my-cloud\""),
        (&["strategy-b"], "the crate is called strategy-NAME by itself: write \"b\""),
        (&["b", "--sdk", "strategy-a"], "there is no cluster-sdk in it"),
        (&["b", "--sdk", "latest"], "it is no directory, and no version such as"),
    ] {
        let (code, text) = new(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    assert_eq!(contents(&directory.path().join("strategy-a")), before);
    let (code, text) = new(&["b", "--sdk", "0.1"]);
    assert_eq!(code, Some(0), "{text}");
    let manifest = fs::read_to_string(directory.path().join("strategy-b/Cargo.toml")).unwrap();
    assert!(manifest.contains("cluster-sdk = { version = \"0.1\" }"), "{manifest}");
    assert!(!directory.path().join("strategy-b/Cargo.lock").exists());
}

/// The files of a crate with what is in them, sorted.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = ["", "src"]
        .iter()
        .flat_map(|part| fs::read_dir(directory.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}
