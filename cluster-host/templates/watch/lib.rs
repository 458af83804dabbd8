//! The strategy `newcomer`: a registry is followed, which tells of each change.

use cluster_sdk::{
    Changes, Context, Node, Result, Strategy, View,
    anyhow::{Context as _, bail},
    tokio::{
        io::{AsyncBufReadExt as _, BufReader},
        net::TcpStream,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Nodes of a registry. It sends a line `+ NAME` for each node that there is, a line `=` once that were all, and from
/// then on `+ NAME` and `- NAME` for each change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the registry is, as HOST:PORT
    registry: String,
}

struct NewcomerStrategy;

impl Strategy for NewcomerStrategy {
    const NAME: &'static str = "newcomer";
    type Config = Config;

    /// Runs for ever. With an error it ends, what was reported stands, and the host starts it again, later and later.
    async fn run(config: Config, ctx: Context) -> Result<()> {
        let registry = config.registry.as_str();
        let stream = TcpStream::connect(registry).await;
        let stream = stream.with_context(|| format!("connecting to the registry {registry:?}"))?;
        let mut lines = BufReader::new(stream).lines();
        // Each start begins with a whole list; none until it is whole.
        let mut list = Some(Vec::new());
        while let Some(line) = lines.next_line().await? {
            match (line.split_once(' '), &mut list) {
                (None, Some(_)) if line == "=" => {
                    ctx.report(View::complete(list.take().unwrap_or_default()))?;
                }
                (Some(("+", name)), Some(list)) => list.push(Node::try_new(name)?),
                (Some(("+", name)), None) => ctx.apply(added(Node::try_new(name)?))?,
                (Some(("-", name)), None) => ctx.apply(removed(Node::try_new(name)?))?,
                _ => bail!("registry {registry:?} sent {line:?}, which is none of its lines"),
            }
        }
        bail!("registry {registry:?} has closed the connection")
    }
}

fn added(node: Node) -> Changes {
    Changes {
        upserts: [node].into_iter().collect(),
        ..Changes::default()
    }
}

fn removed(node: Node) -> Changes {
    Changes {
        removals: [node].into_iter().collect(),
        ..Changes::default()
    }
}

cluster_sdk::export_plugin!(strategies: [NewcomerStrategy]);
