//! What is packaged, read by those whom it is for: shells and systemd.

use std::{fs, path::Path, process::Command};

use crate::host::{outcome, private_directory};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cluster-host");
const UNIT: &str = "contrib/systemd/cluster-host.service";

/// Runs a program of a Debian package, and gives what it prints if it ends well.
#[track_caller]
fn run(command: &mut Command, package: &str) -> String {
    let program = command.get_program().to_owned();
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("{program:?} (package {package}) cannot be run: {error}"));
    let (code, text, errors) = outcome(&output);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    text
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The completions of a shell, in a file.
fn script(directory: &Path, shell: &str) -> String {
    let text = run(Command::new(PROGRAM).args(["completions", shell]), "of this one");
    let path = directory.join(format!("_cluster-host.{shell}"));
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Bash completes commands, their commands, options and their values.
#[test]
fn bash() {
    let directory = private_directory();
    let script = script(directory.path(), "bash");
    let complete = |words: &str| {
        let program = format!(
            "source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); cur=${{COMP_WORDS[-1]}}; \
             prev=${{COMP_WORDS[-2]}}; $(complete -p cluster-host | sed 's/.*-F \\([^ ]*\\) .*/\\1/') cluster-host \"$cur\" \"$prev\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        run(Command::new("bash").args(["--norc", "-c", &program]), "bash").trim().to_owned()
    };
    assert_eq!(complete("cluster-host mem"), "members");
    assert_eq!(complete("cluster-host plugins rol"), "rollback");
    assert_eq!(complete("cluster-host run --log-f"), "--log-format");
    assert_eq!(complete("cluster-host run --log-format j"), "json");
    assert_eq!(complete("cluster-host completions f"), "fish");
}

/// So does fish.
#[test]
fn fish() {
    let directory = private_directory();
    let script = script(directory.path(), "fish");
    let complete = |words: &str| {
        let program = format!("source {script}; complete --do-complete '{words}'");
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "--command", &program]).env("HOME", directory.path());
        let text = run(&mut fish, "fish");
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete("cluster-host mem"), ["members"]);
    assert_eq!(complete("cluster-host run --log-f"), ["--log-format"]);
    assert_eq!(complete("cluster-host run --log-format j"), ["json"]);
}

/// zsh takes the script as the completion of this command.
#[test]
fn zsh() {
    let directory = private_directory();
    fs::rename(script(directory.path(), "zsh"), directory.path().join("_cluster-host")).unwrap();
    let program = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -d {}; print ${{_comps[cluster-host]}}; \
         autoload +X _cluster-host; functions _cluster-host",
        directory.path().display(),
        directory.path().join("dump").display()
    );
    let text = run(Command::new("zsh").args(["--no-rcs", "-c", &program]), "zsh");
    assert!(text.starts_with("_cluster-host\n") && text.contains("members"), "{text}");
}

/// systemd finds nothing wrong with the unit, and it is as exposed as the documentation says, which is little.
#[test]
fn unit() {
    let text = fs::read_to_string(root().join(UNIT)).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/cluster-host run "), "{text}");
    let directory = private_directory();
    let unit = directory.path().join("cluster-host.service");
    // It asks for the program to be there.
    fs::write(&unit, text.replace("/usr/bin/cluster-host", PROGRAM)).unwrap();
    let verified = run(
        Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=yes"]).arg(&unit),
        "systemd",
    );
    assert_eq!(verified, "");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(&unit).env("LC_ALL", "C.UTF-8");
    let text = run(&mut security, "systemd");
    let line =
        text.lines().find_map(|line| line.split_once("Overall exposure level for cluster-host.service: "));
    let score = line.unwrap_or_else(|| panic!("{text}")).1.split(' ').next().unwrap().to_owned();
    assert!(score.parse::<f64>().unwrap() <= 1.5, "{text}");
    for page in ["README.md", "docs/deployment.md"] {
        let page = fs::read_to_string(root().join(page)).unwrap();
        assert!(page.contains(&format!("`systemd-analyze security`: {score}")), "it is {score}");
    }
}
