//! Letting other nodes in.

use std::{io, rc::Rc, time::Duration};

use cluster_sdk::NodeName;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Shared;
use crate::dist::{
    exchange::{Admission, HandshakeError, Length, respond},
    link::Stream,
    tls,
};

/// How long a node is given for its handshake: OTP's `net_setuptime`.
const HANDSHAKE_MAX: Duration = Duration::from_secs(7);
/// Handshakes under way at most; who comes then waits.
const HANDSHAKES_MAX: usize = 64;
/// How long to wait where no connection can be accepted, as when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Forgets that a name is being let in, however that ends.
struct Arriving<'a>(&'a Shared, Option<String>);

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.1 {
            self.0.table.borrow_mut().admitted(name);
        }
    }
}

/// Lets nodes in, for ever.
pub(super) async fn open(shared: Rc<Shared>, listener: TcpListener) {
    let mut arriving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if arriving.len() < HANDSHAKES_MAX => match accepted {
                Ok((stream, address)) => {
                    let shared = Rc::clone(&shared);
                    arriving.spawn_local(async move {
                        let refused = match timeout(HANDSHAKE_MAX, let_in(&shared, stream)).await {
                            Ok(Ok(())) => return,
                            Ok(Err(reason)) => reason,
                            Err(_elapsed) => "it did not finish the handshake".to_owned(),
                        };
                        // Anybody can knock: a counter, and a line for who looks.
                        shared.ctx.count("handshakes_refused", 1);
                        tracing::debug!(%address, reason = refused, "a node was not let in");
                    });
                }
                Err(error) => {
                    tracing::warn!(err = %error, "no connection of a node can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = arriving.join_next() => {}
        }
    }
}

async fn let_in(shared: &Rc<Shared>, stream: TcpStream) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| text(&error))?;
    match &shared.config.tls {
        None => greet(shared, stream, Length::Two).await,
        Some(config) => {
            let stream = tls::accept(config, stream).await.map_err(|error| error.to_string())?;
            greet(shared, stream, Length::Four).await
        }
    }
}

async fn greet(shared: &Rc<Shared>, mut stream: impl Stream + 'static, length: Length) -> Result<(), String> {
    let Some(creation) = shared.creation() else {
        return Err("the host is no node yet".to_owned());
    };
    let cookie = shared.config.cookie().read().map_err(|error| error.to_string())?.cookie;
    let mut arriving = Arriving(shared, None);
    let peer = respond(&mut stream, length, (shared.name.as_str(), creation), cookie.reveal(), |name| {
        let admission = shared.table.borrow_mut().admit(name);
        if matches!(admission, Admission::Welcome(_)) {
            arriving.1 = Some(name.to_owned());
        }
        admission
    });
    let peer = peer.await.map_err(|error: HandshakeError| error.to_string())?;
    let node = NodeName::try_new(&peer.name).map_err(|error| error.to_string())?;
    shared.adopt(&node, stream);
    Ok(())
}

fn text(error: &io::Error) -> String {
    error.kind().to_string()
}
