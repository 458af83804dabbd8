//! Connectors: operations, deadlines, links and generations, through the tables.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test"
)]

use std::{cell::RefCell, future::pending, time::Duration};

use cluster_sdk::{
    Connector, ConnectorContext, Links, LocalIdentity, LocalReport, Node, NodeName, Operation, Outcome,
    Result,
    abi::{
        host::{ExitKind, LoadedPlugin, OperationOutcome},
        table::LOCAL_BYTES_MAX,
    },
    anyhow::bail,
    testing::TestHost,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Does what the name of the node says.
struct Telling {
    ctx: ConnectorContext,
    old: RefCell<Option<ConnectorContext>>,
}

/// How it goes.
#[derive(Deserialize, JsonSchema)]
struct Config {
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    lists: Option<Vec<String>>,
}

impl Connector for Telling {
    const NAME: &'static str = "telling";
    type Config = Config;
    const LINKS: Links = Links::Outlive;
    const BY_ADDRESS: bool = true;
    const LOCAL_NODE: bool = true;

    async fn start(config: Config, ctx: ConnectorContext) -> Result<Self> {
        if config.fails {
            bail!("no socket");
        }
        if let Some(names) = config.lists {
            ctx.links(&names.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { ctx, old: RefCell::new(None) })
    }

    async fn connect(&self, node: &Node) -> Outcome {
        let name = node.name();
        match name.as_str().split('@').next().unwrap() {
            "panics" => panic!("at {}", node.addresses().next().unwrap()),
            "hangs" => pending().await,
            "unreachable" => return Outcome::Unreachable("connection refused".to_owned()),
            "alone" => return Outcome::NotPartOfNetwork("not alive".to_owned()),
            "unavailable" => self.ctx.unavailable("no local node"),
            "available" => self.ctx.available(),
            "attached" => self.ctx.local_up(&identity(node.name().clone())),
            "detached" => self.ctx.local_down("connection closed"),
            "verbose" => self.ctx.local_down(&"x".repeat(LOCAL_BYTES_MAX)),
            "kept" => return Outcome::Kept("nothing to keep".to_owned()),
            "restart" => {
                let new = self.old.borrow().as_ref().unwrap_or(&self.ctx).new_generation();
                new.link_up(name);
                self.ctx.link_down(name, "late word");
                *self.old.borrow_mut() = Some(new);
            }
            _ => self.ctx.link_up(name),
        }
        Outcome::Done
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        if node.as_str() == "kept@h" {
            return Outcome::Kept("would cost others".to_owned());
        }
        self.ctx.link_down(node, "as asked");
        Outcome::Done
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        Ok(self.old.borrow().is_some().then(|| vec!["listed@h".parse().unwrap()]))
    }

    async fn stop(&self) {
        tracing::info!(reason = ?self.ctx.stop_reason(), "stopping");
    }
}

cluster_sdk::plugin!(connectors: [Telling]);

fn identity(name: NodeName) -> LocalIdentity {
    LocalIdentity { name, incarnation: 3, stays: true }
}

fn start() -> TestHost {
    TestHost::connector::<Telling>(json!({})).unwrap()
}

fn connect(name: &str) -> Operation {
    Operation::Connect(Node::try_new(&format!("{name}@h")).unwrap().address("10.0.0.9:1"))
}

fn name(name: &str) -> NodeName {
    format!("{name}@h").parse().unwrap()
}

/// Each way in which an operation ends, with its reason; one that hangs or panics hinders no other.
#[test]
fn outcomes() {
    let host = start();
    let hanging = host.submit(&connect("hangs"), Duration::from_millis(1_500)).unwrap();
    let panicking = host.perform(&connect("panics")).unwrap();
    let OperationOutcome::Unreachable(reason) = panicking else { panic!("{panicking:?}") };
    assert!(
        reason.starts_with("connector panicked: at 10.0.0.9:1, at cluster-sdk/tests/operations.rs:"),
        "{reason}"
    );
    for (operation, outcome) in [
        (connect("a"), OperationOutcome::Done),
        (connect("unreachable"), OperationOutcome::Unreachable("connection refused".to_owned())),
        (connect("alone"), OperationOutcome::NotPartOfNetwork("not alive".to_owned())),
        (Operation::Disconnect(name("a")), OperationOutcome::Done),
        (Operation::Disconnect(name("kept")), OperationOutcome::Kept("would cost others".to_owned())),
        (connect("kept"), OperationOutcome::Unreachable("nothing to keep".to_owned())),
        (Operation::List, OperationOutcome::Unsupported),
    ] {
        assert_eq!(host.perform(&operation).unwrap(), outcome, "{operation:?}");
    }
    assert_eq!(
        host.outcome(hanging).unwrap(),
        OperationOutcome::Unreachable("no answer within 1.5s".to_owned())
    );
}

/// What is cancelled is not answered, and its work is dropped.
#[test]
fn cancel() {
    let host = start();
    let hanging = host.submit(&connect("hangs"), Duration::from_secs(3_600)).unwrap();
    host.cancel(hanging);
    assert_eq!(host.perform(&connect("a")).unwrap(), OperationOutcome::Done);
    let exit = host.stop().unwrap();
    assert_eq!(exit.to_string(), "stopped");
    assert!(host.outcome(hanging).is_err());
}

/// Links come and go, and what is said of a generation gone by does not count.
#[test]
fn links() {
    let host = start();
    host.perform(&connect("a")).unwrap();
    let up = host.next_link().unwrap();
    assert_eq!((up.generation, up.node, up.up, up.reason), (0, name("a"), true, None));
    host.perform(&Operation::Disconnect(name("a"))).unwrap();
    let down = host.next_link().unwrap();
    assert_eq!((down.up, down.reason.as_deref()), (false, Some("as asked")));

    host.perform(&connect("b")).unwrap();
    host.perform(&connect("restart")).unwrap();
    host.wait_for_links(|up| *up == [name("restart")]).unwrap();
    assert_eq!(host.perform(&Operation::List).unwrap(), OperationOutcome::Done);
    host.wait_for_links(|up| *up == [name("listed")]).unwrap();
    host.perform(&connect("restart")).unwrap();
    host.wait_for_links(|up| *up == [name("restart")]).unwrap();
}

/// A list of links of any length is complete at the start.
#[test]
fn first_links() {
    let names: Vec<_> = (0..20_000).map(|number| format!("n{number:05}@h")).collect();
    let host = TestHost::connector::<Telling>(json!({ "lists": names })).unwrap();
    host.wait_for_links(|up| up.iter().map(NodeName::as_str).eq(names.iter().map(String::as_str))).unwrap();
}

/// A connector that cannot make links at all says so.
#[test]
fn availability() {
    let host = start();
    host.perform(&connect("unavailable")).unwrap();
    host.perform(&connect("available")).unwrap();
    assert_eq!(host.next_availability().unwrap().as_deref(), Some("no local node"));
    assert_eq!(host.next_availability().unwrap(), None);
}

/// A connector says whether the local node takes part; what is too long is not heard.
#[test]
fn local() {
    let host = start();
    for word in ["attached", "verbose", "detached"] {
        host.perform(&connect(word)).unwrap();
    }
    assert_eq!(host.next_local().unwrap(), LocalReport::Up(identity(name("attached"))));
    assert_eq!(host.next_local().unwrap(), LocalReport::Down("connection closed".to_owned()));
}

/// A connector that does not start has failed; one that is stopped is told why, and takes no operation any more.
#[test]
fn ends() {
    let host = TestHost::connector::<Telling>(json!({ "fails": true })).unwrap();
    assert_eq!(host.exit().unwrap().to_string(), "failed: no socket");

    let host = start();
    host.submit(&connect("hangs"), Duration::from_secs(3_600)).unwrap();
    assert_eq!(host.stop().unwrap().kind, ExitKind::Stopped);
    assert_eq!(host.logs()[0].message, "stopping reason=Some(Leave)");
    let refused = host.submit(&connect("a"), Duration::from_secs(3_600)).unwrap_err();
    assert_eq!(refused.to_string(), "instance does not take operations: it has ended, or is no connector");
}

/// What a host is told of a connector before it starts one.
#[test]
fn described() {
    let [offer] = &LoadedPlugin::from_entry(plugin()).unwrap().describe().unwrap()[..] else { panic!() };
    assert_eq!((offer.name.as_str(), offer.description.as_str()), ("telling", "How it goes."));
    assert_eq!((offer.links, offer.by_address, offer.local_node), (Some(Links::Outlive), true, true));
    assert!(offer.schema["properties"]["lists"].is_object());
    let handshake = plugin().handshake();
    assert_eq!(handshake.offers().collect::<Vec<_>>(), [(cluster_sdk::OfferKind::Connector, "telling")]);
    assert_eq!((handshake.plugin(), handshake.version()), ("cluster-sdk", env!("CARGO_PKG_VERSION")));
    assert!(
        handshake.panics_unwind() && handshake.rustc().starts_with("1.") && handshake.target().contains('-')
    );
}
