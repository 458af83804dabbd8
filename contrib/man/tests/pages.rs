//! The manual pages are whole, and what shows them has nothing to say against them.
#![cfg(test)]

mod man {
    use std::{collections::BTreeSet, fs, process::Command};

    /// There is a page for each command, it names its options, and it is shown without a warning.
    #[test]
    fn pages() {
        let directory = tempfile::tempdir().unwrap();
        let written = Command::new(env!("CARGO_BIN_EXE_man-pages")).arg(directory.path()).status().unwrap();
        assert!(written.success());
        let mut expected = BTreeSet::new();
        names(&cluster_host::cli::command(), "cluster-host", &mut expected);
        let files: BTreeSet<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, expected);
        assert!(files.contains("cluster-host-plugins-lock.1"), "{files:?}");
        for file in &files {
            let mut man = Command::new("man");
            man.args(["--warnings", "--local-file"]).arg(directory.path().join(file));
            let shown = man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").output();
            let shown = shown.unwrap_or_else(|error| panic!("man (package man-db) cannot be run: {error}"));
            let (text, warnings) =
                (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
            assert!(shown.status.success() && warnings.is_empty(), "{file}: {warnings}");
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
                assert!(text.lines().any(|line| line == section), "{file} has no {section}:\n{text}");
            }
            if file == "cluster-host-run.1" {
                assert!(text.contains("--config <FILE>") && text.contains("$XDG_RUNTIME_DIR"), "{text}");
            }
        }
    }

    fn names(command: &clap::Command, name: &str, names: &mut BTreeSet<String>) {
        names.insert(format!("{name}.1"));
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            self::names(command, &format!("{name}-{}", command.get_name()), names);
        }
    }
}
