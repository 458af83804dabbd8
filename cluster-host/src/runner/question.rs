//! Questions to a plugin that is not loaded here: each has a runner for its duration. The calls wait, seconds at most.

use std::{
    io::{self, Read as _, Write as _},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use cluster_sdk::{
    ConfigError, LocalNode, OfferKind,
    abi::{
        host::{Offer, PluginError},
        table::Code,
    },
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    apart::Apart,
    ending,
    frame::{FRAME_BYTES_MAX, FrameError, Incoming, Order, Said},
    setup::{Question, to_json},
};

/// How long a plugin may be silent when it is asked something.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

impl Apart {
    /// What the plugin offers.
    pub(crate) fn describe(&self) -> Result<Vec<Offer>, PluginError> {
        self.ask(&Order::Describe)
    }

    /// What is wrong with a config.
    pub(crate) fn validate(
        &self,
        kind: OfferKind,
        name: &str,
        config: &Value,
        local: &LocalNode,
    ) -> Result<Vec<ConfigError>, PluginError> {
        let question = Question { kind, name: name.to_owned(), config: config.clone(), local: local.clone() };
        self.ask(&Order::Validate(&to_json(&question)))
    }

    fn ask<T: DeserializeOwned>(&self, order: &Order<'_>) -> Result<T, PluginError> {
        let answer = self.answer(order).map_err(Trouble::into_error)??;
        serde_json::from_slice(&answer).map_err(|error| PluginError::Protocol {
            code: Code::OK.0,
            text: format!("not the JSON that was expected: {error}"),
        })
    }

    fn answer(&self, order: &Order<'_>) -> Result<Result<Vec<u8>, PluginError>, Trouble> {
        let (mut command, mut socket) = self.command("a question").map_err(Trouble::Start)?;
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(Trouble::Start)?;
        drop(command);
        let child = Asked(child, false);
        socket.set_read_timeout(Some(ANSWER_WITHIN)).map_err(Trouble::Start)?;
        // Where it has ended already, that is what is told.
        socket.write_all(&order.to_frame()).unwrap_or_default();
        let mut incoming = Incoming::new(FRAME_BYTES_MAX);
        let mut buffer = [0; READ_BYTES];
        loop {
            while let Some((tag, body)) = incoming.next().map_err(Trouble::Frame)? {
                match Said::read(tag, body).map_err(Trouble::Frame)? {
                    Said::Answer { code: Code::OK, answer } => return Ok(Ok(answer.to_vec())),
                    Said::Answer { code, answer } => return Ok(Err(PluginError::decode(code, answer))),
                    Said::Call(_) => {}
                }
            }
            match socket.read(&mut buffer) {
                Ok(0) => return Err(child.end()),
                Ok(read) => incoming.room().extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Trouble::Silent),
                Err(_reset) => return Err(child.end()),
            }
        }
    }
}

/// Why there is no answer.
enum Trouble {
    Start(io::Error),
    Frame(FrameError),
    Silent,
    Ended(String),
}

// === impl Trouble ===

impl Trouble {
    fn into_error(self) -> PluginError {
        match self {
            Self::Start(error) => {
                PluginError::Exhausted(format!("its process could not be started: {error}"))
            }
            Self::Frame(error) => PluginError::Died(format!("its process sent {error}")),
            Self::Silent => {
                PluginError::Died(format!("its process did not answer within {} s", ANSWER_WITHIN.as_secs()))
            }
            Self::Ended(how) => PluginError::Died(how),
        }
    }
}

/// A runner that is asked, and whether it was reaped. It is gone with this.
struct Asked(Child, bool);

// === impl Asked ===

impl Asked {
    /// It has closed its end: how did it end? Who did that because it dies dies as it would have.
    fn end(mut self) -> Trouble {
        match self.kill() {
            Ok(status) => Trouble::Ended(ending::told(status)),
            Err(error) => Trouble::Start(error),
        }
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).filter(|_| !self.1) {
            // Not reaped yet, so the number is its own. What cannot be killed is dead.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        self.1 = true;
        self.0.wait()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // There is nobody to tell that it could not be waited for.
        drop(self.kill());
    }
}
