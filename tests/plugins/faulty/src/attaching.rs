//! A connector that attaches to a node, as far as a file says so.

use std::{cell::RefCell, path::PathBuf, time::Duration};

use cluster_sdk::{Connector, ConnectorContext, Links, LocalIdentity, Node, NodeName, Outcome, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// How often the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Says of the local node what its file says, makes every link at once, and cuts none.
#[derive(Debug)]
pub struct Attaching;

/// Where it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachingConfig {
    /// A file with `up NAME INCARNATION`, or with anything else as the reason why the node is not there
    pub file: PathBuf,
    /// What is not well with it all the time
    #[serde(default)]
    pub trouble: Option<String>,
}

impl Connector for Attaching {
    const NAME: &'static str = "attaching";
    type Config = AttachingConfig;
    const LINKS: Links = Links::Outlive;
    const LOCAL_NODE: bool = true;

    async fn start(config: AttachingConfig, ctx: ConnectorContext) -> Result<Self> {
        if let Some(trouble) = &config.trouble {
            ctx.degraded(trouble);
        }
        tokio::task::spawn_local(async move {
            let said = RefCell::new(String::new());
            loop {
                let text = std::fs::read_to_string(&config.file).unwrap_or_default();
                // An empty file is one that is being written.
                if !text.is_empty() && said.replace(text.clone()) != text {
                    say(&ctx, text.trim());
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
        Ok(Self)
    }

    async fn connect(&self, _: &Node) -> Outcome {
        Outcome::Done
    }

    async fn disconnect(&self, _: &NodeName) -> Outcome {
        Outcome::Kept("it would cost the others their links".to_owned())
    }
}

fn say(ctx: &ConnectorContext, text: &str) {
    let identity = text.strip_prefix("up ").and_then(|identity| {
        let (name, incarnation) = identity.split_once(' ')?;
        let (name, incarnation) = (name.parse().ok()?, incarnation.parse().ok()?);
        Some(LocalIdentity { name, incarnation, stays: true })
    });
    match identity {
        Some(identity) => ctx.local_up(&identity),
        None => ctx.local_down(text),
    }
}
