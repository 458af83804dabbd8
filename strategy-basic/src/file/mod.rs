//! The strategy `file`: nodes are what a file has.

mod snapshot;
#[cfg(test)]
mod tests;
mod watch;

use std::{path::PathBuf, time::Duration};

use cluster_sdk::{ConfigDuration, ConfigError, Context, LocalNode, Result, Strategy};
use tokio::{task::spawn_blocking, time::sleep};
use tracing::info;

use self::{
    snapshot::{FileError, Snapshot, Stamp},
    watch::{Change, Watch},
};
use crate::{
    options::{interval_error, reading_options},
    poll::{Trouble, tell},
    reading::{self, Mapping},
};

/// How long a file that is written in place must be left alone before it is read: half a list would be a wrong one.
const SETTLE: Duration = Duration::from_millis(200);
/// One that is written all the time is read nevertheless, after so many such times.
const SETTLE_TIMES_MAX: u32 = 25;
/// How often a file is looked at that cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// What the limit of a file may be.
const FILE_BYTES_LIMIT_MAX: u64 = 1 << 30;

/// The strategy `file`.
#[derive(Debug)]
pub struct File;

reading_options! {
    /// Options of the `file` strategy: a file has the nodes, a name a line or JSON, and is watched: a change counts at once. A
    /// file that is missing, or cannot be read, takes nobody away: what was known stands and the topology is degraded. To
    /// change it, write another file beside it and rename that: a file that is written in place can be read half.
    pub struct FileConfig {
        /// The file, as "/etc/cluster/nodes". Links are followed, and noticed when they are changed, as in a mounted `ConfigMap`.
        pub path: PathBuf,
        /// How often it is looked at besides, as "30s": a file system of the network tells nothing of changes that others make.
        /// Default 30s.
        #[serde(default = "default_interval")]
        pub interval: ConfigDuration,
        /// Bytes that it may have at most. Default 16 MiB.
        #[serde(default = "default_file_bytes_max")]
        pub file_bytes_max: u64,
    }
}

fn default_interval() -> ConfigDuration {
    ConfigDuration::from_secs(30)
}

fn default_file_bytes_max() -> u64 {
    16 << 20
}

// === impl File ===

impl Strategy for File {
    const NAME: &'static str = "file";
    type Config = FileConfig;

    fn validate(config: &FileConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors: Vec<ConfigError> = interval_error(config.interval).into_iter().collect();
        if config.path.is_relative() {
            let message = format!("{:?} is relative: write the whole path, from /", config.path);
            errors.push(ConfigError::new("path", message));
        }
        if !(1..=FILE_BYTES_LIMIT_MAX).contains(&config.file_bytes_max) {
            let max = config.file_bytes_max;
            let message = format!("{max} is not between 1 and {FILE_BYTES_LIMIT_MAX}");
            errors.push(ConfigError::new("file_bytes_max", message));
        }
        errors
    }

    async fn run(config: FileConfig, ctx: Context) -> Result<()> {
        let mapping = config.mapping();
        let followed =
            Followed { path: config.path, bytes_max: config.file_bytes_max, interval: config.interval.get() };
        followed.run(&mapping, &ctx).await
    }
}

/// A file that is read whenever it has changed.
struct Followed {
    path: PathBuf,
    bytes_max: u64,
    interval: Duration,
}

// === impl Followed ===

impl Followed {
    async fn run(&self, mapping: &Mapping, ctx: &Context) -> Result<()> {
        let mut was_watched = true;
        loop {
            // Watched anew each time, as there may be other links now. What changes from here on is noticed.
            let path = self.path.clone();
            let watch = spawn_blocking(move || Watch::new(&path)).await?;
            if std::mem::replace(&mut was_watched, watch.is_ok())
                && let Err(err) = &watch
            {
                info!(path = ?self.path, %err, "the file cannot be watched: it is looked at every two seconds");
            }
            let mut watch = watch.ok();
            let stamp = self.read(mapping, ctx).await?;
            self.changed(watch.as_mut(), stamp).await?;
        }
    }

    /// Reads and reports; gives what the file was then.
    async fn read(&self, mapping: &Mapping, ctx: &Context) -> Result<Option<Stamp>> {
        let (path, bytes_max) = (self.path.clone(), self.bytes_max);
        let read = spawn_blocking(move || Snapshot::read(&path, bytes_max)).await?;
        ctx.count("reads", 1);
        let stamp = read.as_ref().ok().map(|snapshot| snapshot.stamp);
        let found = read.and_then(|snapshot| {
            let found = reading::read(&snapshot.bytes, mapping)?;
            // Whoever writes the file can mend it, and until then the last one counts.
            found.trouble().map_or(Ok(found), |trouble| Err(FileError::Items(trouble)))
        });
        match found {
            Ok(found) => tell(ctx, Some(found), None),
            Err(err) => {
                ctx.count("failed_reads", 1);
                let reason = format!("{}: {err}", self.path.display());
                tell(ctx, None, Some(Trouble { reason, is_denied: false, retry_after: None }));
            }
        }
        Ok(stamp)
    }

    /// Waits until the file is another one, or `Stamp` says so, and is whole.
    async fn changed(&self, mut watch: Option<&mut Watch>, stamp: Option<Stamp>) -> Result<()> {
        let interval = if watch.is_some() { self.interval } else { self.interval.min(POLL_INTERVAL) };
        let change = loop {
            let change = match watch.as_mut() {
                Some(watch) => tokio::select! {
                    change = watch.changed() => Some(change?),
                    () = sleep(interval) => None,
                },
                None => {
                    sleep(interval).await;
                    None
                }
            };
            match change {
                Some(change) => break change,
                None if self.stamp().await? != stamp => break Change::Written,
                None => {}
            }
        };
        if change == Change::Written {
            self.settled(watch).await?;
        }
        Ok(())
    }

    /// Waits until nobody writes any more.
    async fn settled(&self, mut watch: Option<&mut Watch>) -> Result<()> {
        let mut last = self.stamp().await?;
        for _ in 0..SETTLE_TIMES_MAX {
            sleep(SETTLE).await;
            if let Some(watch) = watch.as_mut()
                && watch.take()? == Some(Change::Renamed)
            {
                return Ok(());
            }
            let stamp = self.stamp().await?;
            if std::mem::replace(&mut last, stamp) == stamp {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn stamp(&self) -> Result<Option<Stamp>> {
        let path = self.path.clone();
        Ok(spawn_blocking(move || Stamp::of(&path)).await?)
    }
}
