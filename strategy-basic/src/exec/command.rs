//! One run of a command: bounded in time and output, and killed with all that it has started.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    pin::pin,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use cluster_sdk::{Environment, Secret, SecretError};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, sync::oneshot, time::timeout};

/// Bytes of the end of an error output that are kept.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// Characters of a reason at most.
const REASON_CHARS_MAX: usize = 300;
/// How long output is waited for after the end: one that has left the group may hold the pipe open for ever. What the
/// command itself has written is in the pipe by then.
const OUTPUT_GRACE: Duration = Duration::from_millis(250);

/// What is run.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, Secret>,
    pub(super) timeout: Duration,
    pub(super) output_bytes_max: usize,
}

/// Why a run is of no use. Nothing is known; whoever wrote the config or the command can mend it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// It was not started.
    #[error("cannot be started: {0}; is it installed, executable and in PATH?")]
    Start(io::Error),
    /// A variable has no value.
    #[error("its variable {0}: {1}")]
    Env(String, SecretError),
    /// It has run too long.
    #[error("not done within {}ms, and killed: raise timeout, or see what it waits for", .0.as_millis())]
    Timeout(Duration),
    /// It has ended, and its output has not.
    #[error(
        "something that it has started holds its output open, and has left its process group: redirect what that prints"
    )]
    HeldOpen,
    /// It has printed too much.
    #[error("has printed more than {0} bytes, and was killed: raise output_bytes_max, or have it print less")]
    TooLong(usize),
    /// It says that it has failed.
    #[error("{}", failure(*.0, .1))]
    Failed(ExitStatus, String),
    /// The system failed us.
    #[error("cannot be followed: {0}")]
    Lost(#[from] io::Error),
}

// === impl Command ===

impl Command {
    /// Runs it to its end, and gives what it has printed. Dropping the future kills it and its process group.
    pub(super) async fn run(&self) -> Result<Vec<u8>, CommandError> {
        let mut child = self.start()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (_group, mut ended) = Group::follow(child)?;
        let work = async {
            let mut reading = pin!(async {
                tokio::try_join!(
                    read_all(out.map(OwnedFd::from), self.output_bytes_max),
                    read_end(err.map(OwnedFd::from), STDERR_BYTES_MAX),
                )
            });
            tokio::select! {
                biased;
                read = &mut reading => Ok((read?, waited((&mut ended).await)?)),
                status = &mut ended => {
                    let read = timeout(OUTPUT_GRACE, reading).await;
                    Ok((read.map_err(|_elapsed| CommandError::HeldOpen)??, waited(status)?))
                }
            }
        };
        let done: Result<_, CommandError> =
            timeout(self.timeout, work).await.map_err(|_elapsed| CommandError::Timeout(self.timeout))?;
        let ((output, error_output), status) = done?;
        if status.success() {
            return Ok(output);
        }
        // Hidden before it is cut: half of a secret is not found.
        Err(CommandError::Failed(status, self.hide(&String::from_utf8_lossy(&error_output))))
    }

    /// A text without the values of its variables, which may be secret: commands that fail tell what they were given.
    pub(super) fn hide(&self, text: &str) -> String {
        let value = |(name, value): (&String, &Secret)| Some((name.clone(), value.reveal().ok()?));
        let env = self.env.iter().filter_map(value).collect();
        Environment { env: &env, pass_env: &[] }.hide(text)
    }

    fn start(&self) -> Result<Child, CommandError> {
        let mut words = self.words.iter();
        let mut command = std::process::Command::new(words.next().map_or("", String::as_str));
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            let value = value.reveal().map_err(|err| CommandError::Env(name.clone(), err))?;
            env.insert(name.clone(), value);
        }
        let environment = Environment { env: &env, pass_env: &[] };
        command.args(words).env_clear().envs(environment.variables());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.spawn().map_err(CommandError::Start)
    }
}

impl fmt::Display for Command {
    /// The program: arguments may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.words.first().map_or("", String::as_str))
    }
}

/// Kills a process group when dropped: the command that leads it, and what that has started.
struct Group {
    leader: Pid,
    /// Whether the leader's number may be another's by now.
    is_over: Arc<Mutex<bool>>,
}

// === impl Group ===

impl Group {
    /// Waits for the end of a command in a thread, which ends with it. So it is reaped whatever becomes of the runtime,
    /// and no signal handler is needed: those are the host's.
    fn follow(mut child: Child) -> io::Result<(Self, oneshot::Receiver<io::Result<ExitStatus>>)> {
        let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let leader = leader.ok_or(io::ErrorKind::InvalidData)?;
        let is_over = Arc::new(Mutex::new(false));
        let group = Self { leader, is_over: Arc::clone(&is_over) };
        let (tell, ended) = oneshot::channel();
        thread::Builder::new().name("exec-wait".to_owned()).spawn(move || {
            // The number stays the command's until it is reaped, below.
            let exited = waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let mut is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            // What it leaves behind would be one more each time.
            kill(leader);
            let status = exited.map_err(io::Error::from).and_then(|_| child.wait());
            *is_over = true;
            drop(is_over);
            drop(tell.send(status));
        })?;
        Ok((group, ended))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_over {
            kill(self.leader);
        }
    }
}

fn kill(group: Pid) {
    // It has no processes any more, as a rule.
    if let Err(err) = kill_process_group(group, Signal::KILL)
        && err != rustix::io::Errno::SRCH
    {
        tracing::debug!(group = group.as_raw_nonzero(), %err, "process group was not killed");
    }
}

fn waited(status: Result<io::Result<ExitStatus>, oneshot::error::RecvError>) -> io::Result<ExitStatus> {
    status.map_err(io::Error::other)?
}

/// Reads everything, up to a limit.
async fn read_all(pipe: Option<OwnedFd>, bytes_max: usize) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        Receiver::from_owned_fd(pipe)?.take(limit).read_to_end(&mut bytes).await?;
    }
    if bytes.len() > bytes_max { Err(CommandError::TooLong(bytes_max)) } else { Ok(bytes) }
}

/// Reads everything, and keeps the end of it.
async fn read_end(pipe: Option<OwnedFd>, bytes_max: usize) -> Result<Vec<u8>, CommandError> {
    let Some(pipe) = pipe else { return Ok(Vec::new()) };
    let mut pipe = Receiver::from_owned_fd(pipe)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = pipe.read(&mut buffer).await?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let surplus = bytes.len().saturating_sub(bytes_max);
        bytes.drain(..surplus);
    }
}

/// The last line of its error output, where the reason stands as a rule, and how it ended.
fn failure(status: ExitStatus, error_output: &str) -> String {
    let line = error_output.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    };
    if line.is_empty() {
        format!("{end}, and nothing on its standard error")
    } else {
        format!("{line} ({end})")
    }
}
