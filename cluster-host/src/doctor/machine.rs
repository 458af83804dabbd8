//! This machine: the name of its node, and its interfaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, UdpSocket},
};

use cluster_sdk::Rung;
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

use super::{
    ask,
    ladder::{Ladder, Place, Stage},
};
use crate::config::Loaded;

/// Interfaces that are shown.
const INTERFACES_SHOWN_MAX: usize = 16;

/// What is known of one interface.
#[derive(Debug, Default)]
struct Interface {
    is_up: bool,
    is_loopback: bool,
    has_multicast: bool,
    addresses: BTreeSet<IpAddr>,
}

/// Looks at the own name, given the hosts in the names of the others, and at the interfaces.
pub(super) async fn examine(loaded: &Loaded, others: &[String], ladder: &mut Ladder) {
    let place = Place::default();
    let interfaces = interfaces();
    let own: Vec<IpAddr> = interfaces.values().flat_map(|it| it.addresses.iter().copied()).collect();
    ladder.add(Stage::Name, &place, name(loaded, &own, others).await);
    ladder.add(Stage::Interfaces, &place, of_interfaces(&interfaces));
}

async fn name(loaded: &Loaded, own: &[IpAddr], others: &[String]) -> Rung {
    let Some(node) = &loaded.config.node else {
        return Rung::skipped("name", "there is no [node]: the host only watches");
    };
    let (name, host) = (&node.name, node.name.host());
    let line = loaded.line_of("node.name").unwrap_or(1);
    let file = loaded.file().display();
    let alive = name.as_str().split('@').next().unwrap_or_default();
    let ours = own.iter().find(|address| !address.is_loopback()).or_else(|| own.first());
    let rename = |why: &str| match ours {
        Some(address) => format!("in line {line} of {file} write name = \"{alive}@{address}\"{why}"),
        None => format!("give this machine an address{why}"),
    };
    let addresses = match ask::resolve(host).await {
        Ok(addresses) => addresses,
        Err(error) => {
            let evidence = format!("{host}, the host in {name}, has no address here: {error}");
            return Rung::fail("name", evidence, rename(", or add the host to DNS or /etc/hosts"));
        }
    };
    let Some(address) = addresses.iter().find(|address| is_ours(**address)) else {
        let found: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let ours: Vec<String> = own.iter().map(ToString::to_string).collect();
        let evidence = format!(
            "{name} is not this machine: {host} is {}, this machine has {}",
            found.join(", "),
            ours.join(", ")
        );
        return Rung::fail("name", evidence, rename(""));
    };
    let is_far = |host: &&String| host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback());
    if address.is_loopback()
        && let Some(far) = others.iter().find(is_far)
    {
        let evidence =
            format!("{name} is at {address}, where only this machine reaches it, and others are at {far}");
        return Rung::fail("name", evidence, rename(""));
    }
    Rung::pass("name", format!("{name} is at {address}, an address of this machine"))
}

/// Whether an address is of this machine: only such can be bound.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

fn of_interfaces(interfaces: &BTreeMap<String, Interface>) -> Rung {
    let up: Vec<_> = interfaces.iter().filter(|(_, interface)| interface.is_up).collect();
    if up.is_empty() {
        let names: Vec<&str> = interfaces.keys().map(String::as_str).collect();
        let evidence = format!("no interface of {} is up", names.join(", "));
        return Rung::fail("interfaces", evidence, "run 'ip link set DEVICE up', and give it an address");
    }
    let shown = up.iter().take(INTERFACES_SHOWN_MAX).map(|(name, interface)| {
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        let multicast = match (interface.has_multicast, interface.is_loopback) {
            (true, _) => "",
            (false, true) => " (loopback)",
            (false, false) => " (no multicast)",
        };
        format!("{name} {}{multicast}", addresses.join(" ")).trim_end().to_owned()
    });
    Rung::pass("interfaces", format!("up: {}", shown.collect::<Vec<_>>().join(", ")))
}

fn interfaces() -> BTreeMap<String, Interface> {
    let mut interfaces = BTreeMap::<String, Interface>::new();
    // Where the kernel does not tell, there are none to show.
    for found in getifaddrs().into_iter().flatten() {
        let interface = interfaces.entry(found.interface_name).or_default();
        interface.is_up = found.flags.contains(InterfaceFlags::IFF_UP);
        interface.is_loopback = found.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        interface.has_multicast = found.flags.contains(InterfaceFlags::IFF_MULTICAST);
        let Some(address) = found.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        interface.addresses.extend(v4.or(v6));
    }
    interfaces
}
