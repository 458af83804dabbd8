//! Single questions to the system.

use std::{collections::BTreeSet, io, net::IpAddr, time::Duration};

use tokio::{net::lookup_host, time::timeout};

/// How long a look-up may take. Resolvers wait five seconds for the first server.
const LOOKUP_MAX: Duration = Duration::from_secs(6);

/// The addresses of a host, as this machine's resolver has them.
pub(super) async fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    match timeout(LOOKUP_MAX, lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let addresses: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
            Ok(addresses.into_iter().collect())
        }
        Ok(Err(error)) => Err(words(&error)),
        Err(_elapsed) => Err(format!("no answer of the resolver within {} s", LOOKUP_MAX.as_secs())),
    }
}

fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}
