//! A running topology: what comes in goes to the listener, what is due goes out.

use std::time::{Duration, Instant};

use cluster_sdk::{Context, Error};
use tokio::time::sleep;

use super::{now, resolver::Answer, transport::Transport};
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

/// The state of a running topology.
#[derive(Debug)]
pub(super) struct Session {
    config: Config,
    ctx: Context,
    listener: Listener,
    /// Absent while the local node has no name, or does not take part: then nothing is sent.
    voice: Option<Voice>,
    pub(super) transport: Transport,
    /// When the secret is read next; never where there is none.
    secret_due: Option<Instant>,
    /// When any heartbeat was heard last, or the socket opened.
    heard_at: Instant,
    health: Health,
    /// Verdicts that were told in the log: the first of a kind is.
    told: Vec<Verdict>,
    /// Why nothing is announced, as it was told last.
    told_silent: Option<&'static str>,
    random: fastrand::Rng,
    buffer: Vec<u8>,
}

/// What is said, and when.
#[derive(Debug)]
struct Voice {
    announcement: Announcement,
    schedule: Schedule,
}

// === impl Session ===

impl Session {
    pub(super) fn new(config: Config, ctx: Context, now: Instant) -> Self {
        let roster = Roster::new(config.heartbeat_timeout.get());
        let mut listener = Listener::new(ctx.local(), Allow::new(config.allow.clone()), roster);
        if config.secret.is_none() {
            listener.set_envelope(Envelope::Plain);
        }
        let mut session = Self {
            listener,
            voice: None,
            transport: Transport::new(&config, now),
            secret_due: config.secret.as_ref().map(|_secret| now),
            heard_at: now,
            health: Health::default(),
            told: Vec::new(),
            told_silent: None,
            random: fastrand::Rng::new(),
            buffer: vec![0; DATAGRAM_READ_BYTES_MAX + 1],
            config,
            ctx,
        };
        session.handle_local(now);
        session
    }

    /// The local node has a name, or another one, or has come or gone, or something else of it changed. One that goes is
    /// not said to leave: its incarnation may be back.
    pub(super) fn handle_local(&mut self, now: Instant) {
        let local = self.ctx.local();
        self.health.clear(Trouble::Size);
        if let Some(name) = local.name.as_ref().filter(|_| local.present) {
            self.told_silent = None;
            let announcement = Announcement::try_new(&local, name, self.config.secret.is_some());
            let announcement = announcement.unwrap_or_else(|too_large| {
                let reason = format!("{too_large}; until then addresses and attributes are left out");
                self.health.set(Trouble::Size, reason);
                Announcement::bare(&local, name)
            });
            let mut schedule = match self.voice.take() {
                Some(voice) => voice.schedule,
                None => {
                    // Until now nothing of its own was to be heard.
                    self.heard_at = now;
                    Schedule::new(now, self.config.heartbeat_interval.get())
                }
            };
            schedule.ask();
            self.voice = Some(Voice { announcement, schedule });
        } else {
            self.voice = None;
            let why = if local.present { "has no name" } else { "does not take part" };
            if self.told_silent.replace(why) != Some(why) {
                tracing::info!("the local node {why}: gossip listens and announces nothing");
            }
        }
        self.listener.set_local(local);
    }

    /// A name in `unicast` was resolved. Until it is again, the last answer counts.
    pub(super) fn handle_answer(&mut self, answer: Answer) {
        let trouble = Trouble::Resolve(answer.target);
        match answer.addresses {
            Err(reason) => self.health.set(trouble, reason),
            Ok(addresses) => {
                self.health.clear(trouble);
                if self.transport.set_resolved(answer.target, addresses) {
                    self.ask();
                }
            }
        }
    }

    /// Does what is due, and says when to come again.
    pub(super) fn handle_timeouts(&mut self, now: Instant) -> Instant {
        if self.secret_due.is_some_and(|due| now >= due) {
            self.read_secret();
            self.secret_due = Some(now + SECRET_INTERVAL);
        }
        if self.transport.retry_at().is_some_and(|due| now >= due) {
            self.open(now);
        }
        self.send_if_due(now);
        if let Some(changes) = self.listener.poll_changes(now)
            && let Err(refused) = self.ctx.apply(changes)
        {
            // The host shows why. Each node is in the report of its next heartbeat again.
            tracing::debug!(%refused, "changes were refused");
        }
        if self.silence_due().is_some_and(|due| now >= due) {
            self.note_silence(now);
        }
        match self.health.reason() {
            Some(reason) => self.ctx.degraded(&reason),
            None => self.ctx.healthy(),
        }
        let voice_due = self.voice.as_ref().map(|voice| voice.schedule.poll_timeout());
        let (listener_due, socket_due) = (self.listener.poll_timeout(), self.transport.retry_at());
        [self.secret_due, socket_due, voice_due, listener_due, self.silence_due()]
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
            // Until it can be read again the last one counts.
            Err(err) => self.health.set(Trouble::Secret, format!("{:#}", Error::new(err))),
        }
    }

    /// Asks for a heartbeat outside of the schedule.
    fn ask(&mut self) {
        if let Some(voice) = &mut self.voice {
            voice.schedule.ask();
        }
    }

    fn open(&mut self, now: Instant) {
        self.transport.open(now, &self.config, &mut self.health);
        self.heard_at = now;
        self.ask();
    }

    /// When silence is taken for trouble: only where own heartbeats go out by multicast and should come back.
    fn silence_due(&self) -> Option<Instant> {
        let is_expected = self.voice.is_some()
            && !self.config.broadcast_only
            && self.transport.is_open()
            && ![Trouble::Secret, Trouble::Socket, Trouble::Send]
                .iter()
                .any(|trouble| self.health.has(*trouble));
        is_expected.then(|| self.heard_at + self.silence_max())
    }

    fn silence_max(&self) -> Duration {
        self.config.heartbeat_interval.get().saturating_mul(SILENT_INTERVALS)
    }

    fn note_silence(&mut self, now: Instant) {
        let if_addr = self.config.if_addr;
        let hint = if if_addr.is_unspecified() {
            "multicast may be blocked: set multicast_if, or list the nodes in unicast".to_owned()
        } else {
            format!(
                "a socket bound to if_addr {if_addr} hears no multicast on Linux: set multicast_if in its place"
            )
        };
        let (group, wait) = (self.transport.group(), self.silence_max());
        let reason = format!("no heartbeat heard on {group} for {wait:?}, not even our own: {hint}");
        self.health.set(Trouble::Silence, reason);
        // The interface may have gone and come back, and the membership of the group with the old one.
        self.open(now);
    }

    /// Takes a batch of datagrams. Whether there may be more.
    pub(super) fn receive(&mut self, now: Instant) -> bool {
        let mut tally = Tally::default();
        let mut received = 0;
        while received < BATCH_DATAGRAMS_MAX {
            match self.transport.try_receive(&mut self.buffer) {
                Ok(Some(bytes)) => {
                    received += 1;
                    let datagram = self.buffer.get_mut(..bytes).unwrap_or_default();
                    tally.add(self.listener.handle_datagram(now, datagram));
                }
                Ok(None) => break,
                Err(err) => {
                    self.fail(now, err);
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
        received == BATCH_DATAGRAMS_MAX
    }

    /// The socket failed to receive.
    pub(super) fn fail(&mut self, now: Instant, err: std::io::Error) {
        self.transport.close(now, err, &mut self.health);
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

    fn send_if_due(&mut self, now: Instant) {
        let Some(voice) = &mut self.voice else { return };
        if voice.schedule.handle_timeout(now, &mut self.random) {
            let heartbeat = voice.announcement.heartbeat.clone();
            self.send(now, &heartbeat);
        }
    }

    /// Sends to all destinations, sealed where there is a secret.
    fn send(&mut self, now: Instant, plain: &[u8]) {
        let sealed = match self.listener.envelope() {
            Envelope::Plain => None,
            Envelope::Locked => return,
            Envelope::Sealed(cipher) => {
                let mut iv = [0; BLOCK_BYTES];
                if let Err(err) = getrandom::fill(&mut iv) {
                    self.health.set(
                        Trouble::Send,
                        format!("cannot encrypt: the system has no random numbers: {err}"),
                    );
                    return;
                }
                Some(cipher.seal(plain, iv))
            }
        };
        let count = self.transport.send(now, sealed.as_deref().unwrap_or(plain), &mut self.health);
        for (counter, count) in [("datagrams_sent", count.sent), ("datagrams_unsent", count.unsent)] {
            if count > 0 {
                self.ctx.count(counter, count);
            }
        }
    }

    /// Tells the others that the local node leaves.
    pub(super) async fn say_goodbye(&mut self) {
        // It may have gone just now.
        if !self.ctx.local().present {
            return;
        }
        let Some(voice) = &self.voice else { return };
        let goodbye = voice.announcement.goodbye.clone();
        for turn in 0..GOODBYES {
            if turn > 0 {
                sleep(GOODBYE_INTERVAL).await;
            }
            self.send(now(), &goodbye);
        }
    }
}
