//! What goes wrong, on purpose.

use std::time::Duration;

use crate::kind::Verb;

/// A way in which the server fails its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this HTTP status and, where it is given, `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answers 200, with a page of HTML.
    Garbage,
    /// Answers lists with no items. Concerns lists only.
    EmptyList,
    /// Takes the request and never answers.
    Hang,
    /// Tears the connection instead of an answer.
    Reset,
    /// Cuts the first line of a watch in the middle and ends it there. Concerns watches only.
    TruncatedLine,
    /// Ends watches at once after their start. Concerns watches only.
    CloseWatches,
    /// Sends so many bytes of the body each time this much time is over.
    SlowBytes {
        /// Bytes at a time.
        bytes: usize,
        /// Time between them.
        every: Duration,
    },
}

/// The faults that are on, the latest first asked.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// Nothing: whatever the fault concerns.
    verb: Option<Verb>,
    /// Requests that it is still for; nothing: all.
    times: Option<usize>,
}

// === impl Fault ===

impl Fault {
    /// 500, as of a server whose etcd is in trouble.
    pub const INTERNAL: Self = Self::Status(500, None);
    /// 503, as of a proxy whose server is away.
    pub const UNAVAILABLE: Self = Self::Status(503, None);
    /// 504, as of a server that is overloaded.
    pub const TIMEOUT: Self = Self::Status(504, None);

    /// 429, to be asked again after so many seconds.
    #[must_use]
    pub const fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Status(429, Some(retry_after_seconds))
    }

    /// Whether requests with this verb can fail so; paths that are not of objects have none.
    fn concerns(self, verb: Option<Verb>) -> bool {
        match self {
            Self::EmptyList => verb == Some(Verb::List),
            Self::TruncatedLine | Self::CloseWatches => verb == Some(Verb::Watch),
            Self::Status(..) | Self::Garbage | Self::Hang | Self::Reset | Self::SlowBytes { .. } => true,
        }
    }
}

// === impl Faults ===

impl Faults {
    /// Switches a fault on.
    pub(crate) fn add(&mut self, fault: Fault, verb: Option<Verb>, times: Option<usize>) {
        self.rules.push(Rule { fault, verb, times });
    }

    /// Switches all off.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// How a request is to fail.
    pub(crate) fn take(&mut self, verb: Option<Verb>) -> Option<Fault> {
        let index = self
            .rules
            .iter()
            .rposition(|rule| rule.fault.concerns(verb) && (rule.verb.is_none() || rule.verb == verb))?;
        let rule = self.rules.get_mut(index)?;
        let fault = rule.fault;
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rules.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The latest fault that concerns a request is taken, as often as it was said.
    #[test]
    fn faults_are_counted() {
        let mut faults = Faults::default();
        faults.add(Fault::UNAVAILABLE, None, None);
        faults.add(Fault::EmptyList, None, Some(1));
        faults.add(Fault::Hang, Some(Verb::Watch), Some(1));
        assert_eq!(faults.take(Some(Verb::Watch)), Some(Fault::Hang));
        assert_eq!(faults.take(Some(Verb::Watch)), Some(Fault::UNAVAILABLE));
        assert_eq!(faults.take(Some(Verb::List)), Some(Fault::EmptyList));
        assert_eq!(faults.take(Some(Verb::List)), Some(Fault::UNAVAILABLE));
        faults.clear();
        assert_eq!(faults.take(None), None);
    }
}
