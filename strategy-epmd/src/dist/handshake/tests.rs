use proptest::prelude::*;

use super::*;

const COOKIE: &[u8] = b"fixturecookie";

/// A recorded frame without its length.
fn recorded(file: &str) -> Vec<u8> {
    let path =
        format!("{}/../tests/fixtures/libcluster/dist-handshake/{file}.bin", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (length, message) = bytes.split_first_chunk::<2>().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), message.len());
    message.to_vec()
}

/// The handshake of two real nodes is understood, proved by its digests, and written to the same bytes.
#[test]
fn recordings() {
    let name = Message::decode_name(&recorded("1-fxa-to-fxb-send_name")).unwrap();
    let Message::Name { flags, name: fxa, .. } = &name else { panic!("{name:?}") };
    assert_eq!(fxa, "fxa@127.0.0.1");
    assert!(flags.has(Flags::HANDSHAKE_23) && flags.has(Flags::PUBLISHED));
    let status = Message::decode(&recorded("2-fxb-to-fxa-status")).unwrap();
    assert_eq!(status, Message::Status(Status::Ok));
    let challenge = Message::decode_challenge(&recorded("3-fxb-to-fxa-challenge")).unwrap();
    let Message::Challenge { challenge: of_fxb, name: fxb, .. } = &challenge else { panic!("{challenge:?}") };
    assert_eq!((*of_fxb, fxb.as_str()), (0x93ef_d13d, "fxb@127.0.0.1"));
    let reply = Message::decode(&recorded("4-fxa-to-fxb-challenge_reply")).unwrap();
    assert_eq!(reply, Message::Reply { challenge: 0x2d8e_2bc2, digest: proof(COOKIE, *of_fxb) });
    let ack = Message::decode(&recorded("5-fxb-to-fxa-challenge_ack")).unwrap();
    assert_eq!(ack, Message::Ack { digest: proof(COOKIE, 0x2d8e_2bc2) });
    for (file, message) in [
        ("1-fxa-to-fxb-send_name", &name),
        ("2-fxb-to-fxa-status", &status),
        ("3-fxb-to-fxa-challenge", &challenge),
        ("4-fxa-to-fxb-challenge_reply", &reply),
        ("5-fxb-to-fxa-challenge_ack", &ack),
    ] {
        assert_eq!(message.encode(), recorded(file), "{file}");
    }
}

/// Each recorded message, cut anywhere, is an error.
#[test]
fn cut_anywhere() {
    type Decode = fn(&[u8]) -> Result<Message, MessageError>;
    let cases: [(&str, Decode); 5] = [
        ("1-fxa-to-fxb-send_name", Message::decode_name),
        ("2-fxb-to-fxa-status", Message::decode),
        ("3-fxb-to-fxa-challenge", Message::decode_challenge),
        ("4-fxa-to-fxb-challenge_reply", Message::decode),
        ("5-fxb-to-fxa-challenge_ack", Message::decode),
    ];
    for (file, decode) in cases {
        let bytes = recorded(file);
        for end in 0..bytes.len() {
            decode(&bytes[..end]).expect_err(file);
        }
    }
}

/// Each status is read as it is written; others are named.
#[test]
fn statuses() {
    let named = Status::Named { name: "X1@h".to_owned(), creation: 7 };
    for status in [
        Status::Ok,
        Status::OkSimultaneous,
        Status::Nok,
        Status::NotAllowed,
        Status::Alive,
        Status::IsDead(true),
        Status::IsDead(false),
        named,
    ] {
        let bytes = Message::Status(status.clone()).encode();
        assert_eq!(Message::decode(&bytes), Ok(Message::Status(status)));
    }
    assert_eq!(Message::decode(b"sperhaps"), Err(MessageError::UnknownStatus("perhaps".to_owned())));
    assert_eq!(Message::decode_name(b"n\0\x05"), Err(MessageError::TooOld));
}

proptest! {
    /// Junk never panics.
    #[test]
    fn junk(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _read = (Message::decode(&bytes), Message::decode_name(&bytes), Message::decode_challenge(&bytes));
    }
}
