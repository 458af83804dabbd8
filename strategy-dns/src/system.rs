//! Whom to ask: the servers of the config, or those of the machine.

use std::{
    io::{self, Read as _},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use cluster_sdk::{Result, anyhow::Context as _};
use tokio::task::spawn_blocking;

use crate::{
    exchange::Exchange,
    resolv_conf::{ResolvConf, ResolvConfError},
    resolver::Resolver,
    search::Search,
};

/// What is read of a file at most.
const BYTES_MAX: u64 = 64 * 1024;
/// How long one question may take, and how often it is asked, where neither the config nor the file says so: the
/// defaults of Erlang's `inet_res`, by which libcluster asks.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// Where the servers are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The config names them; names are absolute.
    Servers(Vec<SocketAddr>),
    /// A file, which is read for each round: what is in it now counts.
    File(PathBuf),
}

/// Whom to ask, and how patiently where the config says so.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) source: Source,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: Option<u32>,
}

/// The file is of no use. The operator; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; mend it, or name the servers with nameservers", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// It names no server.
    #[error("{} {source}; mend it, or name the servers with nameservers", path.display())]
    Broken { path: PathBuf, source: ResolvConfError },
}

// === impl System ===

impl System {
    /// The resolver as it is to be now.
    pub(crate) async fn resolver(&self) -> Result<Result<Resolver, SystemError>> {
        let path = match &self.source {
            Source::Servers(servers) => {
                let conf = ResolvConf {
                    servers: servers.clone(),
                    search: Search::default(),
                    timeout: None,
                    attempts: None,
                };
                return Ok(Ok(self.build(conf)));
            }
            Source::File(path) => path.clone(),
        };
        // The file may lie on a disk that is slow or gone.
        let conf = spawn_blocking(move || read(path)).await.context("reading resolv.conf")?;
        Ok(conf.map(|conf| self.build(conf)))
    }

    fn build(&self, conf: ResolvConf) -> Resolver {
        Resolver {
            exchange: Exchange::new(self.timeout.or(conf.timeout).unwrap_or(TIMEOUT)),
            servers: conf.servers,
            search: conf.search,
            attempts: self.attempts.or(conf.attempts).unwrap_or(ATTEMPTS),
        }
    }
}

fn read(path: PathBuf) -> Result<ResolvConf, SystemError> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&path);
    match opened.and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(source) => return Err(SystemError::Unreadable { path, source }),
    }
    ResolvConf::parse(&String::from_utf8_lossy(&bytes)).map_err(|source| SystemError::Broken { path, source })
}
