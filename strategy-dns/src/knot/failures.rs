//! What fails takes nobody down, is shown with what to do, and is over when it is over.

use cluster_sdk::serde_json::json;
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType, rdata::NS},
};
use test_ports::lasting_port;

use super::{
    Topology,
    liar::{Liar, add_address, fail, kind},
    server::Knot,
};
use crate::Dns;

const NODES: [&str; 2] = ["app@127.0.0.2", "app@127.0.0.3"];
const RECORDS: &str = "api 60 A 127.0.0.2\napi 60 A 127.0.0.3";

fn start(server: &str) -> Topology {
    Topology::start::<Dns>(server, json!({ "query": "api.example", "node_basename": "app" }))
}

/// One that asks briefly and once.
fn start_hasty(server: &str) -> Topology {
    let options =
        json!({ "query": "api.example", "node_basename": "app", "timeout": "300ms", "attempts": 1 });
    Topology::start::<Dns>(server, options)
}

/// The name is gone, as that of a headless Service without a pod that is ready.
#[test]
fn no_such_name() {
    let knot = Knot::start(&[("example.", RECORDS)]);
    let topology = start(&knot.address());
    topology.wait_whole(&NODES);
    knot.change("example.", &["api 60 A"], &[]);
    let server = format!("api.example. at {}: NXDOMAIN", knot.address());
    topology.wait_degraded(&NODES, &[&server, "misspelt", "publishNotReadyAddresses"]);
    knot.change("example.", &[], &["api 60 A 127.0.0.4"]);
    topology.wait_whole(&["app@127.0.0.4"]);
    topology.wait_healthy();
}

/// A name that never was: nothing is reported at all.
#[test]
fn never_known() {
    let knot = Knot::start(&[("example.", "")]);
    let topology = start(&knot.address());
    topology.wait_degraded(&[], &["NXDOMAIN"]);
    topology.0.wait_for_status(|status| status.counters.contains_key("failed_rounds")).unwrap();
    assert!(topology.0.reports().is_empty());
    knot.change("example.", &[], &["api 60 A 127.0.0.2"]);
    topology.wait_whole(&["app@127.0.0.2"]);
    topology.wait_healthy();
}

/// The server has lost its zone: SERVFAIL.
#[test]
fn zone_not_loaded() {
    let mut knot = Knot::start(&[("example.", RECORDS)]);
    let topology = start(&knot.address());
    topology.wait_whole(&NODES);
    knot.write_file("example.", "this is no zone");
    knot.restart();
    let server = format!("api.example. (A, AAAA) at {}: SERVFAIL", knot.address());
    topology.wait_degraded(&NODES, &[&server, "its log says why"]);
    knot.write_zone("example.", RECORDS);
    knot.reload();
    topology.wait_healthy();
    topology.wait_whole(&NODES);
}

/// The server does not have the zone any more: REFUSED.
#[test]
fn zone_unknown() {
    let knot = Knot::start(&[("example.", RECORDS), ("other.", "")]);
    let topology = start(&knot.address());
    topology.wait_whole(&NODES);
    knot.write_config(&["other."]);
    knot.reload();
    topology.wait_degraded(
        &NODES,
        &[&format!("(A, AAAA) at {}: REFUSED", knot.address()), "does it have the zone?"],
    );
    knot.write_config(&["other.", "example."]);
    knot.reload();
    topology.wait_healthy();
    topology.wait_whole(&NODES);
}

/// The server hangs.
#[test]
fn silent() {
    let knot = Knot::start(&[("example.", RECORDS)]);
    let topology = start_hasty(&knot.address());
    topology.wait_whole(&NODES);
    knot.pause();
    let port = format!("is port {} open for UDP?", knot.port());
    topology.wait_degraded(&NODES, &[&format!("at {}: no answer within 300ms", knot.address()), &port]);
    knot.resume();
    topology.wait_healthy();
    topology.wait_whole(&NODES);
}

/// The server is gone, and comes back.
#[test]
fn server_gone() {
    let mut knot = Knot::start(&[("example.", RECORDS)]);
    let topology = start_hasty(&knot.address());
    topology.wait_whole(&NODES);
    knot.kill();
    topology.wait_degraded(&NODES, &[&format!("api.example. (A, AAAA) at {}", knot.address())]);
    knot.restart();
    topology.wait_healthy();
    topology.wait_whole(&NODES);
}

/// Where one server is of no use the next one is asked; where all are, each is told.
#[test]
fn next_server() {
    let mut knot = Knot::start(&[("example.", RECORDS)]);
    let puzzled = Liar::start(|_, answer| fail(answer, ResponseCode::Refused));
    let nobody = format!("127.0.0.1:{}", lasting_port());
    let options = json!({
        "query": "api.example", "node_basename": "app", "timeout": "300ms", "attempts": 2,
        "nameservers": [puzzled.address(), nobody, knot.address()],
    });
    let topology = Topology::start::<Dns>("", options);
    topology.wait_whole(&NODES);
    topology.wait_healthy();
    knot.kill();
    let parts = [puzzled.address() + ": REFUSED", nobody + ": no answer", knot.address() + ": no answer"];
    topology.wait_degraded(&NODES, &parts.each_ref().map(String::as_str));
}

/// What the name is an alias of does not exist, or aliases go round.
#[test]
fn wrong_aliases() {
    let knot = Knot::start(&[("example.", RECORDS), ("other.", "")]);
    let topology = start(&knot.address());
    topology.wait_whole(&NODES);
    knot.change("example.", &["api 60 A"], &["api 60 CNAME gone.example."]);
    topology.wait_degraded(
        &NODES,
        &["api.example. (A, AAAA) at ", "NXDOMAIN for gone.example.", "mend the CNAME"],
    );
    knot.change("example.", &["api 60 CNAME"], &["api 60 CNAME gone.other."]);
    topology.wait_degraded(&NODES, &["NXDOMAIN for gone.other."]);
    knot.change("example.", &["api 60 CNAME"], &["api 60 CNAME round.other."]);
    knot.change("other.", &[], &["round 60 CNAME api.example."]);
    topology.wait_degraded(&NODES, &["more than 16 aliases in a row"]);
    knot.change("example.", &["api 60 CNAME"], &["api 60 A 127.0.0.2", "api 60 A 127.0.0.3"]);
    topology.wait_healthy();
    topology.wait_whole(&NODES);
}

/// One family fails and the other does not: what is known is reported as partial.
#[test]
fn one_family_fails() {
    let liar = Liar::start(|question, answer| match kind(question) {
        RecordType::A => add_address(answer, 1),
        _ => fail(answer, ResponseCode::ServFail),
    });
    let topology = start(&liar.address());
    topology.wait_partial(&["app@10.0.0.1"]);
    topology.wait_degraded(&[], &[&format!("api.example. (AAAA) at {}: SERVFAIL", liar.address())]);
}

/// A server that says that there is no such name when it is asked for IPv6 is told from one that does not know it.
#[test]
fn one_family_denied() {
    let liar = Liar::start(|question, answer| match kind(question) {
        RecordType::A => add_address(answer, 1),
        _ => fail(answer, ResponseCode::NXDomain),
    });
    let topology = start(&liar.address());
    topology.wait_partial(&["app@10.0.0.1"]);
    topology.wait_degraded(&[], &["though it has A records", "family = \"ipv4\""]);
}

/// A referral looks as if there were nothing, and is not taken for that.
#[test]
fn referral() {
    let liar = Liar::start(|_, answer| {
        let name = |text| Name::from_ascii(text).unwrap();
        answer.authorities.push(Record::from_rdata(name("example."), 60, RData::NS(NS(name("ns.example.")))));
    });
    let topology = start(&liar.address());
    topology.wait_degraded(&[], &["only named other servers to ask"]);
    assert!(topology.0.reports().is_empty());
}

/// A server that does not understand that longer datagrams are welcome is asked without saying so.
#[test]
fn no_extension() {
    let liar = Liar::start(|question, answer| match (&question.edns, kind(question)) {
        (Some(_), _) => fail(answer, ResponseCode::FormErr),
        (None, RecordType::A) => add_address(answer, 1),
        (None, _) => {}
    });
    let topology = start(&liar.address());
    topology.wait_whole(&["app@10.0.0.1"]);
    topology.wait_healthy();
}
