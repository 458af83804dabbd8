use std::{
    cell::Cell,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::time::sleep;

use super::*;
use crate::epmd::testing::{PATIENCE, RealEpmd};

fn lister() -> Lister {
    Lister { asker: "listing-test@127.0.0.1".to_owned(), kinds: Kinds::default() }
}

fn names(nodes: &[Node]) -> Vec<&str> {
    let mut names: Vec<_> = nodes.iter().map(|node| node.name().as_str()).collect();
    names.sort_unstable();
    names
}

/// Of a real epmd with more nodes than are asked for at a time the visible ones are listed: no hidden one, no
/// shell, and none that has a name which no node can have.
#[tokio::test]
async fn lists_members() {
    let epmd = RealEpmd::start().await;
    let mut registered = Vec::new();
    let apps: Vec<_> = (10..30).map(|number| format!("app{number}")).collect();
    let others =
        [("unseen", NodeKind::Hidden), ("rem-1a2b-app10", NodeKind::Visible), ("a b", NodeKind::Visible)];
    let visible = apps.iter().map(|app| (app.as_str(), NodeKind::Visible));
    for (alive, kind) in visible.chain(others) {
        registered.push(epmd.register(alive, kind).await.unwrap());
    }
    let members = lister().members(&epmd.client(), "db1", PATIENCE).await.unwrap();
    assert_eq!(names(&members), apps.iter().map(|app| format!("{app}@db1")).collect::<Vec<_>>());
}

/// A BEAM process, ended with the value.
struct Beam(Child);

impl Beam {
    fn start(epmd: &RealEpmd, arguments: &[&str]) -> Self {
        let process = Command::new("erl")
            .args(["-noshell", "-noinput", "-start_epmd", "false", "-setcookie", "test"])
            .args(arguments)
            .env("ERL_EPMD_PORT", epmd.port.to_string())
            .stdin(Stdio::null())
            .spawn();
        Self(process.unwrap_or_else(|err| panic!("cannot start erl, install the package erlang-base: {err}")))
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Of real BEAM nodes the visible one is listed, and the hidden one and the shell of a release are not; what is
/// killed is gone from the list.
#[tokio::test]
async fn lists_beam_nodes() {
    let epmd = RealEpmd::start().await;
    let app = Beam::start(&epmd, &["-name", "app@127.0.0.1"]);
    let _hidden = Beam::start(&epmd, &["-hidden", "-name", "unseen@127.0.0.1"]);
    let _shell = Beam::start(&epmd, &["-name", "rem-1a2b-app@127.0.0.1"]);
    let until = Instant::now() + 2 * PATIENCE;
    while epmd.client().names(PATIENCE).await.unwrap().len() < 3 {
        assert!(Instant::now() < until, "the nodes did not start");
        sleep(Duration::from_millis(10)).await;
    }
    let lister = lister();
    let listed = || async { lister.members(&epmd.client(), "127.0.0.1", PATIENCE).await.unwrap() };
    assert_eq!(names(&listed().await), ["app@127.0.0.1"]);
    drop(app);
    while !listed().await.is_empty() {
        assert!(Instant::now() < until, "the node that was killed stays");
        sleep(Duration::from_millis(10)).await;
    }
}

/// No more run at once than may, and all are run.
#[tokio::test]
async fn few_at_once() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let begun = Cell::new(0);
    let futures = (0..20).map(|number| {
        begun.set(begun.get() + 1);
        async move {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            (number, running)
        }
    });
    let mut done = few_at_a_time(3, futures).await;
    done.sort_unstable();
    assert!(done.iter().all(|(_, running)| *running <= 3), "{done:?}");
    assert_eq!((begun.get(), done.len()), (20, 20));
}
