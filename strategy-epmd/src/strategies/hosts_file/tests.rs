use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

#[track_caller]
fn check(text: &str, expected: Result<&[&str], &str>) {
    let found = parse(text).map_err(|Fault { line, what }| format!("{line}: {what}"));
    assert_eq!(
        found,
        expected.map(|hosts| hosts.iter().map(ToString::to_string).collect()).map_err(str::to_owned)
    );
}

/// Atoms in both forms, comments and blank lines are read; each host counts once.
#[test]
fn hosts() {
    check("", Ok(&[]));
    check("% nothing\n\n", Ok(&[]));
    check(
        "'db1.example'.\ndb2.% two\n  '10.0.0.7' .  'fd00::1'.\ndb2.",
        Ok(&["db1.example", "db2", "10.0.0.7", "fd00::1"]),
    );
    check("'a\\'b'.", Ok(&["a'b"]));
}

/// What is no list of hosts is told with its line and, where that is plain, with what was meant.
#[test]
fn faults() {
    check("db1.\n\"db2\".\n", Err("2: \"db2\" is a string: write 'db2'."));
    check("db1.example.\n", Err("1: a host with a dot needs quotes: write 'db1.example'."));
    check(
        "db1\ndb2.\n",
        Err("2: expected a full stop behind db1, found \"db2.\"; other hosts need quotes: 'HOST'."),
    );
    check(
        "my-host.\n",
        Err("1: expected a full stop behind my, found \"-host.\"; other hosts need quotes: 'HOST'."),
    );
    check("db1", Err("1: a full stop is missing behind db1"));
    check("\n'db1.\n", Err("2: the ' is not closed"));
    check("10.0.0.7.", Err("1: \"10.0.0.7.\" is no atom: write 'HOST'."));
    check("['db1'].", Err("1: \"['db1'].\" is no atom: write 'HOST'."));
    check("''.", Err("1: \"\" is no host: write what nodes have behind the @ of their names"));
    check("\n\na@b.", Err("3: \"a@b\" is no host: write what nodes have behind the @ of their names"));
    check("'a\\n'.", Err("1: no host has such an escape in it"));
    let many: String = (0..=HOSTS_MAX).map(|number| format!("h{number}.\n")).collect();
    check(&many, Err("1025: more than 1024 hosts"));
}

/// What OTP's own reader makes of a file is what is read here.
#[test]
fn as_otp_reads_it() {
    let text = "% comment\n'db1.example'. db2.\n\n'fd00::1'.%x\n'quo\\'ted'.\n";
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(NAME), text).unwrap();
    let print = "[io:format(\"~s~n\", [H]) || H <- net_adm:host_file()], io:format(\"~s\", [code:root_dir()]), halt().";
    let erl = Command::new("erl").args(["-noshell", "-eval", print]).current_dir(folder.path()).output();
    let erl = erl.unwrap_or_else(|err| panic!("cannot start erl, install the package erlang-base: {err}"));
    let printed = String::from_utf8(erl.stdout).unwrap();
    let (hosts, root) = printed.rsplit_once('\n').unwrap();
    assert_eq!(parse(text).unwrap(), hosts.lines().collect::<Vec<_>>());
    let surroundings = Surroundings { path: env::var_os("PATH"), ..Surroundings::default() };
    assert_eq!(surroundings.otp_root(), Some(root.into()));
}

/// The first folder that has the file counts, and where none has it all three are told.
#[test]
fn places() {
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let [folder, home, root] = folders.each_ref().map(|folder| folder.path().to_owned());
    let surroundings = Surroundings {
        folder: Some(folder.clone()),
        home: Some(home.clone().into()),
        root: Some(root.clone().into()),
        path: None,
    };
    let read = || Places::of_otp(None, &surroundings).read().map_err(|err| err.to_string());
    let file = |folder: &Path| folder.join(NAME).display().to_string();
    let how = "; write one, with a line 'host.name'. for each host";
    let tried = format!("no .hosts.erlang: tried {}, {}, {}{how}", file(&folder), file(&home), file(&root));
    assert_eq!(read(), Err(tried));
    for (place, host) in [(&root, "c"), (&home, "b"), (&folder, "a")] {
        fs::write(place.join(NAME), format!("{host}.\n")).unwrap();
        assert_eq!(read(), Ok(vec![host.to_owned()]));
    }
    fs::write(folder.join(NAME), "a\n\nb.").unwrap();
    assert!(read().unwrap_err().starts_with(&format!("{}:3: expected a full stop", file(&folder))));
    fs::write(folder.join(NAME), "").unwrap();
    assert_eq!(read(), Err(format!("{} names no host", file(&folder))));
    fs::write(folder.join(NAME), b"\xff").unwrap();
    assert!(read().unwrap_err().starts_with(&format!("cannot read {}: ", file(&folder))));
    fs::remove_file(folder.join(NAME)).unwrap();
    fs::create_dir(folder.join(NAME)).unwrap();
    assert_eq!(read(), Err(format!("cannot read {}: it is no file", file(&folder))));

    let nowhere = Surroundings { folder: Some(root.clone()), ..Surroundings::default() };
    fs::remove_file(root.join(NAME)).unwrap();
    let err = Places::of_otp(None, &nowhere).read().unwrap_err().to_string();
    assert!(err.ends_with("(where OTP is installed is not known: set otp_root)"), "{err}");
    assert_eq!(Places::of_otp(Some(&home), &nowhere).read().unwrap(), ["b"]);
    assert_eq!(Places::only(&home.join(NAME)).read().unwrap(), ["b"]);
}

/// In a release OTP's root is beside its erts.
#[test]
fn root_of_a_release() {
    let folder = TempDir::new().unwrap();
    let bin = folder.path().join("erts-13.1/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("erl"), "").unwrap();
    let surroundings = Surroundings { path: Some(bin.into()), ..Surroundings::default() };
    assert_eq!(surroundings.otp_root(), Some(fs::canonicalize(folder.path()).unwrap()));
}

proptest! {
    /// Whatever is in the file, there is an answer; and hosts in quotes come back.
    #[test]
    fn never_fails_to_answer(text in "[ab'\"\\\\.%@\n -]{0,40}", hosts in proptest::collection::btree_set("[a-z0-9.:-]{1,20}", 0..8)) {
        drop(parse(&text));
        let written: String = hosts.iter().map(|host| format!("'{host}'.\n")).collect();
        prop_assert_eq!(parse(&written).unwrap(), hosts.into_iter().collect::<Vec<_>>());
    }
}
