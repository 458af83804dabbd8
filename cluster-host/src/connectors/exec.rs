//! The connector `exec`: a link is what a command says that it is.

use std::fmt;

use anyhow::{Context as _, bail};
use cluster_sdk::{
    ConfigError, Connector, ConnectorContext, Environment, Links, LocalNode, Node, NodeName, Outcome, Result,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::process;
use crate::config::Variables;

/// Bytes that the `list` command may print at most.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Commands make and break links: exit code 0 means done, else the first line on standard error says why not.
///
/// The name of the node is appended to the arguments. A command that outlasts its deadline is killed, with all that
/// it has started. No shell is involved: for pipes and the like write `["sh", "-c", "…", "sh"]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// Program and arguments that make a link to the node whose name is appended.
    connect: Vec<String>,
    /// Program and arguments that cut it. Without it a link is merely forgotten.
    disconnect: Option<Vec<String>>,
    /// Program and arguments that print the names of the linked nodes, one a line. Without it a lost link is not
    /// noticed.
    list: Option<Vec<String>>,
    /// Variables of the commands' environment, beside `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR` and
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` of the host's.
    #[serde(default)]
    env: Variables,
    /// Variables that are passed on from the host's environment: names, or beginnings such as `AWS_*`.
    #[serde(default)]
    pass_env: Vec<String>,
}

/// The connector `exec`.
///
/// # Examples
///
/// ```
/// use cluster_host::connectors::Exec;
/// use cluster_sdk::{Node, Operation, abi::host::OperationOutcome, testing::TestHost};
/// use serde_json::json;
///
/// // The name is appended: this is `test app@127.0.0.1 = app@127.0.0.1` for one node, and false for all others.
/// let host = TestHost::connector::<Exec>(json!({ "connect": ["test", "app@127.0.0.1", "="] }))?;
/// let connect = |name| Ok::<_, Box<dyn std::error::Error>>(host.perform(&Operation::Connect(Node::try_new(name)?))?);
/// assert_eq!(connect("app@127.0.0.1")?, OperationOutcome::Done);
/// assert!(matches!(connect("other@127.0.0.1")?, OperationOutcome::Unreachable(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exec {
    config: ExecConfig,
}

// === impl Exec ===

impl Connector for Exec {
    const NAME: &'static str = "exec";
    type Config = ExecConfig;
    const LINKS: Links = Links::Outlive;

    fn validate(config: &ExecConfig, _local: &LocalNode) -> Vec<ConfigError> {
        let commands = [
            ("connect", Some(&config.connect)),
            ("disconnect", config.disconnect.as_ref()),
            ("list", config.list.as_ref()),
        ];
        let mut errors = config.environment().validate();
        for (path, command) in commands {
            let Some(command) = command else { continue };
            if command.first().is_none_or(String::is_empty) {
                errors.push(ConfigError { path: path.to_owned(), message: "names no program".to_owned() });
            }
            for (index, _) in command.iter().enumerate().filter(|(_, word)| word.contains('\0')) {
                let path = format!("{path}[{index}]");
                errors.push(ConfigError { path, message: "has a NUL byte".to_owned() });
            }
        }
        errors
    }

    async fn start(config: ExecConfig, _ctx: ConnectorContext) -> Result<Self> {
        Ok(Self { config })
    }

    async fn connect(&self, node: &Node) -> Outcome {
        self.outcome(&self.config.connect, node.name()).await
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        match &self.config.disconnect {
            Some(command) => self.outcome(command, node).await,
            None => Outcome::Done,
        }
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        let Some(command) = &self.config.list else {
            return Ok(None);
        };
        let (program, arguments) = words(command);
        let finished = process::run(program, &arguments, self.config.environment(), LIST_BYTES_MAX)
            .await
            .with_context(|| format!("running {program:?}"))?;
        if let Some(reason) = finished.failure() {
            bail!("{program:?}: {reason}");
        }
        if finished.is_cut {
            bail!("{program:?} printed more than {LIST_BYTES_MAX} bytes");
        }
        names(&finished.stdout).with_context(|| format!("output of {program:?}")).map(Some)
    }
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("config", &self.config).finish()
    }
}

impl Exec {
    async fn outcome(&self, command: &[String], node: &NodeName) -> Outcome {
        // Names can come from anyone on the network.
        if node.as_str().starts_with('-') {
            let reason = "its name begins with '-', which a command could take for an option";
            return Outcome::NotPartOfNetwork(reason.to_owned());
        }
        let (program, mut arguments) = words(command);
        arguments.push(node.as_str());
        match process::run(program, &arguments, self.config.environment(), 0).await {
            Ok(finished) => finished.failure().map_or(Outcome::Done, Outcome::Unreachable),
            Err(error) => Outcome::Unreachable(format!("running {program:?}: {error}")),
        }
    }
}

// === impl ExecConfig ===

impl ExecConfig {
    fn environment(&self) -> Environment<'_> {
        Environment { env: &self.env.0, pass_env: &self.pass_env }
    }
}

fn words(command: &[String]) -> (&str, Vec<&str>) {
    let mut words = command.iter().map(String::as_str);
    (words.next().unwrap_or_default(), words.collect())
}

/// One name a line. A line that is no name fails the whole list, because a name left out would mean a lost link.
fn names(output: &[u8]) -> Result<Vec<NodeName>> {
    let text = str::from_utf8(output).context("not UTF-8")?;
    let lines = text.lines().enumerate().map(|(index, line)| (index, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            NodeName::try_new(line).with_context(|| format!("line {}", index.saturating_add(1)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
