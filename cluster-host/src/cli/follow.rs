//! The stream of events, followed for as long as somebody listens, through the end of the daemon and its return.

use std::{io, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::complain;
use crate::client::{Client, ClientError, EventStream, SseEvent};

/// How long it is waited before the first try to find the daemon again,
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// and, as each try since the last event doubles that, at most.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody still takes what is printed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What comes of the daemon.
#[derive(Debug)]
pub(super) enum News {
    Event(SseEvent),
    /// Why nothing is heard of the daemon. It is told for each try.
    Lost(ClientError),
    /// It is heard again, and goes on after the last event, or with a resync.
    Found,
}

/// A stream, and the next one from where the last one ended.
#[derive(Debug)]
pub(super) struct Follower {
    client: Client,
    stream: Option<EventStream>,
    cursor: Option<String>,
    wait: Duration,
}

/// What people are told of it beside the events: each reason once, and that it is over.
#[derive(Debug, Default)]
pub(super) struct Complaints(Option<String>);

// === impl Follower ===

impl Follower {
    /// Begins after this cursor. Who names a daemon that is not there is told so, and at once.
    pub(super) async fn begin(client: Client, cursor: Option<String>) -> Result<Self, ClientError> {
        let stream = client.events(cursor.as_deref(), true).await?;
        Ok(Self { client, stream: Some(stream), cursor, wait: RETRY_FIRST })
    }

    /// What comes next. It never ends.
    pub(super) async fn next(&mut self) -> News {
        let Some(stream) = &mut self.stream else {
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).min(RETRY_MAX);
            return match self.client.events(self.cursor.as_deref(), true).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    News::Found
                }
                Err(error) => News::Lost(error),
            };
        };
        let error = match stream.next_event().await {
            Ok(Some(event)) => {
                self.cursor = Some(event.id.clone());
                self.wait = RETRY_FIRST;
                return News::Event(event);
            }
            Ok(None) => self.client.stopped(),
            Err(error) => error,
        };
        self.stream = None;
        News::Lost(error)
    }
}

// === impl Complaints ===

impl Complaints {
    pub(super) fn lost(&mut self, error: &ClientError) {
        let why = error.to_string();
        if self.0.as_ref() != Some(&why) {
            complain(&format!("{why}; it is tried again"));
            self.0 = Some(why);
        }
    }

    pub(super) fn found(&mut self) {
        if self.0.take().is_some() {
            complain(&"the daemon is there again");
        }
    }
}

/// Ends when nobody takes the standard output any more. A writer is told so with its next line, but that may never come,
/// and who reads through a pipe and ends expects the same of those before it.
pub(super) async fn unread() {
    let mut looking = tokio::time::interval(LOOK_INTERVAL);
    loop {
        looking.tick().await;
        let stdout = io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        // What there is to tell of it without being asked for is that it is of no use any more.
        if poll(&mut watched, Some(&Timespec::default())).is_ok_and(|troubled| troubled > 0) {
            return;
        }
    }
}
