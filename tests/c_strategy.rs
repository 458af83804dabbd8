//! A strategy in C, built by a C compiler with the header alone, is loaded like any other.

use std::{fs, path::Path, process::Command};

use crate::host::{Host, Launch, Plugins, cluster_host, outcome};

const NAME: &str = "libstrategy_c.so";

/// Builds the example with one change to it, and puts it into a plugin directory.
fn build(plugins: &Plugins, file: &str, change: (&str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = fs::read_to_string(root.join("examples/strategy-c/machines.c")).unwrap();
    assert!(source.contains(change.0), "{}", change.0);
    let changed = plugins.path().join("machines.c");
    fs::write(&changed, source.replace(change.0, change.1)).unwrap();
    let compiled = Command::new("cc")
        .args([
            "-std=c11",
            "-D_DEFAULT_SOURCE",
            "-Wall",
            "-Werror",
            "-O2",
            "-fPIC",
            "-shared",
            "-pthread",
            "-I",
        ])
        .arg(root.join("cluster-sdk/include"))
        .arg(&changed)
        .arg("-o")
        .arg(plugins.path().join(file))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

fn config(file: &str) -> String {
    format!(
        "[topologies.hall]\nstrategy = \"machines\"\nconnect = \"none\"\n\
         config = {{ file = \"{file}\" }}\n"
    )
}

/// Its nodes become members, changes count, a file that is gone takes nobody away, and it ends when it is asked to.
#[test]
fn members_come_and_go() {
    let plugins = Plugins::with(&[]);
    build(&plugins, NAME, ("", ""));
    let machines = plugins.path().join("machines");
    fs::write(&machines, "a@h1 b@h2\nc@h3\n").unwrap();
    let config = config(machines.to_str().unwrap());
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() });
    host.wait_up(&["a@h1", "b@h2", "c@h3"]);
    fs::write(&machines, "a@h1 b@h2 d@h4\n").unwrap();
    host.wait_up(&["a@h1", "b@h2", "d@h4"]);

    fs::remove_file(&machines).unwrap();
    host.settle("the reason", || {
        let health = host.get("/v1/topologies").to_string();
        (health.contains("degraded") && health.contains("No such file")).then_some(())
    });
    host.wait_up(&["a@h1", "b@h2", "d@h4"]);
    assert!(host.terminate().success(), "{}", host.log());
}

/// It is described and checked as those in Rust are, before anything of it starts.
#[test]
fn described_and_checked() {
    let plugins = Plugins::with(&[]);
    build(&plugins, NAME, ("", ""));
    let directory = plugins.path().to_str().unwrap();
    let (code, out, errors) = outcome(&cluster_host(&["plugins", "--plugins", directory]));
    assert!(code == Some(0) && out.contains("strategy-c") && out.contains("machines"), "{out}{errors}");
    let (code, out, errors) =
        outcome(&cluster_host(&["strategies", "--plugins", directory, "describe", "machines"]));
    assert!(code == Some(0) && out.contains("file"), "{out}{errors}");

    let file = plugins.path().join("host.toml");
    fs::write(&file, config("x").replace("file =", "fiel =")).unwrap();
    let check = ["check", "--config", file.to_str().unwrap(), "--plugins", directory];
    let (code, out, errors) = outcome(&cluster_host(&check));
    assert!(code == Some(1) && (out.clone() + &errors).contains("file: is missing"), "{out}{errors}");
    fs::write(&file, config(r"a\\b")).unwrap();
    let (code, out, errors) = outcome(&cluster_host(&check));
    assert!(code == Some(1) && (out.clone() + &errors).contains("file: is missing"), "{out}{errors}");
}

/// A plugin that was built before there were diagnoses is not asked for one, and the doctor goes on.
#[test]
fn examined() {
    let plugins = Plugins::with(&[]);
    build(&plugins, NAME, ("", ""));
    let machines = plugins.path().join("machines");
    fs::write(&machines, "a@h1 b@h2\n").unwrap();
    let patient = crate::doctor::Patient::new(&config(machines.to_str().unwrap()), plugins.path());
    patient.examine().check_well();
}

/// A table without a function that there must be is refused in one line.
#[test]
fn incomplete() {
    for (change, reason) in [
        ((".describe = describe", ".describe = 0 ? describe : NULL"), "its function describe is null"),
        ((".functions = LIBCLUSTER_FUNCTIONS", ".functions = 7"), "its functions are 0x7, of 0x1ff at least"),
        (("&TABLE}", "0 ? &TABLE : NULL}"), "its entry points at none"),
    ] {
        let plugins = Plugins::with(&[]);
        build(&plugins, NAME, change);
        let directory = plugins.path().to_str().unwrap();
        let describe = ["strategies", "--plugins", directory, "describe", "machines"];
        let (code, out, errors) = outcome(&cluster_host(&describe));
        assert!(code != Some(0) && (out.clone() + &errors).contains(reason), "{reason}: {out}{errors}");
    }
}

/// The example stays below 100 lines, comments and all.
#[test]
fn small() {
    let lines = include_str!("../examples/strategy-c/machines.c").lines().count();
    assert!(lines < 100, "{lines}");
}
