//! The strategies against a real name server. What such a server never does is done by `liar`.

mod addresses;
mod failures;
mod liar;
mod schedule;
mod server;
mod services;
mod system;
mod truncation;

use std::{cell::Cell, collections::BTreeSet};

use cluster_sdk::{
    Completeness, Report, Strategy, View,
    abi::host::InstanceStatus,
    serde_json::{Value, json},
    testing::TestHost,
};
use tokio::time::Instant;

use self::server::DEADLINE;

/// A strategy that runs, and whether nobody is there as far as was seen.
struct Topology(TestHost, Cell<bool>);

// === impl Topology ===

impl Topology {
    /// Starts a strategy that asks this server, often.
    fn start<S: Strategy>(server: &str, options: Value) -> Self {
        let brisk = json!({ "nameservers": [server], "polling_interval": "100ms", "max_ttl": 0 });
        Self::start_with::<S>(&[brisk, options])
    }

    /// Starts a strategy; of two options with one name the later counts, and null takes one away.
    fn start_with<S: Strategy>(options: &[Value]) -> Self {
        let mut config = json!({});
        for (key, value) in options.iter().flat_map(|options| options.as_object().unwrap()) {
            config[key] = value.clone();
        }
        config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Self(TestHost::strategy::<S>(config).unwrap(), Cell::new(false))
    }

    /// Waits until exactly these nodes are said to be there. On the way not everybody may be said to be gone.
    #[track_caller]
    fn wait_whole(&self, names: &[&str]) -> View {
        let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let Report::Reset(view) = self.0.next_report().unwrap() else { panic!("single changes") };
            assert!(Instant::now() < deadline, "still {view:?} in the place of {names:?}");
            let is_whole = view.completeness == Completeness::Complete;
            if is_whole && names_of(&view) == names {
                self.1.set(names.is_empty());
                return view;
            }
            assert!(!is_whole || !view.nodes.is_empty() || self.1.get(), "everybody is said to be gone");
        }
    }

    /// Waits until a part of who is there is known, and these are it.
    #[track_caller]
    fn wait_partial(&self, names: &[&str]) {
        let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let Report::Reset(view) = self.0.next_report().unwrap() else { panic!("single changes") };
            assert!(Instant::now() < deadline, "still {view:?} in the place of {names:?}");
            assert!(!view.nodes.is_empty(), "nobody is known");
            if view.completeness == Completeness::Partial && names_of(&view) == names {
                return;
            }
        }
    }

    /// Waits until it is degraded for a reason that has all of these in it. `stands` are the nodes before: nothing that
    /// takes one of them away may have been said since.
    #[track_caller]
    fn wait_degraded(&self, stands: &[&str], parts: &[&str]) -> String {
        let has_all = |reason: &String| parts.iter().all(|part| reason.contains(part));
        let is_wanted = |status: &InstanceStatus| status.reason.as_ref().is_some_and(has_all);
        let status = self.0.wait_for_status(is_wanted).unwrap();
        let stands: BTreeSet<_> = stands.iter().map(|name| (*name).to_owned()).collect();
        for report in self.0.reports() {
            let Report::Reset(view) = report else { panic!("single changes") };
            assert!(view.completeness == Completeness::Partial || names_of(&view) == stands, "{view:?}");
        }
        status.reason.unwrap()
    }

    #[track_caller]
    fn wait_healthy(&self) {
        self.0.wait_for_status(|status| status.reason.is_none()).unwrap();
    }
}

fn names_of(view: &View) -> BTreeSet<String> {
    view.nodes.iter().map(|node| node.to_name().unwrap().to_string()).collect()
}
