//! Resolves the names in `unicast`, each in a task of its own: a slow one delays no datagram and no other name.

use std::{
    future,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    num::NonZeroU16,
    pin::pin,
    time::Duration,
};

use cluster_sdk::Backoff;
use tokio::{
    net::lookup_host,
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::config::{Target, UNICAST_MAX};

/// A name is resolved anew after this time.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);
/// After this time without an answer the trouble is shown; the answer is still taken when it comes.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure a name is resolved anew earlier than otherwise.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), cap: RESOLVE_INTERVAL };
/// Addresses that one name may resolve to; others are left out.
pub(super) const ADDRESSES_MAX: usize = 1_024;

/// What a name resolved to, or why it did not.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The place in `unicast`.
    pub(super) target: usize,
    /// Addresses, or the reason.
    pub(super) addresses: Result<Vec<SocketAddrV4>, String>,
}

/// The tasks. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Resolver {
    _tasks: JoinSet<()>,
    answers: mpsc::Receiver<Answer>,
}

// === impl Resolver ===

impl Resolver {
    /// Begins to resolve. Addresses in place of names are answered too, at once.
    pub(super) fn new(targets: &[Target], default_port: NonZeroU16) -> Self {
        let mut tasks = JoinSet::new();
        let (sender, answers) = mpsc::channel(UNICAST_MAX);
        for (index, target) in targets.iter().enumerate() {
            let port = target.port.unwrap_or(default_port).get();
            let (host, sender) = (target.host.clone(), sender.clone());
            tasks.spawn(async move {
                match host.parse::<Ipv4Addr>() {
                    Ok(address) => {
                        let addresses = Ok(vec![SocketAddrV4::new(address, port)]);
                        // The receiver is gone: so is the topology.
                        sender.send(Answer { target: index, addresses }).await.unwrap_or_default();
                    }
                    Err(_name) => watch(index, &host, port, &sender).await,
                }
            });
        }
        Self { _tasks: tasks, answers }
    }

    /// Waits for the next answer; for ever where there are no names. May be dropped and called anew.
    pub(super) async fn next(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => future::pending().await,
        }
    }
}

/// Resolves one name until nobody wants to know.
async fn watch(target: usize, host: &str, port: u16, answers: &mpsc::Sender<Answer>) {
    let mut failures = 0;
    loop {
        let mut resolving = pin!(resolve(host, port));
        let addresses = match timeout(RESOLVE_TIMEOUT, &mut resolving).await {
            Ok(addresses) => addresses,
            Err(_late) => {
                let reason =
                    format!("cannot resolve {host} in unicast: no answer within {RESOLVE_TIMEOUT:?}");
                if answers.send(Answer { target, addresses: Err(reason) }).await.is_err() {
                    return;
                }
                // A look-up cannot be ended, and a second one beside it would hang as well.
                resolving.await
            }
        };
        failures = if addresses.is_ok() { 0 } else { failures + 1 };
        if answers.send(Answer { target, addresses }).await.is_err() {
            return;
        }
        sleep(if failures == 0 { RESOLVE_INTERVAL } else { RETRY.wait(failures, fastrand::f64()) }).await;
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddrV4>, String> {
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|err| format!("cannot resolve {host} in unicast: {err}"))?;
    let ipv4 = found.filter_map(|address| match address.ip() {
        IpAddr::V4(ip) => Some(SocketAddrV4::new(ip, port)),
        IpAddr::V6(_) => None,
    });
    let addresses: Vec<_> = ipv4.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err(format!("{host} in unicast has no IPv4 address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses and names become addresses with the right port; a name that does not exist says so. (With its empty
    /// label it cannot exist, so no name server is asked.)
    #[tokio::test]
    async fn resolves() {
        let targets = ["10.0.0.5", "localhost:4711", "no..name"].map(|text| text.parse().unwrap());
        let mut resolver = Resolver::new(&targets, NonZeroU16::new(45_892).unwrap());
        let mut found = [const { None }; 3];
        while found.iter().any(Option::is_none) {
            let answer = resolver.next().await;
            found[answer.target] = Some(answer.addresses);
        }
        let [address, name, nothing] = found.map(Option::unwrap);
        assert_eq!(address, Ok(vec!["10.0.0.5:45892".parse().unwrap()]));
        assert!(name.unwrap().contains(&"127.0.0.1:4711".parse().unwrap()));
        let reason = nothing.unwrap_err();
        assert!(reason.starts_with("cannot resolve no..name in unicast: "), "{reason}");
    }
}
