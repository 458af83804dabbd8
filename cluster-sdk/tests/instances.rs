//! How instances begin, speak and end, through the tables.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test"
)]

use std::{
    fmt::Write as _,
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use cluster_sdk::{
    Changes, Completeness, ConfigError, Context, Discover, LocalNode, Node, Refused, Report, Result,
    StopReason, Strategy, View,
    abi::{
        host::{
            Call, Exit, ExitKind, HostCalls, HostInterface, InstanceStatus, LoadedPlugin, LogRecord,
            PluginError, Start,
        },
        table::Code,
    },
    anyhow::{Context as _, anyhow, bail},
    testing::{Setting, TestHost},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{Level, level_filters::LevelFilter};

/// What a [`Scripted`] does.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Script {
    /// Its steps
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    Report(Vec<String>),
    Healthy,
    HealthyBut(String),
    Degraded(String),
    Denied(String),
    Count(u64),
    Log,
    Yield,
    Wait,
    Block,
    Panic,
    PanicInTask,
    PanicOnDrop,
    Fail,
    AwaitStop,
    Farewell,
    AwaitLocal,
}

/// Does what its config says.
struct Scripted;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped")
    }
}

impl Strategy for Scripted {
    const NAME: &'static str = "scripted";
    type Config = Script;

    fn validate(config: &Script, local: &LocalNode) -> Vec<ConfigError> {
        assert!(local.cluster != "panic", "validate panics");
        let none = ConfigError { path: "steps".to_owned(), message: "there are none".to_owned() };
        if config.steps.is_empty() { vec![none] } else { vec![] }
    }

    async fn run(config: Script, ctx: Context) -> Result<()> {
        let mut bomb = None;
        for step in config.steps {
            match step {
                Step::Report(names) => ctx.report(view(&names))?,
                Step::Healthy => ctx.healthy(),
                Step::HealthyBut(note) => ctx.healthy_but(&note),
                Step::Degraded(reason) => ctx.degraded(&reason),
                Step::Denied(reason) => ctx.denied(&reason),
                Step::Count(add) => ctx.count("things", add),
                Step::Log => log(),
                Step::Yield => tokio::task::yield_now().await,
                Step::Wait => pending().await,
                // Many times as long as a heartbeat.
                Step::Block => {
                    let (_sender, never) = std::sync::mpsc::channel::<()>();
                    never.recv_timeout(Duration::from_millis(50)).unwrap_err();
                }
                Step::Panic => panic!("step {}", 7),
                Step::PanicInTask => {
                    let task = tokio::task::spawn_local(async { panic!("in a task") });
                    task.await.context("task")?;
                }
                Step::PanicOnDrop => bomb = Some(Bomb),
                Step::Fail => return Err(anyhow!("connection refused").context("asking the source")),
                Step::AwaitStop => {
                    let reason = ctx.stopping().await;
                    ctx.degraded(&format!("{reason:?}"));
                }
                Step::Farewell => {
                    let removals = [Node::try_new("a@h")?].into_iter().collect();
                    ctx.apply(Changes { removals, ..Changes::default() })?;
                }
                Step::AwaitLocal => {
                    ctx.local_changed().await;
                    ctx.degraded(&format!("{:?}", ctx.local().addresses));
                }
            }
        }
        drop(bomb);
        Ok(())
    }
}

fn log() {
    tracing::error!(code = 7, name = "x", "first {}", "line");
    tracing::warn!("second");
    tracing::info!(target: "elsewhere", "third");
    tracing::debug!("fourth");
    tracing::trace!(only = "fields");
}

fn view(names: &[String]) -> View {
    View::complete(names.iter().map(|name| Node::try_new(name).unwrap()))
}

fn start(steps: &Value) -> TestHost {
    TestHost::strategy::<Scripted>(json!({ "steps": steps })).unwrap()
}

/// However an instance ends, the host is told how and why.
#[test]
fn exits() {
    for (steps, kind, reason) in [
        (json!(["yield"]), ExitKind::Finished, None),
        (json!(["fail"]), ExitKind::Failed, Some("asking the source: connection refused")),
        (json!(["panic"]), ExitKind::Panicked, Some("step 7, at cluster-sdk/tests/instances.rs:")),
        (json!(["yield", "panic"]), ExitKind::Panicked, Some("step 7, at cluster-sdk/tests/instances.rs:")),
        (json!(["panic_on_drop"]), ExitKind::Panicked, Some("dropped, at cluster-sdk/tests/instances.rs:")),
        (json!(["panic_in_task"]), ExitKind::Failed, Some("task: task ")),
    ] {
        let exit = start(&steps).exit().unwrap();
        assert_eq!(exit.kind, kind, "{exit}");
        match reason {
            Some(reason) => assert!(exit.reason.clone().unwrap().starts_with(reason), "{exit}"),
            None => assert_eq!(exit.reason, None),
        }
    }
}

/// A panic is logged with its place, also where the author's code hides it.
#[test]
fn panics_are_logged() {
    let host = start(&json!(["panic_in_task"]));
    let line = host.wait_for_log("panicked: in a task, at cluster-sdk/tests/instances.rs:").unwrap();
    assert_eq!(line.level, Level::ERROR);
}

/// Who has not asked for the stop is dropped at once; who has is given until the deadline, and may say farewell.
#[test]
fn stops() {
    for (steps, within, expected) in [
        (json!(["wait"]), 3_600, "stopped"),
        (json!(["await_stop"]), 3_600, "stopped"),
        (json!(["await_stop", "fail"]), 3_600, "stopped: asking the source: connection refused"),
        (json!(["await_stop", "wait"]), 0, "stopped: not done at the deadline"),
        (json!(["await_stop", "panic"]), 3_600, "panicked: step 7, at"),
        (json!(["panic_on_drop", "wait"]), 3_600, "panicked: dropped, at"),
    ] {
        let host = start(&json!([vec![json!("log")], steps.as_array().unwrap().clone()].concat()));
        host.wait_for_log("fields").unwrap();
        host.request_stop(StopReason::Leave, Duration::from_secs(within));
        let exit = host.exit().unwrap().to_string();
        assert!(exit.starts_with(expected), "{exit} instead of {expected}");
    }

    let host = start(&json!([{ "report": ["a@h"] }, "await_stop", "farewell"]));
    assert!(matches!(host.next_report(), Ok(Report::Reset(_))));
    host.request_stop(StopReason::Restart, Duration::from_secs(3_600));
    let Ok(Report::Apply(changes)) = host.next_report() else { panic!("no farewell") };
    assert_eq!((changes.upserts.len(), changes.removals.len()), (0, 1));
    assert_eq!(host.exit().unwrap().kind, ExitKind::Stopped);
    assert_eq!(host.status().unwrap().reason.as_deref(), Some("Restart"));
}

/// An instance that was stopped is free when it has said so, and a dropped one stops.
#[test]
fn destroyed() {
    let host = start(&json!(["wait"]));
    assert!(!format!("{:?}", host.running()).contains("exited: true"));
    host.stop().unwrap();
    assert!(format!("{:?}", host.running()).contains("exited: true"));
}

/// Configs and names that are wrong are told before anything starts; what panics on the host's thread is caught.
#[test]
fn refused_starts() {
    let refused = |setting: &Setting, config| setting.strategy::<Scripted>(config).unwrap_err();
    let setting = Setting::default();
    let PluginError::Config(errors) = refused(&setting, json!({ "steps": [], "stops": 1 })) else { panic!() };
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(error.path, "stops");
    let PluginError::Config(errors) = refused(&setting, json!({ "steps": [] })) else { panic!() };
    assert_eq!(errors[0].to_string(), "steps: there are none");
    let mut panics = setting.clone();
    panics.local.cluster = "panic".to_owned();
    let error = refused(&panics, json!({ "steps": ["wait"] })).to_string();
    assert!(error.starts_with("panicked: validate panics, at cluster-sdk/tests/instances.rs:"), "{error}");
    let unknown =
        setting.offer(plugin(), cluster_sdk::OfferKind::Connector, "scripted", json!({})).unwrap_err();
    assert_eq!(unknown.to_string(), r#"the plugin offers no connector "scripted""#);
}

cluster_sdk::plugin!(strategies: [Scripted], discover: [Flaky]);

/// Log lines cross with level, module and fields, and no more than the host wants.
#[test]
fn logs() {
    let wanted = [
        "ERROR instances: first line code=7 name=\"x\"",
        "WARN instances: second",
        "INFO elsewhere: third",
        "DEBUG instances: fourth",
        "TRACE instances: only=\"fields\"",
    ];
    for (level, lines) in
        [(LevelFilter::TRACE, 5), (LevelFilter::INFO, 3), (LevelFilter::ERROR, 1), (LevelFilter::OFF, 0)]
    {
        let setting = Setting { log_level: level, ..Setting::default() };
        let host = setting.strategy::<Scripted>(json!({ "steps": ["log"] })).unwrap();
        host.exit().unwrap();
        let logs = host.logs();
        let shown: Vec<_> =
            logs.iter().map(|line| format!("{} {}: {}", line.level, line.target, line.message)).collect();
        assert_eq!(shown, wanted[..lines], "{level}");
    }
}

/// The first report means health; only changes are told; counters come with them, at the latest with the end.
#[test]
fn statuses() {
    let steps = json!([
        { "report": ["a@h"] }, "healthy", { "count": 2 }, { "degraded": "x" }, { "degraded": "x" }, { "degraded": "y" },
        { "report": ["a@h"] }, { "denied": "y" }, { "healthy_but": "z" }, "healthy", { "count": 3 }
    ]);
    let host = start(&steps);
    host.exit().unwrap();
    let statuses = host.statuses();
    let shown: Vec<_> = statuses
        .iter()
        .map(|status| {
            (status.health.as_str(), status.reason.as_deref(), status.counters.get("things").copied())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("running", None, None),
            ("degraded", Some("x"), Some(2)),
            ("degraded", Some("y"), Some(2)),
            ("denied", Some("y"), Some(2)),
            ("running", Some("z"), Some(2)),
            ("running", None, Some(2)),
            ("running", None, Some(5)),
        ]
    );
}

/// Counters are sent although nothing else happens.
#[test]
fn counters_alone() {
    let host = start(&json!([{ "count": 2 }, "wait"]));
    let status = host.wait_for_status(|status| status.counters.contains_key("things")).unwrap();
    assert_eq!((status.health.as_str(), status.counters["things"]), ("starting", 2));
}

/// A strategy hears of a change of the local node.
#[test]
fn local_node() {
    let host = start(&json!(["log", "await_local", "wait"]));
    host.wait_for_log("fields").unwrap();
    let local = LocalNode { addresses: vec!["10.0.0.1:1".to_owned()], ..Setting::default().local };
    host.update(&local);
    host.wait_for_status(|status| status.reason.as_deref() == Some(r#"["10.0.0.1:1"]"#)).unwrap();
}

/// What the host refuses is an error for the strategy, and nothing of it arrives.
#[test]
fn refused_reports() {
    let setting = Setting { members_max: 1, ..Setting::default() };
    let steps = json!({ "steps": [{ "report": ["a@h"] }, { "report": ["a@h", "b@h"] }] });
    let host = setting.strategy::<Scripted>(steps).unwrap();
    let exit = host.exit().unwrap();
    assert_eq!(exit.to_string(), "failed: report has more nodes than the topology may have");
    assert_eq!(host.reports().len(), 1);
}

/// Finds nodes only after a few tries, and with "never" none.
struct Flaky;

#[derive(Deserialize, JsonSchema)]
struct FlakyConfig {
    never: bool,
}

impl Discover for Flaky {
    const NAME: &'static str = "flaky";
    type Config = FlakyConfig;
    const INTERVAL: Duration = Duration::from_millis(1);

    fn discover(config: &FlakyConfig, ctx: &Context) -> impl Future<Output = Result<View>> {
        ctx.count("tries", 1);
        let never = config.never;
        async move {
            if never || fastrand::bool() {
                bail!("no such host");
            }
            Ok(view(&["a@h".to_owned()]))
        }
    }
}

/// Look-ups repeat; one that fails is a degraded topology and never a report; one that succeeds again is health.
#[test]
fn look_ups() {
    let host = TestHost::discover::<Flaky>(json!({ "never": false })).unwrap();
    host.wait_for_status(|status| status.reason.as_deref() == Some("no such host")).unwrap();
    host.wait_for_status(|status| status.reason.is_none()).unwrap();
    for _ in 0..3 {
        let Ok(Report::Reset(view)) = host.next_report() else { panic!() };
        assert_eq!(view.nodes.len(), 1);
    }
    assert_eq!(host.stop().unwrap().to_string(), "stopped");

    let host = TestHost::discover::<Flaky>(json!({ "never": true })).unwrap();
    host.wait_for_status(|status| status.counters.get("tries").is_some_and(|tries| *tries > 2)).unwrap();
    assert_eq!(host.reports(), []);
}

/// Looks up in several places, of which one fails each time but the last: what it says of the health is its own.
struct Several;

#[derive(Deserialize, JsonSchema)]
struct SeveralConfig {
    #[serde(skip)]
    round: std::cell::Cell<usize>,
}

impl Discover for Several {
    const NAME: &'static str = "several";
    type Config = SeveralConfig;
    const INTERVAL: Duration = Duration::from_millis(1);

    async fn discover(config: &SeveralConfig, ctx: &Context) -> Result<View> {
        let nodes =
            |names: &[&str]| names.iter().map(|name| Node::try_new(name).unwrap()).collect::<Vec<_>>();
        let failed = || Some(cluster_sdk::anyhow::anyhow!("no second page"));
        match config.round.replace(config.round.get() + 1) {
            0 => ctx.found(nodes(&[]), failed()),
            1 => ctx.found(nodes(&["a@h"]), failed()),
            2 => {
                ctx.denied("no right to look");
                bail!("403")
            }
            3 => {
                ctx.healthy_but("b has no name");
                ctx.found(nodes(&["a@h"]), None)
            }
            _ => ctx.found(nodes(&["a@h", "b@h"]), None),
        }
    }
}

/// A look-up that found a part only gives a partial view and says why; what it says of the health is not overwritten, and
/// does not outlast it.
#[test]
fn look_ups_in_part() {
    let host = TestHost::discover::<Several>(json!({})).unwrap();
    for (completeness, count) in
        [(Completeness::Partial, 1), (Completeness::Complete, 1), (Completeness::Complete, 2)]
    {
        let Ok(Report::Reset(view)) = host.next_report() else { panic!() };
        assert_eq!((view.completeness, view.nodes.len()), (completeness, count));
    }
    host.wait_for_status(|status| status.health.to_string() == "running" && status.reason.is_none()).unwrap();
    let said = host.statuses().into_iter().map(|status| (status.health.to_string(), status.reason));
    let mut said: Vec<_> = said.map(|(health, reason)| (health, reason.unwrap_or_default())).collect();
    said.dedup();
    let expected = [
        ("degraded", "no second page"),
        ("denied", "no right to look"),
        ("running", "b has no name"),
        ("running", ""),
    ];
    assert_eq!(said, expected.map(|(health, reason)| (health.to_owned(), reason.to_owned())));
}

/// What a host's own code does wrong.
struct BadHost(std::sync::mpsc::Sender<Exit>);

impl HostInterface for BadHost {
    fn log(&self, _: &LogRecord<'_>) {
        panic!("in log")
    }
    fn report(&self, _: Report) -> Result<(), Refused> {
        panic!("in report")
    }
    fn status(&self, _: InstanceStatus) {
        panic!("in status")
    }
    fn exited(&self, exit: Exit) {
        self.0.send(exit).unwrap();
        panic!("in exited")
    }
}

/// A panic on the host's side stays there: the plugin sees a refusal and goes on.
#[test]
fn host_panics() {
    let (exits, exited) = std::sync::mpsc::channel();
    let plugin = LoadedPlugin::from_entry(plugin()).unwrap();
    let setting = Setting::default();
    let start = Start {
        kind: cluster_sdk::OfferKind::Strategy,
        name: "scripted".to_owned(),
        config: json!({ "steps": ["log", { "degraded": "x" }, { "report": ["a@h"] }] }),
        topology: "bad".to_owned(),
        local: setting.local,
        log_level: LevelFilter::TRACE,
        diagnose: None,
    };
    let running = plugin.start(&start, Arc::new(BadHost(exits))).unwrap();
    let exit = exited.recv_timeout(cluster_sdk::testing::PATIENCE).unwrap();
    assert_eq!(exit.to_string(), "failed: host could not take the report");
    drop(running);
}

/// Hears of the end of an instance that has nothing else to say.
struct Ear(std::sync::mpsc::Sender<Exit>);

impl HostInterface for Ear {
    fn log(&self, record: &LogRecord<'_>) {
        panic!("{record:?}");
    }
    fn report(&self, report: Report) -> Result<(), Refused> {
        panic!("{report:?}");
    }
    fn status(&self, status: InstanceStatus) {
        panic!("{status:?}");
    }
    fn exited(&self, exit: Exit) {
        self.0.send(exit).unwrap();
    }
}

/// An instance for a diagnosis says that it can be one, does none of its work, and ends with what it has to tell.
#[test]
fn diagnoses() {
    let plugin = LoadedPlugin::from_entry(plugin()).unwrap();
    assert!(plugin.describe().unwrap().iter().all(|offer| offer.diagnoses));
    let (exits, exited) = std::sync::mpsc::channel();
    let start = Start {
        kind: cluster_sdk::OfferKind::Strategy,
        name: "scripted".to_owned(),
        config: json!({ "steps": ["log", { "degraded": "x" }, { "report": ["a@h"] }] }),
        topology: "ill".to_owned(),
        local: LocalNode::default(),
        log_level: LevelFilter::TRACE,
        diagnose: Some(cluster_sdk::Inquiry::about(None)),
    };
    let running = plugin.start(&start, Arc::new(Ear(exits))).unwrap();
    let exit = exited.recv_timeout(cluster_sdk::testing::PATIENCE).unwrap();
    assert_eq!(exit, Exit { kind: ExitKind::Finished, reason: Some("[]".to_owned()) });
    drop(running);
}

/// Notes the first calls of an instance, and its signs of life.
struct Calls(std::sync::mpsc::Sender<String>);

impl HostCalls for Calls {
    fn call(&self, call: Call<'_>) -> Code {
        // Who has heard enough hears no more.
        self.0.send(format!("{call:?}")).unwrap_or_default();
        Code::OK
    }
    fn has_exited(&self) -> bool {
        false
    }
}

/// Where the host wants signs of life the first comes before any work, and one after the other while the instance waits;
/// none comes of one that does not come back.
#[test]
fn heartbeats() {
    let (calls, called) = std::sync::mpsc::channel();
    let plugin = LoadedPlugin::from_entry(plugin()).unwrap();
    let start = |steps: Value| Start {
        kind: cluster_sdk::OfferKind::Strategy,
        name: "scripted".to_owned(),
        config: json!({ "steps": steps }),
        topology: "alive".to_owned(),
        local: LocalNode::default(),
        log_level: LevelFilter::OFF,
        diagnose: None,
    };
    let heartbeat = Some(Duration::from_millis(1));
    let running = plugin.start_with(&start(json!(["healthy", "wait"])), heartbeat, Arc::new(Calls(calls)));
    let next = || called.recv_timeout(cluster_sdk::testing::PATIENCE).unwrap();
    assert_eq!(next(), "Ping(0)");
    assert!(next().starts_with("Status"));
    assert_eq!([next(), next(), next()], ["Ping(1)", "Ping(2)", "Ping(3)"]);
    running.unwrap().stop(StopReason::Restart, Duration::from_secs(2));
    while !next().starts_with("Exited") {}

    let (calls, called) = std::sync::mpsc::channel();
    let steps = json!(["block", "fail"]);
    let running = plugin.start_with(&start(steps), heartbeat, Arc::new(Calls(calls))).unwrap();
    let heard: Vec<_> = called.iter().take_while(|call| !call.starts_with("Exited")).collect();
    assert_eq!(heard, ["Ping(0)"]);
    drop(running);
}

/// A host that logs what plugins log, and something of its own.
struct LoggingHost(std::sync::mpsc::Sender<Exit>);

impl HostInterface for LoggingHost {
    fn log(&self, record: &LogRecord<'_>) {
        record.emit("blue");
    }
    fn report(&self, report: Report) -> Result<(), Refused> {
        tracing::info!(?report, "host's own");
        Ok(())
    }
    fn status(&self, _: InstanceStatus) {}
    fn exited(&self, exit: Exit) {
        self.0.send(exit).unwrap();
    }
}

/// Collects events.
#[derive(Clone, Default)]
struct Collector(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() != "elsewhere" && *metadata.level() <= Level::INFO
    }
    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, " {}={value:?}", field.name()).unwrap();
            }
        }
        let mut fields = Fields(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// With one `tracing` for both sides each still gets its own: the plugin's lines are the host's events with topology
/// and module, filtered by module, and what the host logs in between does not come back as the plugin's.
#[test]
fn shared_tracing() {
    let collector = Collector::default();
    let (exits, exited) = std::sync::mpsc::channel();
    let start = Start {
        kind: cluster_sdk::OfferKind::Strategy,
        name: "scripted".to_owned(),
        config: json!({ "steps": ["log", { "report": [] }] }),
        topology: "blue".to_owned(),
        local: LocalNode::default(),
        log_level: LevelFilter::TRACE,
        diagnose: None,
    };
    tracing::subscriber::with_default(collector.clone(), || {
        let plugin = LoadedPlugin::from_entry(plugin()).unwrap();
        let running = plugin.start(&start, Arc::new(LoggingHost(exits))).unwrap();
        exited.recv_timeout(cluster_sdk::testing::PATIENCE).unwrap();
        drop(running);
    });
    let events = collector.0.lock().unwrap();
    let own = "Reset(View { completeness: Complete, ttl: None, nodes: [] })";
    assert_eq!(
        *events,
        [
            "ERROR plugin message=\"first line code=7 name=\\\"x\\\"\" topology=\"blue\" module=\"instances\"".to_owned(),
            "WARN plugin message=\"second\" topology=\"blue\" module=\"instances\"".to_owned(),
            format!("INFO instances message=host's own report={own}"),
        ]
    );
}
