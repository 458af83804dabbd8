//! Strategies that misbehave.

use std::{future::pending, time::Duration};

use cluster_sdk::{Context, Result, Strategy, View, anyhow::bail};

use crate::{Fuse, Nothing};

/// Panics.
#[derive(Debug)]
pub struct Panics;

impl Strategy for Panics {
    const NAME: &'static str = "panics";
    type Config = Fuse;

    #[expect(clippy::panic, reason = "this is what it is for")]
    async fn run(config: Fuse, ctx: Context) -> Result<()> {
        config.burn(&ctx).await?;
        panic!("boom after {} ms", config.after_ms);
    }
}

/// Fails.
#[derive(Debug)]
pub struct Fails;

impl Strategy for Fails {
    const NAME: &'static str = "fails";
    type Config = Fuse;

    async fn run(config: Fuse, ctx: Context) -> Result<()> {
        config.burn(&ctx).await?;
        bail!("the source is gone");
    }
}

/// Says that everybody is gone, which is not so.
#[derive(Debug)]
pub struct LiesEmpty;

impl Strategy for LiesEmpty {
    const NAME: &'static str = "lies_empty";
    type Config = Fuse;

    async fn run(config: Fuse, ctx: Context) -> Result<()> {
        config.burn(&ctx).await?;
        ctx.report(View::complete([]))?;
        pending().await
    }
}

/// Blocks its thread.
#[derive(Debug)]
pub struct Stuck;

impl Strategy for Stuck {
    const NAME: &'static str = "stuck";
    type Config = Nothing;

    #[expect(clippy::disallowed_methods, reason = "this is what it is for")]
    async fn run(_: Nothing, _: Context) -> Result<()> {
        tracing::info!("stuck from now on");
        loop {
            std::thread::sleep(Duration::from_secs(3_600));
        }
    }
}
