//! Whether nodes are hidden, which they alone know: a BEAM node registers at epmd as a visible one, hidden or not.
//!
//! A node says of itself what it is in the challenge of the handshake, before any cookie comes into play. So a node is
//! greeted, and left at its challenge:
//!
//! ```text
//! we  -- N flags creation "listing-TOPOLOGY-…@host" -->  node
//!     <-- s ok ------------------------------------
//!     <-- N flags … -------------------------------    PUBLISHED is in the flags: it is visible
//!     closed
//! ```
//!
//! Measured with OTP 25: a node logs nothing of it, tells nobody, and takes 1 ms. It remembers the name of who asked as an
//! atom, so that is always the same one (a name that it is to choose itself would be another atom each time, and such
//! a greeting is answered without PUBLISHED). Each node is asked once, as long as it listens at the same place.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cluster_sdk::Context;
use tokio::{net::TcpStream, time::timeout};

use crate::dist::{
    exchange::{HandshakeError, greet},
    flags::Flags,
};

/// How long a node may take for its answer. One that is frozen is to hold up nobody for long.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Bytes that our own name has at most, of the 255 characters that are possible.
const NAME_BYTES_MAX: usize = 200;

/// What nodes said of themselves. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Kinds(Arc<Mutex<BTreeMap<Place, bool>>>);

/// Where a node listens, and the name that it has there.
type Place = (SocketAddr, String);

/// What came of a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Visible,
    Hidden,
    /// It does not say, and will not: it has TLS, is older than OTP 23, or lets us not in.
    Untold,
    /// Not now.
    Nothing,
}

// === impl Kinds ===

impl Kinds {
    /// Whether a node is hidden. One that does not say counts as visible: no member is to be lost for it.
    pub(super) async fn is_hidden(&self, at: SocketAddr, alive: &str, asker: &str) -> bool {
        let place = (at, alive.to_owned());
        if let Some(known) = self.lock().get(&place) {
            return *known;
        }
        let answer = timeout(ANSWER_WITHIN, ask(at, asker)).await.unwrap_or(Answer::Nothing);
        let is_hidden = answer == Answer::Hidden;
        if answer != Answer::Nothing {
            self.lock().insert(place, is_hidden);
        }
        is_hidden
    }

    /// Forgets the nodes of a machine but for those that are still there.
    pub(super) fn retain(&self, is_there: impl Fn(&SocketAddr, &str) -> bool) {
        self.lock().retain(|(at, alive), _| is_there(at, alive));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name to ask by: of this topology here and no other, because of two with one name a node answers one.
pub(super) fn asker(ctx: &Context) -> String {
    let local = ctx.local();
    let name = local.name.as_ref().map(|name| format!("listing-{}-{name}", ctx.topology()));
    name.filter(|name| name.len() <= NAME_BYTES_MAX).unwrap_or_else(|| asker_of("strategy"))
}

/// The name to ask by where there is no name of a node.
pub(super) fn asker_of(who: &str) -> String {
    format!("listing-{who}@127.0.0.1")
}

async fn ask(at: SocketAddr, asker: &str) -> Answer {
    let Ok(mut stream) = TcpStream::connect(at).await else { return Answer::Nothing };
    match greet(&mut stream, asker).await {
        Ok(flags) if flags.has(Flags::PUBLISHED) => Answer::Visible,
        Ok(_hidden) => Answer::Hidden,
        Err(HandshakeError::Nok) => Answer::Nothing,
        // What closes or talks otherwise does not speak the distribution without TLS.
        Err(_) => Answer::Untold,
    }
}

#[cfg(test)]
mod tests;
