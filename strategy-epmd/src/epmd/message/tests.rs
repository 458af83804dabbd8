use std::{collections::BTreeMap, fs, path::PathBuf};

use proptest::prelude::*;

use super::*;

fn recordings() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/libcluster/epmd");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

fn recording(name: &str) -> Vec<u8> {
    recordings().remove(name).unwrap_or_else(|| panic!("no recording {name}"))
}

/// What the three readers make of an answer: the name that is asked for is told apart by the first byte.
fn outcome(answer: &[u8]) -> String {
    match answer.first() {
        Some(0) => format!("{:?}", names_answer(answer)),
        Some(&tag::ALIVE2_RESP | &tag::ALIVE2_X_RESP) => format!("{:?}", alive_answer(answer)),
        _ => format!("{:?}", port_answer(answer)),
    }
}

/// Every recorded answer of a real epmd is read as its README says.
#[test]
fn recordings_decode() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 30);
    let fxa = "Ok(Some(Registered(Registered { port: 44881, kind: Visible, highest: 6, lowest: 5, alive: [102, 120, 97] })))";
    for (name, expected) in [
        ("alive2-duplicate-name", "Ok(Some(Taken))"),
        ("alive2-hidden-v6", "Ok(Some(Registered { creation: 1795378892 }))"),
        ("alive2-visible-v5", "Ok(Some(Registered { creation: 2 }))"),
        ("alive2-visible-v6", "Ok(Some(Registered { creation: 1795378236 }))"),
        ("beam-alive2-fxa", "Ok(Some(Registered { creation: 1795378228 }))"),
        ("beam-port-please2-fxb", &fxa.replace("44881", "36579").replace("97", "98")),
        ("dump-empty", r#"Err(Line("old/unused name <iv>, port = 43315, fd = 5"))"#),
        ("kill-refused-while-names-live", "Err(UnexpectedTag(78))"),
        ("names-empty", "Ok([])"),
        (
            "names-two-nodes",
            r#"Ok([Name { alive: "fxb", port: 33089 }, Name { alive: "fxa", port: 44881 }])"#,
        ),
        ("port-please2-fxa", fxa),
        ("port-please2-fxb", &fxa.replace("44881", "33089").replace("97", "98")),
        ("port-please2-unknown", "Ok(Some(NotRegistered))"),
        ("stop-refused", "Ok(None)"),
        ("unknown-request-Q", "Ok(None)"),
    ] {
        assert_eq!(outcome(&recordings[&format!("{name}.resp")]), expected, "{name}");
    }
}

/// What is asked here is byte for byte what real nodes ask, and what a real epmd answered.
#[test]
fn requests_are_the_recorded_ones() {
    let alive = |alive, port, kind| alive_request(alive, port, kind).unwrap();
    for (name, request) in [
        ("beam-port-please2-fxb", port_request("fxb").unwrap()),
        ("port-please2-fxa", port_request("fxa").unwrap()),
        ("port-please2-fxb", port_request("fxb").unwrap()),
        ("port-please2-unknown", port_request("nosuch").unwrap()),
        ("names-empty", names_request()),
        ("names-two-nodes", names_request()),
        ("beam-alive2-fxa", alive("fxa", 0xb64f, NodeKind::Visible)),
        ("alive2-duplicate-name", alive("fxa", 0x9c43, NodeKind::Visible)),
        ("alive2-hidden-v6", alive("rusthid", 0x9c42, NodeKind::Hidden)),
        ("alive2-visible-v6", alive("rustnode", 0x9c41, NodeKind::Visible)),
    ] {
        assert_eq!(request, recording(&format!("{name}.req")), "{name}");
    }
    let too_long = "n".repeat(ALIVE_BYTES_MAX + 1);
    for name in ["", &too_long] {
        assert_eq!(port_request(name), Err(MessageError::NameLength(name.len())));
        assert_eq!(alive_request(name, 1, NodeKind::Hidden), Err(MessageError::NameLength(name.len())));
    }
}

/// An answer that is cut off, anywhere, is the beginning of one: it is never taken for a whole one.
#[test]
fn cut_off_answers_are_beginnings() {
    for (name, answer) in recordings() {
        let Some(name) = name.strip_suffix(".resp") else { continue };
        for end in 0..answer.len() {
            let cut = &answer[..end];
            if name.starts_with("port") || name.starts_with("beam-port") {
                assert_eq!(port_answer(cut), Ok(None), "{name} {end}");
            } else if name == "alive2-duplicate-name" {
                assert_eq!(alive_answer(cut).unwrap().is_some(), end > 1, "the result alone says it");
            } else if name.contains("alive2") {
                assert_eq!(alive_answer(cut), Ok(None), "{name} {end}");
            }
        }
    }
}

/// A list that is cut off is an error but where that cannot be seen: between lines, and in the last number.
#[test]
fn cut_off_names() {
    let answer = recording("names-two-nodes.resp");
    let errors = (0..answer.len()).filter(|end| names_answer(&answer[..*end]).is_err()).count();
    // Whole are: no line, none of or one to five digits of a port, and the newline behind it, of either node.
    assert_eq!(answer.len() - errors, 1 + 6 + 5);
    assert_eq!(names_answer(&answer[..3]), Err(MessageError::Truncated));
}

/// White space does no harm; a line of another form is told, and not too much of it.
#[test]
fn lines_of_names() {
    let parse = |text: &str| names_answer(format!("\0\0\x11\x11{text}").as_bytes());
    let name = |alive: &str, port| Name { alive: alive.to_owned(), port };
    assert_eq!(parse("\n\r\n  \n"), Ok(Vec::new()));
    assert_eq!(parse("name a at port 1\r\n\nname é at port 65535"), Ok(vec![name("a", 1), name("é", 65535)]));
    assert_eq!(parse("name at port 1 at port 2\n"), Ok(vec![name("at port 1", 2)]));
    for bad in
        ["name a at port", "name a at port 65536", "name a at port -1", "name  at port 1", "a at port 1"]
    {
        assert_eq!(parse(&format!("name b at port 1\n{bad}\n")), Err(MessageError::Line(bad.to_owned())));
    }
    let long = format!("{:?}", parse(&"x".repeat(100_000)).unwrap_err());
    assert!(long.len() < 100, "{long}");
    assert_eq!(
        names_answer(b"\0\0\x11\x11name \xff at port 1\n").unwrap_err().to_string(),
        "the line \"name \u{fffd} at port 1\" is not of the form \"name NAME at port PORT\""
    );
}

proptest! {
    /// Junk, and junk behind the first bytes of each answer, makes no reader panic.
    #[test]
    fn junk(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), first in 0_usize..8) {
        let begin: [&[u8]; 8] =
            [b"", b"w", b"w\0", b"v\0", b"y\0", b"\0\0\x11\x11", b"\0\0\x11\x11name ", b"\0\0\x11\x11name a at port "];
        let mut answer = begin[first].to_vec();
        answer.append(&mut bytes);
        drop((port_answer(&answer), alive_answer(&answer), names_answer(&answer)));
    }

    /// What is registered comes back from an epmd that repeats it.
    #[test]
    fn registered_round_trip(port: u16, kind: u8, alive in "[a-z]{1,255}") {
        let request = alive_request(&alive, port, kind.into()).unwrap();
        let mut answer = b"w\0".to_vec();
        answer.extend_from_slice(&request[3..]);
        let Ok(Some(PortAnswer::Registered(node))) = port_answer(&answer) else { panic!("{answer:?}") };
        prop_assert_eq!((node.port, node.kind, u8::from(node.kind)), (port, NodeKind::from(kind), kind));
        prop_assert_eq!((node.highest, node.lowest, node.alive), (6, 5, alive.into_bytes()));
    }
}
