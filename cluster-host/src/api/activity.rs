//! What the API counts: who follows, how far behind they are, and what became of requests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

/// What the API does, counted.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, Host, Registry, api::{Listener, Outcome, Source as _}};
/// use tokio::{io::{AsyncReadExt as _, AsyncWriteExt as _}, net::TcpStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// let address = listener.address().to_string();
/// let host = Host::builder(Config::default(), Registry::new()).listen(listener).start()?;
/// let mut client = TcpStream::connect(&address).await?;
/// let request = format!("GET /v1/nothing HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
/// client.write_all(request.as_bytes()).await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 404"));
///
/// let activity = host.handle().activity();
/// assert!(activity.requests().contains(&(Outcome::Refused, 1)));
/// assert_eq!((activity.followers(), activity.lag_max(17)), (0, 0), "nobody follows the events");
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Activity {
    followers: Mutex<Followers>,
    requests: [AtomicU64; Outcome::ALL.len()],
}

/// What became of a request.
///
/// # Examples
///
/// ```
/// use cluster_host::api::Outcome;
///
/// assert_eq!(Outcome::ALL.map(Outcome::as_str), ["answered", "refused", "denied", "failed"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was wrong, or about something that is not there.
    Refused,
    /// Who asked may not: no token, another site's script, a method that changes something.
    Denied,
    /// There was no room, or the host was at fault.
    Failed,
}

#[derive(Debug, Default)]
struct Followers {
    /// How far each of them is.
    revisions: BTreeMap<u64, Arc<AtomicU64>>,
    /// The number of the next one.
    next: u64,
}

/// One who follows the events, as long as this lives.
#[derive(Debug)]
pub(super) struct Follower {
    activity: Arc<Activity>,
    number: u64,
    revision: Arc<AtomicU64>,
    _place: OwnedSemaphorePermit,
}

// === impl Activity ===

impl Activity {
    /// How many follow the events over the API.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.lock().revisions.len()
    }

    /// How many events the slowest of them has not been sent yet, of a log that is at this revision.
    #[must_use]
    pub fn lag_max(&self, revision: u64) -> u64 {
        let slowest = self.lock().revisions.values().map(|at| at.load(Ordering::Relaxed)).min();
        slowest.map_or(0, |slowest| revision.saturating_sub(slowest))
    }

    /// How many requests there were, by what became of them.
    #[must_use]
    pub fn requests(&self) -> [(Outcome, u64); Outcome::ALL.len()] {
        Outcome::ALL.map(|outcome| (outcome, self.count_of(outcome).load(Ordering::Relaxed)))
    }

    /// One more, who has been sent everything up to this revision.
    pub(super) fn follow(self: &Arc<Self>, revision: u64, place: OwnedSemaphorePermit) -> Follower {
        let revision = Arc::new(AtomicU64::new(revision));
        let mut followers = self.lock();
        let number = followers.next;
        followers.next = number.wrapping_add(1);
        followers.revisions.insert(number, Arc::clone(&revision));
        drop(followers);
        Follower { activity: Arc::clone(self), number, revision, _place: place }
    }

    pub(super) fn count(&self, status: StatusCode) {
        self.count_of(Outcome::of(status)).fetch_add(1, Ordering::Relaxed);
    }

    fn count_of(&self, outcome: Outcome) -> &AtomicU64 {
        let [answered, refused, denied, failed] = &self.requests;
        match outcome {
            Outcome::Answered => answered,
            Outcome::Refused => refused,
            Outcome::Denied => denied,
            Outcome::Failed => failed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Followers> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Outcome ===

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Denied, Self::Failed];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied,
            _ if status.is_server_error() => Self::Failed,
            _ if status.is_client_error() => Self::Refused,
            _ => Self::Answered,
        }
    }
}

// === impl Follower ===

impl Follower {
    /// It has been sent everything up to this revision.
    pub(super) fn sent(&self, revision: u64) {
        self.revision.store(revision, Ordering::Relaxed);
    }

    /// Whether there are others.
    pub(super) fn has_company(&self) -> bool {
        self.activity.followers() > 1
    }

    /// Whether there are several without it.
    pub(super) fn leaves_company(&self) -> bool {
        self.activity.followers() > 2
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.activity.lock().revisions.remove(&self.number);
    }
}
