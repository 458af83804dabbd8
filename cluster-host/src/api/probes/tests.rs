//! Probes over real sockets, of a host that is a log and a few values.

use cluster_core::MemberState;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

use super::{
    super::{
        ListenAddress, ListenError,
        testing::{Fake, Server, bare_member},
    },
    *,
};
use crate::config::{Config, ReadyConfig};

/// Long enough for the slowest machine; nothing waits for it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

fn fake() -> Fake {
    let mut this = bare_member("a@h", MemberState::Up);
    this.is_self = true;
    Fake::new(7, [this])
}

/// The status and the body of an answer.
async fn asked(address: &ListenAddress, head: &str) -> (u16, String) {
    let ListenAddress::Tcp(address) = address else { panic!("{address}") };
    let mut socket = TcpStream::connect(("127.0.0.1", address.port())).await.unwrap();
    socket.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Serves probes of a host on a port that others could reach too, while `ask` asks.
async fn with_probes(fake: Fake, ask: impl AsyncFnOnce(&ListenAddress)) {
    let listener = Listener::bind_probes(&"0.0.0.0:0".parse().unwrap()).unwrap();
    let address = listener.address().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _stopped = stopped.await;
    };
    let served = tokio::spawn(serve_probes(listener, Arc::new(fake), shutdown));
    ask(&address).await;
    drop(stop);
    served.await.unwrap().unwrap();
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: pod-7.evil.example:4445")
}

/// By whatever name one comes, there are the three answers, and nothing else that the API has.
#[tokio::test]
async fn three_paths() {
    with_probes(fake(), async |address| {
        assert_eq!(asked(address, &get("/healthz")).await, (200, "ok\n".to_owned()));
        assert_eq!(asked(address, &get("/ready")).await, (200, "ready: 1 member is up\n".to_owned()));
        let (status, metrics) = asked(address, &get("/metrics")).await;
        assert_eq!(status, 200);
        assert!(metrics.contains("\ncluster_members{state=\"up\"} 1\n"), "{metrics}");
        for path in ["/", "/v1/members", "/v1/members/a@h", "/v1/events", "/v1/topologies"] {
            let (status, body) = asked(address, &get(path)).await;
            assert_eq!(status, 404, "{path}: {body}");
            assert!(body.contains("ask for /healthz, /ready or /metrics"), "{body}");
        }
        for method in ["POST", "DELETE", "PUT"] {
            for (path, expected) in
                [("/healthz", 405), ("/ready", 405), ("/metrics", 405), ("/v1/reload", 404)]
            {
                let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0");
                assert_eq!(asked(address, &request).await.0, expected, "{method} {path}");
            }
        }
        assert_eq!(asked(address, "HEAD /ready HTTP/1.1\r\nHost: h").await, (200, String::new()));
    })
    .await;
}

/// What is waited for is told with a 503, and that names neither a node nor an address; the host works all the same.
#[tokio::test]
async fn not_ready() {
    let fake = Fake::new(7, [bare_member("a@h", MemberState::Discovered)]);
    let ready = ReadyConfig { min_members: 2, ..ReadyConfig::default() };
    fake.readiness.configure(&Config { ready, ..Config::default() }, true);
    with_probes(fake, async |address| {
        assert_eq!(asked(address, &get("/healthz")).await.0, 200);
        let (status, body) = asked(address, &get("/ready")).await;
        assert_eq!(status, 503);
        let detail = "not ready: the local node is not up yet; 0 of at least 2 members are up";
        assert!(body.contains(detail) && !body.contains('@'), "{body}");
        let (_, metrics) = asked(address, &get("/metrics")).await;
        assert!(metrics.contains("\ncluster_ready 0\n"), "{metrics}");
    })
    .await;
}

/// A host whose loop has ended, or hangs, is neither well nor ready, and tells its metrics.
#[tokio::test]
async fn dead_or_hanging() {
    let mut dead = fake();
    dead.alive = Some(false);
    with_probes(dead, async |address| {
        for path in ["/healthz", "/ready"] {
            let (status, body) = asked(address, &get(path)).await;
            assert_eq!(status, 503, "{path}");
            assert!(body.contains("see its log"), "{body}");
        }
        assert_eq!(asked(address, &get("/metrics")).await.0, 200);
    })
    .await;
    let mut hanging = fake();
    hanging.alive = None;
    let problem = works(&hanging, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(problem.kind, Kind::Unavailable);
    assert!(problem.detail.starts_with("the host hangs"), "{}", problem.detail);
}

/// The API answers the same, behind its guard.
#[tokio::test]
async fn at_the_api() {
    let server = Server::start_tcp(fake(), Limits::default());
    for path in ["/healthz", "/ready", "/metrics"] {
        let own = format!("GET {path} HTTP/1.1\r\nHost: {}", server.address);
        assert_eq!(asked(&server.address, &own).await.0, 200, "{path}");
        assert_eq!(asked(&server.address, &get(path)).await.0, 403, "{path}");
    }
    server.stop().await;
}

/// Probes may be answered where the API may not listen, and mistakes are told the same way.
#[test]
fn addresses() {
    for good in ["0.0.0.0:4445", "[::]:4445", "10.0.0.1:1", "127.0.0.1:4445", "unix:/run/p.sock"] {
        assert_eq!(good.parse::<ListenAddress>().unwrap().to_string(), good);
    }
    for bad in ["", "unix:", "4445", ":4445", "example.org:80"] {
        assert!(matches!(bad.parse::<ListenAddress>(), Err(ListenError::NotAddress(_))), "{bad}");
    }
}
