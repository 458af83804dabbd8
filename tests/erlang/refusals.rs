//! Why there is no link is told in words that an operator can act on.

use super::{A, B, Beam, COOKIE, Pair, Site, by_epmd, has_all, wait_degraded, wait_refused};

/// A host with another cookie than its node's is not let in; neither is up, and the cookie is named as the reason.
#[test]
fn own_node_has_another_cookie() {
    let site = Site::new();
    let wrong = site.write_cookie("wrong", "vanilla");
    let a = site.beam(A, &[]);
    let host = site.host_with(A, &by_epmd(&[B]), &format!("cookie_file = \"{}\"", wrong.display()));
    wait_degraded(&host, &["cookie rejected"]);
    assert!(host.view().up().is_empty(), "{}", host.view());
    assert!(a.hidden().is_empty());
    assert!(!host.log().contains("vanilla"), "a cookie is never logged");
}

/// A node with another cookie is not linked, and why is told of that node.
#[test]
fn member_has_another_cookie() {
    let site = Site::new();
    let a = site.pair(A, &[], &by_epmd(&[B]), "");
    let _b = Beam::start(&["-name", B, "-setcookie", "vanilla"], site.epmd.port());
    wait_refused(&a.host, B, &["cookie rejected"]);
    assert_ne!(a.host.view().state(B), Some("up"));
    assert!(a.beam.nodes().is_empty());
}

/// A node that is not there is told from a machine without epmd, each with the address that was asked.
#[test]
fn absent_node_and_absent_epmd() {
    let site = Site::new();
    let far = "far@127.0.0.9";
    let a = site.pair(A, &[], &by_epmd(&[B, far]), "");
    let at = |address: &str| format!("{address}:{}", site.epmd.port());
    wait_refused(&a.host, B, &["not registered at epmd", &at("127.0.0.1")]);
    wait_refused(&a.host, far, &["epmd", &at("127.0.0.9")]);
    a.host.wait("itself up", |view| view.state(A) == Some("up"));
}

/// Nodes with long names do not link those with short ones, and the other way round. Where the configuration shows it it
/// is refused.
#[test]
fn short_against_long_names() {
    let site = Site::new();
    for (own, other) in [(A, "b@localhost"), ("a@localhost", B)] {
        let host = site.host(own, &by_epmd(&[other]), "");
        assert_eq!(host.wait_end().code(), Some(2));
        let log = host.log();
        assert!(log.contains("hosts[0]") && log.contains("short") && log.contains("long"), "{log}");
    }
}

/// Who is found only later and has the other kind of name is refused then, before OTP is asked, which would say no more
/// than false.
#[test]
fn short_among_long_names() {
    let site = Site::new();
    let a = site.pair(A, &[], &site.by_gossip(), "");
    let short = "b@localhost";
    let _b = Pair {
        beam: Beam::start(&["-sname", short, "-setcookie", COOKIE], site.epmd.port()),
        host: site.host(short, &site.by_gossip(), ""),
    };
    wait_refused(&a.host, short, &["short", "long"]);
    a.host.wait("itself up", |view| view.state(A) == Some("up"));
}

/// Without a node to attach to nothing is up; that is told once, with the way to do without one, until there is one.
#[test]
fn no_node_to_attach_to() {
    let site = Site::new();
    let host = site.host(A, &by_epmd(&[A, B]), "");
    let hint = ["connect = \"none\""];
    wait_degraded(&host, &hint);
    assert!(host.view().up().is_empty(), "{}", host.view());
    let b = site.pair(B, &[], &by_epmd(&[A, B]), "");
    b.host.wait("a look at a", |view| view.events_of("connect_failed", A).count() == 1);
    let _a = site.beam(A, &[]);
    host.wait_up(&[A, B]);
    let view = host.view();
    let told = view.events.iter().filter(|event| event["type"] == "topology_changed");
    assert_eq!(told.filter(|event| has_all(&event["reason"], &hint)).count(), 1, "{view}");
    assert_eq!(view.count("connect_failed"), 0, "nobody is dialled without a node: {view}");
    host.settle("its health", || (host.topology("t")["health"] == "running").then_some(()));
}

/// `node = "auto"` does not guess among several nodes, and names them.
#[test]
fn auto_does_not_guess() {
    let site = Site::new();
    let beams = [site.beam(A, &[]), site.beam(B, &[])];
    beams.iter().for_each(Beam::await_ready);
    let host = site.host(A, &by_epmd(&[A, B]), "node = \"auto\"");
    wait_degraded(&host, &["a", "b", "node"]);
    assert!(host.view().up().is_empty(), "{}", host.view());
}

/// A name that somebody else has at epmd already is refused in mesh mode, and taken when it is free.
#[test]
fn name_in_use() {
    let site = Site::new();
    let other = site.beam(A, &[]);
    other.await_ready();
    let host = site.host(A, &by_epmd(&[B]), "mode = \"mesh\"");
    wait_degraded(&host, &["a is in use at epmd"]);
    other.kill();
    host.wait("itself up", |view| view.state(A) == Some("up"));
}

/// A cookie that others can read is warned of; it works.
#[test]
fn readable_cookie() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let site = Site::new();
    let file = site.write_cookie("open", COOKIE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let _a = site.beam(A, &[]);
    let host = site.host_with(A, &by_epmd(&[A]), &format!("cookie_file = \"{}\"", file.display()));
    host.wait_up(&[A]);
    let log = host.log();
    assert!(log.contains("WARN") && log.contains(file.to_str().unwrap()), "{log}");
    assert!(!log.contains(COOKIE), "a cookie is never logged");
}
