//! The strategy `erlang_hosts`: all nodes of the machines in `.hosts.erlang`.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    path::PathBuf,
    time::Duration,
};

use cluster_sdk::{
    ConfigDuration, ConfigError, Context, LocalNode, Node, Result, Strategy, View, anyhow::Context as _,
    schemars::JsonSchema, serde::Deserialize,
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    hosts_file::{HostsFileError, Places, Surroundings},
    kinds::{Kinds, asker},
    listing::{self, Lister},
    local_epmd::interval_error,
    timeout::NoTimeout,
};
use crate::epmd::{Epmd, EpmdError, default_port};

/// Hosts that are asked at a time.
const HOSTS_AT_ONCE_MAX: usize = 16;
/// How long one host may take for all that it is asked in a round.
const HOST_WITHIN: Duration = Duration::from_secs(3);
/// For so many rounds a host that was never reached keeps the view from being complete: after a restart of this
/// strategy its nodes may be known from before. A host that is gone for good must not do so for ever.
const PARTIAL_ROUNDS_MAX: u32 = 12;
/// Hosts that fail and are told one by one.
const REASONS_MAX: usize = 4;

/// The strategy `erlang_hosts`.
#[derive(Debug)]
pub struct ErlangHosts;

/// Options of the `erlang_hosts` strategy: the nodes that are registered at the epmd of each host in the file `.hosts.erlang`,
/// which Erlang itself uses for `net_adm:world/0`. The file has one host in each line, as `'db1.example'.` with the quotes and the
/// full stop. It is read and the hosts are asked again and again; libcluster reads it once. A host that does not answer
/// keeps the nodes that it was last seen with. Left out are hidden nodes and shells, as by `local_epmd`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", default, deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
pub struct ErlangHostsConfig {
    /// The file, in place of the search for it. Default: the first `.hosts.erlang` in the current folder, in `$HOME`, and in
    /// the folder of OTP, as in libcluster. Until there is one the topology is degraded. Not in libcluster.
    pub file: Option<PathBuf>,
    /// The folder that OTP is installed in, as "/usr/lib/erlang": the third place where the file is looked for. Default: the
    /// environment variable `ROOTDIR`, else the folder that the `erl` of `$PATH` is part of. Not in libcluster, which runs in it.
    pub otp_root: Option<PathBuf>,
    /// Time between two rounds, as "5s" or in milliseconds, give or take a tenth. Default 5s; at least 100ms. Not in
    /// libcluster: see `timeout`.
    pub polling_interval: ConfigDuration,
    /// Port of epmd on all hosts. Default: that in the environment variable `ERL_EPMD_PORT`, which BEAM nodes heed too, else
    /// 4369. Not in libcluster, which has the environment variable alone.
    pub epmd_port: Option<NonZeroU16>,
    /// Has no effect; accepted so that libcluster's configs can be carried over. There it is the time between two rounds,
    /// and by default there is no second one: here that is `polling_interval`.
    pub timeout: Option<NoTimeout>,
}

/// What is known of the hosts.
#[derive(Debug, Default)]
struct Roster {
    /// The hosts of the file that have answered, with what they said last.
    known: BTreeMap<String, Vec<Node>>,
    /// Rounds in which a host was not known.
    partial_rounds: u32,
}

/// What each host of a round said.
type Answers = BTreeMap<String, Result<Vec<Node>, EpmdError>>;

// === impl ErlangHostsConfig ===

impl Default for ErlangHostsConfig {
    fn default() -> Self {
        Self {
            file: None,
            otp_root: None,
            polling_interval: ConfigDuration::from_secs(5),
            epmd_port: None,
            timeout: None,
        }
    }
}

impl ErlangHostsConfig {
    /// Anew for each round, as is the path of a folder.
    fn places(&self) -> Places {
        match &self.file {
            Some(file) => Places::only(file),
            None => Places::of_otp(self.otp_root.as_deref(), &Surroundings::of_this_process()),
        }
    }
}

// === impl ErlangHosts ===

impl Strategy for ErlangHosts {
    const NAME: &'static str = "erlang_hosts";
    type Config = ErlangHostsConfig;

    fn validate(config: &ErlangHostsConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors: Vec<_> = interval_error(config.polling_interval).into_iter().collect();
        if config.file.is_some() && config.otp_root.is_some() {
            let message = "has no effect beside file: leave one of them out";
            errors.push(ConfigError::new("otp_root", message));
        }
        errors
    }

    async fn run(config: ErlangHostsConfig, ctx: Context) -> Result<()> {
        let port = config.epmd_port.map_or_else(default_port, NonZeroU16::get);
        let mut roster = Roster::default();
        let kinds = Kinds::default();
        loop {
            match read(&config).await? {
                Ok(hosts) => {
                    let lister = Lister { asker: asker(&ctx), kinds: kinds.clone() };
                    let answers = ask(hosts, port, &lister).await;
                    let (view, trouble) = roster.handle_answers(answers);
                    // Where nobody has answered yet nothing is known, which is not the same as nobody.
                    let refused = view.and_then(|view| ctx.report(view).err());
                    match refused.map(|refused| refused.to_string()).or(trouble) {
                        Some(reason) => ctx.degraded(&reason),
                        None => ctx.healthy(),
                    }
                }
                Err(err) => ctx.degraded(&err.to_string()),
            }
            sleep(config.polling_interval.get().mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        }
    }
}

/// Reads the file, which may lie on a disk that is slow or gone.
async fn read(config: &ErlangHostsConfig) -> Result<Result<Vec<String>, HostsFileError>> {
    let config = config.clone();
    spawn_blocking(move || config.places().read()).await.context("reading the file of hosts")
}

/// Asks the epmd of each host.
async fn ask(hosts: Vec<String>, port: u16, lister: &Lister) -> Answers {
    let questions = hosts.into_iter().map(|host| {
        let lister = lister.clone();
        async move {
            let epmd = Epmd { host: host.clone(), port };
            let answer = lister.members(&epmd, &host, HOST_WITHIN).await;
            (host, answer)
        }
    });
    listing::few_at_a_time(HOSTS_AT_ONCE_MAX, questions).await.into_iter().collect()
}

// === impl Roster ===

impl Roster {
    /// Takes what the hosts of the file said: all of them, and no others. Gives the view, where anybody has ever
    /// answered, and what is wrong.
    fn handle_answers(&mut self, answers: Answers) -> (Option<View>, Option<String>) {
        let hosts: BTreeSet<_> = answers.keys().cloned().collect();
        self.known.retain(|host, _| hosts.contains(host));
        let mut reasons = Vec::new();
        for (host, answer) in answers {
            match answer {
                Ok(nodes) => drop(self.known.insert(host, nodes)),
                Err(err) => reasons.push(err.to_string()),
            }
        }
        let trouble = together(reasons);
        if self.known.is_empty() {
            return (None, trouble);
        }
        let is_partial = self.known.len() < hosts.len();
        self.partial_rounds = if is_partial { self.partial_rounds.saturating_add(1) } else { 0 };
        let nodes = self.known.values().flatten().cloned();
        let is_complete = !is_partial || self.partial_rounds > PARTIAL_ROUNDS_MAX;
        (Some(if is_complete { View::complete(nodes) } else { View::partial(nodes) }), trouble)
    }
}

/// Some of the reasons as one, in the order of their hosts.
fn together(mut reasons: Vec<String>) -> Option<String> {
    let more = reasons.len().saturating_sub(REASONS_MAX);
    reasons.truncate(REASONS_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests;
