//! What became of a datagram: each kind is a counter, and a bad datagram costs that and nothing else.

/// The verdict on one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A heartbeat of a node of our cluster.
    Accepted,
    /// A goodbye of a node of our cluster.
    Goodbye,
    /// Our own, come back by the loop.
    Own,
    /// Somebody else, started later, uses our name.
    Namesake,
    /// Of another cluster, by its own word.
    OtherCluster,
    /// No heartbeat at all.
    Malformed,
    /// We have a secret and it was not sealed with it, or we have none and it looks sealed.
    Undecipherable,
    /// More than [`crate::wire::DATAGRAM_READ_BYTES_MAX`] bytes.
    TooLarge,
    /// Of a BEAM node that is not distributed, `nonode@nohost`.
    Nameless,
    /// The name is not of the form `name@host`.
    BadName,
    /// The name's host is outside the `allow` option.
    NotAllowed,
    /// Of an incarnation that is over.
    Stale,
    /// One name more than [`crate::roster::MEMBERS_MAX`].
    OverMembersMax,
    /// Of somebody who looks whether datagrams come through.
    Probe,
}

/// Every verdict, in the order of their numbers.
pub(crate) const VERDICTS: [Verdict; 14] = [
    Verdict::Accepted,
    Verdict::Goodbye,
    Verdict::Own,
    Verdict::Namesake,
    Verdict::OtherCluster,
    Verdict::Malformed,
    Verdict::Undecipherable,
    Verdict::TooLarge,
    Verdict::Nameless,
    Verdict::BadName,
    Verdict::NotAllowed,
    Verdict::Stale,
    Verdict::OverMembersMax,
    Verdict::Probe,
];

/// How many datagrams got which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; VERDICTS.len()]);

// === impl Verdict ===

impl Verdict {
    /// The name of the counter.
    pub(crate) fn counter(self) -> &'static str {
        match self {
            Self::Accepted => "datagrams_accepted",
            Self::Goodbye => "datagrams_goodbye",
            Self::Own => "datagrams_own",
            Self::Namesake => "datagrams_namesake",
            Self::OtherCluster => "datagrams_other_cluster",
            Self::Malformed => "datagrams_malformed",
            Self::Undecipherable => "datagrams_undecipherable",
            Self::TooLarge => "datagrams_too_large",
            Self::Nameless => "datagrams_nameless",
            Self::BadName => "datagrams_bad_name",
            Self::NotAllowed => "datagrams_not_allowed",
            Self::Stale => "datagrams_stale",
            Self::OverMembersMax => "datagrams_over_members_max",
            Self::Probe => "datagrams_probe",
        }
    }

    /// Whether it was a heartbeat, whoever sent it: then the network carries heartbeats.
    pub(crate) fn is_heartbeat(self) -> bool {
        !matches!(self, Self::Malformed | Self::Undecipherable | Self::TooLarge | Self::Probe)
    }
}

// === impl Tally ===

impl Tally {
    /// Counts one.
    pub(crate) fn add(&mut self, verdict: Verdict) {
        if let Some(count) = self.0.get_mut(verdict as usize) {
            *count += 1;
        }
    }

    /// The counters that are not 0.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Verdict, u64)> {
        VERDICTS.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// How many in all.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
