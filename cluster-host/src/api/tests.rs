//! The API over real sockets, asked by the real client or by bytes on the wire.

use std::{io::ErrorKind, time::Duration};

use axum::body::Bytes;
use cluster_core::{Event, EventKind, Member, MemberState};
use expect_test::expect;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

use super::{
    Limits, ListenAddress, json,
    testing::{EPOCH, Fake, RETENTION, Server, bare_member, cursor, event, member, snapshot, topology},
};
use crate::{
    client::{Client, ClientError, EventStream, SseEvent},
    socket::Socket,
};

#[path = "../../../tests/contract.rs"]
pub(super) mod contract;

mod access;

/// Long enough for the slowest machine; nothing waits for it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

fn client(server: &Server) -> Client {
    Client::new(Some(server.address.clone().into()))
}

fn up(name: &str) -> Member {
    bare_member(name, MemberState::Up)
}

fn fake() -> Fake {
    Fake::new(7, [member("n1@10.0.0.7"), up("n2@h")])
}

/// Publishes an event that says that a member is up.
fn publish_up(server: &Server) {
    let revision = server.log.revision() + 1;
    server.publish([event(revision, EventKind::NodeUp, Some(up("n2@h")))], [up("n2@h")]);
}

async fn next(stream: &mut EventStream) -> SseEvent {
    let event = tokio::time::timeout(DEADLINE, stream.next_event()).await.expect("an event in time");
    let event = event.unwrap().expect("the stream goes on");
    contract::check_event(&serde_json::from_str(&event.data).unwrap()).unwrap();
    event
}

async fn rest(stream: &mut EventStream) -> Vec<SseEvent> {
    let mut events = Vec::new();
    while let Some(event) = tokio::time::timeout(DEADLINE, stream.next_event()).await.unwrap().unwrap() {
        contract::check_event(&serde_json::from_str(&event.data).unwrap()).unwrap();
        events.push(event);
    }
    events
}

fn ids(events: &[SseEvent]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.kind, event.id.split_once(':').unwrap().1)).collect()
}

fn status(error: &ClientError) -> u16 {
    let ClientError::Refused { status, .. } = error else { panic!("{error}") };
    status.as_u16()
}

/// A connection, with bytes sent and nothing read.
async fn connected(server: &Server, request: &str) -> Socket {
    let mut socket = match &server.address {
        ListenAddress::Unix(path) => Socket::Unix(UnixStream::connect(path).await.unwrap()),
        ListenAddress::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await.unwrap()),
    };
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// All until the server ends the connection, also by a reset where it did not read all that was sent.
async fn read_all(socket: impl AsyncRead + Unpin) -> String {
    String::from_utf8(read_all_bytes(socket).await).unwrap()
}

async fn read_all_bytes(mut socket: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await;
    if let Err(error) = read.expect("the server ends the connection") {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    answer
}

/// The whole answer to a request of these lines.
pub(super) async fn raw(server: &Server, lines: &[&str]) -> String {
    let request = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n"));
    let answer = read_all(connected(server, &request).await).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
    let mut asked = lines[0].split(' ');
    // Pieces that are sent as chunks are seen as a client sees them.
    if !head.contains("transfer-encoding: chunked") {
        contract::check_answer(
            asked.next().unwrap(),
            asked.next().unwrap(),
            status,
            content_type,
            body.as_bytes(),
        );
    }
    answer
}

/// The body of an answer, which is as described.
async fn get(server: &Server, path: &str) -> Result<Bytes, ClientError> {
    let answered = client(server).bytes(path).await;
    if let Ok(body) = &answered {
        contract::check_answer("GET", path, 200, "application/json", body);
    }
    answered
}

async fn post(server: &Server, path: &str) -> Result<Bytes, ClientError> {
    let answered = client(server).post(path).await;
    if let Ok(body) = &answered {
        contract::check_answer("POST", path, 200, "application/json", body);
    }
    answered
}

/// The members come with the cursor's parts, in the order of their names, however many pieces that takes.
#[tokio::test]
async fn members() {
    for count in [0, 1, 2, 5_000] {
        let names: Vec<String> = (0..count).map(|number| format!("n{number:05}@h")).collect();
        let server = Server::start(Fake::new(7, names.iter().map(|name| up(name))), Limits::default());
        let body = get(&server, "/v1/members").await.unwrap();
        let answer: json::Members<'_> = client(&server).read(&body).unwrap();
        assert_eq!((&*answer.epoch, answer.revision), (&*EPOCH.to_string(), 7));
        assert_eq!(answer.this.as_deref(), Some("a@h"));
        assert!(answer.members.iter().map(|member| &*member.name).eq(names.iter().map(String::as_str)));
        server.stop().await;
    }
    let server = Server::start(Fake::new(7, [up("n2@h")]), Limits::default());
    let body = get(&server, "/v1/members").await.unwrap();
    expect![[r#"
        {"epoch":"0192a5c7d1e8f402","revision":7,"self":"a@h","members":[{"name":"n2@h","self":false,"state":"up","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null}]}
    "#]].assert_eq(&format!("{}\n", str::from_utf8(&body).unwrap()));
}

/// As text there is a line per member, its state and its name, for who asks for text by a header or by the query, and the
/// cursor is in the head.
#[tokio::test]
async fn members_as_text() {
    let members = [member("n1@10.0.0.7"), up("n2@h"), bare_member("n3@h", MemberState::Leaving)];
    let server = Server::start(Fake::new(7, members), Limits::default());
    let lines = "down n1@10.0.0.7\nup n2@h\nleaving n3@h\n";
    for (path, accept, is_text) in [
        ("/v1/members", "text/plain", true),
        ("/v1/members", "text/html, TEXT/plain;q=0.5", true),
        ("/v1/members", "application/json, text/plain, */*", false),
        ("/v1/members", "*/*", false),
        ("/v1/members?format=text", "*/*", true),
        ("/v1/members?format=json", "text/plain", false),
    ] {
        let (path, accept) = (format!("GET {path} HTTP/1.0"), format!("accept: {accept}"));
        let answer = raw(&server, &[&path, &accept]).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body == lines, is_text, "{path} {accept}: {body}");
        assert_eq!(head.contains(&format!("\r\nx-cursor: {}", cursor(7))), is_text, "{head}");
        assert_eq!(head.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), is_text, "{head}");
    }
    let refused = raw(&server, &["GET /v1/members?format=xml HTTP/1.0"]).await;
    assert!(refused.starts_with("HTTP/1.0 400 ") && refused.contains("unknown variant `xml`"), "{refused}");

    let names: Vec<String> = (0..5_000).map(|number| format!("n{number:05}@h")).collect();
    let server = Server::start(Fake::new(7, names.iter().map(|name| up(name))), Limits::default());
    let answer = raw(&server, &["GET /v1/members?format=text HTTP/1.0"]).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.lines().eq(names.iter().map(|name| format!("up {name}"))));
}

/// What goes over the wire for a stream: one resync, then each event, with cursors as ids.
#[tokio::test]
async fn event_stream_as_bytes() {
    let server = Server::start(Fake::new(7, [up("n1@h"), up("n2@h")]), Limits::default());
    publish_up(&server);
    let answer = raw(&server, &["GET /v1/events?follow=false&since=7 HTTP/1.0"]).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n")
    );
    expect![[r#"
        id: 0192a5c7d1e8f402:8
        event: node_up
        data: {"epoch":"0192a5c7d1e8f402","revision":8,"cursor":"0192a5c7d1e8f402:8","type":"node_up","node":"n2@h","member":{"name":"n2@h","self":false,"state":"up","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":null,"reason":null,"at":"2026-01-01T00:00:00.008000Z"}

    "#]].assert_eq(body);
}

/// Without a cursor one resync comes first, which has the members; then the stream follows.
#[tokio::test]
async fn resync_first_then_events() {
    let server = Server::start(fake(), Limits::default());
    let mut stream = client(&server).events(None, true).await.unwrap();
    let resync = next(&mut stream).await;
    assert_eq!((&*resync.kind, resync.id), ("resync", cursor(7).to_string()));
    let resync: json::Event<'_> = serde_json::from_str(&resync.data).unwrap();
    let (_, expected) = server.log.snapshot();
    let expected: Vec<json::Member<'_>> =
        expected.members.values().map(|member| (&**member).into()).collect();
    assert_eq!(resync.members, Some(expected));
    assert_eq!((resync.node, resync.member, resync.reason), (None, None, None));
    for revision in 8..20 {
        publish_up(&server);
        let event = next(&mut stream).await;
        assert_eq!((&*event.kind, event.id), ("node_up", cursor(revision).to_string()));
    }
}

/// A cursor resumes after the event that it names; a bare number is of the current epoch. A cursor that the log does
/// not know gives one resync, with the reason.
#[tokio::test]
async fn resume() {
    let server = Server::start(fake(), Limits::default());
    for _ in 0..3 {
        publish_up(&server);
    }
    let at = |revision| cursor(revision).to_string();
    for (since, expected, reason) in [
        (None, vec!["resync 10"], None),
        (Some(at(7)), vec!["node_up 8", "node_up 9", "node_up 10"], None),
        (Some("8".to_owned()), vec!["node_up 9", "node_up 10"], None),
        (Some(at(10)), vec![], None),
        (Some(at(11)), vec!["resync 10"], Some("revision 11 is ahead of this log")),
        (Some(at(6)), vec!["resync 10"], Some("revision 6 is beyond the retention")),
        (Some(format!("{:016x}:8", 5)), vec!["resync 10"], Some("epoch 0000000000000005 is not this log's")),
    ] {
        let mut stream = client(&server).events(since.as_deref(), false).await.unwrap();
        let events = rest(&mut stream).await;
        assert_eq!(ids(&events), expected, "{since:?}");
        if let Some(resync) = events.iter().find(|event| event.kind == "resync") {
            let resync: json::Event<'_> = serde_json::from_str(&resync.data).unwrap();
            assert_eq!(resync.reason.as_deref(), reason);
        }
    }
}

/// A browser that connects anew repeats the address it was given and adds `Last-Event-ID`: the header counts.
#[tokio::test]
async fn last_event_id_counts() {
    let server = Server::start(fake(), Limits::default());
    for _ in 0..3 {
        publish_up(&server);
    }
    let header = format!("last-event-id: {}", cursor(9));
    let answer = raw(&server, &["GET /v1/events?follow=false&since=7 HTTP/1.1", "host: x", &header]).await;
    let ids: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, [cursor(10).to_string()]);
    let answer = raw(&server, &["GET /v1/events?follow=false HTTP/1.1", "host: x", "last-event-id: x"]).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// What is asked wrongly is refused with a status and a sentence.
#[tokio::test]
async fn refusals() {
    let server = Server::start(fake(), Limits::default());
    let mut refusals = Vec::new();
    for path in [
        "/v1/events?since=yesterday",
        "/v1/events?since=",
        "/v1/events?since=0192a5c7d1e8f402:-1",
        "/v1/events?follow=perhaps",
        "/v1/events?wait=soon",
        "/v1/events?wait=61s",
        "/v1/events?wait=1s&follow=true",
        "/v1/members/n3@h",
        "/v1/members/forgotten@h",
        "/v1/members/n3",
        "/v1/members/%FF@h",
        "/v1",
    ] {
        let ClientError::Refused { status, detail } = get(&server, path).await.unwrap_err() else {
            panic!("{path}")
        };
        refusals.push(format!("{path}: {}: {detail}\n", status.as_u16()));
    }
    expect![[r#"
        /v1/events?since=yesterday: 400: "yesterday" is not a cursor: write EPOCH:REVISION as an event shows it, or a bare revision
        /v1/events?since=: 400: "" is not a cursor: write EPOCH:REVISION as an event shows it, or a bare revision
        /v1/events?since=0192a5c7d1e8f402:-1: 400: "0192a5c7d1e8f402:-1" is not a cursor: write EPOCH:REVISION as an event shows it, or a bare revision
        /v1/events?follow=perhaps: 400: Failed to deserialize query string: follow: provided string was not `true` or `false`
        /v1/events?wait=soon: 400: wait: "soon" is no duration: write it as 30s
        /v1/events?wait=61s: 400: wait: "61s" is more than 60s
        /v1/events?wait=1s&follow=true: 400: follow is of a stream of events, and wait of an answer with some: ask for one of them
        /v1/members/n3@h: 404: nothing is known of a node n3@h
        /v1/members/forgotten@h: 404: nothing is known of a node forgotten@h
        /v1/members/n3: 400: node name "n3" is not of the form name@host
        /v1/members/%FF@h: 400: Invalid URL: Invalid UTF-8 in `name`
        /v1: 404: there is no /v1: /v1/openapi.json has what there is
    "#]].assert_eq(&refusals.concat());
    let answer = raw(&server, &["POST /v1/members HTTP/1.1", "host: x", "content-length: 0"]).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    expect![[r#"
        {"type":"urn:problem-type:cluster-host:method-not-allowed","title":"Method Not Allowed","status":405,"detail":"POST is not possible on /v1/members","instance":"/v1/members"}
    "#]]
    .assert_eq(&format!("{body}\n"));
}

/// A reload answers with what it changes, or why it changes nothing; who only reads may not ask for it.
#[tokio::test]
async fn reload() {
    let server = Server::start(fake(), Limits::default());
    let body = post(&server, "/v1/reload?dry_run=true").await.unwrap();
    expect![[r#"
        {"dry_run":true,"topologies":{"added":["office"],"adjusted":[],"changed":[],"removed":[],"restarted":[],"unchanged":[]},"warnings":["cluster.toml:3: seldom meant"],"hooks":{"added":["pager"],"changed":[],"removed":[]},"previews":{"office":{"joins":["b@h"],"leaves":[],"partial":false,"error":null}}}
    "#]]
    .assert_eq(&format!("{}\n", str::from_utf8(&body).unwrap()));
    let refused = post(&server, "/v1/reload").await.unwrap_err();
    assert_eq!(
        (status(&refused), refused.to_string().as_str()),
        (409, "node.name cannot be changed by a reload: restart the host")
    );
    let refused = get(&server, "/v1/reload").await.unwrap_err();
    assert_eq!(status(&refused), 405);
}

/// Forgetting tells who let the node go and who still names it; where nobody let it go it is refused, with the reason.
#[tokio::test]
async fn forget() {
    let server = Server::start(fake(), Limits::default());
    let forget = async |name: &str| post(&server, &format!("/v1/members/{name}/forget")).await;
    let body = forget("held@h").await.unwrap();
    expect![[r#"
        {"name":"held@h","topologies":["gossip"],"dead":[{"topology":"gossip","incarnation":16}],"named_by":["mesh"]}
    "#]]
    .assert_eq(&format!("{}\n", str::from_utf8(&body).unwrap()));
    let mut refusals = String::new();
    for name in ["n2@h", "a@h", "n3@h", "n3"] {
        let refused = forget(name).await.unwrap_err();
        refusals = refusals + &status(&refused).to_string() + ": " + &refused.to_string() + "\n";
    }
    expect![[r#"
        409: n2@h stays a member: the source of gossip still named it at last, and it goes when it is not named there any more
        409: a@h stays a member: it is the node that this host runs beside
        404: nothing is known of a node n3@h
        400: node name "n3" is not of the form name@host
    "#]].assert_eq(&refusals);
}

/// The plugins come as `plugins --json` has them, and with the topologies that use them.
#[tokio::test]
async fn plugins() {
    let server = Server::start(fake(), Limits::default());
    let body = get(&server, "/v1/plugins").await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let builtin = &body["plugins"][0];
    assert_eq!((&body["directory"], &body["problem"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(builtin["plugin"], "cluster-host", "{body}");
    assert_eq!(builtin["used_by"], serde_json::json!(["gossip"]), "{body}");
    assert!(builtin["connectors"].as_array().unwrap().contains(&"tcp".into()), "{body}");
}

/// An event of a topology has its health, so that who folds the events knows it; one that is gone has none.
#[test]
fn topology_events_have_the_health() {
    let mut changed = event(8, EventKind::TopologyChanged, None);
    changed.topology = Some("gossip".parse().unwrap());
    changed.status = Some(topology().status.into());
    let json = |event: &Event| serde_json::to_string(&json::Event::new(cursor(8), event)).unwrap();
    assert!(json(&changed).contains(r#""topology":"gossip","health":"degraded","#), "{}", json(&changed));
    changed.status = None;
    assert!(!json(&changed).contains("health"));
}

/// Who has no server-sent events waits for an answer: it comes with the next event, with all that there is already, with a
/// resync where the cursor is not known, or with nothing when the wait or the server ends.
#[tokio::test]
async fn waiting() {
    let server = Server::start(fake(), Limits::default());
    let wait = async |query: &str| -> json::EventList<'static> {
        let body = get(&server, &format!("/v1/events?{query}")).await.unwrap();
        serde_json::from_slice::<json::EventList<'_>>(&body.to_vec().leak()[..]).unwrap()
    };
    let resync = wait("wait=0s").await;
    assert_eq!((&*resync.cursor, resync.events.len()), (&*cursor(7).to_string(), 0));
    let members = resync.resync.unwrap().members.unwrap();
    assert!(members.iter().map(|member| &*member.name).eq(["n1@10.0.0.7", "n2@h"]));
    let nothing = wait("wait=1ms&since=7").await;
    assert_eq!((&*nothing.cursor, nothing.events.len(), nothing.resync), (&*cursor(7).to_string(), 0, None));

    let coming = async {
        wait_until(|| server.activity.followers() == 1).await;
        publish_up(&server);
    };
    let (came, ()) = tokio::join!(wait("wait=60s&since=7"), coming);
    assert_eq!((&*came.cursor, came.events.len()), (&*cursor(8).to_string(), 1));
    publish_up(&server);
    let both = wait("wait=60s&since=7").await;
    assert_eq!((&*both.cursor, both.events.len()), (&*cursor(9).to_string(), 2));
    let unknown = wait("wait=60s&since=5").await;
    assert_eq!(unknown.resync.unwrap().reason.as_deref(), Some("revision 5 is beyond the retention"));
    wait_until(|| server.activity.followers() == 0).await;

    let stopping = client(&server);
    let waiting = tokio::spawn(async move { stopping.bytes("/v1/events?wait=60s&since=9").await });
    wait_until(|| server.activity.followers() == 1).await;
    server.stop().await;
    let body = waiting.await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<json::EventList<'_>>(&body).unwrap().events, []);
}

/// Prometheus finds the members that are up, or those that are asked for, with what is known of them as labels.
#[tokio::test]
async fn prometheus_targets() {
    let server = Server::start(fake(), Limits::default());
    let targets = async |query: &str| {
        let body = get(&server, &format!("/v1/prometheus/targets?{query}")).await.unwrap();
        str::from_utf8(&body).unwrap().to_owned() + "\n"
    };
    expect![[r#"
        [{"targets":["h"],"labels":{"__meta_cluster_node":"n2@h","__meta_cluster_self":"false","__meta_cluster_state":"up","__meta_cluster_topologies":","}}]
    "#]].assert_eq(&targets("").await);
    expect![[r#"
        [{"targets":["10.0.0.7:9100"],"labels":{"__meta_cluster_attribute_zone":"eu-1","__meta_cluster_node":"n1@10.0.0.7","__meta_cluster_self":"false","__meta_cluster_state":"down","__meta_cluster_topologies":",gossip,mesh,"}}]
    "#]].assert_eq(&targets("state=any&port=9100&topology=mesh").await);
    assert_eq!(targets("topology=mesh").await, "[]\n");
    for wrong in ["port=99999", "state=well", "ports=1"] {
        let refused = get(&server, &format!("/v1/prometheus/targets?{wrong}")).await.unwrap_err();
        assert_eq!(status(&refused), 400, "{wrong}");
    }
}

/// What is counted: who follows, how far the slowest is behind, and what became of requests.
#[tokio::test]
async fn activity() {
    let server = Server::start(fake(), Limits::default());
    let lag = || server.activity.lag_max(server.log.revision());
    let mut stream = client(&server).events(Some("7"), true).await.unwrap();
    assert_eq!((server.activity.followers(), lag()), (1, 0));
    let stalled = connected(&server, "GET /v1/events?since=7 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    wait_until(|| server.activity.followers() == 2).await;
    let count = u64::try_from(RETENTION).unwrap();
    let events = (8..8 + count).map(|revision| event(revision, EventKind::NodeUp, Some(member("n1@h"))));
    server.log.publish(events, snapshot(7 + count, [member("n1@h")]));
    while next(&mut stream).await.id != cursor(7 + count).to_string() {}
    assert!(lag() > 0, "what fits into buffers is sent, and the rest is not");
    drop((stream, stalled));
    wait_until(|| server.activity.followers() == 0).await;
    assert_eq!(lag(), 0);
    assert!(get(&server, "/v1").await.is_err());
    let requests = server.activity.requests().map(|(outcome, count)| (outcome.as_str(), count));
    assert_eq!(requests, [("answered", 2), ("refused", 1), ("denied", 0), ("failed", 0)]);
}

/// A node's explanation, its name encoded in the address.
#[tokio::test]
async fn explanation() {
    let server = Server::start(Fake::new(7, [up("a/bü@h")]), Limits::default());
    let path = format!("/v1/members/{}", crate::client::encode("a/bü@h"));
    assert_eq!(path, "/v1/members/a%2Fb%C3%BC@h");
    let body = get(&server, &path).await.unwrap();
    let known: json::Explanation<'_> = client(&server).read(&body).unwrap();
    assert_eq!(known.name, "a/bü@h");
}

/// Over TCP only this machine may read; the answer to a rebound name has nothing of the cluster in it.
#[tokio::test]
async fn guarded_over_tcp() {
    let server = Server::start_tcp(fake(), Limits::default());
    assert!(get(&server, "/v1/members").await.is_ok());
    let evil = raw(&server, &["GET /v1/members HTTP/1.1", "host: evil.example"]).await;
    assert!(evil.starts_with("HTTP/1.1 403 ") && !evil.contains("n1@10.0.0.7"), "{evil}");
    let script =
        raw(&server, &["GET /v1/events HTTP/1.1", "host: localhost", "origin: http://evil.example"]).await;
    assert!(script.starts_with("HTTP/1.1 403 "), "{script}");
    let post = raw(&server, &["POST /v1/members HTTP/1.1", "host: localhost"]).await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let absent = raw(&server, &["GET /v1/members HTTP/1.0"]).await;
    assert!(absent.starts_with("HTTP/1.0 403 "), "{absent}");
}

/// Who does not read holds up neither the publisher nor others, and has one resync in place of what the log forgot
/// meanwhile: nothing else is missing, and nothing comes twice.
#[tokio::test]
async fn slow_reader() {
    let server = Server::start(Fake::new(0, []), Limits::default());
    let mut slow = client(&server).events(Some("0"), true).await.unwrap();
    let mut quick = client(&server).events(Some("0"), true).await.unwrap();
    let total = RETENTION * 3;
    let mut seen = 0;
    while seen < total {
        for _ in 0..RETENTION / 4 {
            let revision = server.log.revision() + 1;
            server.publish([event(revision, EventKind::NodeUpdated, Some(member("n1@h")))], [member("n1@h")]);
        }
        for _ in 0..RETENTION / 4 {
            seen += 1;
            assert_eq!(next(&mut quick).await.id, cursor(u64::try_from(seen).unwrap()).to_string());
        }
    }
    let mut resyncs = 0;
    let mut last = 0;
    while last < server.log.revision() {
        let event = next(&mut slow).await;
        let event: json::Event<'_> = serde_json::from_str(&event.data).unwrap();
        if event.kind == "resync" {
            resyncs += 1;
            assert!(event.revision > last);
            assert_eq!(event.reason.as_deref(), Some("the subscriber fell behind the retention"));
        } else {
            assert_eq!(event.revision, last + 1);
        }
        last = event.revision;
    }
    assert_eq!(resyncs, 1);
}

/// A thousand subscribers each get every event, and idle ones cost little memory.
#[tokio::test]
async fn thousand_subscribers() {
    const SUBSCRIBERS: usize = 1_000;
    // Both ends are in this process.
    raise_open_files(2 * SUBSCRIBERS + 200);
    let server = Server::start(fake(), Limits::default());
    let before = resident_kib();
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS {
        streams.push(client(&server).events(Some("7"), true).await.unwrap());
    }
    let each = (resident_kib().saturating_sub(before)) / SUBSCRIBERS;
    for _ in 0..10 {
        publish_up(&server);
    }
    for stream in &mut streams {
        for revision in 8..18 {
            assert_eq!(next(stream).await.id, cursor(revision).to_string());
        }
    }
    assert_eq!(server.log.subscribers(), SUBSCRIBERS);
    assert!(each <= 64, "{each} KiB for both ends of an idle subscription");
    drop(streams);
    wait_until(|| server.log.subscribers() == 0).await;
}

/// Beyond the limits the answer is 503, at once; when others go there is room again.
#[tokio::test]
async fn limits() {
    let limits = Limits { subscribers_max: 2, connections_max: 3, ..Limits::default() };
    let server = Server::start(fake(), limits);
    let first = client(&server).events(None, true).await.unwrap();
    let second = client(&server).events(None, true).await.unwrap();
    let third = client(&server).events(None, true).await.unwrap_err();
    assert_eq!(status(&third), 503);
    assert_eq!(third.to_string(), "too many subscribers: try again when others have gone");
    // Others may ask, once the refused one's connection is gone.
    wait_until_async(async || get(&server, "/v1/members").await.is_ok()).await;
    let idle = connected(&server, "").await;
    let mut refused = None;
    wait_until_async(async || {
        refused = get(&server, "/v1/members").await.err();
        refused.as_ref().is_some_and(|error| status(error) == 503)
    })
    .await;
    assert_eq!(refused.unwrap().to_string(), "too many connections: try again when others have gone");
    drop((first, second, idle));
    wait_until_async(async || client(&server).events(None, true).await.is_ok()).await;
}

/// A head that does not come, a head without end and a connection without a request are cut off.
#[tokio::test]
async fn dawdlers_are_cut_off() {
    let limits = Limits { header_read_timeout: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start(fake(), limits);
    for head in ["", "GET /v1/members HTTP/1.1\r\nhost:"] {
        let answer = read_all(connected(&server, head).await).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    let endless = format!("GET /v1/members HTTP/1.1\r\nx: {}", "x".repeat(64 * 1024));
    let answer = read_all(connected(&server, &endless).await).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// A stream without events is not silent.
#[tokio::test]
async fn keep_alive() {
    let limits = Limits { keep_alive_interval: Duration::from_millis(10), ..Limits::default() };
    let server = Server::start(fake(), limits);
    let mut socket = connected(&server, "GET /v1/events?since=7 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = String::new();
    while answer.matches("\r\n:\n\n\r\n").count() < 2 {
        let mut buffer = [0; 1024];
        let read = tokio::time::timeout(DEADLINE, socket.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(str::from_utf8(&buffer[..read]).unwrap());
    }
}

/// A stop ends streams and idle connections, and gives the place free; the end of the log ends streams, too.
#[tokio::test]
async fn stop() {
    let server = Server::start(fake(), Limits::default());
    let path = match &server.address {
        ListenAddress::Unix(path) => path.clone(),
        ListenAddress::Tcp(_) => panic!("a Unix socket"),
    };
    let mut stream = client(&server).events(None, true).await.unwrap();
    assert_eq!(next(&mut stream).await.kind, "resync");
    let idle = connected(&server, "").await;
    let asked = client(&server);
    server.stop().await;
    assert_eq!(rest(&mut stream).await, []);
    assert_eq!(read_all(idle).await, "");
    assert!(!path.exists());
    assert!(matches!(asked.bytes("/v1/members").await, Err(ClientError::Unreachable { .. })));

    let server = Server::start(fake(), Limits::default());
    let mut stream = client(&server).events(Some("7"), true).await.unwrap();
    publish_up(&server);
    server.log.close();
    assert_eq!(ids(&rest(&mut stream).await), ["node_up 8"]);
}

/// What is in the log when it is asked for comes, and what comes later does not make the answer longer.
#[tokio::test]
async fn without_following() {
    let server = Server::start(Fake::new(7, [up("n1@h")]), Limits::default());
    let events = (8..1_008).map(|revision| event(revision, EventKind::NodeUp, Some(member("n1@h"))));
    server.log.publish(events, snapshot(1_007, [member("n1@h")]));
    let mut stream = client(&server).events(Some("7"), false).await.unwrap();
    publish_up(&server);
    let ids = ids(&rest(&mut stream).await);
    assert_eq!(ids.len(), 1_000);
    assert_eq!(ids.last().unwrap(), "node_up 1007");
}

async fn wait_until(mut done: impl FnMut() -> bool) {
    wait_until_async(async || done()).await;
}

async fn wait_until_async(mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it happens in time");
}

fn raise_open_files(wanted: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(wanted).unwrap();
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The page is at `/`, on the Unix socket and over TCP, where the guard is before it as before the rest; it is only read.
#[tokio::test]
async fn page() {
    let server = Server::start(fake(), Limits::default());
    let document = raw(&server, &["GET / HTTP/1.1", "host: localhost"]).await;
    assert!(document.starts_with("HTTP/1.1 200") && document.contains("<!doctype html>"), "{document}");
    assert!(raw(&server, &["POST / HTTP/1.1", "host: localhost"]).await.starts_with("HTTP/1.1 405"));
    server.stop().await;
    let server = Server::start_tcp(fake(), Limits::default());
    for path in ["/", "/page.css", "/page.js"] {
        let get = format!("GET {path} HTTP/1.1");
        assert!(raw(&server, &[&get, "host: localhost"]).await.starts_with("HTTP/1.1 200"), "{path}");
        assert!(raw(&server, &[&get, "host: evil.example"]).await.starts_with("HTTP/1.1 403"), "{path}");
        let head = raw(&server, &[&format!("HEAD {path} HTTP/1.1"), "host: localhost"]).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    }
    server.stop().await;
}
