//! Which servers are asked, and for which names, where a file says so.

use std::{fs, path::Path};

use cluster_sdk::serde_json::{Value, json};

use super::{Topology, server::Knot};
use crate::Dns;

fn start(file: &Path, query: &str) -> Topology {
    let options: Value =
        json!({ "query": query, "node_basename": "app", "nameservers": null, "resolv_conf": file });
    Topology::start::<Dns>("", options)
}

/// Writes a file of this name beside the one that counts and puts it in its place, as resolvconf does.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

/// The search list and ndots count: few full stops mean a name of the list, a full stop at the end none.
#[test]
fn search() {
    let knot = Knot::start(&[
        ("a.example.", "api.x 60 A 127.0.0.2"),
        ("b.example.", "api 60 A 127.0.0.3\napi.x 60 A 127.0.0.4"),
        ("x.", "api 60 A 127.0.0.5"),
    ]);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("resolv.conf");
    let server = format!("nameserver [127.0.0.1]:{}\nsearch a.example b.example\n", knot.port());
    fs::write(&file, &server).unwrap();
    // As it is without ndots: one full stop is enough to be taken as it is first.
    start(&file, "api").wait_whole(&["app@127.0.0.3"]);
    start(&file, "api.x.").wait_whole(&["app@127.0.0.5"]);
    let topology = start(&file, "api.x");
    topology.wait_whole(&["app@127.0.0.5"]);
    replace(&file, &format!("{server}options ndots:2\n"));
    topology.wait_whole(&["app@127.0.0.2"]);
    let missing = start(&file, "none.x");
    missing.wait_degraded(&[], &["none.x.a.example., none.x.b.example., none.x. at 127.0.0.1:", "NXDOMAIN"]);
}

/// Where it cannot be told whether a name of the search list exists, no later one is taken for it.
#[test]
fn search_ends_at_a_failure() {
    let knot = Knot::start(&[("b.example.", "api 60 A 127.0.0.3")]);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("resolv.conf");
    fs::write(&file, format!("nameserver [127.0.0.1]:{}\nsearch a.example b.example\n", knot.port()))
        .unwrap();
    let topology = start(&file, "api");
    topology.wait_degraded(&[], &["api.a.example. (A, AAAA) at 127.0.0.1:", "REFUSED"]);
    assert!(topology.0.reports().is_empty());
}

/// The file names another server: it is asked from then on. A file that is gone or broken is told by its path.
#[test]
fn changed_file() {
    let first = Knot::start(&[("example.", "api 60 A 127.0.0.2")]);
    let second = Knot::start(&[("example.", "api 60 A 127.0.0.3")]);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("resolv.conf");
    let naming = |knot: &Knot| format!("nameserver [127.0.0.1]:{}\n", knot.port());
    fs::write(&file, naming(&first)).unwrap();
    let topology = start(&file, "api.example");
    topology.wait_whole(&["app@127.0.0.2"]);
    replace(&file, &naming(&second));
    topology.wait_whole(&["app@127.0.0.3"]);
    fs::remove_file(&file).unwrap();
    let path = file.display().to_string();
    let stands = ["app@127.0.0.3"];
    topology.wait_degraded(&stands, &[&format!("cannot read {path}: No such file"), "nameservers"]);
    fs::write(&file, "nameserver dns.example\n").unwrap();
    topology
        .wait_degraded(&stands, &[&format!("{path} line 1: \"dns.example\" is no address of a name server")]);
    replace(&file, "search example\n");
    topology.wait_degraded(&stands, &[&format!("{path} has no line that begins with nameserver")]);
    replace(&file, &naming(&first));
    topology.wait_whole(&["app@127.0.0.2"]);
    topology.wait_healthy();
}
