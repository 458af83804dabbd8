//! What `cluster-host doctor` is told of the way to a node: cookie, epmd, TCP, TLS, handshake.
//!
//! The way is gone by this process itself, as a hidden node with the one name that a host has for tries
//! ([`probe_name`]), and ends once both have proved that they know the cookie: the proof cannot be had without the node
//! believing for a moment that it has a hidden link. `nodes()`, `global` and `monitor_nodes(true)` do not show that.
//! Nothing is registered at epmd, and the BEAM node beside the host is asked for nothing.

use std::{fmt, time::Duration};

use cluster_sdk::{LocalNode, NodeName, Rung};
use tokio::time::sleep;

use super::{
    config::{ErlangConfig, Mode, NodeChoice},
    cookie::{Cookie, CookieError, Found},
    diagnosis::{mismatch, probe_name},
};
use crate::{
    dist::{
        dial::{DialError, Dialler, alive},
        exchange::{HandshakeError, Hello, Name, UNREGISTERED_CREATION},
    },
    epmd::{Epmd, EpmdError, default_port},
};

/// How long a question to epmd may take.
const EPMD_MAX: Duration = Duration::from_secs(2);
/// How long the rest of the way may take.
const DIAL_MAX: Duration = Duration::from_secs(4);
/// How often a node is dialled again that is busy with this name, and when.
const AGAIN_MAX: usize = 4;
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// The port of epmd where nobody chose another.
const EPMD_PORT: u16 = 4369;
/// Names at an epmd that are shown.
const NAMES_SHOWN_MAX: usize = 6;

/// The way to one node, with what it takes.
struct Way<'a> {
    dialler: Dialler,
    own: &'a NodeName,
    cookie: Cookie,
    /// Where the cookie is from.
    source: String,
    node: &'a NodeName,
    /// Whether it is the node that the host runs beside.
    is_own: bool,
}

/// What every link needs: the cookie, and in mode sidecar the BEAM node that the host runs beside.
pub(super) async fn of_host(config: &ErlangConfig, local: &LocalNode) -> Vec<Rung> {
    let (mut rungs, cookie) = of_cookie(config);
    let Some(own) = own_name(config, local) else {
        rungs.extend(of_epmd(config).await);
        return rungs;
    };
    match (config.mode, cookie) {
        (Mode::Sidecar, Some(cookie)) => rungs.extend(way(config, &own, &own, cookie).climb().await),
        (Mode::Mesh, _) | (Mode::Sidecar, None) => rungs.extend(of_epmd(config).await),
    }
    rungs
}

/// The way to a node. Without a cookie, or where names are of two kinds, there is none.
pub(super) async fn of_node(config: &ErlangConfig, node: &NodeName, local: &LocalNode) -> Vec<Rung> {
    let Some(own) = own_name(config, local) else {
        return vec![Rung::skipped("name", "the name of the own node is not known here (node = \"auto\")")];
    };
    if let Some(mismatch) = mismatch(&own, node) {
        let fix = format!(
            "start both with -name, or both with -sname; then mend [node].name and the source that names {node}"
        );
        return vec![Rung::fail("name", mismatch, fix)];
    }
    match config.cookie().read() {
        Ok(Found { cookie, .. }) => way(config, &own, node, cookie).climb().await,
        Err(_told_before) => vec![Rung::skipped("handshake", "there is no cookie to try it with")],
    }
}

fn own_name(config: &ErlangConfig, local: &LocalNode) -> Option<NodeName> {
    match &config.node {
        Some(NodeChoice::Auto) => None,
        Some(NodeChoice::Name(name)) => Some(name.clone()),
        None => local.name.clone(),
    }
}

fn way<'a>(config: &ErlangConfig, own: &'a NodeName, node: &'a NodeName, cookie: Cookie) -> Way<'a> {
    let source = config.cookie().to_string();
    Way { dialler: config.dialler(), own, cookie, source, node, is_own: own == node }
}

fn of_cookie(config: &ErlangConfig) -> (Vec<Rung>, Option<Cookie>) {
    match config.cookie().read() {
        Ok(Found { cookie, exposed: None }) => {
            (vec![Rung::pass("cookie", format!("read from {}", config.cookie()))], Some(cookie))
        }
        Ok(Found { cookie, exposed: Some(path) }) => {
            let evidence = format!("{} can be read by every user of this machine", path.display());
            let fix = format!("run chmod 0400 {0}, or chmod 0440 {0} for a group", path.display());
            (vec![Rung::warn("cookie", evidence, fix)], Some(cookie))
        }
        Err(error) => {
            let fix = match &error {
                CookieError::File { path, .. } | CookieError::NotAFile(path) => format!(
                    "write the cookie of the cluster (erlang:get_cookie() on a node) to {}, mode 0400, for the host's user",
                    path.display()
                ),
                CookieError::Unset(variable) => format!("set {variable} in the environment of the host"),
                CookieError::Home { .. } | CookieError::NoHome => {
                    "give the connector the cookie of the cluster: connect = { erlang = { cookie_file = \"…\" } }, or cookie_env"
                        .to_owned()
                }
                CookieError::Empty(_) | CookieError::TooLong(_) | CookieError::Lines(_) => {
                    "write the cookie there as one line".to_owned()
                }
            };
            let text = error.to_string();
            let evidence = text.split("; ").next().unwrap_or_default().to_owned();
            (vec![Rung::fail("cookie", evidence, fix)], None)
        }
    }
}

/// Whether the local epmd answers, where one is needed.
async fn of_epmd(config: &ErlangConfig) -> Vec<Rung> {
    let dialler = config.dialler();
    if dialler.port.is_some() {
        return vec![Rung::skipped("epmd", "there is none, as port is set")];
    }
    let epmd = Epmd::local(dialler.epmd_port);
    match epmd.names_and_address(EPMD_MAX).await {
        Ok((names, _)) => {
            let names: Vec<String> = names.into_iter().map(|name| name.alive).collect();
            vec![Rung::pass("epmd", format!("epmd on {} knows {}", epmd.at(), list(&names)))]
        }
        Err(error) => vec![of_epmd_error(&error, &"a node of this machine", &epmd)],
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nobody".to_owned();
    }
    let more = if names.len() > NAMES_SHOWN_MAX { ", …" } else { "" };
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
    format!("{}{more}", shown.join(", "))
}

fn of_epmd_error(error: &EpmdError, node: &dyn fmt::Display, epmd: &Epmd) -> Rung {
    let fix = match error {
        EpmdError::Unresolvable { host, .. } => {
            let fix = format!("add {host} to DNS or /etc/hosts");
            return Rung::fail("resolution", error.to_string(), fix);
        }
        EpmdError::Down { .. } | EpmdError::Closed { .. } | EpmdError::Io { .. } => format!(
            "start {node}, which starts epmd; where its ERL_EPMD_PORT is not {} set epmd_port, and port where it runs \
             without epmd",
            epmd.port
        ),
        EpmdError::NoAnswer { .. } => {
            format!("let TCP port {} through the firewall on the way to {}", epmd.port, epmd.host)
        }
        EpmdError::Malformed { .. } => {
            "set epmd_port to the port where epmd listens (ERL_EPMD_PORT of the node)".to_owned()
        }
        EpmdError::NotRegistered { .. } | EpmdError::NameTaken { .. } | EpmdError::BadName { .. } => {
            format!("start {node} under that name")
        }
    };
    Rung::fail("epmd", error.to_string(), fix)
}

// === impl Way ===

impl Way<'_> {
    async fn climb(&self) -> Vec<Rung> {
        let mut rungs = Vec::new();
        if self.dialler.port.is_none() {
            let rung = self.registration().await;
            let is_found = rung.fix.is_none();
            rungs.push(rung);
            if !is_found {
                return rungs;
            }
        }
        let name = probe_name(self.own);
        let hello = Hello {
            name: Name::Static { name: &name, creation: UNREGISTERED_CREATION },
            cookie: self.cookie.reveal(),
        };
        let mut dialled = self.dialler.dial(self.node, hello, DIAL_MAX).await;
        for _again in 0..AGAIN_MAX {
            // Somebody else of this name is just being let in: another topology of ours, the daemon.
            if !matches!(dialled, Err(DialError::Handshake { source: HandshakeError::Nok, .. })) {
                break;
            }
            sleep(AGAIN_AFTER).await;
            dialled = self.dialler.dial(self.node, hello, DIAL_MAX).await;
        }
        let (node, tls) = (self.node, self.dialler.tls.is_some());
        match dialled {
            Ok(dialled) => {
                rungs.push(Rung::pass("tcp", format!("{node} accepts connections")));
                let by = if tls { " by TLS" } else { "" };
                rungs.push(Rung::pass("handshake", format!("{} answers{by}", dialled.peer.name)));
                rungs.push(Rung::pass("same cookie", format!("{node} has the cookie of {}", self.source)));
                // Dropped here: no more was wanted than to know.
            }
            Err(error) => rungs.extend(self.failed(&error)),
        }
        rungs
    }

    /// Whether epmd knows the node.
    async fn registration(&self) -> Rung {
        let (node, alive) = (self.node, alive(self.node));
        let epmd = Epmd { host: node.host().to_owned(), port: self.dialler.epmd_port };
        let error = match epmd.lookup(alive, EPMD_MAX).await {
            Ok(found) => {
                let evidence = format!("epmd on {} has {alive} at port {}", epmd.at(), found.port);
                return Rung::pass("epmd", evidence);
            }
            Err(error) => error,
        };
        for port in [default_port(), EPMD_PORT] {
            let other = Epmd { port, ..epmd.clone() };
            if port != epmd.port && other.lookup(alive, EPMD_MAX).await.is_ok() {
                let evidence = format!("{error}, but epmd on {} has {alive}", other.at());
                let fix = format!("write epmd_port = {port} in connect = {{ erlang = {{ … }} }}");
                return Rung::fail("epmd", evidence, fix);
            }
        }
        if !matches!(error, EpmdError::NotRegistered { .. }) {
            return of_epmd_error(&error, node, &epmd);
        }
        let names = epmd.names_and_address(EPMD_MAX).await.map(|(names, _)| names).unwrap_or_default();
        let names: Vec<String> = names.into_iter().map(|name| name.alive).collect();
        let evidence = format!("{error}; it knows {}", list(&names));
        let beside = if self.is_own {
            ", or mend [node].name; without a BEAM node write connect = \"none\""
        } else {
            ""
        };
        Rung::fail("epmd", evidence, format!("start {node} under that name (-name {node}){beside}"))
    }

    /// How far it came, and what stopped it.
    fn failed(&self, error: &DialError) -> Vec<Rung> {
        let node = self.node;
        let text = error.to_string();
        let tcp = || Rung::pass("tcp", format!("{node} accepts connections"));
        match error {
            DialError::Epmd(error) => {
                let epmd = Epmd { host: node.host().to_owned(), port: self.dialler.epmd_port };
                vec![of_epmd_error(error, node, &epmd)]
            }
            DialError::Unresolvable { host, .. } => {
                vec![Rung::fail("resolution", text, format!("add {host} to DNS or /etc/hosts"))]
            }
            DialError::Refused { .. } => {
                let fix = format!(
                    "restart {node}: nobody listens where it is registered, or it is bound to another address \
                     (inet_dist_use_interface)"
                );
                vec![Rung::fail("tcp", text, fix)]
            }
            DialError::NoAnswer { at, stage: "connecting" } => {
                let fix = format!(
                    "let TCP to {at} through the firewall; -kernel inet_dist_listen_min and inet_dist_listen_max fix the \
                     port of a node"
                );
                vec![Rung::fail("tcp", format!("no answer from {at}: something on the way drops it"), fix)]
            }
            DialError::NoAnswer { stage, .. } if stage.contains("TLS") => {
                let fix = format!("leave tls out of connect, or start {node} with -proto_dist inet_tls");
                vec![tcp(), Rung::fail("tls", text, fix)]
            }
            DialError::NoAnswer { .. } => {
                let fix = format!("look at {node}: is it stopped, swapping, or writing a crash dump?");
                vec![tcp(), Rung::fail("handshake", text, fix)]
            }
            DialError::Tls { source, .. } => {
                let fix = "compare connect.erlang.tls with the ssl_dist_optfile of the node: docs/erlang.md has each error";
                let mut evidence = text;
                let mut cause = std::error::Error::source(&**source);
                while let Some(error) = cause {
                    evidence = format!("{evidence}: {error}");
                    cause = error.source();
                }
                vec![tcp(), Rung::fail("tls", evidence, fix)]
            }
            DialError::Handshake { source, at } => {
                let mut rungs = vec![tcp()];
                rungs.extend(self.refused(source, at));
                rungs
            }
        }
    }

    fn refused(&self, error: &HandshakeError, at: &dyn fmt::Display) -> Vec<Rung> {
        let node = self.node;
        let failed = |rung, fix: String| vec![Rung::fail(rung, error.to_string(), fix)];
        match error {
            HandshakeError::CookieRejected | HandshakeError::PeerCookieMismatch => {
                let answers = Rung::pass("handshake", format!("{node} answers"));
                let evidence = format!("{node} has another cookie than {}", self.source);
                let fix = format!(
                    "write the cookie that erlang:get_cookie() shows on {node} to {}, or start {node} with that one",
                    self.source
                );
                vec![answers, Rung::fail("same cookie", evidence, fix)]
            }
            // It answers; an earlier try of this name is not forgotten there yet.
            HandshakeError::Nok => vec![
                Rung::pass("handshake", format!("{node} answers")),
                Rung::skipped("same cookie", "an earlier try is not forgotten there yet: run it again in a moment"),
            ],
            HandshakeError::OtherNode { found } => {
                let evidence = format!("{found} answers at {at} in place of {node}");
                let fix = format!("name it {found} where {node} is named, as it calls itself, or start it as {node}");
                vec![Rung::fail("name", evidence, fix)]
            }
            HandshakeError::SpeaksTls => failed(
                "tls",
                "give the connector its options: connect = { erlang = { tls = { cacertfile = \"…\", certfile = \"…\" } } }"
                    .to_owned(),
            ),
            HandshakeError::NotAllowed => failed("handshake", format!("read the log of {node}: net_kernel:allow/1 leaves this node out")),
            HandshakeError::Closed => failed(
                "handshake",
                format!("read the log of {node}; where it has -proto_dist inet_tls give the connector tls options"),
            ),
            HandshakeError::Alive(_)
            | HandshakeError::Flags(_)
            | HandshakeError::Message(_)
            | HandshakeError::TooLong(_)
            | HandshakeError::Unexpected
            | HandshakeError::Io(_) => failed("handshake", format!("is it an Erlang node of OTP 23 or newer that listens at {at}?")),
        }
    }
}
