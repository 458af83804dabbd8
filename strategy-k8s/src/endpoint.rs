//! One address that an object names, and whether it counts.

use std::{net::IpAddr, sync::Arc};

use cluster_sdk::{schemars::JsonSchema, serde::Deserialize};

use crate::config::{Include, Terminating};

/// An address of a pod (or of what somebody wrote into a Service by hand), as one object names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) condition: Condition,
    pub(crate) hostname: Option<String>,
    pub(crate) namespace: Arc<str>,
    pub(crate) pod: Option<PodRef>,
    /// The machine.
    pub(crate) machine: Option<String>,
    pub(crate) zone: Option<String>,
    /// The pod's labels, where the object has them.
    pub(crate) labels: Vec<(String, String)>,
}

/// The pod behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodRef {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// How a pod is, as the source of the endpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// To be used, by the word of its Service. Where the Service publishes pods that are not ready, all are.
    pub(crate) ready: bool,
    /// It passes its readiness probe.
    pub(crate) serving: bool,
    /// It is about to end.
    pub(crate) terminating: bool,
}

/// What an endpoint is to the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Member,
    /// Its links stay, and are not made anew.
    Leaving,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum Family {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6.
    Ipv6,
}

// === impl Condition ===

impl Condition {
    /// What is not said is as the API defines it: not said to be unready is ready, serving is as ready is.
    pub(crate) fn new(ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>) -> Self {
        let ready = ready.unwrap_or(true);
        Self { ready, serving: serving.unwrap_or(ready), terminating: terminating.unwrap_or(false) }
    }

    /// `ready` alone never decides: where a Service publishes pods that are not ready, even those that end are.
    pub(crate) fn standing(self, include: Include, terminating: Terminating) -> Option<Standing> {
        if self.terminating {
            let counts = terminating == Terminating::Leaving && (self.serving || include == Include::All);
            return counts.then_some(Standing::Leaving);
        }
        let counts = match include {
            Include::Ready => self.ready,
            Include::Serving => self.serving,
            Include::All => true,
        };
        counts.then_some(Standing::Member)
    }
}

// === impl Family ===

impl Family {
    /// The family of an address; none where it is a DNS name.
    pub(crate) fn of(address: &str) -> Option<Self> {
        match address.parse() {
            Ok(IpAddr::V4(_)) => Some(Self::Ipv4),
            Ok(IpAddr::V6(_)) => Some(Self::Ipv6),
            Err(_a_name) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the documentation: what each state of a pod is with each `include`.
    #[test]
    fn standings() {
        use Standing::{Leaving, Member};
        let (yes, no) = (Some(true), Some(false));
        let rows = [
            ("ready", (yes, yes, no), [Some(Member), Some(Member), Some(Member)]),
            ("not ready", (no, no, no), [None, None, Some(Member)]),
            ("published though not ready", (yes, no, no), [Some(Member), None, Some(Member)]),
            ("terminating, serving", (no, yes, yes), [Some(Leaving); 3]),
            ("published, terminating, serving", (yes, yes, yes), [Some(Leaving); 3]),
            ("published, terminating, not serving", (yes, no, yes), [None, None, Some(Leaving)]),
            ("terminating, not serving", (no, no, yes), [None, None, Some(Leaving)]),
            ("nothing said", (None, None, None), [Some(Member); 3]),
            ("ready said alone", (no, None, None), [None, None, Some(Member)]),
        ];
        for (what, (ready, serving, terminating), expected) in rows {
            let condition = Condition::new(ready, serving, terminating);
            let found = [Include::Ready, Include::Serving, Include::All]
                .map(|include| condition.standing(include, Terminating::Leaving));
            assert_eq!(found, expected, "{what}");
            let dropped = condition.standing(Include::All, Terminating::Drop);
            assert_eq!(dropped.is_some(), !condition.terminating, "{what}");
        }
    }
}
