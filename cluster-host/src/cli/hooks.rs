//! `cluster-host hooks`

use std::{
    io::{self, Write},
    time::SystemTime,
};

use clap::Args;

use super::{
    ApiArgs, Exit, Failure,
    output::{Cell, Colour, Table, age, headline, until},
    show,
};
use crate::{
    api::json::{Hook, Hooks},
    clock,
};

/// Show the hooks: how far each is, what failed last, when it is tried again
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cluster-host hooks\n  cluster-host hooks --json")]
pub(super) struct HooksArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print {epoch, revision, hooks} as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: HooksArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    let body = client.bytes("/v1/hooks").await?;
    show(out, &body, args.json, |out| {
        let answer: Hooks<'_> = client.read(&body)?;
        Ok(print(out, &answer.hooks, clock::now().wall, Colour::of_stdout())?)
    })
}

/// A table. The reason is that of what fails now; what has failed before and is mended is in the JSON.
pub(super) fn print(
    out: &mut dyn Write,
    hooks: &[Hook<'_>],
    now: SystemTime,
    colour: Colour,
) -> io::Result<()> {
    let titles = [
        "NAME",
        "LAG",
        "DELIVERED",
        "FAILED",
        "GIVEN UP",
        "LAST SUCCESS",
        "NEXT TRY",
        "CURSOR",
        "ACTION",
        "REASON",
    ];
    let mut table = Table::new(titles);
    for hook in hooks {
        let is_failing = |failed_at| hook.last_success.is_none_or(|success| success < failed_at);
        let failure = hook.last_failure.as_ref().filter(|failure| is_failing(failure.at));
        let reason = failure.map(|failure| &*failure.reason).or(hook.save_failure.as_deref());
        table.row([
            Cell::from(&*hook.name),
            hook.lag.map_or_else(|| "resync".to_owned(), |lag| lag.to_string()).into(),
            hook.delivered.to_string().into(),
            hook.failed.to_string().into(),
            hook.given_up.to_string().into(),
            hook.last_success.map(|at| age(at, now)).unwrap_or_default().into(),
            hook.next_try
                .map(|at| until(at, now).unwrap_or_else(|| "now".to_owned()))
                .unwrap_or_default()
                .into(),
            Cell::from(&*hook.cursor),
            Cell::from(&*hook.action),
            headline(reason.unwrap_or_default()).into(),
        ]);
    }
    table.print(out, colour)
}
