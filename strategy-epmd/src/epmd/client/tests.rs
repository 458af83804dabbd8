use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::*;
use crate::epmd::testing::{PATIENCE, REGISTERED_PORT, RealEpmd, free_port};

/// A real epmd registers a node of each kind, finds them by name and in its list, and forgets one that is dropped.
#[tokio::test]
async fn registers_and_finds() {
    let epmd = RealEpmd::start().await;
    assert_eq!(epmd.client().names(PATIENCE).await.unwrap(), []);
    let visible = epmd.register("app", NodeKind::Visible).await.unwrap();
    let hidden = epmd.register("ünseen", NodeKind::Hidden).await.unwrap();
    assert_ne!(visible.creation(), 0);
    for (alive, kind) in [("app", NodeKind::Visible), ("ünseen", NodeKind::Hidden)] {
        let found = epmd.client().lookup(alive, PATIENCE).await.unwrap();
        let address = Ipv4Addr::LOCALHOST.into();
        assert_eq!(found, Found { address, port: REGISTERED_PORT, kind, highest: 6, lowest: 5 });
    }
    let mut names = epmd.client().names(PATIENCE).await.unwrap();
    names.sort_by(|a, b| a.alive.cmp(&b.alive));
    assert_eq!(
        names.iter().map(|name| (&*name.alive, name.port)).collect::<Vec<_>>(),
        [("app", REGISTERED_PORT), ("ünseen", REGISTERED_PORT)]
    );
    drop(hidden);
    while epmd.client().lookup("ünseen", PATIENCE).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(visible);
}

/// Each reason names the node and where it was looked for.
#[tokio::test]
async fn reasons() {
    let epmd = RealEpmd::start().await;
    let at = format!("127.0.0.1:{}", epmd.port);
    let _app = epmd.register("app", NodeKind::Visible).await.unwrap();
    let taken = epmd.register("app", NodeKind::Hidden).await.unwrap_err();
    assert_eq!(taken.to_string(), format!("name app is in use at epmd on {at}"));
    let absent = epmd.client().lookup("ap", PATIENCE).await.unwrap_err();
    assert_eq!(absent.to_string(), format!("ap is not registered at epmd on {at}"));
    let long = "a".repeat(2000);
    let too_long = epmd.client().lookup(&long, PATIENCE).await.unwrap_err();
    assert!(matches!(too_long, EpmdError::BadName { .. }), "{too_long}");

    let nobody = Epmd::local(free_port());
    let down = nobody.names(PATIENCE).await.unwrap_err();
    assert_eq!(down.to_string(), format!("no epmd answers on {} (connection refused)", nobody.at()));
    let v6 = Epmd { host: "::1".to_owned(), port: nobody.port };
    let down = v6.names(PATIENCE).await.unwrap_err();
    assert!(down.to_string().starts_with(&format!("no epmd answers on [::1]:{} (", v6.port)), "{down}");
    // With its empty label it cannot exist, so no name server is asked.
    let nowhere = Epmd { host: "no..name".to_owned(), port: 4369 };
    let unresolvable = nowhere.lookup("app", PATIENCE).await.unwrap_err();
    assert!(unresolvable.to_string().starts_with("cannot resolve no..name: "), "{unresolvable}");
}

/// A name for the host does as well as an address; where it has several, one that answers is enough.
#[tokio::test]
async fn host_by_name() {
    let epmd = RealEpmd::start().await;
    let _app = epmd.register("app", NodeKind::Visible).await.unwrap();
    let by_name = Epmd { host: "localhost".to_owned(), port: epmd.port };
    assert_eq!(by_name.lookup("app", PATIENCE).await.unwrap().port, REGISTERED_PORT);
    let absent = by_name.lookup("no", PATIENCE).await.unwrap_err();
    assert_eq!(absent.to_string(), format!("no is not registered at epmd on localhost:{}", epmd.port));
}

/// The end of epmd is noticed, and the name can be registered at the next one.
#[tokio::test]
async fn restart_of_epmd() {
    let mut epmd = RealEpmd::start().await;
    let mut app = epmd.register("app", NodeKind::Visible).await.unwrap();
    timeout(Duration::from_millis(50), app.lost()).await.unwrap_err();
    epmd.kill();
    timeout(PATIENCE, app.lost()).await.unwrap();
    let epmd = RealEpmd::start_at(epmd.port).await;
    epmd.client().lookup("app", PATIENCE).await.unwrap_err();
    let _again = epmd.register("app", NodeKind::Visible).await.unwrap();
    epmd.client().lookup("app", PATIENCE).await.unwrap();
}

/// An epmd that answers with `answer` to one question, and then closes or stays silent.
async fn impostor(answer: Vec<u8>, closes: bool) -> Epmd {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 100]).await.unwrap();
        stream.write_all(&answer).await.unwrap_or_default();
        if !closes {
            std::future::pending::<()>().await;
        }
    });
    Epmd::local(port)
}

/// What answers out of order gets an error that says so: it closes, is cut off, talks for ever, means another node.
#[tokio::test]
async fn bad_answers() {
    let registered = b"w\0\x12\x34M\0\0\x06\0\x05\0\x03app\0\0";
    for (answer, reason) in [
        (&b""[..], "epmd on {at} closed the connection without an answer"),
        (b"HTTP/1.1 400 Bad Request", "what answers on {at} is no epmd: the answer begins with the byte 72"),
        (&registered[..10], "what answers on {at} is no epmd: the answer is cut off"),
        (
            b"w\0\x12\x34M\0\0\x06\0\x05\0\x03apq\0\0",
            "what answers on {at} is no epmd: the answer is about another node",
        ),
    ] {
        let epmd = impostor(answer.to_vec(), true).await;
        let err = epmd.lookup("app", PATIENCE).await.unwrap_err();
        assert_eq!(err.to_string(), reason.replace("{at}", &epmd.at()));
    }
    let epmd = impostor(vec![b' '; NAMES_BYTES_MAX + 100], true).await;
    let err = epmd.names(PATIENCE).await.unwrap_err();
    assert!(err.to_string().ends_with("the answer has more than 1048576 bytes"), "{err}");
    let epmd = impostor(registered[..10].to_vec(), false).await;
    let err = epmd.lookup("app", Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(err.to_string(), format!("no epmd answers on {} (deadline passed)", epmd.at()));
    // A whole answer needs no end of the connection.
    let epmd = impostor(registered.to_vec(), false).await;
    assert_eq!(epmd.lookup("app", PATIENCE).await.unwrap().port, 0x1234);
}

/// The port comes from the environment as for BEAM nodes, and a bad value does not stop anything.
#[test]
fn port_from_the_environment() {
    for (value, port) in
        [(None, 4369), (Some("4711"), 4711), (Some("0"), 4369), (Some("x"), 4369), (Some("65536"), 4369)]
    {
        assert_eq!(port_of(value.map(Into::into)), port, "{value:?}");
    }
}
