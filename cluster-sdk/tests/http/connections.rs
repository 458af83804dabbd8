//! Connections that are kept, and those that break.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use cluster_sdk::{http::Trouble, serde_json::json};
use test_httpserver::{Reply, Server};

use super::{answer, check, client};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// One connection carries all requests; to another server there is another one.
#[tokio::test]
async fn kept() {
    let [one, other] = [(); 2].map(|()| Server::http(|_| Reply::ok("{}")));
    let http = client(json!({}));
    for _ in 0..3 {
        http.get(one.url("/")).send().await.unwrap();
    }
    http.get(other.url("/")).send().await.unwrap();
    assert!(one.asked().iter().all(|asked| asked.connection == 1));
    assert_eq!(other.asked()[0].connection, 1);
}

/// A server that closes the connection after each answer, saying so or not, is no trouble.
#[tokio::test]
async fn closed_between() {
    for closing in [
        OK,
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
    ] {
        let server = Server::raw(move |mut stream| answer(&mut stream, closing));
        let http = client(json!({ "retries": 0 }));
        for _ in 0..20 {
            http.get(server.url("/")).send().await.unwrap();
            http.post(server.url("/")).send().await.unwrap();
        }
    }
}

/// Silence, bytes that come too slowly, and what is no HTTP.
#[tokio::test]
async fn broken() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Server::raw(|mut stream| stream.read_to_end(&mut Vec::new()).map(|_| ()));
    let slow = Server::raw(|mut stream| {
        answer(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        // Ends when the client has gone.
        while stream.read(&mut [0]).is_err() {
            stream.write_all(b"x")?;
        }
        Ok(())
    });
    let half =
        Server::raw(|mut stream| answer(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"));
    let garbage = Server::raw(|mut stream| answer(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n"));
    let nothing = Server::raw(|mut stream| answer(&mut stream, b""));
    let http = client(json!({ "retries": 0, "timeout": "300ms" }));
    for (url, begin) in [
        (format!("http://{closed}/"), format!("cannot connect: {closed}: Connection refused")),
        (silent.url("/"), "no whole answer within 300ms".to_owned()),
        (slow.url("/"), "no whole answer within 300ms".to_owned()),
        (half.url("/"), "the answer broke off or is no HTTP: ".to_owned()),
        (garbage.url("/"), "the answer broke off or is no HTTP: invalid HTTP version parsed".to_owned()),
        (nothing.url("/"), "the answer broke off or is no HTTP: connection closed before message".to_owned()),
    ] {
        let err = http.get(&url).send().await.unwrap_err();
        check(&err, &format!("GET {url}: {begin}"), "");
        assert!(err.is_temporary());
    }
}

/// More than is allowed ends at the limit, whether its length was told before or not.
#[tokio::test]
async fn too_large() {
    let told = Server::http(|_| Reply::ok(vec![b' '; 100_000]));
    let untold = Server::raw(|mut stream| {
        answer(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b' '; 1000])?;
        }
    });
    for server in [&told, &untold] {
        let err = client(json!({ "body_bytes_max": 50_000 })).get(server.url("/")).send().await.unwrap_err();
        assert!(matches!(err.trouble(), Trouble::TooLarge(50_000)), "{err}");
    }
    client(json!({ "body_bytes_max": 100_000 })).get(told.url("/")).send().await.unwrap();
}
