//! The run loop: the only place with a clock, sockets and tasks.
//!
//! One task does it all. It never waits for anything but the next event: a socket that cannot be opened is tried again
//! later, names are resolved beside it, and of a flood it takes a batch at a time, looking at the clock and at the
//! stop in between.

mod resolver;
mod socket;

use std::{
    collections::BTreeSet,
    future,
    net::SocketAddrV4,
    pin::pin,
    time::{Duration, Instant},
};

use cluster_sdk::{Backoff, Context, Error, Result, StopReason, View};
use tokio::time::{sleep, sleep_until};

use self::{
    resolver::{ADDRESSES_MAX, Answer, Resolver},
    socket::{Open, SocketError},
};
use crate::{
    allow::Allow,
    announcement::Announcement,
    cipher::{BLOCK_BYTES, Cipher},
    config::Config,
    health::{Health, Trouble},
    listener::{Envelope, Listener},
    roster::Roster,
    schedule::Schedule,
    verdict::{Tally, VERDICTS, Verdict},
    wire::DATAGRAM_READ_BYTES_MAX,
};

/// Datagrams that are received before the clock is looked at again.
const BATCH_DATAGRAMS_MAX: usize = 64;
/// The secret is read anew after this time.
const SECRET_INTERVAL: Duration = Duration::from_secs(5);
/// Intervals without any heartbeat, not even the own one, after which multicast is taken to be blocked.
const SILENT_INTERVALS: u32 = 3;
/// A goodbye is sent so often, because datagrams get lost, and
const GOODBYES: usize = 3;
/// this long apart, because they get lost together.
const GOODBYE_INTERVAL: Duration = Duration::from_millis(5);
/// Between tries to open the socket.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// Runs until the topology stops.
pub(crate) async fn run(config: Config, ctx: &Context) -> Result<()> {
    let mut stopping = pin!(ctx.stopping());
    ctx.report(View::partial([]))?;
    let mut session = Session::new(config, ctx.clone(), now());
    loop {
        let due = session.handle_timeouts(now());
        tokio::select! {
            biased;
            reason = &mut stopping => {
                if reason == StopReason::Leave {
                    session.say_goodbye().await;
                }
                return Ok(());
            }
            () = ctx.local_changed() => session.handle_local(now()),
            answer = session.resolver.next() => session.handle_answer(answer),
            () = sleep_until(due.into()) => {}
            readable = readable(session.socket.open.as_ref()) => {
                let is_flood = match readable {
                    Ok(()) => session.receive(now()),
                    Err(err) => {
                        session.close(now(), &Open::receive_error(err));
                        false
                    }
                };
                if is_flood {
                    // Others on this thread, such as who sends the counters, get their turn.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// The clock of the runtime.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits until the socket has something; for ever while there is none.
async fn readable(open: Option<&Open>) -> std::io::Result<()> {
    match open {
        Some(open) => open.readable().await,
        None => future::pending().await,
    }
}

/// The state of a running topology.
#[derive(Debug)]
struct Session {
    config: Config,
    ctx: Context,
    listener: Listener,
    /// Absent while the local node has no name: then nothing is sent.
    voice: Option<Voice>,
    socket: SocketState,
    resolver: Resolver,
    /// What each entry of `unicast` resolved to last.
    resolved: Vec<Vec<SocketAddrV4>>,
    /// Where heartbeats go: the group first, then the resolved.
    destinations: Vec<SocketAddrV4>,
    /// When the secret is read next; never where there is none.
    secret_due: Option<Instant>,
    /// When any heartbeat was heard last, or the socket opened.
    heard_at: Instant,
    health: Health,
    /// Verdicts that were told in the log: the first of a kind is.
    told: Vec<Verdict>,
    /// Whether it was told that nothing is announced.
    told_nameless: bool,
    random: fastrand::Rng,
    buffer: Vec<u8>,
}

/// What is said, and when.
#[derive(Debug)]
struct Voice {
    announcement: Announcement,
    schedule: Schedule,
}

/// The socket and when it is to be opened (again).
#[derive(Debug)]
struct SocketState {
    open: Option<Open>,
    retry_at: Option<Instant>,
    failures: u32,
}

// === impl Session ===

impl Session {
    fn new(config: Config, ctx: Context, now: Instant) -> Self {
        let roster = Roster::new(config.heartbeat_timeout.get());
        let mut listener = Listener::new(ctx.local(), Allow::new(config.allow.clone()), roster);
        if config.secret.is_none() {
            listener.set_envelope(Envelope::Plain);
        }
        let mut session = Self {
            listener,
            voice: None,
            socket: SocketState {
                open: None,
                retry_at: Some(now),
                failures: 0,
            },
            resolver: Resolver::new(&config.unicast, config.port),
            resolved: vec![Vec::new(); config.unicast.len()],
            destinations: vec![SocketAddrV4::new(config.multicast_addr, config.port.get())],
            secret_due: config.secret.as_ref().map(|_secret| now),
            heard_at: now,
            health: Health::default(),
            told: Vec::new(),
            told_nameless: false,
            random: fastrand::Rng::new(),
            buffer: vec![0; DATAGRAM_READ_BYTES_MAX + 1],
            config,
            ctx,
        };
        session.handle_local(now);
        session
    }

    /// The local node has a name, or another one, or something else of it changed.
    fn handle_local(&mut self, now: Instant) {
        let local = self.ctx.local();
        self.health.clear(Trouble::Size);
        self.voice = match &local.name {
            None => {
                if !std::mem::replace(&mut self.told_nameless, true) {
                    tracing::info!("the local node has no name: gossip listens and announces nothing");
                }
                None
            }
            Some(name) => {
                self.told_nameless = false;
                let announcement = Announcement::try_new(&local, name, self.config.secret.is_some());
                let announcement = announcement.unwrap_or_else(|too_large| {
                    let reason = format!("{too_large}; until then addresses and attributes are left out");
                    self.health.set(Trouble::Size, reason);
                    Announcement::bare(&local, name)
                });
                let mut schedule = match self.voice.take() {
                    Some(voice) => voice.schedule,
                    None => Schedule::new(now, self.config.heartbeat_interval.get()),
                };
                schedule.ask();
                Some(Voice {
                    announcement,
                    schedule,
                })
            }
        };
        self.listener.set_local(local);
    }

    /// A name in `unicast` was resolved. Until it is again, the last answer counts.
    fn handle_answer(&mut self, answer: Answer) {
        let trouble = Trouble::Resolve(answer.target);
        match answer.addresses {
            Err(reason) => self.health.set(trouble, reason),
            Ok(addresses) => {
                self.health.clear(trouble);
                if let Some(resolved) = self.resolved.get_mut(answer.target) {
                    *resolved = addresses;
                }
                let group = SocketAddrV4::new(self.config.multicast_addr, self.config.port.get());
                let unicast: BTreeSet<_> = self.resolved.iter().flatten().copied().collect();
                let before = std::mem::take(&mut self.destinations);
                self.destinations = std::iter::once(group)
                    .chain(unicast)
                    .take(1 + ADDRESSES_MAX)
                    .collect();
                if self.destinations != before {
                    self.ask();
                }
            }
        }
    }

    /// Does what is due, and says when to come again.
    fn handle_timeouts(&mut self, now: Instant) -> Instant {
        if self.secret_due.is_some_and(|due| now >= due) {
            self.read_secret();
            self.secret_due = Some(now + SECRET_INTERVAL);
        }
        if self.socket.retry_at.is_some_and(|due| now >= due) {
            self.open(now);
        }
        self.send_if_due(now);
        if let Some(changes) = self.listener.poll_changes(now)
            && let Err(refused) = self.ctx.apply(changes)
        {
            // The host shows why. Each node is in the report of its next heartbeat again.
            tracing::debug!(%refused, "changes were refused");
        }
        let silence_due = self.silence_due();
        if silence_due.is_some_and(|due| now >= due) {
            self.note_silence(now);
        }
        match self.health.reason() {
            Some(reason) => self.ctx.degraded(&reason),
            None => self.ctx.healthy(),
        }
        let voice_due = self.voice.as_ref().map(|voice| voice.schedule.poll_timeout());
        [
            self.secret_due,
            self.socket.retry_at,
            voice_due,
            self.listener.poll_timeout(),
            self.silence_due(),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now + SECRET_INTERVAL)
    }

    fn read_secret(&mut self) {
        let Some(secret) = &self.config.secret else { return };
        match secret.reveal() {
            Ok(text) => {
                self.health.clear(Trouble::Secret);
                let envelope = Envelope::Sealed(Box::new(Cipher::new(&text)));
                if *self.listener.envelope() != envelope {
                    self.listener.set_envelope(envelope);
                    self.ask();
                }
            }
            Err(err) => self.health.set(Trouble::Secret, format!("{:#}", Error::new(err))),
        }
    }

    /// Asks for a heartbeat outside of the schedule.
    fn ask(&mut self) {
        if let Some(voice) = &mut self.voice {
            voice.schedule.ask();
        }
    }

    // --- the socket ---

    fn open(&mut self, now: Instant) {
        // The port may not be shared with ourselves: first the old one goes.
        self.socket.open = None;
        self.socket.retry_at = None;
        self.heard_at = now;
        match Open::try_new(&self.config) {
            Ok(mut open) => {
                match open.group_error.take() {
                    None => self.health.clear(Trouble::Socket),
                    Some(err) => self.retry(now, Trouble::Socket, &err),
                }
                self.socket.open = Some(open);
                self.ask();
            }
            Err(err) => self.retry(now, Trouble::Socket, &err),
        }
    }

    fn close(&mut self, now: Instant, err: &SocketError) {
        self.socket.open = None;
        self.retry(now, Trouble::Socket, err);
    }

    /// The socket is to be opened anew after a while.
    fn retry(&mut self, now: Instant, trouble: Trouble, err: &SocketError) {
        self.health.set(trouble, err.to_string());
        if self.socket.retry_at.is_none() {
            self.socket.failures = self.socket.failures.saturating_add(1);
            self.socket.retry_at = Some(now + RETRY.wait(self.socket.failures, self.random.f64()));
        }
    }

    /// When silence is taken for trouble: only where own heartbeats go out by multicast and should come back.
    fn silence_due(&self) -> Option<Instant> {
        let is_expected = self.voice.is_some()
            && !self.config.broadcast_only
            && self.socket.open.is_some()
            && ![Trouble::Secret, Trouble::Socket, Trouble::Send]
                .into_iter()
                .any(|trouble| self.health.has(trouble));
        is_expected.then(|| self.heard_at + self.config.heartbeat_interval.get() * SILENT_INTERVALS)
    }

    fn note_silence(&mut self, now: Instant) {
        let group = SocketAddrV4::new(self.config.multicast_addr, self.config.port.get());
        let wait = self.config.heartbeat_interval.get() * SILENT_INTERVALS;
        let hint = if self.config.if_addr.is_unspecified() {
            "multicast may be blocked: set multicast_if, or list the nodes in unicast".to_owned()
        } else {
            format!(
                "a socket bound to if_addr {} hears no multicast on Linux: set multicast_if in its place",
                self.config.if_addr
            )
        };
        let reason = format!("no heartbeat heard on {group} for {wait:?}, not even our own: {hint}");
        self.health.set(Trouble::Silence, reason);
        // The interface may have gone and come back, and the membership of the group with the old one.
        self.open(now);
    }

    // --- receiving ---

    /// Takes a batch of datagrams. Whether there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let mut tally = Tally::default();
        let mut failed = None;
        let mut received = 0;
        while received < BATCH_DATAGRAMS_MAX {
            let Some(open) = &self.socket.open else { break };
            match open.try_receive(&mut self.buffer) {
                Ok(Some(bytes)) => {
                    received += 1;
                    let datagram = self.buffer.get_mut(..bytes).unwrap_or_default();
                    tally.add(self.listener.handle_datagram(now, datagram));
                }
                Ok(None) => break,
                Err(err) => {
                    failed = Some(err);
                    break;
                }
            }
        }
        for (verdict, count) in tally.iter() {
            self.ctx.count(verdict.counter(), count);
            self.tell_first(verdict);
            if verdict.is_heartbeat() {
                self.heard_at = now;
                self.health.clear(Trouble::Silence);
            }
        }
        if self.listener.take_wants_answer() {
            self.ask();
        }
        if let Some(err) = failed {
            self.close(now, &Open::receive_error(err));
        }
        received == BATCH_DATAGRAMS_MAX
    }

    /// The log has the first datagram of each kind; the counters have all.
    fn tell_first(&mut self, verdict: Verdict) {
        if self.told.len() == VERDICTS.len() || self.told.contains(&verdict) {
            return;
        }
        self.told.push(verdict);
        if verdict == Verdict::Namesake {
            tracing::warn!(
                "another node, started later, announces our name: one of the two needs another name"
            );
        } else {
            tracing::debug!(counter = verdict.counter(), "first datagram of its kind");
        }
    }

    // --- sending ---

    fn send_if_due(&mut self, now: Instant) {
        let Some(voice) = &mut self.voice else { return };
        if !voice.schedule.handle_timeout(now, &mut self.random) {
            return;
        }
        let heartbeat = voice.announcement.heartbeat.clone();
        if self.send(now, &heartbeat) {
            self.ctx.count("heartbeats_sent", 1);
        }
    }

    /// Sends to all destinations; whether it went out to any.
    fn send(&mut self, now: Instant, plain: &[u8]) -> bool {
        let sealed = match self.listener.envelope() {
            Envelope::Plain => None,
            Envelope::Locked => return false,
            Envelope::Sealed(cipher) => {
                let mut iv = [0; BLOCK_BYTES];
                if let Err(err) = getrandom::fill(&mut iv) {
                    self.health
                        .set(Trouble::Send, format!("cannot encrypt: no random numbers: {err}"));
                    return false;
                }
                Some(cipher.seal(plain, iv))
            }
        };
        let Some(open) = &self.socket.open else {
            return false;
        };
        let datagram = sealed.as_deref().unwrap_or(plain);
        let (mut sent, mut group_error, mut error) = (0_u64, None, None);
        for (index, destination) in self.destinations.iter().enumerate() {
            match open.try_send(datagram, *destination) {
                Ok(true) => sent += 1,
                // As lost as on the network.
                Ok(false) => self.ctx.count("datagrams_unsent", 1),
                Err(err) if index == 0 => group_error = Some(err),
                Err(err) => error = error.or(Some(err)),
            }
        }
        self.ctx.count("datagrams_sent", sent);
        match (group_error, error) {
            (Some(err), _) => self.retry(now, Trouble::Send, &err),
            (None, Some(err)) => self.health.set(Trouble::Send, err.to_string()),
            (None, None) => self.health.clear(Trouble::Send),
        }
        if !self.health.has(Trouble::Send) && !self.health.has(Trouble::Socket) {
            self.socket.failures = 0;
        }
        sent > 0
    }

    async fn say_goodbye(&mut self) {
        let Some(goodbye) = self
            .voice
            .as_ref()
            .map(|voice| voice.announcement.goodbye.clone())
        else {
            return;
        };
        for turn in 0..GOODBYES {
            if turn > 0 {
                sleep(GOODBYE_INTERVAL).await;
            }
            self.send(now(), &goodbye);
        }
    }
}
