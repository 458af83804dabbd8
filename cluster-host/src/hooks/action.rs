//! What a hook does with a document: a command that is run, or an address that is posted to.

use std::{fmt, io, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use cluster_sdk::http::{Http, HttpError, Url};
use tokio::time::timeout;

use super::document::Document;
use crate::{
    config::HookConfig,
    connectors::process::{self, Finished, Keep},
};

/// Bytes of the end of a command's output that are kept, of each of the two.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// Lines and characters of it that a failure has.
const LINES_MAX: usize = 5;
const LINE_CHARS_MAX: usize = 300;
/// The type of the documents (`CloudEvents`, structured mode).
const CONTENT_TYPE: &str = "application/cloudevents+json";

#[derive(Debug)]
pub(super) enum Action {
    Command(Box<HookConfig>),
    Post(Http, Url),
}

/// Why a document counts as not delivered. Whoever wrote the configuration or runs the other side can mend it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command was not started.
    #[error("{0:?} cannot be started: {1}; is it installed, executable and in PATH?")]
    Start(String, io::Error),
    /// It has run too long.
    #[error("{0:?} was not done within {1:?}, and killed: raise timeout, or see what it waits for")]
    Timeout(String, Duration),
    /// It says that it has failed.
    #[error("{0:?}: {reason}", reason = ended(*.1, .2))]
    Failed(String, ExitStatus, Vec<String>),
    /// The server did not take it.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// There is nothing to be done.
    #[error("bug: it has neither a command nor an address")]
    Nothing,
}

// === impl Action ===

impl Action {
    pub(super) fn new(config: &HookConfig) -> Self {
        match &config.post {
            Some(url) => Self::Post(Http::new(config.http_options()), url.clone()),
            None => Self::Command(Box::new(config.clone())),
        }
    }

    /// Tries once.
    pub(super) async fn deliver(&self, document: &Document) -> Result<(), Failure> {
        match self {
            Self::Command(config) => run(config, document).await,
            Self::Post(http, url) => {
                // Who is sent one twice knows it by its id. It also lets one connection be used again.
                let request = http.post(url).body(CONTENT_TYPE, document.body.clone()).repeatable();
                request.send().await?;
                Ok(())
            }
        }
    }
}

impl fmt::Display for Action {
    /// For people: arguments and queries may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(config) => write!(f, "command {:?}", program(config)),
            Self::Post(_, url) => write!(f, "post {url}"),
        }
    }
}

fn program(config: &HookConfig) -> &str {
    config.command.iter().flatten().next().map_or("", String::as_str)
}

async fn run(config: &HookConfig, document: &Document) -> Result<(), Failure> {
    let mut words = config.command.iter().flatten();
    let program = words.next().ok_or(Failure::Nothing)?;
    let mut command = process::command(program, config.environment());
    command.args(words).env("CLUSTER_HOOK", &config.name).envs(document.variables.iter().cloned());
    let within = config.timeout.get();
    let finished = process::complete(command, &document.body, [Keep::End(OUTPUT_BYTES_MAX); 2]);
    let finished = timeout(within, finished).await;
    let finished = finished.map_err(|_elapsed| Failure::Timeout(program.clone(), within))?;
    let finished = finished.map_err(|err| Failure::Start(program.clone(), err))?;
    if finished.status.success() {
        return Ok(());
    }
    let lines = last_lines(config, &finished);
    Err(Failure::Failed(program.clone(), finished.status, lines))
}

/// The last lines of its error output, else of its output, without the values of its variables.
fn last_lines(config: &HookConfig, finished: &Finished) -> Vec<String> {
    let lines = |output: &[u8]| {
        // Hidden before it is cut: half of a secret is not found.
        let text = config.environment().hide(&String::from_utf8_lossy(output));
        let printable = |line: &str| line.chars().filter(|c| !c.is_control()).take(LINE_CHARS_MAX).collect();
        let lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let mut lines: Vec<String> = lines.take(LINES_MAX).map(printable).collect();
        lines.reverse();
        lines
    };
    let of_errors = lines(&finished.stderr);
    if of_errors.is_empty() { lines(&finished.stdout) } else { of_errors }
}

fn ended(status: ExitStatus, lines: &[String]) -> String {
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    };
    if lines.is_empty() {
        format!("{end}, and it printed nothing")
    } else {
        format!("{end}: {}", lines.join(" | "))
    }
}
