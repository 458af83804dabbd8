//! `cluster-host ready`

use std::io::Write;

use clap::Args;
use hyper::StatusCode;

use super::{ApiArgs, Exit, Failure};
use crate::client::ClientError;

/// Say whether the host is ready: exit code 0, or 1 with what it waits for
#[derive(Debug, Args)]
#[command(after_help = "\
What it takes is in the configuration's [ready]; without that, that the local node is up
and each topology has given a view. For exec probes; over HTTP the same is at /ready.

Examples:
  cluster-host ready
  cluster-host ready --api unix:/run/cluster-host.sock && start-my-service")]
pub(super) struct ReadyArgs {
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) async fn run(args: ReadyArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let answer = args.api.client()?.bytes("/ready").await;
    let (exit, line) = match answer {
        Ok(body) => (Exit::Done, String::from_utf8_lossy(&body).trim_end().to_owned()),
        Err(ClientError::Refused { status: StatusCode::SERVICE_UNAVAILABLE, detail }) => {
            (Exit::NotSo, detail)
        }
        Err(error) => return Err(error.into()),
    };
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(exit)
}
