//! What `cluster-host doctor` is told of a network: whether a datagram comes back, and who else is heard there.
//!
//! A probe is sent in place of a heartbeat. It has 15 bytes: libcluster looks at no datagram without its prefix and, where
//! there is a secret, at none below 16 bytes; hosts of this project know it and leave it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::{Duration, SystemTime},
};

use cluster_sdk::{Error, LocalNode, Rung};
use tokio::time::{Instant, timeout_at};

use super::socket::Open;
use crate::{
    allow::Allow,
    cipher::Cipher,
    config::Config,
    listener::{Envelope, looks_sealed, open_sealed},
    wire::{DATAGRAM_READ_BYTES_MAX, Heartbeat, PREFIX, PROBE, PROBE_BYTES, Subject, is_probe},
};

/// The groups that libcluster has used by default: until 3.2, and since 3.3.
const KNOWN_GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(230, 1, 1, 251), Ipv4Addr::new(233, 252, 1, 32)];
/// How long is listened, at least and at most.
const LISTEN_MIN: Duration = Duration::from_secs(3);
const LISTEN_MAX: Duration = Duration::from_secs(7);
/// How long is listened once all that one hopes for was heard: others may have something to say against it.
const ENOUGH_AFTER: Duration = Duration::from_millis(1_500);
/// How often the probe is sent.
const PROBE_INTERVAL: Duration = Duration::from_millis(300);
/// Names, addresses or clusters that are kept of each kind.
const KEPT_MAX: usize = 32;
/// How many of them are shown.
const SHOWN_MAX: usize = 4;
/// A start that lies further ahead is a clock that is wrong.
const AHEAD_MAX: Duration = Duration::from_secs(5);
/// Incarnations that are milliseconds since 1970 are at least this: the year 2020.
const TIME_MIN: u64 = 1_577_836_800_000;
/// And less than this: the year 2100.
const TIME_MAX: u64 = 4_102_444_800_000;

/// All that was heard.
#[derive(Debug, Default)]
struct Heard {
    /// The probe came back.
    probe: bool,
    /// Nodes of our cluster, and the times of their starts.
    nodes: BTreeMap<String, Option<u64>>,
    /// Who sends what the secret does not open.
    sealed: BTreeSet<IpAddr>,
    /// Who sends plain heartbeats, where there is a secret.
    plain: BTreeSet<IpAddr>,
    clusters: BTreeMap<String, IpAddr>,
    /// Names that `allow` leaves out.
    not_allowed: BTreeSet<String>,
    /// Who announces our name, by incarnation.
    own: BTreeMap<u64, IpAddr>,
    /// Who sends to the group that is not ours.
    elsewhere: BTreeMap<Ipv4Addr, IpAddr>,
}

/// Looks at the network for a while.
pub(crate) async fn diagnose(config: &Config, local: &LocalNode) -> Vec<Rung> {
    let envelope = match &config.secret {
        None => Envelope::Plain,
        Some(secret) => match secret.reveal() {
            Ok(text) => Envelope::Sealed(Box::new(Cipher::new(&text))),
            Err(err) => {
                let fix =
                    "write the file or set the variable that 'secret' names, readable for the host's user";
                return vec![Rung::fail("secret", format!("{:#}", Error::new(err)), fix)];
            }
        },
    };
    let open = match Open::try_new(config) {
        Ok(open) => open,
        Err(err) => return vec![Rung::fail("socket", err.cause(), err.remedy)],
    };
    let mut rungs = vec![Rung::pass("socket", format!("bound to {}:{}", config.if_addr, config.port))];
    if let Some(err) = &open.group_error {
        rungs.push(Rung::fail("multicast", err.cause(), err.remedy));
        if config.unicast.is_empty() {
            return rungs;
        }
    }
    let mut heard = Heard::default();
    let sent = listen(config, local, (&open, &envelope), &mut heard).await;
    if open.group_error.is_none() {
        rungs.push(of_group(config, &heard, sent));
    }
    rungs.extend(of_secret(config, &heard));
    rungs.extend(of_cluster(local, &heard));
    rungs.extend(of_others(config, &heard));
    rungs.extend(of_name(local, &heard));
    rungs.extend(of_clocks(&heard, wall()));
    if !heard.nodes.is_empty() {
        rungs.push(Rung::pass("heartbeats", format!("heard {}", shown(heard.nodes.keys()))));
    }
    rungs
}

/// Sends the probe and listens; what kept it from being sent, if anything.
async fn listen(
    config: &Config,
    local: &LocalNode,
    (open, envelope): (&Open, &Envelope),
    heard: &mut Heard,
) -> Result<(), (String, &'static str)> {
    let mut probe = *PROBE;
    // Where there are no random numbers another probe may be taken for this one.
    let _random = getrandom::fill(probe.get_mut(PROBE_BYTES - 5..).unwrap_or_default());
    let elsewhere = other_groups(config);
    let allow = Allow::new(config.allow.clone());
    let began = Instant::now();
    let whole = config.heartbeat_interval.get().saturating_mul(3) / 2;
    let deadline = began + whole.clamp(LISTEN_MIN, LISTEN_MAX);
    let group = group(config);
    let mut sent = Ok(());
    let mut due = began;
    let mut buffer = vec![0; DATAGRAM_READ_BYTES_MAX + 1];
    while Instant::now() < deadline {
        let enough = heard.probe && !heard.nodes.is_empty() && began.elapsed() >= ENOUGH_AFTER;
        if enough {
            break;
        }
        if Instant::now() >= due && !heard.probe && open.group_error.is_none() {
            sent = open.try_send(&probe, group).map(|_taken| ()).map_err(|err| (err.cause(), err.remedy));
            due = Instant::now() + PROBE_INTERVAL;
        }
        // What came meanwhile to the other groups is there to be taken.
        let _timeout = timeout_at(deadline.min(Instant::now() + PROBE_INTERVAL), open.readable()).await;
        while let Ok(Some((bytes, from))) = open.try_receive_from(&mut buffer) {
            let datagram = buffer.get_mut(..bytes).unwrap_or_default();
            if datagram == probe {
                heard.probe = true;
            } else {
                heard.take(datagram, from, (envelope, local, &allow));
            }
        }
        for (group, open) in &elsewhere {
            while let Ok(Some((bytes, from))) = open.try_receive_from(&mut buffer) {
                let datagram = buffer.get(..bytes).unwrap_or_default();
                if datagram.starts_with(PREFIX) || looks_sealed(datagram) {
                    heard.elsewhere.insert(*group, from);
                }
            }
        }
    }
    sent
}

fn group(config: &Config) -> SocketAddrV4 {
    SocketAddrV4::new(config.multicast_addr, config.port.get())
}

/// Sockets in the groups that libcluster's nodes may be in instead.
fn other_groups(config: &Config) -> Vec<(Ipv4Addr, Open)> {
    let others =
        KNOWN_GROUPS.into_iter().filter(|group| *group != config.multicast_addr && !config.broadcast_only);
    let open = |group| {
        // Bound to the group: what is sent to this machine alone stays the daemon's.
        let config = Config { multicast_addr: group, if_addr: group, ..config.clone() };
        Open::try_new(&config).ok().filter(|open| open.group_error.is_none()).map(|open| (group, open))
    };
    others.filter_map(open).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where a diagnosis reads the clock")]
fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

// === impl Heard ===

impl Heard {
    fn take(
        &mut self,
        datagram: &mut [u8],
        from: IpAddr,
        (envelope, local, allow): (&Envelope, &LocalNode, &Allow),
    ) {
        if is_probe(datagram) {
            return;
        }
        let (is_plain, is_sealed) = (datagram.starts_with(PREFIX), looks_sealed(datagram));
        let mut scratch = Vec::new();
        let heartbeat =
            open_sealed(envelope, datagram).and_then(|it| Heartbeat::decode(it, &mut scratch).ok());
        let Some(heartbeat) = heartbeat else {
            let kept = if is_plain { &mut self.plain } else { &mut self.sealed };
            if (is_plain || is_sealed) && kept.len() < KEPT_MAX {
                kept.insert(from);
            }
            return;
        };
        if let Some(cluster) = heartbeat.cluster.filter(|cluster| *cluster != local.cluster) {
            if self.clusters.len() < KEPT_MAX {
                self.clusters.insert(cluster.to_owned(), from);
            }
            return;
        }
        let Subject::Alive(name) = &heartbeat.subject else { return };
        if local.name.as_ref().is_some_and(|own| own.as_str() == name) {
            if let Some(incarnation) = heartbeat.incarnation.filter(|_| self.own.len() < KEPT_MAX) {
                self.own.insert(incarnation, from);
            }
        } else if !allow.host(name.rsplit('@').next().unwrap_or_default()) {
            if self.not_allowed.len() < KEPT_MAX {
                self.not_allowed.insert(name.to_string());
            }
        } else if self.nodes.len() < KEPT_MAX {
            self.nodes.insert(name.to_string(), heartbeat.incarnation);
        }
    }
}

/// Whether what is sent to the group comes back.
fn of_group(config: &Config, heard: &Heard, sent: Result<(), (String, &'static str)>) -> Rung {
    let name = if config.broadcast_only { "broadcast" } else { "multicast" };
    let group = group(config);
    if let Err((cause, remedy)) = sent
        && !heard.probe
    {
        return Rung::fail(name, cause, remedy);
    }
    if heard.probe {
        let by = config.multicast_if.map(|address| format!(", by the interface of {address}"));
        let evidence = format!("a datagram to {group} comes back{}", by.unwrap_or_default());
        return Rung::pass(name, evidence);
    }
    if !config.if_addr.is_unspecified() {
        let evidence = format!("a socket bound to if_addr {} hears no {name} on Linux", config.if_addr);
        let fix = format!("write multicast_if = \"{}\" in place of if_addr", config.if_addr);
        return Rung::fail(name, evidence, fix);
    }
    let evidence =
        format!("nothing that is sent to {group} comes back, not even this machine's own: {name} is blocked");
    let fix = format!(
        "allow UDP port {} to {} in this machine's firewall ('nft list ruleset' shows it), set multicast_if to the \
         address of an interface that carries it, or list the nodes in unicast",
        config.port, config.multicast_addr
    );
    if config.unicast.is_empty() && heard.nodes.is_empty() {
        Rung::fail(name, evidence, fix)
    } else {
        Rung::warn(name, evidence, fix)
    }
}

/// Whether others have another secret, or none.
fn of_secret(config: &Config, heard: &Heard) -> Option<Rung> {
    let has_secret = config.secret.is_some();
    let (evidence, fix) = if let Some(from) = heard.plain.first() {
        let evidence = format!("heartbeats of {from} are not encrypted, and this topology has a secret");
        (evidence, "give all nodes the same config.secret")
    } else if let Some(from) = heard.sealed.first() {
        if has_secret {
            let evidence = format!("datagrams of {from} cannot be read with this topology's secret");
            (evidence, "give all nodes the same config.secret: compare the files, their ends of line too")
        } else {
            let evidence = format!("datagrams of {from} are encrypted, and this topology has no secret");
            (evidence, "set config.secret to theirs")
        }
    } else {
        return has_secret.then(|| Rung::pass("secret", "it can be read, and nobody here uses another one"));
    };
    Some(if heard.nodes.is_empty() {
        Rung::fail("secret", evidence, fix)
    } else {
        Rung::warn("secret", evidence, fix)
    })
}

fn of_cluster(local: &LocalNode, heard: &Heard) -> Option<Rung> {
    let (other, from) = heard.clusters.first_key_value()?;
    let shown: String = other.chars().take(80).collect();
    let evidence = format!("{from} is of cluster {shown:?}, and this is cluster {:?}", local.cluster);
    if heard.nodes.is_empty() {
        let fix =
            format!("write cluster = {shown:?} here, or {:?} there, if they belong together", local.cluster);
        Some(Rung::fail("cluster", evidence, fix))
    } else {
        Some(Rung::pass("cluster", format!("{evidence}; it is left alone")))
    }
}

/// Whether somebody is there who cannot be heard as things are.
fn of_others(config: &Config, heard: &Heard) -> Vec<Rung> {
    let mut rungs = Vec::new();
    let tell = |evidence: String, fix: String| {
        if heard.nodes.is_empty() {
            Rung::fail("group", evidence, fix)
        } else {
            Rung::warn("group", evidence, fix)
        }
    };
    for (group, from) in &heard.elsewhere {
        let since = if *group == Ipv4Addr::new(233, 252, 1, 32) { "since 3.3" } else { "before 3.3" };
        let evidence = format!(
            "{from} sends heartbeats to {group}, libcluster's default {since}; this topology is in {}",
            config.multicast_addr
        );
        rungs.push(tell(evidence, format!("write multicast_addr = \"{group}\" in config, or set theirs")));
    }
    if !heard.not_allowed.is_empty() {
        let evidence = format!("'allow' leaves out {}", shown(heard.not_allowed.iter()));
        let fix = "add their networks to config.allow, if they belong here";
        rungs.push(Rung::warn("allow", evidence, fix));
    }
    rungs
}

fn of_name(local: &LocalNode, heard: &Heard) -> Option<Rung> {
    let mut incarnations: BTreeSet<u64> = heard.own.keys().copied().collect();
    incarnations.extend((local.incarnation > 0).then_some(local.incarnation));
    if incarnations.len() < 2 {
        return None;
    }
    let name = local.name.as_ref().map(ToString::to_string).unwrap_or_default();
    let from: BTreeSet<String> = heard.own.values().map(ToString::to_string).collect();
    let evidence = format!(
        "{} nodes announce the name {name}, from {}",
        incarnations.len(),
        from.into_iter().collect::<Vec<_>>().join(" and ")
    );
    Some(Rung::fail("same name", evidence, "give each node a name of its own in [node]"))
}

/// Whether somebody has started in the future. Starts are milliseconds by the clock of each machine.
fn of_clocks(heard: &Heard, now: Duration) -> Option<Rung> {
    let starts = heard.nodes.iter().filter_map(|(name, start)| Some((name, (*start)?)));
    let times: Vec<(&String, u64)> =
        starts.filter(|(_, start)| (TIME_MIN..TIME_MAX).contains(start)).collect();
    let (name, latest) = times.iter().max_by_key(|(_, start)| *start)?;
    let ahead = Duration::from_millis(*latest).saturating_sub(now);
    if ahead > AHEAD_MAX {
        let evidence = format!(
            "{name} started {} s from now by its clock: its clock is ahead, or this one behind",
            ahead.as_secs()
        );
        let fix = "set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'";
        return Some(Rung::fail("clocks", evidence, fix));
    }
    Some(Rung::pass("clocks", format!("none of {} nodes has started in the future", times.len())))
}

fn shown<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let shown: Vec<&str> = names.take(SHOWN_MAX).map(String::as_str).collect();
    let more = if count > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
