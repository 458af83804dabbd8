//! The live page, visited by a real browser on a machine of its own where only loopback is.

mod driver;
mod load;
mod paint;
mod safety;
mod token;
mod visit;

use std::{fs, path::Path};

use serde_json::Value;

use self::driver::{Browser, request};
use crate::host::{Host, Launch, Plugins, free_tcp_port};

/// A host that a browser can reach.
struct Seen {
    host: Host,
    port: u16,
}

// === impl Seen ===

impl Seen {
    fn start(plugins: &Plugins, config: String) -> Self {
        let port = free_tcp_port();
        let listen = Some(format!("127.0.0.1:{port}"));
        let host =
            Host::start(Launch { config, plugins: plugins.path().to_owned(), listen, ..Launch::default() });
        let seen = Self { host, port };
        seen.wait_ready();
        seen
    }

    fn wait_ready(&self) {
        self.host.settle("the API to answer", || self.try_get("/v1/topologies"));
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn try_get(&self, path: &str) -> Option<Value> {
        let (status, body) = request(self.port, "GET", path, None).ok()?;
        (status == 200).then(|| serde_json::from_str(&body).ok()).flatten()
    }

    fn revision(&self) -> u64 {
        self.try_get("/v1/topologies").unwrap()["revision"].as_u64().unwrap()
    }

    /// Waits until the page has all that the host has.
    #[track_caller]
    fn wait_shown(&self, browser: &Browser) {
        let revision = self.revision();
        browser.wait(&format!("Number(document.getElementById('revision')?.textContent) >= {revision}"));
    }
}

/// Puts a list of nodes where the strategy `file` finds it, whole.
fn put(path: &Path, nodes: &Value) {
    let beside = path.with_extension("new");
    fs::write(&beside, nodes.to_string()).unwrap();
    fs::rename(&beside, path).unwrap();
}
