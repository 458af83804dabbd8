//! An instance in a process of its own, as the host holds it.

use std::{io, process::Stdio, sync::Arc, time::Duration};

use cluster_sdk::{
    LocalNode,
    abi::{
        host::{
            HostCalls as _, HostInterface, NotRunning, Operation, PluginError, Receiver, Start, StopReason,
        },
        table::StopCode,
    },
};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{net::UnixStream, process::Command, sync::mpsc, task::JoinHandle};

use super::{
    apart::Apart,
    confine,
    conversation::{Conversation, Message},
    frame::Order,
    setup::{Launch, to_json},
};

/// Orders that may wait for a runner; one that takes none any more is killed.
pub(super) const ORDERS_MAX: usize = 4096;
/// Signs of life within the time after which a runner is taken for hung.
const BEATS: u32 = 4;

/// A running strategy or connector. Dropping it kills its process.
#[derive(Debug)]
pub(crate) struct Instance {
    orders: mpsc::Sender<Message>,
    receiver: Arc<Receiver>,
    conversation: JoinHandle<()>,
}

impl Apart {
    /// Starts an instance in a process of its own, on the current tokio runtime. Whether the plugin can be loaded there
    /// and likes its config is told by `exited`.
    pub(crate) fn start(
        &self,
        start: &Start,
        interface: Arc<dyn HostInterface>,
    ) -> Result<Instance, PluginError> {
        self.spawn(start, interface)
            .map_err(|error| PluginError::Exhausted(format!("its process could not be started: {error}")))
    }

    fn spawn(&self, start: &Start, interface: Arc<dyn HostInterface>) -> io::Result<Instance> {
        confine::warn_of_open_files();
        let (mut command, socket) = self.command(&start.topology)?;
        let (output, written) = pipe_with(PipeFlags::CLOEXEC)?;
        command.stdout(Stdio::from(written.try_clone()?)).stderr(Stdio::from(written));
        let child = Command::from(command).kill_on_drop(true).spawn()?;
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        let receiver = Arc::new(Receiver::new(interface));
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let hang_after = self.process.hang_after.get();
        let launch = to_json(&Launch::new(start, hang_after / BEATS));
        let conversation = Conversation::new(child, (socket, output), Arc::clone(&receiver), hang_after)?;
        let conversation = conversation.hold(ordered, Order::Start(&launch).to_frame());
        Ok(Instance { orders, receiver, conversation: tokio::spawn(conversation) })
    }
}

// === impl Instance ===

impl Instance {
    /// The local node has changed.
    pub(crate) fn update(&self, local: &LocalNode) {
        self.send(Message::Order(Order::Update(&to_json(local)).to_frame()));
    }

    /// Asks the instance to end; what has not ended by then is killed.
    pub(crate) fn stop(&self, reason: StopReason, within: Duration) {
        let reason = match reason {
            StopReason::Leave => StopCode::LEAVE,
            StopReason::Restart => StopCode::RESTART,
        };
        let order = Order::Stop { reason, deadline_ms: millis(within) };
        self.send(Message::Stop(order.to_frame(), within));
    }

    /// Work for a connector.
    pub(crate) fn submit(&self, op: u64, operation: &Operation, within: Duration) -> Result<(), NotRunning> {
        let (kind, record) = operation.encode();
        let order = Order::Submit { op, kind, deadline_ms: millis(within), record: &record };
        self.receiver.expect(op);
        let sent = self.orders.try_send(Message::Order(order.to_frame()));
        sent.map_err(|_full_or_over| {
            self.receiver.forget(op);
            NotRunning
        })
    }

    /// The operation is not wanted any more.
    pub(crate) fn cancel(&self, op: u64) {
        if self.receiver.forget(op) {
            self.send(Message::Order(Order::Cancel { op }.to_frame()));
        }
    }

    /// Whether its process is gone; then nothing is left of the instance.
    pub(crate) fn try_destroy(self) -> Result<(), Self> {
        if self.conversation.is_finished() { Ok(()) } else { Err(self) }
    }

    /// Where the process is over there is nobody to tell; where it takes no orders the conversation notices.
    fn send(&self, message: Message) {
        drop(self.orders.try_send(message));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
