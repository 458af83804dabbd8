//! A real epmd for tests.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Epmd, EpmdError, NodeKind, Registration};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The port that nodes of tests say they listen at.
pub(crate) const REGISTERED_PORT: u16 = 4711;

/// An epmd process on a port of its own, ended with the value.
#[derive(Debug)]
pub(crate) struct RealEpmd {
    process: Child,
    pub(crate) port: u16,
}

// === impl RealEpmd ===

impl RealEpmd {
    pub(crate) async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    pub(crate) async fn start_at(port: u16) -> Self {
        let process = Command::new("epmd")
            .args(["-port", &port.to_string(), "-address", "127.0.0.1", "-relaxed_command_check"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|err| panic!("cannot start epmd, install the package erlang-base: {err}"));
        let mut epmd = Self { process, port };
        let until = Instant::now() + PATIENCE;
        while let Err(err) = epmd.client().names(PATIENCE).await {
            assert!(Instant::now() < until && epmd.process.try_wait().unwrap().is_none(), "{err}");
            sleep(Duration::from_millis(5)).await;
        }
        epmd
    }

    pub(crate) fn client(&self) -> Epmd {
        Epmd::local(self.port)
    }

    /// Registers a node of this kind with it.
    pub(crate) async fn register(&self, alive: &str, kind: NodeKind) -> Result<Registration, EpmdError> {
        Registration::register(&self.client(), alive, REGISTERED_PORT, kind, PATIENCE).await
    }

    /// Ends it.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for RealEpmd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
