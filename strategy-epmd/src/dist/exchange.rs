//! The handshake over a stream: who the other side is, and that both know the cookie.

#[cfg(test)]
mod tests;

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    flags::Flags,
    handshake::{MESSAGE_BYTES_MAX, Message, MessageError, Status, is_equal, proof},
};

/// How a TLS node answers what is not TLS: the type of an alert, and the version's first byte. As a length it would be
/// beyond the limit.
const TLS_ALERT: [u8; 2] = [21, 3];

/// The creation of a node of ours that is registered nowhere: any will do that OTP does not keep for itself.
pub(crate) const UNREGISTERED_CREATION: u32 = 4;

/// The length in front of each message of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Two bytes, over TCP.
    Two,
    /// Four bytes, over TLS: `inet_tls_dist` has them from the beginning.
    Four,
}

/// Who we are in a handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hello<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) cookie: &'a [u8],
}

/// A stream on which messages have their length in front.
struct Messages<'a, S> {
    stream: &'a mut S,
    length: Length,
}

/// What we are called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name<'a> {
    /// `name@host`, ours, with the creation that epmd gave.
    Static { name: &'a str, creation: u32 },
    /// The accepting node shall give us one with this host.
    Dynamic { host: &'a str },
}

/// The other side, proved to know the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) creation: u32,
    pub(crate) flags: Flags,
    /// What we are called on this link.
    pub(crate) own_name: String,
    pub(crate) own_creation: u32,
}

/// Why there is no link. The stream is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The other side ended the connection where it would have told that our proof is right.
    #[error("cookie rejected: both must have the same cookie")]
    CookieRejected,
    /// Our proof was taken, theirs is wrong.
    #[error("cookie rejected: it does not know our cookie")]
    PeerCookieMismatch,
    /// It refuses this node by name or for a missing ability; its log says which.
    #[error("it does not allow this node in (its log says why)")]
    NotAllowed,
    /// It dials us itself, or has our name.
    #[error("it goes on with a connection of its own")]
    Nok,
    /// It has a live link of this name, and that one is not ours.
    #[error("name in use: it has a live connection to a node called {0}")]
    Alive(String),
    /// Another node than expected listens there.
    #[error("{found} answers there")]
    OtherNode { found: String },
    /// It cannot do what is needed.
    #[error("it lacks abilities that are needed (flags {0:?}); OTP 23 is the oldest that is supported")]
    Flags(Flags),
    #[error("no Erlang distribution there: {0}")]
    Message(#[from] MessageError),
    #[error("a message of {0} bytes in the handshake: no Erlang distribution there")]
    TooLong(usize),
    /// What came is an alert of TLS.
    #[error("it speaks TLS: give the connector the tls options of its cluster")]
    SpeaksTls,
    #[error("an unexpected message in the handshake")]
    Unexpected,
    /// The connection ended before the cookies came into play.
    #[error(
        "it ended the connection in the handshake (a node with TLS distribution does, where none is configured)"
    )]
    Closed,
    #[error("the connection failed in the handshake: {}", .0.kind())]
    Io(io::Error),
}

/// Whether a node that dials us is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// `ok`, `ok_simultaneous`, or `alive`, after which the other side says whether the older link is dead.
    Welcome(Status),
    /// `nok` or `not_allowed`: the end.
    Refused(Status),
}

/// Dials: we are A. `expected` is the name that must answer; for none any does.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn initiate<S>(
    stream: &mut S,
    length: Length,
    hello: Hello<'_>,
    expected: Option<&str>,
) -> Result<Peer, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = Messages { stream, length };
    let (name, creation, flags) = match hello.name {
        Name::Static { name, creation } => (name, creation, Flags::OURS),
        Name::Dynamic { host } => (host, 0, Flags::OURS.with(Flags::NAME_ME)),
    };
    messages.send(&Message::Name { flags, creation, name: name.to_owned() }).await?;
    let (own_name, own_creation) = match Message::decode(&messages.receive().await?)? {
        Message::Status(Status::Named { name, creation }) => (name, creation),
        Message::Status(Status::Ok | Status::OkSimultaneous) => (name.to_owned(), creation),
        Message::Status(Status::Alive) => {
            // Who registered the name owns it: an older link of that name is a dead one of ours.
            messages.send(&Message::Status(Status::IsDead(true))).await?;
            (name.to_owned(), creation)
        }
        Message::Status(Status::Nok) => return Err(HandshakeError::Nok),
        Message::Status(Status::NotAllowed) => return Err(HandshakeError::NotAllowed),
        _ => return Err(HandshakeError::Unexpected),
    };
    let challenge = Message::decode_challenge(&messages.receive().await?)?;
    let Message::Challenge { flags, challenge, creation, name } = challenge else {
        return Err(HandshakeError::Unexpected);
    };
    if expected.is_some_and(|expected| expected != name) {
        return Err(HandshakeError::OtherNode { found: name });
    }
    check_flags(flags)?;
    let ours = random()?;
    messages.send(&Message::Reply { challenge: ours, digest: proof(hello.cookie, challenge) }).await?;
    let ack = match messages.receive().await {
        Err(HandshakeError::Closed) => return Err(HandshakeError::CookieRejected),
        other => Message::decode(&other?)?,
    };
    match ack {
        Message::Ack { digest } if is_equal(&digest, &proof(hello.cookie, ours)) => {
            Ok(Peer { name, creation, flags, own_name, own_creation })
        }
        Message::Ack { .. } => Err(HandshakeError::PeerCookieMismatch),
        _ => Err(HandshakeError::Unexpected),
    }
}

/// Greets a node and leaves it at its challenge, before any cookie comes into play: what it says of itself.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn greet<S>(stream: &mut S, name: &str) -> Result<Flags, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = Messages { stream, length: Length::Two };
    let (creation, name) = (UNREGISTERED_CREATION, name.to_owned());
    messages.send(&Message::Name { flags: Flags::OURS, creation, name }).await?;
    match Message::decode(&messages.receive().await?)? {
        Message::Status(Status::Ok | Status::OkSimultaneous) => {}
        // An earlier greeting is not forgotten there yet.
        Message::Status(Status::Nok | Status::Alive) => return Err(HandshakeError::Nok),
        _ => return Err(HandshakeError::Unexpected),
    }
    match Message::decode_challenge(&messages.receive().await?)? {
        Message::Challenge { flags, .. } => Ok(flags),
        _ => Err(HandshakeError::Unexpected),
    }
}

/// Accepts: we are B. `admit` decides on the name and what is under way with it.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn respond<S>(
    stream: &mut S,
    length: Length,
    (own_name, own_creation): (&str, u32),
    cookie: &[u8],
    admit: impl FnOnce(&str) -> Admission,
) -> Result<Peer, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = Messages { stream, length };
    let Message::Name { flags, creation, name } = Message::decode_name(&messages.receive().await?)? else {
        return Err(HandshakeError::Unexpected);
    };
    let admission = if flags.has(Flags::NAME_ME) {
        // Names are given by nodes that have something for them to see.
        Admission::Refused(Status::NotAllowed)
    } else {
        check_flags(flags)?;
        admit(&name)
    };
    let status = match admission {
        Admission::Welcome(status) => status,
        Admission::Refused(status) => {
            messages.send(&Message::Status(status.clone())).await?;
            return Err(if status == Status::Nok { HandshakeError::Nok } else { HandshakeError::NotAllowed });
        }
    };
    messages.send(&Message::Status(status.clone())).await?;
    if status == Status::Alive {
        match Message::decode(&messages.receive().await?)? {
            Message::Status(Status::IsDead(true)) => {}
            Message::Status(Status::IsDead(false)) => return Err(HandshakeError::Alive(name)),
            _ => return Err(HandshakeError::Unexpected),
        }
    }
    let ours = random()?;
    let challenge = Message::Challenge {
        flags: Flags::OURS,
        challenge: ours,
        creation: own_creation,
        name: own_name.to_owned(),
    };
    messages.send(&challenge).await?;
    let Message::Reply { challenge, digest } = Message::decode(&messages.receive().await?)? else {
        return Err(HandshakeError::Unexpected);
    };
    if !is_equal(&digest, &proof(cookie, ours)) {
        return Err(HandshakeError::PeerCookieMismatch);
    }
    messages.send(&Message::Ack { digest: proof(cookie, challenge) }).await?;
    Ok(Peer { name, creation, flags, own_name: own_name.to_owned(), own_creation })
}

fn check_flags(flags: Flags) -> Result<(), HandshakeError> {
    if flags.has(Flags::HANDSHAKE_23) { Ok(()) } else { Err(HandshakeError::Flags(flags)) }
}

fn random() -> Result<u32, HandshakeError> {
    getrandom::u32().map_err(|error| HandshakeError::Io(io::Error::other(error.to_string())))
}

// === impl Messages ===

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<'_, S> {
    /// One write for each message: two would wait for each other's acknowledgement.
    async fn send(&mut self, message: &Message) -> Result<(), HandshakeError> {
        let message = message.encode();
        let length = u16::try_from(message.len()).map_err(|_long| HandshakeError::TooLong(message.len()))?;
        let frame = match self.length {
            Length::Two => [&length.to_be_bytes()[..], &message].concat(),
            Length::Four => [&u32::from(length).to_be_bytes()[..], &message].concat(),
        };
        self.stream.write_all(&frame).await.map_err(of_io)?;
        self.stream.flush().await.map_err(of_io)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, HandshakeError> {
        let length = match self.length {
            Length::Two => {
                let length = self.array().await?;
                if length == TLS_ALERT {
                    return Err(HandshakeError::SpeaksTls);
                }
                usize::from(u16::from_be_bytes(length))
            }
            Length::Four => usize::try_from(u32::from_be_bytes(self.array().await?)).unwrap_or(usize::MAX),
        };
        if length > MESSAGE_BYTES_MAX {
            return Err(HandshakeError::TooLong(length));
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).await.map_err(of_io)?;
        Ok(message)
    }

    async fn array<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let mut array = [0; N];
        self.stream.read_exact(&mut array).await.map_err(of_io)?;
        Ok(array)
    }
}

fn of_io(error: io::Error) -> HandshakeError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            HandshakeError::Closed
        }
        _ => HandshakeError::Io(error),
    }
}
