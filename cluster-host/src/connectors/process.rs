//! Commands of the user: run to their end, with bounded output, and killed with all their children when nobody
//! waits for them any more.

use std::{
    fmt, io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use cluster_sdk::Environment;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

/// Bytes of an error output that are kept at most; the rest is read and dropped.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// Characters of a reason at most.
const REASON_CHARS_MAX: usize = 300;
/// How long output is waited for after the command has ended: what it started in the background may hold the pipe
/// open for ever.
const OUTPUT_GRACE: Duration = Duration::from_millis(250);

/// What a command came to.
#[derive(Debug)]
pub(super) struct Finished {
    status: ExitStatus,
    /// What it printed, up to the limit it was run with.
    pub(super) stdout: Vec<u8>,
    /// Whether it printed more than that.
    pub(super) is_cut: bool,
    stderr: Vec<u8>,
}

/// Runs a command and waits for its end. Dropping the future kills it and its process group.
/// It has the environment that is given, and no other.
pub(super) async fn run(
    program: &str,
    arguments: &[&str],
    environment: Environment<'_>,
    stdout_bytes_max: usize,
) -> io::Result<Finished> {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(environment.variables())
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command.stdout(if stdout_bytes_max == 0 { Stdio::null() } else { Stdio::piped() });
    let mut child = command.spawn()?;
    let group = Group::of(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut stdout = Output::new(stdout_bytes_max);
    let mut stderr = Output::new(STDERR_BYTES_MAX);
    let status = {
        let mut reading = std::pin::pin!(async {
            tokio::join!(stdout.read(out), stderr.read(err));
        });
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            () = &mut reading => None,
        };
        match ended {
            Some(status) => {
                group.let_live();
                // That not all could be read in time is no error: what came until now is there.
                timeout(OUTPUT_GRACE, reading).await.unwrap_or_default();
                status
            }
            None => {
                let status = child.wait().await?;
                group.let_live();
                status
            }
        }
    };
    Ok(Finished { status, is_cut: stdout.is_cut, stdout: stdout.bytes, stderr: stderr.bytes })
}

// === impl Finished ===

impl Finished {
    /// Why it failed, if it did: the first line of its error output, else how it ended.
    pub(super) fn failure(&self) -> Option<String> {
        if self.status.success() {
            return None;
        }
        let stderr = String::from_utf8_lossy(&self.stderr);
        let line = stderr.lines().map(str::trim).find(|line| !line.is_empty());
        let printable =
            |line: &str| line.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
        Some(line.map_or_else(|| self.status.to_string(), printable))
    }
}

/// Kills a process group when dropped: the command that leads it, and what that has started.
pub(crate) struct Group(Option<Pid>);

// === impl Group ===

impl Group {
    /// Of a command that was started as the leader of its group and has not been waited for, so that its number
    /// cannot be another's.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The command has ended by itself; what it left running in the background is meant to.
    fn let_live(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(group = group.as_raw_nonzero(), %error, "process group was not killed");
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.0).finish()
    }
}

/// The beginning of an output. All of it is read, so that the command does not wait for a reader.
struct Output {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_cut: bool,
}

// === impl Output ===

impl Output {
    fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, is_cut: false }
    }

    /// Reads to the end. An error of a pipe is an end too.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            let room = self.bytes_max.saturating_sub(self.bytes.len());
            let read = buffer.get(..count).unwrap_or_default();
            self.bytes.extend(read.iter().take(room));
            self.is_cut |= count > room;
        }
    }
}

#[cfg(test)]
mod tests;
