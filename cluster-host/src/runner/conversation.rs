//! The conversation of the host with one runner, from its start to its end: one task on the host's runtime.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use cluster_sdk::abi::{
    host::{Call, HostCalls as _, PluginError, Receiver},
    table::{Code, ExitCode, LevelCode},
};
use tokio::{
    io::Interest,
    net::{UnixStream, unix::pipe},
    process::Child,
    sync::mpsc,
    time::sleep_until,
};

use super::{
    ending,
    frame::{FRAME_BYTES_MAX, FrameError, Incoming, Order, Said},
    output::Output,
};
use crate::{clock, connectors::Group};

/// How long a runner is given to load its plugin and to start the instance.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Bytes that wait to be written at most: then no further order is taken, and nothing is read that would be answered.
const OUTGOING_BYTES_MAX: usize = 1024 * 1024;
/// Reads of what lies in the socket before a sign of life is missed; each is of 16 KiB, and sockets hold 208 KiB.
const LATE_READS_MAX: u32 = 64;
/// Bytes of output that are read at once, and how often after the end.
const OUTPUT_READ_BYTES: usize = 4 * 1024;
const LAST_READS_MAX: u32 = 32;

/// What the host has to say.
#[derive(Debug)]
pub(super) enum Message {
    /// A frame.
    Order(Vec<u8>),
    /// The frame of a stop, and how long the runner may live.
    Stop(Vec<u8>, Duration),
}

/// One runner, as the host hears it.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The runner and what its plugin has started: killed when this is gone, which is before the runner is reaped.
    group: Option<Group>,
    child: Child,
    socket: UnixStream,
    pipe: Option<pipe::Receiver>,
    output: Output,
    incoming: Incoming,
    ear: Ear,
    times: Times,
}

/// What becomes of the frames of a runner.
#[derive(Debug)]
struct Ear {
    receiver: Arc<Receiver>,
    /// How the report under way went until now.
    report: Code,
    outgoing: Vec<u8>,
    started: bool,
    /// The last sign of life.
    beat: Option<Instant>,
}

/// When the patience with a runner is over.
#[derive(Debug)]
struct Times {
    hang_after: Duration,
    start_until: Instant,
    stop_until: Option<Instant>,
    /// When bytes were last taken by the runner, or there were none to take.
    taken: Instant,
}

/// Why a conversation is over.
#[derive(Debug)]
enum End {
    /// The instance has ended by its own word.
    Exited(ExitCode, Vec<u8>),
    /// It was never started.
    Refused(PluginError),
    /// Its end of the socket is closed.
    Closed,
    /// It sent what means nothing.
    Frame(FrameError),
    /// It gave no sign of life.
    Hung,
    /// It did not begin.
    NotStarted,
    /// It did not end when told to.
    Overdue,
    /// Nobody has a use for it.
    Abandoned,
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

// === impl Conversation ===

impl Conversation {
    pub(super) fn new(
        child: Child,
        (socket, output): (UnixStream, OwnedFd),
        receiver: Arc<Receiver>,
        hang_after: Duration,
    ) -> io::Result<Self> {
        let now = clock::now().instant;
        let ear =
            Ear { receiver, report: Code::OUT_OF_ORDER, outgoing: Vec::new(), started: false, beat: None };
        let times = Times { hang_after, start_until: now + START_WITHIN, stop_until: None, taken: now };
        Ok(Self {
            group: Some(Group::of(&child)),
            child,
            socket,
            pipe: Some(pipe::Receiver::from_owned_fd(output)?),
            output: Output::default(),
            incoming: Incoming::new(FRAME_BYTES_MAX),
            ear,
            times,
        })
    }

    /// Holds it to its end, which is told as the exit of the instance.
    pub(super) async fn hold(mut self, mut orders: mpsc::Receiver<Message>, first: Vec<u8>) {
        self.ear.outgoing = first;
        let end = loop {
            if let Err(end) = self.turn(&mut orders).await {
                break end;
            }
        };
        self.finish(end).await;
    }

    async fn turn(&mut self, orders: &mut mpsc::Receiver<Message>) -> Result<(), End> {
        self.write()?;
        let (has_room, is_empty) =
            (self.ear.outgoing.len() < OUTGOING_BYTES_MAX, self.ear.outgoing.is_empty());
        let interest = match (has_room, is_empty) {
            (_, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
        };
        let due = self.times.due(&self.ear);
        tokio::select! {
            ready = self.socket.ready(interest) => match ready {
                Ok(ready) if ready.is_readable() && has_room => self.read().map(drop),
                Ok(_) => Ok(()),
                Err(_) => Err(End::Closed),
            },
            message = orders.recv(), if has_room => self.send(message.ok_or(End::Abandoned)?),
            more = printed(self.pipe.as_ref()) => {
                self.print(more);
                Ok(())
            }
            () = sleep_until(due.into()) => {
                // A host that was busy itself finds the signs of life in the socket.
                for _read in 0..LATE_READS_MAX {
                    if !self.read()? {
                        break;
                    }
                }
                self.times.check(&self.ear)
            }
        }
    }

    fn send(&mut self, message: Message) -> Result<(), End> {
        let frame = match message {
            Message::Order(frame) => frame,
            Message::Stop(frame, within) => {
                if let Some(until) = clock::now().instant.checked_add(within) {
                    self.times.stop_until.get_or_insert(until);
                }
                frame
            }
        };
        self.ear.outgoing.extend(frame);
        self.write()
    }

    fn write(&mut self) -> Result<(), End> {
        if self.ear.outgoing.is_empty() {
            self.times.taken = clock::now().instant;
            return Ok(());
        }
        match self.socket.try_write(&self.ear.outgoing) {
            Ok(written) => {
                self.times.taken = clock::now().instant;
                self.ear.outgoing.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            // What it had to say before its end is still to be read.
            Err(_broken) => {
                self.ear.outgoing.clear();
                Ok(())
            }
        }
    }

    /// Reads once, and hears what is whole by then. Whether there was anything.
    fn read(&mut self) -> Result<bool, End> {
        match self.socket.try_read_buf(self.incoming.room()) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Ok(0) | Err(_) => return Err(End::Closed),
        }
        while let Some((tag, body)) = self.incoming.next()? {
            self.ear.hear(Said::read(tag, body)?)?;
        }
        self.write().map(|()| true)
    }

    fn print(&mut self, more: bool) {
        let Some(pipe) = &self.pipe else { return };
        let mut buffer = [0; OUTPUT_READ_BYTES];
        let ear = &self.ear;
        match pipe.try_read(&mut buffer) {
            Ok(read @ 1..) if more => {
                let printed = buffer.get(..read).unwrap_or_default();
                self.output.take(printed, clock::now().instant, &mut |line| ear.log(line));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.pipe = None,
        }
    }

    async fn finish(mut self, end: End) {
        // Whoever has closed its socket because it dies dies as it would have.
        drop(self.group.take());
        let status = self.child.wait().await;
        for _read in 0..LAST_READS_MAX {
            self.print(true);
        }
        let ear = &self.ear;
        self.output.end(clock::now().instant, &mut |line| ear.log(line));
        let killed = |why: &str| format!("its process was killed: {why}").into_bytes();
        let (kind, reason) = match end {
            End::Exited(kind, reason) => (kind, reason),
            End::Refused(error) => (ExitCode::FAILED, format!("cannot be started: {error}").into_bytes()),
            End::Closed => (ExitCode::FAILED, self.told(status).into_bytes()),
            End::Frame(error) => (ExitCode::FAILED, killed(&format!("it sent {error}"))),
            End::Hung => {
                let silent = self.times.hang_after;
                (ExitCode::FAILED, killed(&format!("no sign of life within {silent:?}")))
            }
            End::NotStarted => {
                (ExitCode::FAILED, killed(&format!("it did not start within {START_WITHIN:?}")))
            }
            End::Overdue => (ExitCode::STOPPED, killed("it did not end in time")),
            End::Abandoned => (ExitCode::STOPPED, Vec::new()),
        };
        self.ear.receiver.call(Call::Exited { kind, reason: &reason });
    }

    fn told(&self, status: io::Result<std::process::ExitStatus>) -> String {
        let told = status.map_or_else(|error| format!("its process is gone: {error}"), ending::told);
        match self.output.last() {
            Some(line) => format!("{told}; its last line was {line:?}"),
            None => told,
        }
    }
}

/// Waits for output. Where there will be none any more, for ever.
async fn printed(pipe: Option<&pipe::Receiver>) -> bool {
    match pipe {
        Some(pipe) => pipe.readable().await.is_ok(),
        None => std::future::pending().await,
    }
}

// === impl Ear ===

impl Ear {
    fn hear(&mut self, said: Said<'_>) -> Result<(), End> {
        let call = match said {
            Said::Call(call) => call,
            Said::Answer { code: Code::OK, .. } => {
                self.started = true;
                return Ok(());
            }
            Said::Answer { code, answer } => return Err(End::Refused(PluginError::decode(code, answer))),
        };
        match call {
            Call::Ping(_) => {
                self.beat = Some(clock::now().instant);
                self.receiver.call(call);
            }
            Call::ReportBegin { .. } => self.report = self.receiver.call(call),
            Call::ReportChunk { .. } if self.report == Code::OK => self.report = self.receiver.call(call),
            Call::ReportChunk { .. } => {}
            Call::ReportCommit => {
                let code = match std::mem::replace(&mut self.report, Code::OUT_OF_ORDER) {
                    Code::OK => self.receiver.call(call),
                    refused => refused,
                };
                Order::Committed(code).write(&mut self.outgoing);
            }
            Call::Exited { kind, reason } => return Err(End::Exited(kind, reason.to_vec())),
            call => _ = self.receiver.call(call),
        }
        Ok(())
    }

    fn log(&self, line: &str) {
        let (level, message) = (LevelCode::INFO, line.as_bytes());
        self.receiver.call(Call::Log { level, target: b"output", message });
    }
}

// === impl Times ===

impl Times {
    /// When patience is over, if nothing happens until then.
    fn due(&self, ear: &Ear) -> Instant {
        let start = (!ear.started).then_some(self.start_until);
        // One that cannot be calculated is never.
        let beat = ear.beat.and_then(|beat| beat.checked_add(self.hang_after));
        let waits = !ear.outgoing.is_empty() && ear.started;
        let taken = waits.then_some(self.taken).and_then(|taken| taken.checked_add(self.hang_after));
        let until = [start, beat, taken, self.stop_until].into_iter().flatten().min();
        until.unwrap_or_else(|| clock::now().instant + START_WITHIN)
    }

    fn check(&self, ear: &Ear) -> Result<(), End> {
        let now = clock::now().instant;
        if self.due(ear) > now {
            return Ok(());
        }
        Err(match self.stop_until {
            Some(until) if until <= now => End::Overdue,
            _ if !ear.started && self.start_until <= now => End::NotStarted,
            _ => End::Hung,
        })
    }
}
