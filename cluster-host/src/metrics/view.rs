//! Members by topology, counted, and as a number that is equal where the views are.

use std::collections::BTreeMap;

use cluster_core::{LinkState, Member, MemberState, Snapshot, TopologyName, Vouched};
use sha2::{Digest as _, Sha256};

use crate::api::TopologyInfo;

/// Every state, in the order in which they are shown.
const STATES: [MemberState; 4] =
    [MemberState::Discovered, MemberState::Up, MemberState::Down, MemberState::Leaving];

/// How many members are in which state.
#[derive(Debug, Default)]
pub(super) struct Tally([u64; STATES.len()]);

/// What is to be told of a topology's members.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) tally: Tally,
    names: Sha256,
}

// === impl Tally ===

impl Tally {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut tally = Self::default();
        snapshot.members.values().for_each(|member| tally.add(member.state));
        tally
    }

    fn add(&mut self, state: MemberState) {
        STATES.iter().zip(&mut self.0).filter(|(is, _)| **is == state).for_each(|(_, count)| *count += 1);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberState, u64)> {
        STATES.into_iter().zip(self.0)
    }
}

// === impl View ===

impl View {
    /// The view of each topology, in one pass over the members, which are many.
    pub(super) fn all<'a>(
        snapshot: &Snapshot,
        topologies: &'a [TopologyInfo],
    ) -> BTreeMap<&'a TopologyName, Self> {
        let mut views: BTreeMap<_, Self> =
            topologies.iter().map(|topology| (&topology.name, Self::default())).collect();
        for member in snapshot.members.values() {
            // The local node is in all of them: no topology vouches for it.
            if member.is_self && member.state == MemberState::Up {
                views.values_mut().for_each(|view| view.add_name(member));
            }
            for vouched in member.topologies.iter() {
                let Some(view) = views.get_mut(&vouched.name) else {
                    continue;
                };
                view.tally.add(member.state);
                if !member.is_self && is_up_in(vouched, member) {
                    view.add_name(member);
                }
            }
        }
        views
    }

    fn add_name(&mut self, member: &Member) {
        self.names.update(member.name.as_str());
        self.names.update(b"\n");
    }

    /// The first 48 bits of the SHA-256 of the names that are up, sorted, a line each: two nodes of a cluster that see the
    /// same members tell the same number. A float has 53 bits, so it is exact.
    pub(super) fn hash(self) -> u64 {
        self.names.finalize().iter().take(6).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

/// Whether a member is up where it is vouched for: by its link there, or by being up at all where links do not count.
fn is_up_in(vouched: &Vouched, member: &Member) -> bool {
    member.state == MemberState::Up && matches!(vouched.link, LinkState::Up | LinkState::None)
}
