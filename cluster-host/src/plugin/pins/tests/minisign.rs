//! Signatures of the real minisign. Needs that program (Debian: minisign).

use std::process::Command;

use super::*;

impl Place {
    /// Makes a pair of keys, and gives the public one as it is written into a configuration.
    fn key(&self, name: &str) -> String {
        let (public, secret) = (self.path(&format!("{name}.pub")), self.path(name));
        minisign(&["-G", "-W", "-p", public.to_str().unwrap(), "-s", secret.to_str().unwrap()]);
        let public = fs::read_to_string(public).unwrap();
        public.lines().nth(1).unwrap().to_owned()
    }

    fn sign(&self, key: &str, file: &Path, more: &[&str]) {
        let secret = self.path(key);
        minisign(&[&["-S", "-s", secret.to_str().unwrap(), "-m", file.to_str().unwrap()], more].concat());
    }
}

fn minisign(arguments: &[&str]) {
    let output = Command::new("minisign").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("minisign (package minisign) cannot be run: {error}"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A plugin counts when one of the trusted keys has signed just its content; a signature of another key, of another
/// content, of an old kind, or none, is refused with the command that signs.
#[test]
fn plugins() {
    let place = Place::new();
    let (ours, theirs, next) = (place.key("ours"), place.key("theirs"), place.key("next"));
    let keys = format!("trusted_keys = ['{ours}', '{next}']");
    let file = format!("DIR/plugins/{FILE}");
    let refused = |reason: &str| format!("{file}: {reason}; if you trust it, run minisign -S -m {file}");
    assert_eq!(place.state(&keys), refused(&format!("not signed: there is no {file}.minisig")));
    assert_eq!(place.state(&format!("{keys}\nallow_unpinned = true")), "unpinned");

    place.sign("ours", &place.file(), &[]);
    assert_eq!(place.state(&keys), format!("signed by {ours}"));
    place.sign("next", &place.file(), &["-c", "a comment", "-t", "another"]);
    assert_eq!(place.state(&keys), format!("signed by {next}"));

    place.sign("theirs", &place.file(), &[]);
    let other_key = refused("signed by a key that is not among plugins.trusted_keys");
    assert_eq!(place.state(&keys), other_key);
    assert_eq!(
        place.state(&format!("{keys}\nallow_unpinned = true")),
        other_key,
        "a bad one is worse than none"
    );
    assert_eq!(place.state(&format!("trusted_keys = ['{theirs}']")), format!("signed by {theirs}"));

    place.sign("ours", &place.file(), &[]);
    place.put("two");
    assert_eq!(place.state(&keys), refused("not what was signed: its signature is of another content"));
    place.sign("ours", &place.file(), &["-l"]);
    let unusable = format!("has a signature that cannot be used: {file}.minisig: ");
    assert_eq!(
        place.state(&keys),
        refused(&format!("{unusable}it is of the legacy kind: sign without -l, by minisign 0.11 or newer"))
    );
    let signature = place.path("plugins").join(format!("{FILE}.minisig"));
    for (text, reason) in [
        ("hello\n".to_owned(), "Invalid encoding in minisign data".to_owned()),
        ("x".repeat(20_000), "it has more than 16384 bytes".to_owned()),
    ] {
        fs::write(&signature, text).unwrap();
        assert_eq!(place.state(&keys), refused(&format!("{unusable}{reason}")));
    }
}

/// What a trusted comment says is signed too: a signature with another one does not count.
#[test]
fn trusted_comments() {
    let place = Place::new();
    let keys = format!("trusted_keys = ['{}']", place.key("ours"));
    place.sign("ours", &place.file(), &["-t", "version 1"]);
    assert!(place.state(&keys).starts_with("signed by "));
    let signature = place.path("plugins").join(format!("{FILE}.minisig"));
    let text = fs::read_to_string(&signature).unwrap();
    fs::write(&signature, text.replace("version 1", "version 2")).unwrap();
    assert!(place.state(&keys).contains("its signature is of another content"), "{}", place.state(&keys));
}

/// A lock file counts when a trusted key has signed all of it; else no plugin is loaded, whatever it names.
#[test]
fn lock_files() {
    let place = Place::new();
    let (ours, _theirs) = (place.key("ours"), place.key("theirs"));
    let (one, two) = (place.put("one"), place.put("two"));
    let pins = format!("lock = 'plugins.lock'\ntrusted_keys = ['{ours}']");
    let lock = place.path("plugins.lock");
    place.lock(&[two]);
    let none = |reason: &str| {
        format!("none: the lock file DIR/plugins.lock is {reason}; run minisign -S -m DIR/plugins.lock")
    };
    assert_eq!(place.state(&pins), none("not signed: there is no DIR/plugins.lock.minisig"));
    place.sign("ours", &lock, &[]);
    assert_eq!(place.state(&pins), format!("locked, signed by {ours}"));
    // Who has signed it is what counts, so it may lie where others can write.
    fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(place.state(&pins), format!("locked, signed by {ours}"));

    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, text.replace(&two.to_string(), &one.to_string())).unwrap();
    assert_eq!(place.state(&pins), none("not what was signed: its signature is of another content"));
    place.sign("theirs", &lock, &[]);
    assert_eq!(place.state(&pins), none("signed by a key that is not among plugins.trusted_keys"));

    // What it does not name must be signed itself, or not be there.
    write(&lock, b"format = 1\n");
    place.sign("ours", &lock, &[]);
    assert!(place.state(&pins).contains(": not signed: there is no "), "{}", place.state(&pins));
    place.sign("ours", &place.file(), &[]);
    assert_eq!(place.state(&pins), format!("signed by {ours}"));
    // What it names with another content is no better for a signature: it may be of long ago.
    place.lock(&[one]);
    place.sign("ours", &lock, &[]);
    let state = place.state(&pins);
    assert!(state.contains(": not a content that is pinned"), "{state}");
    assert!(state.ends_with("--output DIR/plugins.lock && minisign -S -m DIR/plugins.lock"), "{state}");
}
