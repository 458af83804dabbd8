//! The receiving half as a value: datagrams and time go in; verdicts, changes and the wish to answer come out.

use std::{collections::BTreeSet, time::Instant};

use cluster_sdk::{Changes, LocalNode, NodeName};

use crate::{
    allow::Allow,
    cipher::{BLOCK_BYTES, Cipher, SEALED_BYTES_MIN},
    roster::{Heard, Message, Roster},
    verdict::Verdict,
    wire::{DATAGRAM_READ_BYTES_MAX, Heartbeat, Subject, WireError, is_probe},
};

/// Other clusters that are named in the log. Their datagrams are counted beyond that too.
const OTHER_CLUSTERS_MAX: usize = 32;
/// The name of a BEAM node that is not distributed. libcluster sends it all the same; nobody can connect to it.
const NAMELESS: &str = "nonode@nohost";

/// How datagrams are sealed.
#[derive(Debug, PartialEq)]
pub(crate) enum Envelope {
    /// There is no secret.
    Plain,
    /// With this secret.
    Sealed(Box<Cipher>),
    /// There should be a secret, but it could not be read yet: nothing is understood, nothing is sent.
    Locked,
}

/// Hears heartbeats.
#[derive(Debug)]
pub(crate) struct Listener {
    local: LocalNode,
    envelope: Envelope,
    allow: Allow,
    roster: Roster,
    wants_answer: bool,
    other_clusters: BTreeSet<String>,
    /// What compressed terms are inflated into.
    scratch: Vec<u8>,
}

// === impl Listener ===

impl Listener {
    /// Hears for this node.
    pub(crate) fn new(local: LocalNode, allow: Allow, roster: Roster) -> Self {
        Self {
            local,
            envelope: Envelope::Locked,
            allow,
            roster,
            wants_answer: false,
            other_clusters: BTreeSet::new(),
            scratch: Vec::new(),
        }
    }

    /// The local node changed.
    pub(crate) fn set_local(&mut self, local: LocalNode) {
        self.local = local;
    }

    /// The secret is there, or another one.
    pub(crate) fn set_envelope(&mut self, envelope: Envelope) {
        self.envelope = envelope;
    }

    /// How datagrams are sealed.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Judges a datagram, which is decrypted in place.
    pub(crate) fn handle_datagram(&mut self, now: Instant, bytes: &mut [u8]) -> Verdict {
        if bytes.len() > DATAGRAM_READ_BYTES_MAX {
            return Verdict::TooLarge;
        }
        if is_probe(bytes) {
            return Verdict::Probe;
        }
        let looks_sealed = looks_sealed(bytes);
        let mut scratch = std::mem::take(&mut self.scratch);
        let verdict =
            match open_sealed(&self.envelope, bytes).map(|plain| Heartbeat::decode(plain, &mut scratch)) {
                None => Verdict::Undecipherable,
                Some(Err(WireError::NoPrefix)) if looks_sealed => Verdict::Undecipherable,
                Some(Err(_)) => Verdict::Malformed,
                Some(Ok(heartbeat)) => self.handle_heartbeat(now, &heartbeat),
            };
        self.scratch = scratch;
        verdict
    }

    /// Whether somebody was heard who has not heard us. Asking takes it back.
    pub(crate) fn take_wants_answer(&mut self) -> bool {
        std::mem::take(&mut self.wants_answer)
    }

    /// What is to be reported now.
    pub(crate) fn poll_changes(&mut self, now: Instant) -> Option<Changes> {
        self.roster.poll_changes(now)
    }

    /// When [`Listener::poll_changes`] has something.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.roster.poll_timeout()
    }

    fn handle_heartbeat(&mut self, now: Instant, heartbeat: &Heartbeat<'_>) -> Verdict {
        if let Some(cluster) = heartbeat.cluster.filter(|cluster| *cluster != self.local.cluster) {
            self.note_other_cluster(cluster);
            return Verdict::OtherCluster;
        }
        let name = match &heartbeat.subject {
            Subject::Alive(name) => &**name,
            Subject::Leaving(name) => name,
        };
        if self.local.name.as_ref().is_some_and(|own| own.as_str() == name) {
            let is_later = heartbeat.incarnation.is_some_and(|other| other > self.local.incarnation);
            return if is_later { Verdict::Namesake } else { Verdict::Own };
        }
        if !self.roster.knows(name) {
            if name == NAMELESS {
                return Verdict::Nameless;
            }
            if NodeName::check(name).is_err() {
                return Verdict::BadName;
            }
            if !self.allow.host(name.rsplit('@').next().unwrap_or_default()) {
                return Verdict::NotAllowed;
            }
        }
        let message = Message { name, incarnation: heartbeat.incarnation, record: heartbeat.record };
        match &heartbeat.subject {
            Subject::Alive(_) => self.handle_alive(now, message),
            Subject::Leaving(_) => self.handle_leaving(now, message),
        }
    }

    fn handle_alive(&mut self, now: Instant, message: Message<'_>) -> Verdict {
        match self.roster.handle_alive(now, message, &self.allow) {
            Ok(Heard::Newcomer) => {
                self.wants_answer = true;
                Verdict::Accepted
            }
            Ok(Heard::Change | Heard::Refresh) => Verdict::Accepted,
            Ok(Heard::Stale) => Verdict::Stale,
            Ok(Heard::Refused) => Verdict::OverMembersMax,
            Err(_bad_record) => Verdict::Malformed,
        }
    }

    fn handle_leaving(&mut self, now: Instant, message: Message<'_>) -> Verdict {
        // Without one it would end incarnations to come too, and nobody sends that.
        let Some(incarnation) = message.incarnation else {
            return Verdict::Malformed;
        };
        match self.roster.handle_leaving(now, message.name, incarnation) {
            Ok(Heard::Stale) => Verdict::Stale,
            Ok(Heard::Refused) => Verdict::OverMembersMax,
            Ok(Heard::Newcomer | Heard::Change | Heard::Refresh) => Verdict::Goodbye,
            Err(_bad_name) => Verdict::BadName,
        }
    }

    fn note_other_cluster(&mut self, cluster: &str) {
        if self.other_clusters.len() >= OTHER_CLUSTERS_MAX || self.other_clusters.contains(cluster) {
            return;
        }
        self.other_clusters.insert(cluster.to_owned());
        let shown: String = cluster.chars().take(80).collect();
        tracing::warn!(
            other_cluster = shown,
            own_cluster = self.local.cluster,
            "heartbeats of another cluster are ignored"
        );
    }
}

/// What is in a datagram; nothing where it cannot be opened.
pub(crate) fn open_sealed<'a>(envelope: &Envelope, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    match envelope {
        Envelope::Plain => Some(bytes),
        Envelope::Sealed(cipher) => cipher.open(bytes),
        Envelope::Locked => None,
    }
}

/// Whether a datagram without the prefix has the size of a sealed one: junk may have too, but a secret that only
/// the others have is the likely reason.
pub(crate) fn looks_sealed(bytes: &[u8]) -> bool {
    bytes.len() >= SEALED_BYTES_MIN && bytes.len().is_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests;
