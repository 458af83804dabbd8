use std::os::unix::net::UnixListener;

use expect_test::expect;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn trouble(address: &str) -> String {
    let client = Client::new(Some(address.parse().unwrap()));
    client.bytes("/v1/members").await.unwrap_err().to_string()
}

/// Each thing that keeps us from a daemon has its own line, which says what was tried and what helps.
#[tokio::test]
async fn unreachable() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_str().unwrap();
    let dead = scratch.path().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    std::fs::write(scratch.path().join("file"), "").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut lines = String::new();
    for address in
        ["unix:none.sock", &format!("unix:{directory}/dead.sock"), &format!("unix:{directory}/file")]
    {
        lines = lines + &trouble(address).await + "\n";
    }
    lines = lines + &trouble(&format!("http://{closed}")).await + "\n";
    for trouble in [
        Trouble::PermissionDenied { owner: Some(1000) },
        Trouble::PermissionDenied { owner: None },
        Trouble::NotTrusted { owner: 1000 },
        Trouble::Silent,
    ] {
        lines = lines + &Client::new(Some("unix:x".parse().unwrap())).unreachable(trouble).to_string() + "\n";
    }
    let lines = lines.replace(directory, "DIR").replace(&closed.to_string(), "127.0.0.1:PORT");
    expect![[r#"
        cannot reach the daemon at unix:none.sock: there is no such socket; is it running? Start it with 'cluster-host run --config FILE', or say where it listens with --api or CLUSTER_HOST_API
        cannot reach the daemon at unix:DIR/dead.sock: nobody listens there; is it running? Start it with 'cluster-host run --config FILE', or say where it listens with --api or CLUSTER_HOST_API
        cannot reach the daemon at unix:DIR/file: nobody listens there; is it running? Start it with 'cluster-host run --config FILE', or say where it listens with --api or CLUSTER_HOST_API
        cannot reach the daemon at http://127.0.0.1:PORT: nobody listens there; is it running? Start it with 'cluster-host run --config FILE', or say where it listens with --api or CLUSTER_HOST_API
        cannot reach the daemon at unix:x: permission denied: only the user that runs the daemon may ask it (user id 1000)
        cannot reach the daemon at unix:x: permission denied: only the user that runs the daemon may ask it
        cannot reach the daemon at unix:x: the socket belongs to user id 1000, who is neither you nor root; if you trust it, name it with --api
        cannot reach the daemon at unix:x: it does not answer within 10 s; is that a cluster-host?
    "#]].assert_eq(&lines);
}

/// What answers but is no daemon is told from one that does not answer.
#[tokio::test]
async fn not_a_daemon() {
    for (answer, expected) in [
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "invalid HTTP version parsed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", ""),
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", "the daemon answers 302 Found"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhel", "it ended in the middle of an answer"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let mut socket = listener.accept().await.unwrap().0;
            // The whole request, which is shorter than the buffer.
            let mut request = [0; 1024];
            let mut read = 0;
            while !request[..read].ends_with(b"\r\n\r\n") {
                read += socket.read(&mut request[read..]).await.unwrap();
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        let client = Client::new(Some(ApiAddress::Http(address.to_string())));
        let answered = client.bytes("/v1/members").await;
        match answered {
            Ok(body) => {
                let error = client.read::<json::Members<'_>>(&body).unwrap_err().to_string();
                assert!(error.contains("is it a cluster-host of another version?"), "{error}");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!expected.is_empty() && error.contains(expected), "{error}");
            }
        }
        answering.await.unwrap();
    }
}

/// A socket that nobody named is asked only if it is ours or root's.
#[test]
fn strangers_are_not_asked() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("api.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let (named, found) = (Client::new(Some(ApiAddress::Unix(path.clone()))), Client::new(None));
    assert_eq!(found.stranger(&path), None, "ours");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert_eq!(found.stranger(&path), Some(12_345));
        assert_eq!(named.stranger(&path), None);
    }
}

/// Every byte that means something in a URL is encoded.
#[test]
fn encoding() {
    assert_eq!(encode("app@10.0.0.7"), "app@10.0.0.7");
    assert_eq!(encode("0192a5c7d1e8f402:17"), "0192a5c7d1e8f402:17");
    assert_eq!(encode("a/b?c#d%e ü&f+"), "a%2Fb%3Fc%23d%25e%20%C3%BC%26f%2B");
}
