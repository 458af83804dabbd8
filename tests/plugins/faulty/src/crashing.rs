//! A strategy and connectors that do what no host could bear in its own process.

#![allow(unsafe_code, reason = "this is what it is for")]

use std::{
    ffi::c_void,
    fs::File,
    future::pending,
    io::{Read as _, Write as _},
    os::fd::{FromRawFd as _, RawFd},
    path::PathBuf,
    sync::Mutex,
    time::Duration,
};

use cluster_sdk::{
    Connector, ConnectorContext, Context, Links, LocalNode, Node, NodeName, Outcome, Result, Strategy,
    anyhow::{Context as _, bail},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::nodes;

/// The descriptor by which a runner talks with its host.
const PROTOCOL: RawFd = 3;

/// Reports its nodes and breaks in the way that it is told.
#[derive(Debug)]
pub struct Breaks;

/// How it breaks, and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreaksConfig {
    /// How it breaks
    pub how: Fault,
    /// Nodes that are reported at the start, completely
    #[serde(default)]
    pub nodes: Vec<String>,
    /// Milliseconds from the start to the fault
    #[serde(default)]
    pub after_ms: u64,
    /// Bytes of a whole conversation that are sent before the end, of `cut`
    #[serde(default)]
    pub bytes: usize,
    /// Breaks when it is asked whether its config is right
    #[serde(default)]
    pub when_asked: bool,
}

/// What a plugin can do to the process that it is in.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Panics
    Panic,
    /// Returns an error
    Error,
    /// Writes where nothing is
    Segv,
    /// Aborts
    Abort,
    /// Frees the same memory twice
    DoubleFree,
    /// Calls itself without end
    StackOverflow,
    /// Takes memory without end
    Oom,
    /// Never comes back
    Spin,
    /// Waits for itself
    Deadlock,
    /// Starts threads without end
    ThreadLeak,
    /// Opens files without end
    FdLeak,
    /// Ends the process as if all was well
    Exit,
    /// Announces more bytes to the host than it takes
    LargeFrame,
    /// Sends what means nothing
    Garbage,
    /// Prints without end, and dies of it
    Noise,
    /// Starts a program that would outlive it, and dies
    Fork,
    /// Sends the beginning of a conversation and dies
    Cut,
    /// Says what it has: its environment, open descriptors and limits
    Tell,
}

unsafe extern "C" {
    fn malloc(bytes: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

impl Strategy for Breaks {
    const NAME: &'static str = "breaks";
    type Config = BreaksConfig;

    fn validate(config: &BreaksConfig, _: &LocalNode) -> Vec<cluster_sdk::ConfigError> {
        if config.when_asked {
            drop(config.how.happen(0));
        }
        Vec::new()
    }

    async fn run(config: BreaksConfig, ctx: Context) -> Result<()> {
        if !config.nodes.is_empty() {
            ctx.report(cluster_sdk::View::complete(nodes(&config.nodes)?))?;
        }
        tokio::time::sleep(Duration::from_millis(config.after_ms)).await;
        if let Fault::Tell = config.how {
            ctx.degraded(&told()?);
            return pending().await;
        }
        config.how.happen(config.bytes)?;
        pending().await
    }
}

impl Fault {
    #[expect(
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::disallowed_methods,
        clippy::mem_forget,
        reason = "this is what it is for"
    )]
    fn happen(self, bytes: usize) -> Result<()> {
        match self {
            Self::Panic => panic!("boom"),
            Self::Error => bail!("the source is gone"),
            // SAFETY: there is none.
            Self::Segv => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
            Self::Abort => std::process::abort(),
            Self::DoubleFree => {
                // SAFETY: there is none.
                let memory = unsafe { malloc(100) };
                for _twice in 0..2 {
                    // SAFETY: there is none the second time.
                    unsafe { free(std::hint::black_box(memory)) };
                }
            }
            Self::StackOverflow => drop(deeper(0)),
            Self::Oom => loop {
                std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
            },
            Self::Spin => loop {
                std::hint::spin_loop();
            },
            Self::Deadlock => {
                let mutex = Mutex::new(());
                let _held = mutex.lock();
                let _never = mutex.lock();
            }
            Self::ThreadLeak => loop {
                let thread = std::thread::Builder::new().stack_size(16 << 20);
                let sleep = || std::thread::sleep(Duration::from_secs(3_600));
                thread.spawn(sleep).context("one thread more")?;
            },
            Self::FdLeak => loop {
                std::mem::forget(File::open("/dev/null").context("one descriptor more")?);
            },
            Self::Exit => std::process::exit(0),
            Self::LargeFrame => send(&(1_u32 << 30).to_le_bytes())?,
            Self::Garbage => send(b"\x05\0\0\0\xeeGarbage")?,
            Self::Noise => {
                for number in 0..10_000 {
                    println!("noise {number}");
                }
                eprintln!("enough");
                std::process::abort()
            }
            Self::Fork => {
                std::process::Command::new("sleep").arg("98765").spawn()?;
                std::process::abort()
            }
            Self::Cut => {
                let conversation = conversation();
                send(conversation.get(..bytes).unwrap_or(&conversation))?;
                std::process::abort()
            }
            Self::Tell => {}
        }
        Ok(())
    }
}

/// The beginning of a frame, and each message that an instance can send, whole.
fn conversation() -> Vec<u8> {
    let mut all = Vec::new();
    let mut frame = |tag: u8, body: &[u8]| {
        all.extend((u32::try_from(body.len()).unwrap_or(0) + 1).to_le_bytes());
        all.push(tag);
        all.extend_from_slice(body);
    };
    let record = {
        let mut record = Vec::new();
        if let Ok(node) = Node::try_new("cut@10.0.0.1") {
            node.encode(&mut record);
        }
        record
    };
    let zeros = [0; 16];
    frame(0, &zeros[..8]);
    frame(1, b"\x03\0\0\0\x01\0\0\0mlog");
    frame(2, &zeros);
    frame(3, &[&zeros[..4], &record].concat());
    frame(4, b"");
    frame(5, b"\x01\0\0\0\0\0\0\0{}");
    frame(6, &[&zeros[..12], b"late"].concat());
    frame(7, &[&zeros[..12], b"\x03\0\0\0a@h"].concat());
    frame(8, &zeros[..8]);
    frame(9, &record);
    frame(10, b"");
    frame(11, &zeros[..4]);
    frame(12, b"{}");
    frame(13, b"\x01\0\0\0said");
    all
}

fn send(bytes: &[u8]) -> Result<()> {
    // SAFETY: there is none: it is not ours.
    let mut protocol = unsafe { File::from_raw_fd(PROTOCOL) };
    Ok(protocol.write_all(bytes)?)
}

#[expect(unconditional_recursion, reason = "this is what it is for")]
fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    deeper(depth + 1) + std::hint::black_box(room).iter().sum::<u64>()
}

/// What this process has of its host.
fn told() -> Result<String> {
    let mut lines: Vec<String> =
        std::env::vars().map(|(name, value)| format!("env {name}={value}")).collect();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        lines.push(format!("fd {} {}", entry.file_name().display(), target.display()));
    }
    for line in std::fs::read_to_string("/proc/self/limits")?.lines() {
        lines.push(format!("limit {}", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for line in std::fs::read_to_string("/proc/self/status")?.lines() {
        lines.push(format!("status {}", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for path in ["/etc/hosts", "/root", "/tmp", "/proc/1/environ", "/dev/null"] {
        let read = if path == "/dev/null" || path.starts_with("/etc") || path.starts_with("/proc") {
            File::open(path).and_then(|mut file| file.read(&mut [0])).map(drop)
        } else {
            std::fs::read_dir(path).map(drop)
        };
        let kind = read.map_or_else(|error| format!("{:?}", error.kind()), |()| "read".to_owned());
        lines.push(format!("path {path} {kind}"));
    }
    lines.sort();
    Ok(lines.join("\n"))
}

/// What the two connectors are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DyingConfig {
    /// A file: when it says `die`, the process dies once; the other names in it are the links there are
    pub file: PathBuf,
}

macro_rules! dying {
    ($($(#[$doc:meta])* $connector:ident, $name:literal, $links:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $connector(DyingConfig);

        impl Connector for $connector {
            const NAME: &'static str = $name;
            type Config = DyingConfig;
            const LINKS: Links = Links::$links;

            async fn start(config: DyingConfig, _ctx: ConnectorContext) -> Result<Self> {
                let file = config.file.clone();
                tokio::task::spawn_local(async move {
                    loop {
                        if std::fs::read_to_string(&file).is_ok_and(|text| text.trim() == "die") {
                            std::process::abort();
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                });
                Ok(Self(config))
            }

            async fn connect(&self, _: &Node) -> Outcome {
                Outcome::Done
            }

            async fn disconnect(&self, _: &NodeName) -> Outcome {
                Outcome::Done
            }

            async fn list(&self) -> Result<Option<Vec<NodeName>>> {
                let text = std::fs::read_to_string(&self.0.file)?;
                Ok(Some(text.split_whitespace().map(NodeName::try_new).collect::<Result<_, _>>()?))
            }
        }
    )+};
}

dying! {
    /// Dies when its file says so; its links go with it.
    DyingOwn, "dying-own", Own;
    /// Dies when its file says so; its links stay.
    DyingOutlive, "dying-outlive", Outlive;
}
