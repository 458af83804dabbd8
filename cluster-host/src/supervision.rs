//! Whether what has ended is started again: Erlang's restart types with a back-off between the tries.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use cluster_core::Backoff;

use crate::config::Restart;

/// How restarts are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestartPolicy {
    /// When to start again.
    pub restart: Restart,
    /// Restarts within `max_seconds` after which it is given up.
    pub max_restarts: u32,
    /// The time in which restarts are counted.
    pub max_seconds: Duration,
    /// How long to wait before each.
    pub backoff: Backoff,
}

/// The wait before a restart. Even at its shortest it keeps the restarts of what fails at once below OTP's default of
/// three within five seconds, so that with the defaults nothing is ever given up.
pub(crate) const RESTART_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(2), cap: Duration::from_secs(30) };

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Of its own accord.
    Finished,
    /// By an error, a panic, or because it could not be started.
    Failed(String),
}

/// What comes of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start again at this time.
    RestartAt(Instant),
    /// It has ended as it should.
    Done,
    /// It is given up, for this reason.
    GiveUp(String),
}

/// Remembers the restarts of one topology or connector.
#[derive(Debug)]
pub(crate) struct Supervision {
    policy: RestartPolicy,
    started: Instant,
    failures: u32,
    recent: VecDeque<Instant>,
    /// Restarts since the host started.
    pub(crate) restarts: u32,
}

// === impl Supervision ===

impl Supervision {
    /// Supervises an instance that starts now.
    #[must_use]
    pub(crate) fn new(policy: RestartPolicy, now: Instant) -> Self {
        Self { policy, started: now, failures: 0, recent: VecDeque::new(), restarts: 0 }
    }

    /// Judges by other rules from now on; what was counted counts.
    pub(crate) fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// Notes that an instance was started (again).
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = now;
    }

    /// Decides what comes of an end, with `random` between 0 and 1 for the jitter.
    pub(crate) fn ended(&mut self, exit: &Exit, now: Instant, random: f64) -> Decision {
        let RestartPolicy { restart, max_restarts, max_seconds, backoff } = self.policy;
        match (restart, exit) {
            (Restart::Permanent, _) | (Restart::Transient, Exit::Failed(_)) => {}
            (Restart::Transient | Restart::Temporary, Exit::Finished) => return Decision::Done,
            (Restart::Temporary, Exit::Failed(reason)) => {
                return Decision::GiveUp(format!(
                    "{reason} (restart = \"temporary\": it is not started again)"
                ));
            }
        }
        // Who ran for long enough begins with short waits again.
        if now.saturating_duration_since(self.started) > backoff.cap.saturating_mul(2) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) > max_seconds) {
            self.recent.pop_front();
        }
        if self.recent.len() >= usize::try_from(max_restarts).unwrap_or(usize::MAX) {
            let reason = match exit {
                Exit::Finished => "it ended",
                Exit::Failed(reason) => reason,
            };
            return Decision::GiveUp(format!(
                "{reason} (given up after {max_restarts} restarts within {} s; raise opts.max_restarts, or mend it; then `cluster-host reload`)",
                max_seconds.as_secs()
            ));
        }
        self.recent.push_back(now);
        self.restarts = self.restarts.saturating_add(1);
        Decision::RestartAt(now + backoff.wait(self.failures, random))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one reading as the origin of virtual time")]
mod tests {
    use super::*;

    fn policy(restart: Restart) -> RestartPolicy {
        RestartPolicy {
            restart,
            max_restarts: 3,
            max_seconds: Duration::from_secs(5),
            backoff: RESTART_BACKOFF,
        }
    }

    fn failed() -> Exit {
        Exit::Failed("no such host".to_owned())
    }

    /// The three restart types against the two ways to end.
    #[test]
    fn restart_types() {
        let now = Instant::now();
        let decide = |restart, exit| Supervision::new(policy(restart), now).ended(&exit, now, 1.0);
        let again = Decision::RestartAt(now + Duration::from_secs(2));
        assert_eq!(decide(Restart::Permanent, Exit::Finished), again);
        assert_eq!(decide(Restart::Permanent, failed()), again);
        assert_eq!(decide(Restart::Transient, Exit::Finished), Decision::Done);
        assert_eq!(decide(Restart::Transient, failed()), again);
        assert_eq!(decide(Restart::Temporary, Exit::Finished), Decision::Done);
        assert!(matches!(decide(Restart::Temporary, failed()), Decision::GiveUp(_)));
    }

    /// With the defaults what fails at once each time is tried for ever, whatever the jitter is.
    #[test]
    fn defaults_never_give_up() {
        for random in [0.0, 0.5, 1.0] {
            let mut now = Instant::now();
            let mut supervision = Supervision::new(policy(Restart::Permanent), now);
            for _ in 0..100 {
                let Decision::RestartAt(at) = supervision.ended(&failed(), now, random) else {
                    panic!("gave up")
                };
                now = at;
                supervision.started(now);
            }
        }
    }

    /// Waits grow with each failure, are short again after a long run, and too many restarts end in giving up.
    #[test]
    fn waits_and_gives_up() {
        let mut now = Instant::now();
        let mut supervision = Supervision::new(policy(Restart::Permanent), now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let Decision::RestartAt(at) = supervision.ended(&failed(), now, 1.0) else { panic!("gave up") };
            waits.push((at - now).as_millis());
            now = at;
            supervision.started(now);
        }
        assert_eq!(waits, [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
        now += Duration::from_secs(100);
        assert_eq!(supervision.ended(&failed(), now, 1.0), Decision::RestartAt(now + Duration::from_secs(2)));
        supervision.ended(&failed(), now, 0.0);
        supervision.ended(&failed(), now, 0.0);
        let Decision::GiveUp(reason) = supervision.ended(&failed(), now, 0.0) else {
            panic!("did not give up")
        };
        assert!(reason.starts_with("no such host (given up after 3 restarts within 5 s"), "{reason}");
    }
}
