use std::{
    fs::{self, Permissions},
    os::unix::fs::symlink,
};

use super::*;

fn read(content: &[u8], mode: u32) -> Result<Found, CookieError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cookie");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    CookieSource::File(path).read()
}

/// One line's end at the end does not count; everything else does.
#[test]
fn trimmed() {
    for (content, cookie) in [
        (&b"abc"[..], &b"abc"[..]),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b" abc ", b" abc "),
        (b"a\tb", b"a\tb"),
    ] {
        assert_eq!(read(content, 0o400).unwrap().cookie.reveal(), cookie);
    }
}

/// What cannot be a cookie is refused, with the file in the text and nothing of its content.
#[test]
fn refused() {
    let long = vec![b'x'; COOKIE_BYTES_MAX + 1];
    for (content, reason) in
        [(&b""[..], "is empty"), (b"\n", "is empty"), (b"s3cret\nmore", "line's end"), (&long, "more than")]
    {
        let text = read(content, 0o400).unwrap_err().to_string();
        assert!(text.contains(reason) && text.contains("/cookie") && !text.contains("s3cret"), "{text}");
    }
    let missing = CookieSource::File("/nonexistent/cookie".into()).read().unwrap_err();
    assert!(missing.to_string().contains("/nonexistent/cookie"), "{missing}");
    let directory = CookieSource::File("/".into()).read().unwrap_err();
    assert!(matches!(directory, CookieError::NotAFile(_)), "{directory}");
    let unset = CookieSource::Variable("SURELY_NOT_SET".to_owned()).read().unwrap_err();
    assert!(unset.to_string().contains("SURELY_NOT_SET"), "{unset}");
}

/// A file that everybody can read is told; one of a group is meant so.
#[test]
fn exposed() {
    assert!(read(b"abc", 0o644).unwrap().exposed.is_some());
    for mode in [0o400, 0o600, 0o440] {
        assert!(read(b"abc", mode).unwrap().exposed.is_none());
    }
}

/// As a secret of Kubernetes is: a link to a link that is exchanged when the secret changes.
#[test]
fn behind_links() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for version in ["1", "2"] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("cookie"), format!("secret{version}\n")).unwrap();
    }
    symlink(at("1"), at("data")).unwrap();
    symlink(at("data").join("cookie"), at("cookie")).unwrap();
    let source = CookieSource::File(at("cookie"));
    assert_eq!(source.read().unwrap().cookie.reveal(), b"secret1");
    symlink(at("2"), at("next")).unwrap();
    fs::rename(at("next"), at("data")).unwrap();
    assert_eq!(source.read().unwrap().cookie.reveal(), b"secret2");
}

/// Nothing of it is shown.
#[test]
fn never_shown() {
    let found = read(b"s3cret", 0o644).unwrap();
    assert!(!format!("{found:?}").contains("s3cret"));
}
