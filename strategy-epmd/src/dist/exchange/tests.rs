//! The handshake over a stream in memory, against a peer that follows a script.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const COOKIE: &[u8] = b"secret";
const OURS: Name<'static> = Name::Static { name: "ours@h", creation: 7 };
const THEIRS: &str = "theirs@h";

const LENGTH: Length = Length::Two;

async fn send(stream: &mut DuplexStream, message: &Message) -> Result<(), HandshakeError> {
    Messages { stream, length: LENGTH }.send(message).await
}

async fn receive(stream: &mut DuplexStream) -> Result<Vec<u8>, HandshakeError> {
    Messages { stream, length: LENGTH }.receive().await
}

fn hello(cookie: &[u8]) -> Hello<'_> {
    Hello { name: OURS, cookie }
}

async fn put(stream: &mut DuplexStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await.unwrap();
}

fn challenge(name: &str) -> Vec<u8> {
    let name = name.to_owned();
    Message::Challenge { flags: Flags::OURS, challenge: 1, creation: 2, name }.encode()
}

/// What comes of a dial when the peer has sent these bytes and hung up.
async fn dialled(script: &[u8]) -> Result<Peer, HandshakeError> {
    let (mut ours, mut theirs) = duplex(64 * 1024);
    theirs.write_all(script).await.unwrap();
    let ours = async move { initiate(&mut ours, LENGTH, hello(COOKIE), Some(THEIRS)).await };
    let theirs = async move {
        theirs.shutdown().await.unwrap();
        let mut sent = Vec::new();
        // The other half is read to its end, so that nothing fails for want of room.
        theirs.read_to_end(&mut sent).await.unwrap();
    };
    tokio::join!(ours, theirs).0
}

fn framed(messages: &[&[u8]]) -> Vec<u8> {
    let frame =
        |message: &&[u8]| [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    messages.iter().flat_map(frame).collect()
}

/// We with ourselves: both sides know each other afterwards, with static and given names.
#[tokio::test]
async fn understand_each_other() {
    let (mut dialling, mut accepting) = duplex(4096);
    let accept = respond(&mut accepting, LENGTH, (THEIRS, 9), COOKIE, |name| {
        assert_eq!(name, "ours@h");
        Admission::Welcome(Status::Ok)
    });
    let (dialled, accepted) =
        tokio::join!(initiate(&mut dialling, LENGTH, hello(COOKIE), Some(THEIRS)), accept);
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!((dialled.name.as_str(), dialled.creation), (THEIRS, 9));
    assert_eq!((accepted.name.as_str(), accepted.creation), ("ours@h", 7));
    assert_eq!((dialled.own_name.as_str(), dialled.own_creation), ("ours@h", 7));
}

/// A cookie that differs is told on both sides.
#[tokio::test]
async fn wrong_cookie() {
    let (mut dialling, mut accepting) = duplex(4096);
    let accept = async move {
        let refused =
            respond(&mut accepting, LENGTH, (THEIRS, 9), b"other", |_| Admission::Welcome(Status::Ok)).await;
        drop(accepting);
        refused
    };
    let (dialled, accepted) =
        tokio::join!(initiate(&mut dialling, LENGTH, hello(COOKIE), Some(THEIRS)), accept);
    assert!(matches!(dialled, Err(HandshakeError::CookieRejected)), "{dialled:?}");
    assert!(matches!(accepted, Err(HandshakeError::PeerCookieMismatch)), "{accepted:?}");
}

/// A peer that lets us in without knowing the cookie itself is refused.
#[tokio::test]
async fn peer_without_the_cookie() {
    let (mut ours, mut theirs) = duplex(4096);
    let peer = async move {
        receive(&mut theirs).await.unwrap();
        put(&mut theirs, b"sok").await;
        put(&mut theirs, &challenge(THEIRS)).await;
        receive(&mut theirs).await.unwrap();
        put(&mut theirs, &Message::Ack { digest: proof(b"other", 5) }.encode()).await;
    };
    let (dialled, ()) = tokio::join!(initiate(&mut ours, LENGTH, hello(COOKIE), Some(THEIRS)), peer);
    assert!(matches!(dialled, Err(HandshakeError::PeerCookieMismatch)), "{dialled:?}");
}

/// Each status that ends it ends it with its own reason.
#[tokio::test]
async fn refusals() {
    type IsMeant = fn(&HandshakeError) -> bool;
    let cases: [(&[u8], IsMeant); 9] = [
        (b"snok", |error| matches!(error, HandshakeError::Nok)),
        (b"snot_allowed", |error| matches!(error, HandshakeError::NotAllowed)),
        (b"sperhaps", |error| matches!(error, HandshakeError::Message(MessageError::UnknownStatus(_)))),
        (b"strue", |error| matches!(error, HandshakeError::Unexpected)),
        (b"a0123456789abcdef", |error| matches!(error, HandshakeError::Unexpected)),
        (b"snamed:", |error| matches!(error, HandshakeError::Message(MessageError::Truncated))),
        (b"", |error| matches!(error, HandshakeError::Message(MessageError::Truncated))),
        (b"?", |error| matches!(error, HandshakeError::Message(MessageError::Unknown(b'?')))),
        (b"n\0\x05\0\0\0\0x", |error| matches!(error, HandshakeError::Message(MessageError::Unknown(b'n')))),
    ];
    for (status, is_meant) in cases {
        let error = dialled(&framed(&[status])).await.unwrap_err();
        assert!(is_meant(&error), "{}: {error:?}", String::from_utf8_lossy(status));
    }
    let other = dialled(&framed(&[b"sok", &challenge("another@h")])).await.unwrap_err();
    assert!(matches!(&other, HandshakeError::OtherNode { found } if found == "another@h"), "{other:?}");
    let old = dialled(&framed(&[b"sok", b"n\0\x05\0\0\0\0\0\0\0\0theirs@h"])).await.unwrap_err();
    assert!(old.to_string().contains("OTP 22"), "{old}");
    let tls = dialled(&[21, 3, 3, 0, 2, 2, 40]).await.unwrap_err();
    assert!(matches!(tls, HandshakeError::SpeaksTls), "{tls:?}");
    let http = dialled(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap_err();
    assert!(matches!(http, HandshakeError::TooLong(_)), "{http:?}");
}

/// A peer that hangs up after any byte costs an error, and it is the cookie's only where the cookie was at stake.
#[tokio::test]
async fn cut_anywhere() {
    let whole = framed(&[b"sok", &challenge(THEIRS), &Message::Ack { digest: [0; 16] }.encode()]);
    let before_the_ack = framed(&[b"sok", &challenge(THEIRS)]).len();
    for end in 0..whole.len() {
        let error = dialled(&whole[..end]).await.unwrap_err();
        let is_cookie = matches!(error, HandshakeError::CookieRejected);
        assert_eq!(is_cookie, end >= before_the_ack, "after {end} bytes: {error:?}");
        assert!(is_cookie || matches!(error, HandshakeError::Closed), "after {end} bytes: {error:?}");
    }
}

/// As A, an older link of our name is declared dead: the name is ours. As B, what the other says of it counts.
#[tokio::test]
async fn alive() {
    for is_dead in [true, false] {
        let (mut dialling, mut accepting) = duplex(4096);
        let dial = async move {
            let name = Message::Name { flags: Flags::OURS, creation: 7, name: "ours@h".to_owned() };
            send(&mut dialling, &name).await.unwrap();
            assert_eq!(receive(&mut dialling).await.unwrap(), b"salive");
            send(&mut dialling, &Message::Status(Status::IsDead(is_dead))).await.unwrap();
            receive(&mut dialling).await.is_ok()
        };
        let accept = async move {
            respond(&mut accepting, LENGTH, (THEIRS, 9), COOKIE, |_| Admission::Welcome(Status::Alive)).await
        };
        let (goes_on, accepted) = tokio::join!(dial, accept);
        assert_eq!(goes_on, is_dead);
        assert!(is_dead || matches!(accepted, Err(HandshakeError::Alive(_))), "{accepted:?}");
    }
    let (mut ours, mut theirs) = duplex(4096);
    let peer = async move {
        receive(&mut theirs).await.unwrap();
        put(&mut theirs, b"salive").await;
        assert_eq!(receive(&mut theirs).await.unwrap(), b"strue");
    };
    let _ended = tokio::join!(initiate(&mut ours, LENGTH, hello(COOKIE), Some(THEIRS)), peer);
}

/// Nobody is given a name here, and who cannot do what is needed is sent away.
#[tokio::test]
async fn who_is_not_let_in() {
    for flags in [Flags::OURS.with(Flags::NAME_ME), Flags(0)] {
        let (mut dialling, mut accepting) = duplex(4096);
        let name = Message::Name { flags, creation: 0, name: "x@h".to_owned() };
        send(&mut dialling, &name).await.unwrap();
        let refused =
            respond(&mut accepting, LENGTH, (THEIRS, 9), COOKIE, |_| Admission::Welcome(Status::Ok))
                .await
                .unwrap_err();
        assert!(matches!(refused, HandshakeError::NotAllowed | HandshakeError::Flags(_)), "{refused:?}");
    }
}
