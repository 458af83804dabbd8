use cluster_core::{EventKind, LinkState, MemberState, Vouched};
use expect_test::{Expect, expect};

use super::*;
use crate::{
    api::{
        Limits,
        testing::{Fake, Server, at, bare_member, cursor, event, member},
    },
    cli::ApiArgs,
    client::ApiAddress,
};

fn api_args(address: ApiAddress) -> ApiArgs {
    ApiArgs { address: Some(address), token_file: None, ca: None, cert: None, key: None }
}

fn args(server: &Server, members: usize, timeout: Duration) -> WaitArgs {
    let api = api_args(server.address.clone().into());
    WaitArgs { api, members, topology: None, timeout, json: false }
}

async fn waited(args: WaitArgs) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = match run(args, &mut out).await {
        Ok(exit) => exit,
        Err(failure) => {
            out = failure.to_string().into_bytes();
            failure.exit()
        }
    };
    (exit, String::from_utf8(out).unwrap())
}

/// The same where there is a daemon, for a time that is enough for its first answer.
async fn late(server: &Server, change: impl Fn(WaitArgs) -> WaitArgs) -> (Exit, String) {
    for milliseconds in [50, 500, 5_000] {
        let timeout = Duration::from_millis(milliseconds);
        let (exit, line) = waited(change(args(server, 4, timeout))).await;
        if exit != Exit::Unreachable {
            let told = humantime::format_duration(timeout).to_string();
            return (exit, line.replace(&told, "TIME"));
        }
    }
    panic!("no answer within seconds");
}

fn up(name: &str) -> cluster_core::Member {
    linked(name, "gossip", LinkState::None)
}

/// One that is up, with this link in a topology.
fn linked(name: &str, topology: &str, link: LinkState) -> cluster_core::Member {
    let vouched = Vouched { name: topology.parse().unwrap(), link, since: at(0), reason: None };
    cluster_core::Member { topologies: [vouched].into(), ..bare_member(name, MemberState::Up) }
}

/// Long enough for the slowest machine; nothing waits for it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);
/// So short that it is over before anything happens.
const SOON: Duration = Duration::from_millis(50);

/// It is over as soon as enough are up, at the beginning or by an event.
#[tokio::test]
async fn reached() {
    let server = Server::start(Fake::new(7, [up("a@h"), up("b@h")]), Limits::default());
    assert_eq!(waited(args(&server, 2, DEADLINE)).await, (Exit::Done, "2 members are up\n".to_owned()));
    let third = async {
        while server.log.subscribers() == 0 {
            tokio::task::yield_now().await;
        }
        let all = ["a@h", "b@h", "c@h"].map(up);
        server.publish([event(8, EventKind::NodeUp, Some(up("c@h")))], all);
    };
    let (waited, ()) = tokio::join!(waited(args(&server, 3, DEADLINE)), third);
    assert_eq!(waited, (Exit::Done, "3 members are up\n".to_owned()));
}

/// When the time is over, one line tells who is missing and why.
#[tokio::test]
async fn too_late() {
    let server = Server::start(Fake::new(7, [up("a@h"), member("n1@10.0.0.7")]), Limits::default());
    let (exit, line) = late(&server, |args| args).await;
    assert_eq!(exit, Exit::NotSo);
    expect![[r#"
        1 of 4 members is up after TIME; not up: n1@10.0.0.7 (down: link lost: "peer" reset); 2 more are named by no strategy; topology gossip (degraded: no route to host)
    "#]].assert_eq(&line);
    let (_, json) = late(&server, |args| WaitArgs { json: true, ..args }).await;
    expect![[r#"
        {"reached":false,"wanted":4,"up":1,"missing":[{"name":"n1@10.0.0.7","state":"down","reason":"link lost: \"peer\" reset"}],"topologies":[{"name":"gossip","health":"degraded","reason":"no route to host"}]}
    "#]].assert_eq(&json);
    let office: TopologyName = "office".parse().unwrap();
    let (_, line) = late(&server, |args| WaitArgs { topology: Some(office.clone()), ..args }).await;
    expect![[r#"
        0 of 4 members are up after TIME; not up: a@h (not in the topology), n1@10.0.0.7 (down: link lost: "peer" reset); 2 more are named by no strategy; topology office (not there)
    "#]].assert_eq(&line);
}

/// Where there is nobody to ask, that is told, and not that nobody is up.
#[tokio::test]
async fn unreachable() {
    let server = Server::start(Fake::new(7, []), Limits::default());
    let args = args(&server, 1, SOON);
    server.stop().await;
    let (exit, line) = waited(args).await;
    assert_eq!(exit, Exit::Unreachable);
    assert!(line.contains("there is no such socket"), "{line}");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = api_args(format!("http://{}", silent.local_addr().unwrap()).parse().unwrap());
    let (exit, line) = waited(WaitArgs { api, members: 1, topology: None, timeout: SOON, json: false }).await;
    assert_eq!(exit, Exit::Unreachable);
    assert!(line.contains("it gives no answer"), "{line}");
}

#[track_caller]
fn check(events: &[Event<'_>], topology: Option<&str>, expected: &Expect) {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.take(event, topology));
    expected.assert_eq(&fold.outcome(9, false).line(Duration::from_secs(60)));
}

/// In a topology only the link there counts, and of the local node that it is up.
#[test]
fn by_topology() {
    let mut this = bare_member("a@h", MemberState::Up);
    this.is_self = true;
    let members = [
        this,
        linked("b@h", "mesh", LinkState::Up),
        linked("c@h", "mesh", LinkState::Unknown),
        linked("d@h", "other", LinkState::Up),
    ];
    let events: Vec<_> =
        members.into_iter().map(|member| event(1, EventKind::NodeUp, Some(member))).collect();
    let mut gone = event(9, EventKind::NodeLeft, None);
    gone.node = Some("d@h".parse().unwrap());
    let events: Vec<Event<'_>> =
        events.iter().chain([&gone]).map(|event| Event::new(cursor(1), event)).collect();
    check(
        &events,
        None,
        &expect![
            "2 of 9 members are up after 1m; not up: c@h (link unknown); 6 more are named by no strategy"
        ],
    );
    check(
        &events[..4],
        Some("mesh"),
        &expect![
            "2 of 9 members are up after 1m; not up: c@h (link unknown), d@h (not in the topology); 5 more are named by no strategy"
        ],
    );
}
