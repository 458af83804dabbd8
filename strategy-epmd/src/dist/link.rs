//! An established link: a task that reads, one that writes, ticks in both directions, and the reason of its end.
//!
//! A node that hears nothing for its `net_ticktime` takes the other for dead. How long that is is not told in the
//! handshake, so two things are done: a tick of our own each quarter of ours, and an answer to each tick that is
//! received. The answer is left out where something was written a moment ago: two hosts would answer each other's
//! answers for ever.

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::mpsc,
    task::{AbortHandle, spawn_local},
    time::{Instant, sleep_until},
};

use super::{
    control::Control,
    frame::{self, Frame, Frames, Payload, TICK},
    term::Term,
};

/// Frames that may wait to be written; of more the link is too slow to go on with.
const QUEUE_FRAMES_MAX: usize = 1_024;
/// Bytes that are asked for at once.
const READ_BYTES: usize = 16 * 1024;
/// A received tick is not answered within this time of the last write.
const ANSWER_PAUSE: Duration = Duration::from_millis(500);

/// What a link runs over: TCP or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// OTP's default.
pub(crate) const NET_TICKTIME: Duration = Duration::from_secs(60);

/// After which time without a byte the other node takes us for dead, and we it after a quarter more. It may change
/// while the link is there: of the local BEAM node it is known after the first question only.
#[derive(Debug, Clone)]
pub(crate) struct Ticking(Rc<Cell<Duration>>);

/// The writing end. Dropping the last clone ends the link.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Vec<u8>>,
    _ends_with_it: Rc<Tasks>,
}

/// What is heard of a link.
pub(crate) type Heard = mpsc::Receiver<Word>;

/// A message, or the reason of the end, which is the last word.
#[derive(Debug)]
pub(crate) enum Word {
    Message(Control, Option<Payload>),
    Ended(String),
}

/// The link does not take any more: it has ended, or nobody reads at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link takes nothing")]
pub(crate) struct NotTaken;

/// Aborts the tasks of a link with its last handle.
#[derive(Debug)]
struct Tasks([AbortHandle; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

// === impl Ticking ===

impl Ticking {
    pub(crate) fn new(net_ticktime: Duration) -> Self {
        Self(Rc::new(Cell::new(net_ticktime)))
    }

    pub(crate) fn set(&self, net_ticktime: Duration) {
        self.0.set(net_ticktime);
    }

    fn interval(&self) -> Duration {
        self.0.get() / 4
    }

    /// How long a node may be silent.
    pub(crate) fn silence_max(&self) -> Duration {
        self.0.get() + self.interval()
    }
}

// === impl Writer ===

impl Writer {
    /// Sends a message, without waiting.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn send(&self, control: &Term, payload: Option<&Term>) -> Result<(), NotTaken> {
        self.queue.try_send(frame::encode(control, payload)).map_err(|_full_or_ended| NotTaken)
    }
}

/// Runs a link over a stream whose handshake is done.
pub(crate) fn start(stream: impl Stream + 'static, ticking: Ticking) -> (Writer, Heard) {
    let (reading, writing) = split(stream);
    let (queue, queued) = mpsc::channel(QUEUE_FRAMES_MAX);
    let (words, heard) = mpsc::channel(QUEUE_FRAMES_MAX);
    let written = Rc::new(Cell::new(Instant::now()));
    let reader = Reader {
        stream: reading,
        ticks: queue.downgrade(),
        words: words.clone(),
        written: Rc::clone(&written),
    };
    let reader = spawn_local(async move {
        let reason = reader.run(&ticking).await;
        // Who listened may have gone.
        let _gone = words.send(Word::Ended(reason)).await;
    });
    let writer = spawn_local(write(writing, queued, written));
    let tasks = Rc::new(Tasks([reader.abort_handle(), writer.abort_handle()]));
    (Writer { queue, _ends_with_it: tasks }, heard)
}

/// Writes what waits. An error is left to the reader, which sees the end of the connection too.
async fn write<S: AsyncWrite + Unpin>(
    mut stream: WriteHalf<S>,
    mut queued: mpsc::Receiver<Vec<u8>>,
    written: Rc<Cell<Instant>>,
) {
    while let Some(mut bytes) = queued.recv().await {
        while let Ok(more) = queued.try_recv() {
            bytes.extend_from_slice(&more);
        }
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        written.set(Instant::now());
    }
}

struct Reader<S> {
    stream: ReadHalf<S>,
    /// Weak: the reader alone keeps no link alive.
    ticks: mpsc::WeakSender<Vec<u8>>,
    words: mpsc::Sender<Word>,
    written: Rc<Cell<Instant>>,
}

// === impl Reader ===

impl<S: AsyncRead> Reader<S> {
    /// Reads until the end, whose reason it gives.
    async fn run(mut self, ticking: &Ticking) -> String {
        let mut frames = Frames::default();
        let mut received = Instant::now();
        let mut tick_due = received + ticking.interval();
        loop {
            let silent_at = received + ticking.silence_max();
            let buffer = frames.buffer();
            buffer.reserve(READ_BYTES);
            tokio::select! {
                read = self.stream.read_buf(buffer) => match read {
                    Ok(0) => return "it ended the connection".to_owned(),
                    Ok(_) => received = Instant::now(),
                    Err(error) => return format!("the connection failed: {}", error.kind()),
                },
                () = sleep_until(tick_due.min(silent_at)) => {
                    let now = Instant::now();
                    if now >= silent_at {
                        return format!("silent for {:?}: it is frozen or cannot be reached", ticking.silence_max());
                    }
                    if now.saturating_duration_since(self.written.get()) + ANSWER_PAUSE >= ticking.interval() {
                        self.tick();
                    }
                    tick_due = now + ticking.interval();
                    continue;
                }
            }
            loop {
                match frames.next() {
                    Ok(Some(Frame::Tick)) => self.answer_tick(),
                    Ok(Some(Frame::Message { control, payload })) => {
                        // Waiting here holds up the other node by TCP, which is what its flood deserves.
                        if self.words.send(Word::Message(control, payload)).await.is_err() {
                            return "nobody listens any more".to_owned();
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return error.to_string(),
                }
            }
        }
    }

    fn answer_tick(&self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.written.get()) >= ANSWER_PAUSE {
            self.tick();
            self.written.set(now);
        }
    }

    fn tick(&self) {
        if let Some(queue) = self.ticks.upgrade() {
            // Where the queue is full, what is in it is as good as a tick.
            let _full = queue.try_send(TICK.to_vec());
        }
    }
}

#[cfg(test)]
mod tests;
