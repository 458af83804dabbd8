//! A rolling update, as an API server tells it.

use std::collections::VecDeque;

use test_apiserver::{
    ApiServer, Kind,
    objects::{Endpoint, SLICE_ENDPOINTS_MAX, nth_address, slice},
};

/// The namespace of the Service.
pub const NAMESPACE: &str = "demo";
/// Its name, and what its pods' names begin with.
pub const SERVICE: &str = "app";

/// A Service whose pods are replaced, in slices as the controller keeps them: a new pod goes where there is room.
#[derive(Debug)]
pub struct Rollout {
    slices: Vec<Vec<Pod>>,
    old: VecDeque<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Pod {
    index: usize,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Starting,
    Ready,
    Terminating,
}

// === impl Rollout ===

impl Rollout {
    /// A Service that has so many pods, which are published already.
    #[must_use]
    pub fn new(pods: usize) -> Self {
        let all: Vec<_> = (0..pods).map(|index| Pod { index, phase: Phase::Ready }).collect();
        Self {
            slices: all.chunks(SLICE_ENDPOINTS_MAX).map(<[Pod]>::to_vec).collect(),
            old: (0..pods).collect(),
        }
    }

    /// Each new pod starts and is ready, then an old one begins to end and is gone.
    pub fn run(mut self, at_a_time: usize, server: &ApiServer) {
        let mut next = self.old.len();
        while !self.old.is_empty() {
            let going: Vec<_> = self.old.drain(..at_a_time.min(self.old.len())).collect();
            let coming: Vec<_> = (next..next + going.len()).collect();
            next += going.len();
            self.start(&coming, server);
            self.set(&coming, Phase::Ready, server);
            self.set(&going, Phase::Terminating, server);
            self.end(&going, server);
        }
    }

    fn start(&mut self, indices: &[usize], server: &ApiServer) {
        for index in indices {
            let room = self.slices.iter().position(|pods| pods.len() < SLICE_ENDPOINTS_MAX);
            let number = room.unwrap_or(self.slices.len());
            self.slices.resize(self.slices.len().max(number + 1), Vec::new());
            if let Some(pods) = self.slices.get_mut(number) {
                pods.push(Pod { index: *index, phase: Phase::Starting });
            }
        }
        self.apply(indices, server);
    }

    fn set(&mut self, indices: &[usize], phase: Phase, server: &ApiServer) {
        for pod in self.slices.iter_mut().flatten().filter(|pod| indices.contains(&pod.index)) {
            pod.phase = phase;
        }
        self.apply(indices, server);
    }

    fn end(&mut self, indices: &[usize], server: &ApiServer) {
        let is_going = |pods: &[Pod]| pods.iter().any(|pod| indices.contains(&pod.index));
        let touched: Vec<bool> = self.slices.iter().map(|pods| is_going(pods)).collect();
        for pods in &mut self.slices {
            pods.retain(|pod| !indices.contains(&pod.index));
        }
        self.apply_where(|number, _pods| touched.get(number) == Some(&true), server);
    }

    fn apply(&self, indices: &[usize], server: &ApiServer) {
        self.apply_where(|_number, pods| pods.iter().any(|pod| indices.contains(&pod.index)), server);
    }

    /// Puts slices as they are now; an empty one is deleted.
    fn apply_where(&self, is_touched: impl Fn(usize, &[Pod]) -> bool, server: &ApiServer) {
        for (number, pods) in
            self.slices.iter().enumerate().filter(|(number, pods)| is_touched(*number, pods))
        {
            let name = format!("{SERVICE}-{number:05}");
            if pods.is_empty() {
                server.delete(Kind::EndpointSlice, NAMESPACE, &name);
            } else {
                server.apply(
                    slice(NAMESPACE, &name).service(SERVICE).endpoints(pods.iter().map(Pod::endpoint)),
                );
            }
        }
    }
}

impl Pod {
    fn endpoint(&self) -> Endpoint {
        let address = nth_address(self.index);
        let endpoint = match self.phase {
            Phase::Starting => Endpoint::not_ready(&address),
            Phase::Ready => Endpoint::ready(&address),
            Phase::Terminating => Endpoint::terminating(&address),
        };
        endpoint
            .pod(&format!("{SERVICE}-{}", self.index))
            .node(&format!("node-{}", self.index % 50))
            .zone(&format!("zone-{}", self.index % 3))
    }
}
