//! The calls of an instance, carried to the host: the runner's end of the socket for whoever speaks.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use cluster_sdk::abi::{
    host::{Call, HostCalls},
    table::{CHUNK_BYTES_MAX, Code, LOCAL_BYTES_MAX},
};

use super::frame::{FRAME_BYTES_MAX, Said};

/// Bytes of a text of the plugin's at most; the rest is cut off.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that wait for the end of a report before they are sent all the same.
const WAITING_BYTES_MAX: usize = 32 * 1024;

/// Writes what is said. Writing waits where the host does not read.
#[derive(Debug)]
pub(super) struct Wire {
    sending: Mutex<Sending>,
    /// Reports are committed one after the other: the answers have no numbers.
    committing: Mutex<mpsc::Receiver<Code>>,
    committed: mpsc::Sender<Code>,
    exited: AtomicBool,
}

#[derive(Debug)]
struct Sending {
    socket: UnixStream,
    waiting: Vec<u8>,
}

// === impl Wire ===

impl Wire {
    pub(super) fn new(socket: UnixStream) -> Self {
        let (committed, committing) = mpsc::channel();
        let sending = Sending { socket, waiting: Vec::new() };
        let (sending, committing) = (Mutex::new(sending), Mutex::new(committing));
        Self { sending, committing, committed, exited: AtomicBool::new(false) }
    }

    /// Says something. That nobody hears it is noticed by who reads from the host.
    pub(super) fn say(&self, said: &Said<'_>) {
        lock(&self.sending).say(said).unwrap_or_default();
    }

    /// The answer to an order. One that is too large for a frame is another.
    pub(super) fn answer(&self, code: Code, answer: &[u8]) {
        let too_large = format!("its answer has {} bytes", answer.len());
        let fits = answer.len() < FRAME_BYTES_MAX / 2;
        let (code, answer) = if fits { (code, answer) } else { (Code::TOO_LARGE, too_large.as_bytes()) };
        self.say(&Said::Answer { code, answer });
    }

    /// How the commit of a report went.
    pub(super) fn committed(&self, code: Code) {
        // The receiver lives as long as the sender.
        self.committed.send(code).unwrap_or_default();
    }

    fn commit(&self) -> Code {
        let answers = lock(&self.committing);
        self.say(&Said::Call(Call::ReportCommit));
        answers.recv().unwrap_or(Code::STOPPING)
    }
}

impl HostCalls for Wire {
    fn call(&self, call: Call<'_>) -> Code {
        match call {
            Call::ReportChunk { records, .. } | Call::LinksChunk { records }
                if records.len() > CHUNK_BYTES_MAX =>
            {
                return Code::TOO_LARGE;
            }
            Call::Local { node } if node.len() > LOCAL_BYTES_MAX => return Code::OK,
            Call::ReportCommit => return self.commit(),
            Call::Exited { .. } => self.exited.store(true, Ordering::Release),
            _ => {}
        }
        self.say(&Said::Call(clipped(call)));
        Code::OK
    }

    fn has_exited(&self) -> bool {
        self.exited.load(Ordering::Acquire)
    }
}

// === impl Sending ===

impl Sending {
    fn say(&mut self, said: &Said<'_>) -> io::Result<()> {
        said.write(&mut self.waiting);
        let goes_on = matches!(
            said,
            Said::Call(
                Call::ReportBegin { .. }
                    | Call::ReportChunk { .. }
                    | Call::LinksBegin { .. }
                    | Call::LinksChunk { .. }
            )
        );
        if goes_on && self.waiting.len() < WAITING_BYTES_MAX {
            return Ok(());
        }
        let sent = self.socket.write_all(&self.waiting);
        self.waiting.clear();
        self.waiting.shrink_to(WAITING_BYTES_MAX);
        sent
    }
}

/// A call with texts that fit into a frame together.
fn clipped(call: Call<'_>) -> Call<'_> {
    let clip = |text| clip(text, TEXT_BYTES_MAX);
    match call {
        Call::Log { level, target, message } => {
            Call::Log { level, target: clip(target), message: clip(message) }
        }
        Call::Status { health, reason, counters } => {
            // JSON that is cut off is none: no counters then.
            Call::Status { health, reason: clip(reason), counters: clip(counters) }
        }
        Call::Completed { op, outcome, reason } => Call::Completed { op, outcome, reason: clip(reason) },
        Call::Link { generation, node, up, reason } => {
            Call::Link { generation, node: clip(node), up, reason: clip(reason) }
        }
        Call::Availability { available, reason } => Call::Availability { available, reason: clip(reason) },
        Call::Exited { kind, reason } => Call::Exited { kind, reason: clip(reason) },
        other => other,
    }
}

fn clip(text: &[u8], bytes_max: usize) -> &[u8] {
    text.get(..bytes_max).unwrap_or(text)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
