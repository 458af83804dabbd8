//! Tells the service manager how the host is, where it was started by one that asks for it (systemd's `Type=notify`):
//! ready, reloading, stopping, alive, and in one line how the cluster is. See `sd_notify(3)` for what is written.
//!
//! Without `NOTIFY_SOCKET` in the environment nothing runs and nothing is sent. A message has a socket of its own, as
//! there are few, and one that cannot be sent is logged and no reason to end.

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fmt::Write as _,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{ffi::OsStrExt as _, net::SocketAddr, net::UnixDatagram},
    },
    time::Duration,
};

use cluster_core::{Health, MemberState, Snapshot, Start};
use rustix::time::{ClockId, clock_gettime};
use tokio::{sync::watch, time::MissedTickBehavior};
use tracing::warn;

use crate::api::Source as _;
use crate::host::HostHandle;

/// Changes of the cluster within this time are one change of the status.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// How long the service manager may take to make room for a message.
const SEND_MAX: Duration = Duration::from_secs(2);
/// Topologies that the status names.
const TOPOLOGIES_MAX: usize = 3;

/// Speaks to the service manager, or to nobody.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<SocketAddr>,
    /// Without a sign of life for so long the service manager ends this process.
    watchdog: Option<Duration>,
}

// === impl Notifier ===

impl Notifier {
    /// Takes what the service manager has written into the environment of the process with this number.
    pub(crate) fn new(environment: &dyn Fn(&str) -> Option<OsString>, process: u32) -> Self {
        let Some(path) = environment("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Self::default();
        };
        let socket = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&path),
        };
        let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = environment("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process.into());
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        match socket {
            Ok(socket) => Self { socket: Some(socket), watchdog: watchdog.map(Duration::from_micros) },
            Err(error) => {
                warn!(?path, err = %error, "NOTIFY_SOCKET is no address: the service manager is told nothing");
                Self::default()
            }
        }
    }

    /// The host listens, and its owner answers; or a reload has ended.
    pub(crate) async fn ready(&self, host: &HostHandle) {
        if self.socket.is_some() && host.alive().await {
            self.send(&format!("READY=1\n{}", Self::status(host))).await;
        }
    }

    /// A reload begins; [`Notifier::ready`] ends it.
    pub(crate) async fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}")).await;
    }

    /// The host begins to stop.
    pub(crate) async fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping").await;
    }

    /// Goes on to tell that the owner answers, and how the cluster is, until the host ends.
    pub(crate) async fn follow(&self, host: &HostHandle) {
        if self.socket.is_some() {
            tokio::join!(self.keep_alive(host), self.tell_status(host));
        }
    }

    async fn keep_alive(&self, host: &HostHandle) {
        let Some(watchdog) = self.watchdog else {
            return;
        };
        // Twice within the time, as systemd asks for: one that is late is not one too few.
        let mut due = tokio::time::interval(watchdog / 2);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if !host.alive().await {
                break;
            }
            self.send("WATCHDOG=1").await;
        }
    }

    async fn tell_status(&self, host: &HostHandle) {
        let mut refused = host.refused();
        loop {
            // First the place in the log, then what to say: what happens in between is told in the next round.
            let mut changes = host.log().subscribe(Start::Now);
            self.send(&Self::status(host)).await;
            let goes_on = tokio::select! {
                change = changes.next() => change.is_some(),
                () = changed(refused.as_mut()) => true,
            };
            if !goes_on {
                break;
            }
            tokio::time::sleep(STATUS_INTERVAL).await;
        }
    }

    fn status(host: &HostHandle) -> String {
        let is_refused = host.refused().is_some_and(|refused| *refused.borrow());
        let refused = if is_refused { "reload refused, runs as before: " } else { "" };
        format!("STATUS={refused}{}", line(&host.log().snapshot().1))
    }

    async fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send(socket, message).await
        {
            warn!(err = %error, "the service manager cannot be told: {}", message.lines().next().unwrap_or_default());
        }
    }
}

/// Ready when another outcome of a reload is to be told; never, where there is none.
async fn changed(refused: Option<&mut watch::Receiver<bool>>) {
    let told = async { refused?.changed().await.ok() };
    if told.await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Waits for room, without holding up anybody else, and not for ever.
async fn send(socket: &SocketAddr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.connect_addr(socket)?;
    let sender = tokio::net::UnixDatagram::from_std(sender)?;
    let _bytes = tokio::time::timeout(SEND_MAX, sender.send(message.as_bytes())).await??;
    Ok(())
}

/// How the cluster is, in one line.
fn line(snapshot: &Snapshot) -> String {
    let up = snapshot.members.values().filter(|member| member.state == MemberState::Up).count();
    let mut line = format!("{up} of {} members up", snapshot.members.len());
    let troubled = snapshot.topologies.iter().filter(|(_, status)| status.health != Health::Running);
    for (index, (name, status)) in troubled.clone().take(TOPOLOGIES_MAX).enumerate() {
        let sign = if index == 0 { ';' } else { ',' };
        let health = match status.health {
            Health::Starting => "is starting",
            Health::Running => continue,
            Health::Degraded => "is degraded",
            Health::Denied => "is denied",
            Health::Stopped => "has stopped",
        };
        let _in_memory = write!(line, "{sign} {name} {health}");
    }
    let more = troubled.count().saturating_sub(TOPOLOGIES_MAX);
    if more > 0 {
        let _in_memory = write!(line, ", {more} more");
    }
    line
}
