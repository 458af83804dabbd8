//! The runner itself: one process, one plugin, at most one instance of it.

use std::{
    fs::File,
    io::{self, IoSliceMut, Read as _},
    mem::MaybeUninit,
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use cluster_sdk::{
    LocalNode,
    abi::{
        PluginEntry,
        host::{Call, HostCalls as _, LoadedPlugin, Operation, PluginError, Running, StopReason},
        table::{Code, OutcomeCode, StopCode},
    },
};
use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, poll},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    process::{Signal, getpid, kill_process, kill_process_group},
    thread::set_name,
};
use serde::de::DeserializeOwned;

use super::{
    confine, descriptors,
    frame::{Incoming, ORDER_BYTES_MAX, Order},
    setup::{Launch, PluginName, Question, Setup, to_json},
    wire::Wire,
};
use crate::plugin::{self, Refusal};

/// Stack of the thread that waits for the end of the host.
const WATCH_STACK_BYTES: usize = 64 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// Runs a plugin until the host has no use for it any more.
pub(super) fn main(builtins: &[&'static PluginEntry]) -> ExitCode {
    match serve(builtins) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Into the host's log, as the last line of this process.
            #[expect(clippy::print_stderr, reason = "where else, without a host that listens")]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn serve(builtins: &[&'static PluginEntry]) -> io::Result<()> {
    let mut socket = descriptors::take()?;
    let mut incoming = Incoming::new(ORDER_BYTES_MAX);
    let (setup, file) = receive_setup(&socket, &mut incoming)?;
    set_name(c"cluster-runner")?;
    // Runners of one plugin were all given the same open file, and would move its position for each other.
    let file = file.map(|file| File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))).transpose()?;
    confine::confine(&setup, file.as_ref())?;
    let watched = socket.try_clone()?;
    thread::Builder::new().stack_size(WATCH_STACK_BYTES).spawn(move || end_with_host(&watched))?;
    let wire = Arc::new(Wire::new(socket.try_clone()?));
    let mut runner = Child { plugin: load(&setup, file, builtins), wire, instance: None };
    loop {
        while let Some((tag, body)) = incoming.next().map_err(io::Error::other)? {
            runner.obey(Order::read(tag, body).map_err(io::Error::other)?);
        }
        let mut buffer = [0; READ_BYTES];
        match socket.read(&mut buffer) {
            Ok(0) => end(),
            Ok(read) => incoming.room().extend_from_slice(buffer.get(..read).unwrap_or_default()),
            // A plugin may have installed a handler of signals.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The first order, and the file that comes with it.
fn receive_setup(socket: &UnixStream, incoming: &mut Incoming) -> io::Result<(Setup, Option<File>)> {
    let mut file = None;
    loop {
        if let Some((tag, body)) = incoming.next().map_err(io::Error::other)? {
            return match Order::read(tag, body).map_err(io::Error::other)? {
                Order::Setup(setup) => Ok((serde_json::from_slice(setup)?, file)),
                _ => Err(io::Error::other("bug: the first order is no setup")),
            };
        }
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; READ_BYTES];
        let into = &mut [IoSliceMut::new(&mut buffer)];
        let received = recvmsg(socket, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                file = descriptors.map(File::from).last().or(file);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        incoming.room().extend_from_slice(buffer.get(..received.bytes).unwrap_or_default());
    }
}

fn load(
    setup: &Setup,
    file: Option<File>,
    builtins: &[&'static PluginEntry],
) -> Result<LoadedPlugin, PluginError> {
    let failed = |error: &dyn std::fmt::Display| PluginError::Unknown(error.to_string());
    match (&setup.plugin, file) {
        (PluginName::File(path), Some(file)) => {
            let inspected = plugin::inspect_open(&file, path)
                .map_err(|reason| failed(&Refusal { path: path.clone(), reason }))?;
            plugin::load_open(file, &inspected).map_err(|error| failed(&error))
        }
        (PluginName::Builtin(name), _) => {
            let entry = builtins.iter().find(|entry| entry.handshake().plugin() == name);
            let entry = entry.ok_or_else(|| failed(&format!("bug: the runner has no plugin {name}")))?;
            LoadedPlugin::from_entry(entry).map_err(|error| failed(&error))
        }
        (PluginName::File(_), None) => Err(failed(&"bug: the plugin's file did not come with its name")),
    }
}

/// Waits until the host has closed its end, or is gone. Also where the thread that obeys is stuck in the plugin.
fn end_with_host(socket: &UnixStream) {
    loop {
        let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
        let ready = poll(&mut polled, None);
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        if ready.is_ok() && polled.iter().any(|polled| polled.revents().intersects(gone)) {
            end();
        }
    }
}

/// Ends this process and all that the plugin has started, without asking anybody: what runs at a normal exit is the
/// plugin's.
fn end() -> ! {
    let own = rustix::process::getpgrp();
    // It leads a group of its own, unless somebody has started it by hand.
    if own == getpid() {
        kill_process_group(own, Signal::KILL).unwrap_or_default();
    }
    loop {
        kill_process(getpid(), Signal::KILL).unwrap_or_default();
    }
}

struct Child {
    plugin: Result<LoadedPlugin, PluginError>,
    wire: Arc<Wire>,
    instance: Option<Running>,
}

// === impl Child ===

impl Child {
    fn obey(&mut self, order: Order<'_>) {
        match order {
            Order::Setup(_) => {}
            Order::Describe => self.answer(self.plugin().and_then(|plugin| Ok(to_json(&plugin.describe()?)))),
            Order::Validate(question) => self.answer(self.validate(question)),
            Order::Start(launch) => {
                let started = self.start(launch);
                self.answer(started);
            }
            Order::Update(local) => {
                if let (Some(instance), Ok(local)) = (&self.instance, parse::<LocalNode>(local)) {
                    instance.update(&local);
                }
            }
            Order::Stop { reason, deadline_ms } => {
                let restart = reason == StopCode::RESTART;
                let reason = if restart { StopReason::Restart } else { StopReason::Leave };
                if let Some(instance) = &self.instance {
                    instance.stop(reason, Duration::from_millis(deadline_ms));
                }
            }
            Order::Submit { op, kind, deadline_ms, record } => {
                let within = Duration::from_millis(deadline_ms);
                let operation = Operation::decode(kind, record);
                let submitted = self.instance.as_ref().zip(operation);
                let submitted =
                    submitted.is_some_and(|(instance, what)| instance.submit(op, &what, within).is_ok());
                if !submitted {
                    let reason = b"the connector does not run";
                    self.wire.call(Call::Completed { op, outcome: OutcomeCode::UNREACHABLE, reason });
                }
            }
            Order::Cancel { op } => {
                if let Some(instance) = &self.instance {
                    instance.cancel(op);
                }
            }
            Order::Committed(code) => self.wire.committed(code),
        }
    }

    fn plugin(&self) -> Result<&LoadedPlugin, PluginError> {
        self.plugin.as_ref().map_err(Clone::clone)
    }

    fn validate(&self, question: &[u8]) -> Result<Vec<u8>, PluginError> {
        let Question { kind, name, config, local } = parse(question)?;
        Ok(to_json(&self.plugin()?.validate(kind, &name, &config, &local)?))
    }

    fn start(&mut self, launch: &[u8]) -> Result<Vec<u8>, PluginError> {
        let (start, heartbeat) = parse::<Launch>(launch)?.into_start();
        let instance = self.plugin()?.start_with(&start, Some(heartbeat), Arc::clone(&self.wire))?;
        self.instance = Some(instance);
        Ok(Vec::new())
    }

    fn answer(&self, answer: Result<Vec<u8>, PluginError>) {
        match answer {
            Ok(answer) => self.wire.answer(Code::OK, &answer),
            Err(error) => {
                let (code, text) = error.encode();
                self.wire.answer(code, &text);
            }
        }
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, PluginError> {
    serde_json::from_slice(json)
        .map_err(|error| PluginError::Protocol { code: Code::MALFORMED.0, text: error.to_string() })
}
