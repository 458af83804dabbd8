//! A thousand faults in a row.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{check_steady, children, faults::broken, start};

/// Faults that end a process, or would end a host.
const FAULTS: [&str; 16] = [
    "panic",
    "error",
    "segv",
    "abort",
    "double_free",
    "stack_overflow",
    "oom",
    "spin",
    "deadlock",
    "thread_leak",
    "fd_leak",
    "exit",
    "large_frame",
    "garbage",
    "noise",
    "fork",
];
/// Topologies, each with one of the faults; many at once, because there is a wait before each restart.
const TOPOLOGIES: usize = 208;
/// Restarts of each, after which it is given up.
const RESTARTS: u64 = 4;
/// What the host may have more in the end, of memory: KiB.
const MEMORY_KIB_MAX: u64 = 4 * 1024;

/// After a thousand faults of sixteen kinds the host is as it was: no process, no descriptor and no memory is left of
/// them, each topology was restarted as often as its limit says and no more, and nobody else has noticed.
#[test]
fn a_thousand_faults() {
    let alone = start(&broken("one", "error", "", "restart = \"temporary\""));
    alone.settle("its end", || (alone.topology("one")["health"] == "stopped").then_some(()));
    alone.settle("its process to be gone", || (children(&alone).len() == 1).then_some(()));
    let expected = alone.descriptors();
    drop(alone);

    let opts = format!("max_restarts = {RESTARTS}, max_seconds = 86400");
    let topologies = (0..TOPOLOGIES).map(|number| {
        let fault = FAULTS[number % FAULTS.len()];
        broken(&format!("{fault}{number}"), fault, "", &opts)
    });
    let host = start(&topologies.collect::<String>());
    let mut memory = Vec::new();
    let mut faults = 0;
    while faults < TOPOLOGIES as u64 * (RESTARTS + 1) {
        faults = host.settle("more faults", || {
            let now: u64 =
                states(&host).values().map(|(restarts, stopped)| restarts + u64::from(*stopped)).sum();
            (now > faults).then_some(now)
        });
        memory.push((faults, host.memory_kib()));
    }
    for (name, (restarts, stopped)) in states(&host) {
        assert_eq!((restarts, stopped), (RESTARTS, true), "{name}");
    }
    assert!(faults >= 1_000, "{faults}");
    check_steady(&host);
    host.settle("one child, that of steady", || (children(&host).len() == 1).then_some(()));
    host.settle("its descriptors", || (host.descriptors() <= expected).then_some(()));
    // What is kept for each topology is there after its first fault.
    let (_, early) = *memory.iter().find(|(faults, _)| *faults >= 2 * TOPOLOGIES as u64).unwrap();
    let late = host.memory_kib();
    assert!(late <= early + MEMORY_KIB_MAX, "{early} KiB, then {late} KiB: {memory:?}");
    assert!(host.terminate().success(), "{}", host.log());
}

/// Restarts of each broken topology, and whether it was given up.
fn states(host: &crate::host::Host) -> BTreeMap<String, (u64, bool)> {
    let answer = host.get("/v1/topologies");
    let topologies = answer["topologies"].as_array().unwrap().iter();
    let state = |topology: &Value| (topology["restarts"].as_u64().unwrap(), topology["health"] == "stopped");
    let broken = topologies.filter(|topology| topology["strategy"] == "breaks");
    broken.map(|topology| (topology["name"].as_str().unwrap().to_owned(), state(topology))).collect()
}
