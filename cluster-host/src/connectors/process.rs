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
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
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
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// What it printed, as much as was to be kept.
    pub(crate) stdout: Vec<u8>,
    /// Whether it printed more than that.
    pub(super) is_cut: bool,
    pub(crate) stderr: Vec<u8>,
}

/// What is kept of an output. All of it is read, so that the command does not wait for a reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// So many bytes of its beginning.
    Beginning(usize),
    /// So many bytes of its end.
    End(usize),
}

/// Runs a command that is given no input, for what it prints and for the reason of a failure.
pub(super) async fn run(
    program: &str,
    arguments: &[&str],
    environment: Environment<'_>,
    stdout_bytes_max: usize,
) -> io::Result<Finished> {
    let mut command = command(program, environment);
    command.args(arguments);
    complete(command, &[], [Keep::Beginning(stdout_bytes_max), Keep::Beginning(STDERR_BYTES_MAX)]).await
}

/// A command that has this environment, and no other.
pub(crate) fn command(program: &str, environment: Environment<'_>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment.variables());
    command
}

/// Runs a command and waits for its end. Dropping the future kills it and its process group. What is kept is of standard
/// output and of standard error. It need not read its input.
pub(crate) async fn complete(
    mut command: Command,
    input: &[u8],
    [out, err]: [Keep; 2],
) -> io::Result<Finished> {
    command.stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    command.stdout(if matches!(out, Keep::Beginning(0)) { Stdio::null() } else { Stdio::piped() });
    let mut child = command.spawn()?;
    let group = Group::of(&child);
    let (to, from) = (child.stdin.take(), (child.stdout.take(), child.stderr.take()));
    let mut stdout = Output::new(out);
    let mut stderr = Output::new(err);
    let status = {
        let mut piping = std::pin::pin!(async {
            tokio::join!(feed(to, input), stdout.read(from.0), stderr.read(from.1));
        });
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            () = &mut piping => None,
        };
        match ended {
            Some(status) => {
                group.let_live();
                // That not all could be read in time is no error: what came until now is there.
                timeout(OUTPUT_GRACE, piping).await.unwrap_or_default();
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

/// Gives a command its input. One that does not read to the end, or ends before, is in its rights.
async fn feed(pipe: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut pipe) = pipe
        && let Err(error) = pipe.write_all(input).await
    {
        tracing::trace!(%error, "a command did not read all of its input");
    }
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

/// What is kept of an output.
struct Output {
    bytes: Vec<u8>,
    keep: Keep,
    is_cut: bool,
}

// === impl Output ===

impl Output {
    fn new(keep: Keep) -> Self {
        Self { bytes: Vec::new(), keep, is_cut: false }
    }

    /// Reads to the end. An error of a pipe is an end too.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            self.add(buffer.get(..count).unwrap_or_default());
        }
    }

    fn add(&mut self, read: &[u8]) {
        self.bytes.extend_from_slice(read);
        let (Keep::Beginning(bytes_max) | Keep::End(bytes_max)) = self.keep;
        let surplus = self.bytes.len().saturating_sub(bytes_max);
        self.is_cut |= surplus > 0;
        match self.keep {
            Keep::Beginning(bytes_max) => self.bytes.truncate(bytes_max),
            Keep::End(_) => drop(self.bytes.drain(..surplus)),
        }
    }
}

#[cfg(test)]
mod tests;
