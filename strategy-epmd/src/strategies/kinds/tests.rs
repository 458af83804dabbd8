use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Something that answers each connection with these bytes and closes; and how often it was asked.
async fn listener(answer: &'static [u8], closes: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut hello = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if !closes {
                open.push(stream);
            }
        }
    });
    (at, asked)
}

/// Hidden is who says so. Who says nothing counts as visible; who may say it later is asked again, others are not.
#[tokio::test]
async fn answers() {
    let challenge = |published: bool| -> &'static [u8] {
        if published {
            b"\0\x03sok\0\x16N\0\0\0\0\0\0\0\x01\0\0\0\x07\0\0\0\x01\0\x03a@b"
        } else {
            b"\0\x03sok\0\x16N\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\x01\0\x03a@b"
        }
    };
    for (answer, is_hidden, questions) in [
        (challenge(true), false, 1),
        (challenge(false), true, 1),
        (b"\0\x0csnot_allowed", false, 1),
        (b"\x15\x03\x01\0\x02\x02\x46", false, 1),
        (b"", false, 1),
        (b"\xff\xff", false, 1),
        (b"\0\x04snok", false, 2),
        (b"\0\x06salive", false, 2),
    ] {
        let (at, asked) = listener(answer, true).await;
        let kinds = Kinds::default();
        for _ in 0..2 {
            assert_eq!(kinds.is_hidden(at, "a", "listing@b").await, is_hidden, "{answer:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), questions, "{answer:?}");
        kinds.retain(|_, alive| alive != "a");
        kinds.is_hidden(at, "a", "listing@b").await;
        assert_eq!(asked.load(Ordering::SeqCst), questions + 1, "{answer:?}");
    }
    let (at, asked) = listener(b"\0", false).await;
    let kinds = Kinds::default();
    for _ in 0..2 {
        assert!(!kinds.is_hidden(at, "a", "listing@b").await);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
