use std::{collections::BTreeMap, fs, path::PathBuf};

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::cipher::Cipher;

fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/libcluster");
    let mut files = BTreeMap::new();
    for folder in ["gossip", "gossip-negative"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "bin") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                files.insert(format!("{folder}/{name}"), fs::read(path).unwrap());
            }
        }
    }
    files
}

/// What a reader with this secret makes of a datagram, names shortened to be readable.
fn outcome(datagram: &[u8], secret: Option<&str>) -> String {
    let mut bytes = datagram.to_vec();
    let mut scratch = Vec::new();
    let plain = match secret {
        None => Some(&*bytes),
        Some(secret) => Cipher::new(secret).open(&mut bytes),
    };
    let Some(plain) = plain else {
        return "undecipherable".to_owned();
    };
    match Heartbeat::decode(plain, &mut scratch) {
        Ok(Heartbeat { subject: Subject::Alive(name), cluster: None, incarnation: None, record: [] }) => {
            let (chars, name) =
                (name.chars().count(), name.replace(&"n".repeat(200), "…").replace(&"日".repeat(245), "…"));
            format!("{name} ({chars})")
        }
        other => format!("{other:?}"),
    }
}

/// Every recorded and derived datagram decodes to what its README says: under one of the five secrets to a name,
/// under all others to nothing.
#[test]
fn fixtures_decode_as_recorded() {
    let files = fixtures();
    assert_eq!(files.len(), 38);
    let lines = files.into_iter().map(|(name, datagram)| {
        let outcomes = [None, Some("somepassword"), Some("s"), Some(""), Some("pässwörd")]
            .map(|secret| (secret, outcome(&datagram, secret)))
            .into_iter()
            .filter(|(_, outcome)| outcome != "undecipherable" && outcome != "Err(NoPrefix)")
            .map(|(secret, outcome)| match secret {
                None => outcome,
                Some(secret) => format!("{outcome} under {secret:?}"),
            })
            .collect::<Vec<_>>();
        format!("{name}: {}\n", outcomes.join(", "))
    });
    let table: String = lines.collect();
    expect![[r#"
        gossip-negative/accepted-oddity-nil-node: nil (3)
        gossip-negative/accepted-oddity-no-at-sign: nohost (6)
        gossip-negative/accepted-oddity-secret-plus-5-trailing: 
        gossip-negative/accepted-oddity-secret-zero-padding: 
        gossip-negative/crash-empty-etf: Err(Term(Truncated))
        gossip-negative/crash-garbage-etf: Err(Term(UnexpectedTag(103)))
        gossip-negative/crash-secret-somepassword-garbage-etf: 
        gossip-negative/crash-truncated-plain: Err(Term(Truncated))
        gossip-negative/ignored-node-is-binary: Err(Term(UnexpectedTag(109)))
        gossip-negative/ignored-prefix-partial: 
        gossip-negative/ignored-secret-15-bytes: 
        gossip-negative/ignored-secret-bad-prefix: 
        gossip-negative/ignored-secret-iv-only: 
        gossip-negative/ignored-secret-truncated-by-1: 
        gossip-negative/ignored-secret-truncated-by-16: 
        gossip-negative/ignored-string-key: Err(NoSubject)
        gossip-negative/ignored-tuple-payload: Err(Term(UnexpectedTag(104)))
        gossip-negative/ignored-wrong-secret: 
        gossip/derived-compressed: a@127.0.0.1 (11)
        gossip/derived-extra-keys: a@127.0.0.1 (11)
        gossip/derived-otp25-cjk: n1@日本.local (11)
        gossip/derived-otp26-atom-utf8-ext-118: …@127.0.0.1 (255)
        gossip/derived-otp26-plain-a@127.0.0.1: a@127.0.0.1 (11)
        gossip/derived-otp26-secret-fixed-iv: a@127.0.0.1 (11) under "somepassword"
        gossip/derived-otp26-utf8-cjk: n1@日本.local (11)
        gossip/derived-otp26-utf8-latin1: n1@höst.local (13)
        gossip/derived-trailing-bytes: a@127.0.0.1 (11)
        gossip/real-plain-210char: …@127.0.0.1 (210)
        gossip/real-plain-255char: …nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn@127.0.0.1 (255)
        gossip/real-plain-a@127.0.0.1: a@127.0.0.1 (11)
        gossip/real-plain-a@b.c: a@b.c (5)
        gossip/real-plain-latin1-host: n1@höst.local (13)
        gossip/real-plain-nonode@nohost: nonode@nohost (13)
        gossip/real-secret-empty: a@127.0.0.1 (11) under ""
        gossip/real-secret-s-fullpadblock: a@b.c (5) under "s"
        gossip/real-secret-somepassword-1: a@127.0.0.1 (11) under "somepassword"
        gossip/real-secret-somepassword-2: a@127.0.0.1 (11) under "somepassword"
        gossip/real-secret-utf8: a@127.0.0.1 (11) under "pässwörd"
    "#]]
    .assert_eq(&table);
}

/// The fixed vector: OTP 26's plain heartbeat under a known secret and IV, byte for byte.
#[test]
fn encodes_as_otp_26() {
    let files = fixtures();
    let heartbeat = Heartbeat {
        subject: Subject::Alive("a@127.0.0.1".into()),
        cluster: None,
        incarnation: None,
        record: &[],
    };
    let plain = heartbeat.encode();
    assert_eq!(plain, files["gossip/derived-otp26-plain-a@127.0.0.1"]);
    let iv = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(Cipher::new("somepassword").seal(&plain, iv), files["gossip/derived-otp26-secret-fixed-iv"]);

    let long = format!("{}@127.0.0.1", "日".repeat(245));
    let heartbeat = Heartbeat { subject: Subject::Alive(long.into()), ..heartbeat };
    assert_eq!(heartbeat.encode(), files["gossip/derived-otp26-atom-utf8-ext-118"]);
}

/// A map in words, with `node` where it is needed, for what can be wrong with one.
fn map(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = [PREFIX, &[VERSION]].concat();
    write_map(&mut bytes, u8::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    bytes
}

/// What is wrong with a map is told; keys that are not known are no fault, whatever is in them.
#[test]
fn maps() {
    let atom = |text: &str| {
        let mut bytes = Vec::new();
        write_atom(&mut bytes, text);
        bytes
    };
    let binary = |content: &[u8]| {
        let mut bytes = Vec::new();
        write_binary(&mut bytes, content);
        bytes
    };
    let name = (&*atom("node"), &*atom("a@b"));
    let error = |pairs: &[(&[u8], &[u8])]| Heartbeat::decode(&map(pairs), &mut Vec::new()).map(|_| ()).err();
    assert_eq!(error(&[name]), None);
    assert_eq!(error(&[(&binary(b"x"), &[104, 1, 106]), (&atom("y"), &[97, 1]), name]), None);
    assert_eq!(error(&[]), Some(WireError::NoSubject));
    assert_eq!(error(&[name, name]), Some(WireError::DoubleKey));
    assert_eq!(error(&[name, (&atom("leaving"), &binary(b"a@b"))]), Some(WireError::NoSubject));
    assert_eq!(error(&[name, (&atom("incarnation"), &binary(b"1"))]), Some(WireError::BadValue));
    assert_eq!(error(&[name, (&atom("cluster"), &binary(&[0xff]))]), Some(WireError::BadValue));
    assert_eq!(error(&[name, (&atom("cluster"), &atom("c"))]), Some(EtfError::UnexpectedTag(119).into()));
}

proptest! {
    /// What is encoded is decoded again, and cut off anywhere it is an error.
    #[test]
    fn round_trip(
        name in "[a-zé日]{1,60}@[a-z0-9.]{1,30}",
        leaving: bool,
        cluster in prop::option::of("\\PC{0,20}"),
        incarnation: Option<u64>,
        record in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let subject = if leaving { Subject::Leaving(&name) } else { Subject::Alive(name.as_str().into()) };
        let heartbeat = Heartbeat { subject, cluster: cluster.as_deref(), incarnation, record: &record };
        let bytes = heartbeat.encode();
        let mut scratch = Vec::new();
        prop_assert_eq!(Heartbeat::decode(&bytes, &mut scratch), Ok(heartbeat));
        for cut in 0..bytes.len() {
            prop_assert!(Heartbeat::decode(&bytes[..cut], &mut Vec::new()).is_err());
        }
    }
}
