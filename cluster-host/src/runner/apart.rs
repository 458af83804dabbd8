//! A plugin that is not loaded here: what a runner of it needs, kept for as many as there will be.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use serde_json::Value;

use super::{
    ARGUMENT, Runner,
    frame::Order,
    setup::{PluginName, Setup, named_files, texts, to_json},
    user::User,
};
use crate::{
    config::ProcessConfig,
    plugin::{LoadError, Source},
};

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// A plugin for processes of its own. What was looked at stays open, so that each of them loads the same.
#[derive(Debug)]
pub(crate) struct Apart {
    program: PathBuf,
    plugin: PluginName,
    file: Option<Arc<File>>,
    user: Option<User>,
    /// Files that the plugin's config names.
    named: Vec<PathBuf>,
    pub(super) process: ProcessConfig,
}

// === impl Apart ===

impl Apart {
    /// Opens the plugin's file. None of its code runs.
    pub(crate) fn new(
        runner: &Runner,
        source: Source<'_>,
        process: ProcessConfig,
        config: &Value,
    ) -> Result<Self, LoadError> {
        let user = process.user.as_deref().map(|name| {
            User::find(name).map_err(|message| LoadError::User {
                source_name: source.to_string(),
                user: name.to_owned(),
                message,
            })
        });
        let (plugin, file) = match source {
            Source::Builtin(builtin) => (PluginName::Builtin(builtin.identity.plugin.clone()), None),
            Source::File(seen) => {
                // Only to be shown: JSON has no names that are not UTF-8.
                let name = seen.path.to_string_lossy().into_owned().into();
                (PluginName::File(name), Some(runner.open(seen)?))
            }
        };
        let set = process.env.0.values().map(String::as_str);
        let named = named_files(texts(config).into_iter().chain(set));
        Ok(Self { program: runner.program.clone(), plugin, file, user: user.transpose()?, named, process })
    }

    /// How a runner is started, and the host's end of its socket, in which the setup waits for it. The command has the
    /// other end: it must be gone before the end of the runner can be noticed.
    pub(super) fn command(&self, label: &str) -> io::Result<(Command, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let environment = self.process.environment().variables();
        self.send_setup(&ours, environment.values().filter_map(|value| value.to_str()))?;
        let mut command = Command::new(&self.program);
        command
            .arg0(format!("cluster-host: {label}"))
            .arg(OsStr::new(ARGUMENT))
            .env_clear()
            .envs(environment)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .process_group(0);
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        Ok((command, ours))
    }

    fn send_setup<'a>(
        &self,
        socket: &UnixStream,
        environment: impl Iterator<Item = &'a str>,
    ) -> io::Result<()> {
        let read = self.process.read.iter().chain(&self.named).cloned();
        let setup = to_json(&Setup {
            plugin: self.plugin.clone(),
            read: read.chain(named_files(environment)).collect(),
            write: self.process.write.clone(),
            memory_bytes_max: u64::from(self.process.memory_mib_max.get()).saturating_mul(MIB),
        });
        let frame = Order::Setup(&setup).to_frame();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let file = self.file.as_ref().map(|file| [file.as_fd()]);
        if let Some(file) = &file {
            ancillary.push(SendAncillaryMessage::ScmRights(file));
        }
        // Nobody reads yet: what does not fit would wait for ever.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = sendmsg(socket, &[IoSlice::new(&frame)], &mut ancillary, flags)?;
        if sent == frame.len() { Ok(()) } else { Err(io::Error::other("its paths are too many")) }
    }
}
