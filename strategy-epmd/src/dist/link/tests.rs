//! Links over streams in memory, in virtual time.

use tokio::{
    io::{DuplexStream, duplex},
    task::LocalSet,
    time::{sleep, timeout},
};

use super::*;
use crate::dist::control;

const SECOND: Duration = Duration::from_secs(1);

fn linked() -> (Writer, Heard, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    let (writer, heard) = start(ours, Ticking::new(8 * SECOND));
    (writer, heard, theirs)
}

async fn ended(heard: &mut Heard) -> String {
    loop {
        match heard.recv().await {
            Some(Word::Ended(reason)) => return reason,
            Some(Word::Message(..)) => {}
            None => panic!("it ended without a reason"),
        }
    }
}

/// How many ticks the other side has got; anything else fails.
async fn ticks(theirs: &mut DuplexStream) -> usize {
    let mut got = Vec::new();
    while let Ok(Ok(read)) = timeout(Duration::from_millis(1), theirs.read_buf(&mut got)).await {
        assert_ne!(read, 0, "it hung up");
    }
    assert!(got.iter().all(|byte| *byte == 0), "{got:?}");
    got.len() / TICK.len()
}

/// A quiet link ticks each quarter of the tick time.
#[tokio::test(start_paused = true)]
async fn ticks_by_itself() {
    LocalSet::new()
        .run_until(async {
            let (_writer, _heard, mut theirs) = linked();
            for _ in 0..10 {
                theirs.write_all(&TICK).await.unwrap();
                assert_eq!(ticks(&mut theirs).await, 0, "answered at once after a write of our own");
                sleep(2 * SECOND).await;
                assert_eq!(ticks(&mut theirs).await, 1);
            }
        })
        .await;
}

/// A tick of a node with a shorter tick time than ours is answered, so that it does not take us for dead.
#[tokio::test(start_paused = true)]
async fn answers_ticks() {
    LocalSet::new()
        .run_until(async {
            let (ours, mut theirs) = duplex(1024);
            let (_writer, _heard) = start(ours, Ticking::new(1_000 * SECOND));
            for _ in 0..10 {
                sleep(SECOND).await;
                theirs.write_all(&TICK).await.unwrap();
                assert_eq!(ticks(&mut theirs).await, 1);
            }
        })
        .await;
}

/// Two of us do not answer each other for ever.
#[tokio::test(start_paused = true)]
async fn no_echo_of_echoes() {
    LocalSet::new()
        .run_until(async {
            let ((ours, mut between_a), (mut between_b, theirs)) = (duplex(1024), duplex(1024));
            let _a = start(ours, Ticking::new(8 * SECOND));
            let _b = start(theirs, Ticking::new(8 * SECOND));
            let passing = async {
                let (mut passed, mut a, mut b) = (0, [0; 64], [0; 64]);
                loop {
                    tokio::select! {
                        read = between_a.read(&mut a) => {
                            let read = read.unwrap();
                            passed += read;
                            between_b.write_all(&a[..read]).await.unwrap();
                        }
                        read = between_b.read(&mut b) => {
                            let read = read.unwrap();
                            passed += read;
                            between_a.write_all(&b[..read]).await.unwrap();
                        }
                        () = sleep(100 * SECOND) => return passed,
                    }
                    if passed > 4 * 1_000 {
                        return passed;
                    }
                }
            };
            let passed = timeout(100 * SECOND, passing).await;
            assert!(passed.is_err(), "more than a thousand ticks in a hundred seconds");
        })
        .await;
}

/// Silence ends the link after the tick time and a quarter; anything that comes prolongs it.
#[tokio::test(start_paused = true)]
async fn silence() {
    LocalSet::new()
        .run_until(async {
            let (_writer, mut heard, mut theirs) = linked();
            let begin = Instant::now();
            for _ in 0..5 {
                sleep(9 * SECOND).await;
                theirs.write_all(&[0]).await.unwrap();
            }
            let reason = ended(&mut heard).await;
            assert!(reason.contains("silent for 10s"), "{reason}");
            assert_eq!(begin.elapsed().as_secs(), 5 * 9 + 10);
        })
        .await;
}

/// Bytes that make no sense, and the end of the connection, each end the link with their reason.
#[tokio::test]
async fn ends() {
    LocalSet::new()
        .run_until(async {
            for (bytes, reason) in [
                (&[255, 255, 255, 255][..], "a frame of 4294967295 bytes"),
                (&[0, 0, 0, 1, 131], "a frame of unknown kind 131"),
                (&[0, 0, 0, 2, 112, 131], "a control message that is not understood"),
                (&[0, 0, 0, 4, 112, 131, 97, 1], "a control message of the wrong form"),
            ] {
                let (_writer, mut heard, mut theirs) = linked();
                theirs.write_all(bytes).await.unwrap();
                assert!(ended(&mut heard).await.contains(reason), "{reason}");
            }
            let (_writer, mut heard, theirs) = linked();
            drop(theirs);
            assert_eq!(ended(&mut heard).await, "it ended the connection");
        })
        .await;
}

/// The link ends with the last of its writers.
#[tokio::test]
async fn ends_with_its_writer() {
    LocalSet::new()
        .run_until(async {
            let (writer, _heard, mut theirs) = linked();
            let other = writer.clone();
            drop(writer);
            other
                .send(
                    &control::send_named(
                        &crate::dist::term::Pid { node: "n@h".to_owned(), id: 1, serial: 0, creation: 1 },
                        "rex",
                    ),
                    None,
                )
                .unwrap();
            let mut first = [0; 1];
            theirs.read_exact(&mut first).await.unwrap();
            drop(other);
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.unwrap();
        })
        .await;
}

/// Nobody reads at the other end: what is sent is refused at last, and memory stays bounded.
#[tokio::test]
async fn nobody_reads() {
    LocalSet::new()
        .run_until(async {
            let (ours, _theirs) = duplex(16);
            let (writer, _heard) = start(ours, Ticking::new(8 * SECOND));
            let message = control::send(Term::atom("nobody"));
            let sent = (0..10 * QUEUE_FRAMES_MAX).take_while(|_| writer.send(&message, None).is_ok()).count();
            assert!(sent <= 2 * QUEUE_FRAMES_MAX, "{sent}");
        })
        .await;
}
