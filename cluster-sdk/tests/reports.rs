//! Reports arrive as they were said, whatever their size, and cost what they should.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    future::pending,
    sync::{Mutex, mpsc},
    time::Duration,
};

use cluster_sdk::{
    Changes, Completeness, Context, Node, NodeList, Refused, Report, Result, Strategy, View,
    testing::TestHost,
};
use proptest::{prelude::*, strategy::Strategy as _};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Lends its context to the test, so that the test says what is reported.
struct Lender;

#[derive(Deserialize, JsonSchema)]
struct Config {
    key: u32,
}

static LENT: Mutex<BTreeMap<u32, mpsc::Sender<Context>>> = Mutex::new(BTreeMap::new());

impl Strategy for Lender {
    const NAME: &'static str = "lender";
    type Config = Config;

    async fn run(config: Config, ctx: Context) -> Result<()> {
        let sender = LENT.lock().unwrap().remove(&config.key).unwrap();
        sender.send(ctx)?;
        pending().await
    }
}

fn lend(key: u32) -> (TestHost, Context) {
    let (sender, receiver) = mpsc::channel();
    LENT.lock().unwrap().insert(key, sender);
    let host = TestHost::strategy::<Lender>(json!({ "key": key })).unwrap();
    let context = receiver.recv_timeout(cluster_sdk::testing::PATIENCE).unwrap();
    (host, context)
}

fn list(sizes: &[usize]) -> NodeList {
    let node = |(number, size): (usize, &usize)| {
        let node = Node::try_new(&format!("n{number:06}@h")).unwrap().address("10.0.0.1:1");
        node.attribute("a", &"x".repeat(*size)).with_incarnation(7)
    };
    sizes.iter().enumerate().map(node).collect()
}

fn ttl() -> impl proptest::strategy::Strategy<Value = Option<Duration>> {
    prop::option::of((0_u64..1 << 40).prop_map(Duration::from_millis))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What is reported arrives, from no node to several chunks of them.
    #[test]
    fn round_trip(
        upserts in prop::collection::vec(prop_oneof![0_usize..100, 0_usize..16_000], 0..150),
        removals in prop::collection::vec(0_usize..100, 0..10),
        complete in any::<bool>(),
        ttl in ttl(),
    ) {
        let (host, context) = lend(1);
        let completeness = if complete { Completeness::Complete } else { Completeness::Partial };
        let view = View { completeness, ttl, nodes: list(&upserts) };
        let changes = Changes { ttl, upserts: list(&upserts), removals: list(&removals) };
        context.report(view.clone()).unwrap();
        context.apply(changes.clone()).unwrap();
        prop_assert_eq!(host.next_report().unwrap(), Report::Reset(view));
        prop_assert_eq!(host.next_report().unwrap(), Report::Apply(changes));
    }
}

/// Threads that report at the same time do not mix their chunks.
#[test]
fn one_at_a_time() {
    let (host, context) = lend(2);
    let lists = [list(&[15_000; 100]), list(&[14_999; 90])];
    std::thread::scope(|scope| {
        for nodes in &lists {
            let context = context.clone();
            scope.spawn(move || {
                for _ in 0..20 {
                    let view = View { completeness: Completeness::Complete, ttl: None, nodes: nodes.clone() };
                    context.report(view).unwrap();
                }
            });
        }
    });
    for report in host.reports() {
        let Report::Reset(view) = report else { panic!() };
        assert!(lists.contains(&view.nodes));
    }
}

/// A context that outlives its instance does nothing.
#[test]
fn after_the_end() {
    let (host, context) = lend(3);
    assert_eq!(context.ping(7), Some(7));
    host.stop().unwrap();
    drop(host);
    assert_eq!(context.report(View::complete([])), Err(Refused::Stopping));
    context.degraded("still here");
    context.count("late", 1);
    assert_eq!(context.ping(7), None);
}

/// A call of no consequence allocates nothing, in either direction.
#[test]
fn pings_allocate_nothing() {
    let (host, context) = lend(4);
    let plugin = cluster_sdk::abi::host::LoadedPlugin::from_entry(plugin()).unwrap();
    let before = ALLOCATIONS.get();
    for value in 0..1_000 {
        assert_eq!((plugin.ping(value), context.ping(value)), (value, Some(value)));
    }
    assert_eq!(ALLOCATIONS.get(), before);
    drop(host);
}

/// On the author's side a report is sent as it lies in the list: what is allocated is the host's copy and index.
#[test]
fn reports_are_not_encoded_again() {
    let (host, context) = lend(5);
    let nodes = list(&vec![30; 10_000]);
    let view = View { completeness: Completeness::Complete, ttl: None, nodes };
    let before = ALLOCATIONS.get();
    context.report(view).unwrap();
    let allocations = ALLOCATIONS.get() - before;
    assert!(allocations < 100, "{allocations} allocations for 10,000 nodes");
    drop(host);
}

cluster_sdk::plugin!(strategies: [Lender]);

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator")]
// SAFETY: hands everything to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.try_with(|count| count.set(count.get() + 1)).unwrap_or_default();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.try_with(|count| count.set(count.get() + 1)).unwrap_or_default();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}
