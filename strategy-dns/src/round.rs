//! What the look-ups of all names say together.

use std::time::Duration;

use cluster_sdk::{Node, View};

use crate::{naming::Naming, resolver::Lookup};

/// Reasons that are told one by one.
const REASONS_MAX: usize = 4;

/// A round of look-ups, one for each name.
#[derive(Debug, Default)]
pub(crate) struct Round {
    nodes: Vec<Node>,
    has_failed: bool,
    reasons: Vec<String>,
    /// Seconds after which the first answer runs out.
    ttl: Option<u32>,
}

/// What follows from a round.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is known of who is there; nothing where nothing is known.
    pub(crate) view: Option<View>,
    /// What is wrong.
    pub(crate) trouble: Option<String>,
    /// How long the answers hold; nothing where one is missing.
    pub(crate) ttl: Option<Duration>,
}

// === impl Round ===

impl Round {
    /// Takes what is known of one name.
    pub(crate) fn handle_lookup(&mut self, lookup: &Lookup, naming: &Naming) {
        self.has_failed |= !lookup.failures.is_empty();
        self.reasons.extend(lookup.failures.iter().map(ToString::to_string));
        for records in &lookup.found {
            // A cache may keep for long that there is nothing; who waits for the first node asks at the usual pace.
            let ttl = records.as_ref().map_or(0, |records| records.ttl);
            self.ttl = Some(self.ttl.map_or(ttl, |least| least.min(ttl)));
            if let Some(records) = records {
                let (nodes, wrong) = naming.nodes(records);
                self.nodes.extend(nodes);
                self.reasons.extend(wrong);
            }
        }
    }

    /// Nobody is gone because a look-up failed: the view is partial then, and where it would be empty there is none.
    pub(crate) fn finish(self) -> Outcome {
        let ttl = self.ttl.filter(|_| !self.has_failed).map(|seconds| Duration::from_secs(seconds.into()));
        let view = match (self.has_failed, self.nodes.is_empty()) {
            (true, true) => None,
            (true, false) => Some(View::partial(self.nodes)),
            (false, _) => ttl.map(|_| View::complete(self.nodes)),
        };
        Outcome { view, trouble: together(self.reasons), ttl }
    }
}

/// Some of the reasons as one, each once.
fn together(reasons: Vec<String>) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for reason in reasons {
        if !told.contains(&reason) {
            told.push(reason);
        }
    }
    let more = told.len().saturating_sub(REASONS_MAX);
    told.truncate(REASONS_MAX);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use cluster_sdk::Completeness;
    use hickory_resolver::proto::rr::{Name, RData, RecordType, rdata::A};
    use proptest::prelude::*;

    use super::*;
    use crate::{answer::Records, failure::Failure, naming::Family};

    fn records(lasts: &[u8], ttl: u32) -> Option<Records> {
        let data = lasts.iter().map(|last| RData::A(A::new(10, 0, 0, *last))).collect();
        Some(Records { data, glue: Vec::new(), ttl })
    }

    fn failure(name: &str) -> Failure {
        Failure::Servers {
            name: Name::from_ascii(name).unwrap(),
            types: vec![RecordType::A],
            faults: Vec::new(),
        }
    }

    fn outcome(lookups: &[Lookup]) -> Outcome {
        let naming = Naming::Addresses("app".parse().unwrap(), Family::Both);
        let mut round = Round::default();
        for lookup in lookups {
            round.handle_lookup(lookup, &naming);
        }
        round.finish()
    }

    fn lookup(found: Vec<Option<Records>>, failures: Vec<Failure>) -> Lookup {
        Lookup { found, failures }
    }

    /// All names known: everybody, until the first answer runs out; an address that two names have is one node.
    #[test]
    fn whole() {
        let known =
            outcome(&[lookup(vec![records(&[1, 2], 30)], vec![]), lookup(vec![records(&[2], 20)], vec![])]);
        let view = known.view.unwrap();
        assert_eq!((view.completeness, view.nodes.len()), (Completeness::Complete, 2));
        assert_eq!((known.trouble, known.ttl), (None, Some(Duration::from_secs(20))));
    }

    /// No records and no error: nobody, and it is asked again at the usual pace.
    #[test]
    fn nobody() {
        let nobody = outcome(&[lookup(vec![None, None], vec![])]);
        let view = nobody.view.unwrap();
        assert_eq!((view.completeness, view.nodes.len()), (Completeness::Complete, 0));
        assert_eq!((nobody.trouble, nobody.ttl), (None, Some(Duration::ZERO)));
    }

    /// With a failure: what is known, as partial; where that is nobody, no view.
    #[test]
    fn failed() {
        let some = outcome(&[lookup(vec![records(&[1], 30)], vec![failure("a.")])]);
        assert_eq!(some.view.unwrap().completeness, Completeness::Partial);
        assert_eq!((some.trouble.as_deref(), some.ttl), (Some("a. (A)"), None));
        let none = outcome(&[lookup(vec![None], vec![failure("a.")]), lookup(vec![], vec![failure("b.")])]);
        assert!(none.view.is_none());
        assert_eq!(none.trouble.as_deref(), Some("a. (A); b. (A)"));
        let many: Vec<_> = (0..7).map(|i| lookup(vec![], vec![failure(&format!("{}.", i % 6))])).collect();
        assert!(outcome(&many).trouble.unwrap().ends_with("3. (A); and 2 more"));
        assert!(outcome(&[]).view.is_none());
    }

    proptest! {
        /// A view is complete if and only if nothing failed and something was asked.
        #[test]
        fn never_empty_for_a_failure(lookups in prop::collection::vec((0_u8..4, 0..3_usize, any::<bool>()), 0..5)) {
            let is_whole = !lookups.is_empty()
                && lookups.iter().all(|(_, failures, is_known)| *failures == 0 && *is_known);
            let lookups = lookups.iter().map(|(count, failures, is_known)| {
                let lasts: Vec<_> = (0..*count).collect();
                let found = if lasts.is_empty() { None } else { records(&lasts, 5) };
                // A look-up that knows nothing has failed.
                let failures = if *is_known { *failures } else { 1 };
                lookup(if *is_known { vec![found] } else { vec![] }, vec![failure("a."); failures])
            });
            let outcome = outcome(&lookups.collect::<Vec<_>>());
            let complete = outcome.view.as_ref().is_some_and(|view| view.completeness == Completeness::Complete);
            prop_assert_eq!(complete, is_whole);
            prop_assert_eq!(outcome.ttl.is_some(), is_whole);
            prop_assert!(complete || outcome.view.is_none_or(|view| !view.nodes.is_empty()));
        }
    }
}
