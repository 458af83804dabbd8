//! Intervals, back-off and deadlines by a clock that the test turns: hours take no time, and their lengths are exact.
#![cfg(test)]

use std::time::Duration;

use cluster_sdk::{
    Connector, ConnectorContext, Context, Discover, Node, NodeName, Operation, Outcome, Report, Result,
    Strategy, View,
    abi::host::{ExitKind, OperationOutcome},
    anyhow::bail,
    schemars::JsonSchema,
    serde::Deserialize,
    testing::{FAKE_PATIENCE, Setting, TestHost},
    tokio::time::sleep,
};
use serde_json::json;

const HOUR: Duration = Duration::from_secs(3_600);
const LOOK_UP: Duration = Duration::from_secs(2);

#[derive(Deserialize, JsonSchema)]
struct Config {
    #[serde(default)]
    failures: u64,
}

/// Fails so often first.
struct Flaky;

impl Discover for Flaky {
    const NAME: &'static str = "flaky";
    type Config = Config;
    const INTERVAL: Duration = HOUR;

    async fn discover(config: &Config, _ctx: &Context) -> Result<View> {
        sleep(LOOK_UP).await;
        if TRIES.with(|tries| tries.replace(tries.get() + 1)) < config.failures {
            bail!("not yet");
        }
        Ok(View::complete([Node::try_new("a@h")?]))
    }
}

thread_local! {
    static TRIES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn flaky(failures: u64) -> TestHost {
    Setting::with_fake_clock().discover::<Flaky>(json!({ "failures": failures })).unwrap()
}

/// Views are an interval apart, give or take a tenth, in virtual time; between calls that wait time stands still.
#[test]
fn intervals() {
    let host = flaky(0);
    assert_eq!(host.elapsed(), Duration::ZERO);
    assert_eq!(host.next_view().unwrap().names(), ["a@h"]);
    assert_eq!(host.elapsed(), LOOK_UP);
    for _ in 0..5 {
        let before = host.elapsed();
        host.next_view().unwrap();
        let apart = host.elapsed().saturating_sub(before);
        let (least, most) = (HOUR.mul_f64(0.9) + LOOK_UP, HOUR.mul_f64(1.1) + LOOK_UP);
        assert!((least..=most).contains(&apart), "{apart:?}");
    }
    host.run_for(24 * HOUR).unwrap();
    assert!((20..=28).contains(&host.reports().len()));
    host.stop().unwrap();
}

/// What fails is tried again sooner than that, later and later, and its reason is told at once.
#[test]
fn back_off() {
    let host = flaky(6);
    let status = host.wait_for_status(|status| status.reason.is_some()).unwrap();
    assert_eq!(status.reason.as_deref(), Some("not yet"));
    assert_eq!(host.elapsed(), LOOK_UP);
    host.next_view().unwrap();
    let took = host.elapsed();
    assert!(took > Duration::from_secs(30) && took < HOUR, "{took:?}");
}

/// Exactly so long and no longer, and without a fake clock that is an error.
#[test]
fn run_for() {
    let host = flaky(0);
    host.run_for(Duration::from_millis(1_999)).unwrap();
    assert_eq!((host.elapsed(), host.reports().len()), (Duration::from_millis(1_999), 0));
    host.run_for(Duration::from_millis(1)).unwrap();
    assert_eq!((host.elapsed(), host.reports().len()), (Duration::from_secs(2), 1));

    let host = TestHost::discover::<Flaky>(json!({})).unwrap();
    let err = host.run_for(HOUR).unwrap_err();
    assert!(err.to_string().starts_with("no fake clock: start it by Setting::with_fake_clock()"), "{err}");
}

struct Ending;

impl Strategy for Ending {
    const NAME: &'static str = "ending";
    type Config = Config;

    async fn run(config: Config, ctx: Context) -> Result<()> {
        ctx.report(View::partial([]))?;
        sleep(HOUR).await;
        match config.failures {
            0 => Ok(()),
            1 => bail!("after an hour"),
            _ => panic!("no way out"),
        }
    }
}

/// The end of an instance is seen, whatever it is, and what was waited for is told missing.
#[test]
fn ends() {
    let start =
        |failures| Setting::with_fake_clock().strategy::<Ending>(json!({ "failures": failures })).unwrap();
    for (failures, kind) in [(0, ExitKind::Finished), (1, ExitKind::Failed), (2, ExitKind::Panicked)] {
        let host = start(failures);
        assert_eq!(host.exit().unwrap().kind, kind);
        assert_eq!(host.elapsed(), HOUR);
    }
    let err = start(1).run_for(2 * HOUR).unwrap_err();
    assert!(
        err.to_string().starts_with("end of the instance before that time; instance failed: after an hour")
    );
    let host = start(0);
    assert!(matches!(host.next_report().unwrap(), Report::Reset(_)));
    let err = host.next_report().unwrap_err();
    assert!(err.to_string().starts_with("no report; instance finished"), "{err}");
}

/// A day by that clock is how long is waited for what does not come.
#[test]
fn patience() {
    let host = flaky(0);
    let err = host.wait_for_report(|_| false).unwrap_err();
    assert!(err.to_string().starts_with("no report of that kind; instance runs"), "{err}");
    assert_eq!(host.elapsed(), FAKE_PATIENCE);
}

struct Slow;

impl Connector for Slow {
    const NAME: &'static str = "slow";
    type Config = Config;

    async fn start(_: Config, _: ConnectorContext) -> Result<Self> {
        Ok(Self)
    }
    async fn connect(&self, _: &Node) -> Outcome {
        sleep(10 * HOUR).await;
        Outcome::Done
    }
    async fn disconnect(&self, _: &NodeName) -> Outcome {
        sleep(HOUR).await;
        Outcome::Done
    }
}

/// The deadlines of operations go by the same clock, also where much of it has passed.
#[test]
fn deadlines() {
    let host = Setting::with_fake_clock().connector::<Slow>(json!({})).unwrap();
    host.run_for(5 * HOUR).unwrap();
    let connect = host.submit(&Operation::Connect(Node::try_new("a@h").unwrap()), 2 * HOUR).unwrap();
    let disconnect = host.submit(&Operation::Disconnect("a@h".parse().unwrap()), 2 * HOUR).unwrap();
    assert_eq!(host.outcome(disconnect).unwrap(), OperationOutcome::Done);
    assert_eq!(host.elapsed(), 6 * HOUR);
    assert_eq!(
        host.outcome(connect).unwrap(),
        OperationOutcome::Unreachable("no answer within 7200s".to_owned())
    );
    assert_eq!(host.elapsed(), 7 * HOUR);
}
