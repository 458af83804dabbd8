//! A node of ours at the local epmd.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::{
    Epmd, EpmdError, NodeKind,
    client::{Answer, Question},
    message::{ANSWER_BYTES_MAX, AliveAnswer, alive_answer, alive_request},
};

/// A name that is registered at epmd for as long as this lives and epmd does.
#[derive(Debug)]
pub(crate) struct Registration {
    creation: u32,
    /// The connection is the registration: epmd forgets the name when it ends.
    stream: TcpStream,
}

// === impl Registration ===

impl Registration {
    /// Registers a node that listens at `port`; `alive` is its name without the host. epmd takes registrations from
    /// its own machine alone: [`Epmd::local`] is the one to give.
    pub(crate) async fn register(
        epmd: &Epmd,
        alive: &str,
        port: u16,
        kind: NodeKind,
        within: Duration,
    ) -> Result<Self, EpmdError> {
        let request = alive_request(alive, port, kind).map_err(|what| epmd.bad_name(alive, what))?;
        let question = Question {
            request: &request,
            answer_bytes_max: ANSWER_BYTES_MAX,
            parse: |bytes, _is_end| alive_answer(bytes),
        };
        // One that is taken at one address of epmd is so at the others: they are one epmd.
        let Answer { value, stream, .. } = epmd.ask(&question, within, |_| Ok(())).await?;
        match value {
            AliveAnswer::Registered { creation } => Ok(Self { creation, stream }),
            AliveAnswer::Taken => Err(EpmdError::NameTaken { alive: alive.to_owned(), at: epmd.at() }),
        }
    }

    /// Tells this node from earlier ones of its name.
    pub(crate) fn creation(&self) -> u32 {
        self.creation
    }

    /// Waits until epmd does not know the name any more: it has ended, or was restarted. May be dropped and called
    /// anew.
    pub(crate) async fn lost(&mut self) {
        // epmd says nothing more on this connection. If it did, that would mean nothing.
        let mut ignored = [0; 64];
        while !matches!(self.stream.read(&mut ignored).await, Ok(0) | Err(_)) {}
    }
}
