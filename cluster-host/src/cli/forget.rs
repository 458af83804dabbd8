//! `cluster-host forget`

use std::{
    borrow::Cow,
    io::{self, Write},
};

use clap::Args;
use cluster_core::NodeName;
use hyper::StatusCode;

use super::{ApiArgs, Exit, Failure, complain, explain::hint, show};
use crate::{
    api::json::Forgotten,
    client::{ClientError, encode},
};

const EXAMPLES: &str = "\
A node that the prune policy holds, or that is only kept because it is linked, goes at once; an incarnation of it
that is known to be dead may come back. A node that a source still names stays: have the source let it go.

Examples:
  cluster-host forget app@10.0.0.7
  cluster-host topologies --json | jq -r '.topologies[].held[]' | xargs -n 1 cluster-host forget";

/// Let a node go that no source names any more
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ForgetArgs {
    /// The name of the node: name@host
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    api: ApiArgs,
    /// Print what became of it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ForgetArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    if let Err(error) = NodeName::check(&args.node) {
        complain(&format!("{error}{}", hint(&client, &args.node).await?));
        return Ok(Exit::Usage);
    }
    let body = match client.post(&format!("/v1/members/{}/forget", encode(&args.node))).await {
        Err(ClientError::Refused { status: StatusCode::NOT_FOUND, detail }) => {
            complain(&format!("{detail}{}", hint(&client, &args.node).await?));
            return Ok(Exit::NotSo);
        }
        Err(ClientError::Refused { status: StatusCode::CONFLICT, detail }) => {
            complain(&detail);
            return Ok(Exit::NotSo);
        }
        answer => answer?,
    };
    show(out, &body, args.json, |out| Ok(print(out, &client.read(&body)?)?))
}

/// What was done, and where nothing was.
pub(super) fn print(out: &mut dyn Write, forgotten: &Forgotten<'_>) -> io::Result<()> {
    let name = &forgotten.name;
    let list = |names: &[Cow<'_, str>]| names.join(", ");
    if !forgotten.topologies.is_empty() {
        writeln!(out, "{name} was let go by {}", list(&forgotten.topologies))?;
    }
    for dead in &forgotten.dead {
        writeln!(out, "incarnation {} of {name} may come back, says {}", dead.incarnation, dead.topology)?;
    }
    if !forgotten.named_by.is_empty() {
        writeln!(out, "{name} stays a member by {}: it is still named there", list(&forgotten.named_by))?;
    }
    Ok(())
}
