//! What people are shown, and the exit codes that scripts rely on.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader},
    sync::Arc,
    time::Duration,
};

use cluster_core::{EventKind, Health, MemberState, Snapshot};
use expect_test::expect;
use hyper::StatusCode;

use super::{output::Colour, *};
use crate::{
    api::{
        Limits, json,
        testing::{Fake, Server, at, bare_member, cursor, event, explanation, hook, member, topology},
    },
    client::Client,
};

/// A minute after the samples' first moment.
fn now() -> std::time::SystemTime {
    at(60_000)
}

fn printed(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The members as a table.
#[test]
fn members_table() {
    let mut this = bare_member("a@h", MemberState::Up);
    this.is_self = true;
    let mut silent = member("n2@h");
    silent.reason = None;
    let mut hostile = bare_member("n3@h", MemberState::Leaving);
    hostile.reason = Some("bye\x1b]0;pwned\x07\nn4@h up".into());
    let members = [this, member("n1@10.0.0.7"), silent, hostile];
    let members: Vec<json::Member<'_>> = members.iter().map(Into::into).collect();
    expect![[r#"
        NAME         STATE    SINCE  TOPOLOGIES        INCARNATION  ADDRESSES                     REASON
        a@h (self)   up       60s    -                 -            -                             -
        n1@10.0.0.7  down     58s    gossip mesh=down  17           10.0.0.7:9000 [fd00::7]:9000  link lost: "peer" reset
        n2@h         down     58s    gossip mesh=down  17           10.0.0.7:9000 [fd00::7]:9000  mesh: connection refused
        n3@h         leaving  60s    -                 -            -                             bye�]0;pwned��n4@h up
    "#]].assert_eq(&printed(|out| members::print(out, &members, now(), Colour::Never)));
}

/// Events, one a line.
#[test]
fn event_lines() {
    let mut failed = event(9, EventKind::ConnectFailed, Some(member("n1@10.0.0.7")));
    failed.topology = Some("mesh".parse().unwrap());
    failed.reason = Some("connection\nrefused".into());
    let mut changed = event(11, EventKind::TopologyChanged, None);
    changed.topology = Some("gossip".parse().unwrap());
    changed.status = Some(Arc::new(topology().status));
    let mut left = event(10, EventKind::NodeLeft, None);
    left.node = Some("n2@h".parse().unwrap());
    let mut lines = String::new();
    for event in
        [event(8, EventKind::NodeUp, Some(bare_member("n2@h", MemberState::Up))), failed, left, changed]
    {
        let shape = json::Event::new(cursor(event.revision), &event);
        lines += &printed(|out| events::print(out, &shape, Colour::Never));
    }
    let nothing = event(12, EventKind::TopologyChanged, None);
    let mut resync = json::Event::new(cursor(12), &nothing);
    resync.kind = "resync".into();
    let members =
        [member("n1@h"), bare_member("n2@h", MemberState::Up), bare_member("n3@h", MemberState::Up)];
    for count in [0, 1, 3] {
        resync.members = Some(members[..count].iter().map(Into::into).collect());
        lines += &printed(|out| events::print(out, &resync, Colour::Never));
    }
    expect![[r#"
        2026-01-01T00:00:00.008Z  node_up           n2@h  up  cursor=0192a5c7d1e8f402:8
        2026-01-01T00:00:00.009Z  connect_failed    n1@10.0.0.7  down  topology=mesh  reason="connection …"  cursor=0192a5c7d1e8f402:9
        2026-01-01T00:00:00.010Z  node_left         n2@h  cursor=0192a5c7d1e8f402:10
        2026-01-01T00:00:00.011Z  topology_changed  degraded  topology=gossip  cursor=0192a5c7d1e8f402:11
        2026-01-01T00:00:00.012Z  resync            0 members  cursor=0192a5c7d1e8f402:12
        2026-01-01T00:00:00.012Z  resync            1 member: 1 down  cursor=0192a5c7d1e8f402:12
        2026-01-01T00:00:00.012Z  resync            3 members: 2 up, 1 down  cursor=0192a5c7d1e8f402:12
    "#]].assert_eq(&lines);
}

/// The topologies as a table, with what only some have below it.
#[test]
fn topologies_table() {
    let mut bare = topology();
    bare.name = "static".parse().unwrap();
    bare.plugin = None;
    bare.last_report = None;
    bare.counters.clear();
    bare.status.held.clear();
    bare.status.remembered.clear();
    bare.status.unclaimed.clear();
    let infos = [topology(), bare];
    let shape = json::Topologies::new(cursor(7), &infos, &Snapshot::default());
    expect![[r#"
        NAME    STRATEGY  CONNECTOR  HEALTH    SINCE  MEMBERS  LAST REPORT  RESTARTS  PLUGIN           REASON
        gossip  gossip    none       degraded  55s    0        54s          1         strategy-gossip  no route to host
        static  gossip    none       degraded  55s    0        -            1         -                no route to host

        gossip
          held by the prune policy: b@h
          remembered, not named since the restart: d@h
          links that nobody claims: x@h
          counters: datagrams_bad=4
    "#]]
        .assert_eq(&printed(|out| topologies::print(out, &shape.topologies, now(), Colour::Never)));
}

/// A reason of several lines has one in the table, and all of them below, to be copied; a topology that runs may have one
/// too. What could steer a terminal is neutralised in each line.
#[test]
fn topologies_with_reasons_of_several_lines() {
    let named = |name: &str, health, reason: &str| {
        let mut info = topology();
        info.name = name.parse().unwrap();
        (info.plugin, info.last_report) = (None, None);
        info.counters.clear();
        info.status.held.clear();
        info.status.remembered.clear();
        info.status.unclaimed.clear();
        (info.status.health, info.status.reason) = (health, Some(reason.into()));
        info
    };
    let infos = [
        named("denied", Health::Denied, "may not list\x1b[2J pods. Apply:\nkind: Role\n---\n- \x07x\n"),
        named("noted", Health::Running, "it polls"),
        named("polled", Health::Running, "it polls, as it may not watch. Apply:\nkind: Role"),
    ];
    let shape = json::Topologies::new(cursor(7), &infos, &Snapshot::default());
    expect![[r#"
        NAME    STRATEGY  CONNECTOR  HEALTH   SINCE  MEMBERS  LAST REPORT  RESTARTS  PLUGIN  REASON
        denied  gossip    none       denied   55s    0        -            1         -       may not list�[2J pods. Apply: …
        noted   gossip    none       running  55s    0        -            1         -       it polls
        polled  gossip    none       running  55s    0        -            1         -       it polls, as it may not watch. Apply: …

        denied is denied
        may not list�[2J pods. Apply:
        kind: Role
        ---
        - �x

        polled is running
        it polls, as it may not watch. Apply:
        kind: Role
    "#]]
    .assert_eq(&printed(|out| topologies::print(out, &shape.topologies, now(), Colour::Never)));
}

/// An explanation begins with the verdict, and has what it rests on.
#[test]
fn explanation_text() {
    let known = explanation("n1@10.0.0.7");
    expect![[r#"
        n1@10.0.0.7 has been down for 58s: link lost: "peer" reset; next try in 12s.

          state        down since 2026-01-01T00:00:01Z (58s)
          incarnation  17
          addresses    10.0.0.7:9000 [fd00::7]:9000
          attributes   zone=eu-1

        vouched for by
          gossip  since 2026-01-01T00:00:00Z (60s); renewed 3s ago; ends in 27s unless renewed
            says: 10.0.0.7:9000, incarnation 17, zone=eu-1
            remembered from before the restart of the host: its source has not named it since
            not in its last complete view
            its withdrawal is held by the prune policy until 2026-01-01T00:05:00Z

        links
          tcp  down since 2026-01-01T00:00:01Z (59s); 2 failures; next try in 12s
            kept by its connector: it would cost others
              51s ago  failed: no route to host
              58s ago  failed: connection refused
              59s ago  succeeded

        known to be dead, and cannot come back
          incarnation 16, says gossip
    "#]]
    .assert_eq(&printed(|out| explain::print(out, &(&known).into(), now(), Colour::Never)));
}

/// One sentence for each way to be, or not to be, a member.
#[test]
fn verdicts() {
    let full = explanation("n1@h");
    let verdict = |change: &dyn Fn(&mut json::Explanation<'_>)| {
        let mut shape = json::Explanation::from(&full);
        change(&mut shape);
        let text = printed(|out| explain::print(out, &shape, now(), Colour::Never));
        text.lines().next().unwrap().to_owned() + "\n"
    };
    let set = |shape: &mut json::Explanation<'_>, state: &'static str, link: &'static str| {
        let member = shape.member.as_mut().unwrap();
        member.state = state.into();
        member.reason = None;
        shape.links[0].state = link.into();
    };
    let lines = [
        verdict(&|_| {}),
        verdict(&|shape| set(shape, "down", "down")),
        verdict(&|shape| set(shape, "discovered", "connecting")),
        verdict(&|shape| {
            set(shape, "discovered", "down");
            shape.links[0].next_attempt = Some(at(59_000).into());
            shape.links[0].attempts.clear();
        }),
        verdict(&|shape| set(shape, "up", "up")),
        verdict(&|shape| {
            set(shape, "up", "none");
            shape.links.clear();
        }),
        verdict(&|shape| {
            set(shape, "up", "none");
            shape.member.as_mut().unwrap().is_self = true;
        }),
        verdict(&|shape| {
            set(shape, "leaving", "up");
            shape.links[0].next_attempt = None;
            shape.links[0].attempts.clear();
        }),
        verdict(&|shape| shape.member = None),
        verdict(&|shape| {
            shape.links[0].state = "up".into();
            shape.member = None;
        }),
        verdict(&|shape| {
            shape.member = None;
            shape.links.clear();
            shape.dead.clear();
        }),
    ];
    expect![[r#"
        n1@h has been down for 58s: link lost: "peer" reset; next try in 12s.
        n1@h has been down for 58s: no route to host; next try in 12s.
        n1@h has been discovered for 58s, never linked yet: no route to host; next try in 12s.
        n1@h has been discovered for 58s, never linked yet; next try is due.
        n1@h has been up for 58s, linked by tcp.
        n1@h has been up for 58s, by the word of gossip.
        n1@h (this node) has been up for 58s.
        n1@h has been leaving for 58s.
        n1@h is not a member: nobody vouches for it, and incarnation 16 is known to be dead.
        n1@h is not a member: nobody vouches for it, though tcp has a link to it.
        n1@h is not a member: nobody vouches for it.
    "#]]
    .assert_eq(&lines.concat());
}

/// Of a name that nobody vouches for it is told who was asked, when they last answered, and who is at its host.
#[test]
fn unknown_nodes() {
    let mut silent = topology();
    (silent.name, silent.last_report, silent.status.reason) = ("pods".parse().unwrap(), None, None);
    let infos = [topology(), silent];
    let topologies = json::Topologies::new(cursor(7), &infos, &Snapshot::default()).topologies;
    let members = [member("n1@10.0.0.7"), bare_member("n2@10.0.0.8", MemberState::Up)];
    let members: Vec<json::Member<'_>> = members.iter().map(Into::into).collect();
    let shown = |node| printed(|out| explain::print_around(out, node, (&topologies, &members), now()));
    expect![[r#"
        it would be known if one of these named it
          gossip  gossip, degraded; last answered 54s ago; names 0 members: no route to host
          pods  gossip, degraded; never answered yet; names 0 members
        at its host is n1@10.0.0.7 (down)
        run 'cluster-host doctor --config FILE --node n9@10.0.0.7' to look for the cause
        it would be known if one of these named it
          gossip  gossip, degraded; last answered 54s ago; names 0 members: no route to host
          pods  gossip, degraded; never answered yet; names 0 members
        run 'cluster-host doctor --config FILE --node n9@10.0.0.9' to look for the cause
    "#]]
    .assert_eq(&[shown("n9@10.0.0.7"), shown("n9@10.0.0.9")].concat());
}

/// A name that nobody has is answered with those that are like it, also where only half of it was written.
#[test]
fn nearest_names() {
    let members = ["app@10.0.0.7", "app@10.0.0.8", "db@10.0.0.9", "worker-1@blue.example"];
    let nearest = |name| explain::nearest(name, members.iter().copied());
    assert_eq!(nearest("app@10.0.0.78"), ["app@10.0.0.7", "app@10.0.0.8", "db@10.0.0.9"]);
    assert_eq!(nearest("wroker-1@blue.example"), ["worker-1@blue.example"]);
    assert_eq!(nearest("worker-1"), ["worker-1@blue.example"]);
    assert_eq!(nearest("blue.example"), ["worker-1@blue.example"]);
    assert_eq!(nearest("zzz@zzz"), [""; 0]);
}

/// The hooks as a table: what fails now has its reason, what is mended has none; one that is to be given all members, and
/// one whose place cannot be written.
#[test]
fn hooks_table() {
    let failing = hook();
    let mut mended = hook();
    mended.name = "mended".to_owned();
    (mended.last_success, mended.next_try, mended.lag) = (Some(at(3_000)), None, Some(0));
    let mut new = hook();
    new.name = "new".to_owned();
    (new.last_success, new.last_failure, new.next_try, new.lag) = (None, None, None, None);
    new.save_failure = Some("disk full".to_owned());
    let infos = [failing, mended, new];
    let shape = json::Hooks::new(cursor(10), &infos);
    expect![[r#"
        NAME    LAG     DELIVERED  FAILED  GIVEN UP  LAST SUCCESS  NEXT TRY  CURSOR              ACTION                             REASON
        pager   3       7          2       0         59s           4s        0192a5c7d1e8f402:7  post https://pager.example/events  503 Service Unavailable
        mended  0       7          2       0         57s           -         0192a5c7d1e8f402:7  post https://pager.example/events  -
        new     resync  7          2       0         -             -         0192a5c7d1e8f402:7  post https://pager.example/events  disk full
    "#]].assert_eq(&printed(|out| hooks::print(out, &shape.hooks, now(), Colour::Never)));
}

/// Every command explains itself, and none contradicts itself.
#[test]
fn help() {
    let mut command = Cli::command();
    command.clone().debug_assert();
    for subcommand in command.get_subcommands_mut() {
        let name = subcommand.get_name().to_owned();
        let help = subcommand.render_long_help().to_string();
        assert!(help.contains("Example"), "{name}: {help}");
        assert!(subcommand.get_about().is_some(), "{name}");
    }
    expect![[r#"
        Forms a cluster of nodes: asks strategies who should be in it, links them, tells who comes and goes

        Usage: cluster-host <COMMAND>

        Commands:
          run          Run the daemon in the foreground until SIGTERM or SIGINT
          check        Check a configuration and the plugins that it names, without starting anything
          members      Show the members: name, state, links, addresses
          events       Show what happens to the members, one line per event
          explain      Tell why a node is a member, or why it is not: who vouches for it, its links, the last tries
          topologies   Show the topologies: strategy, connector, health, counters
          forget       Let a node go that no source names any more
          hooks        Show the hooks: how far each is, what failed last, when it is tried again
          reload       Have the daemon read its configuration and its plugins again
          wait         Wait until so many members are up, the local node among them
          ready        Say whether the host is ready: exit code 0, or 1 with what it waits for
          plugins      List the plugin files with what they offer, or why they are refused; or write a new plugin
          strategies   List the strategies and connectors that a configuration can name, or describe one of them
          discover     Run one strategy alone and print the first view that it gives; links nobody, announces nothing
          doctor       Find out why nodes are not in the cluster: a ladder of checks, each with what was seen and what mends it
          completions  Print the completions for a shell
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        Exit codes:
          0  done
          1  the thing asked about is not so
          2  wrong usage or configuration
          3  the daemon cannot be reached
    "#]].assert_eq(&Cli::command().render_help().to_string());
}

fn parse(line: &str) -> Result<Command, clap::Error> {
    let words = ["cluster-host"].into_iter().chain(line.split_whitespace()).map(OsString::from);
    Cli::try_parse_from(words).map(|cli| cli.command)
}

/// What is taken and what is refused before anything happens.
#[test]
fn arguments() {
    for good in [
        "run --config c.toml",
        "run --config c.toml --plugins p --listen unix:x --log-format json --log-level info,a=debug",
        "run --config c.toml --listen 127.0.0.1:0",
        "members --json --api http://localhost:80",
        "events --json --since 3 --follow",
        "explain app@h --json",
        "doctor --config c.toml --topology t --node a@h --json --timeout 5s",
    ] {
        parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for (bad, line) in [
        ("run --config c.toml --listen x", "write unix:PATH or ADDR:PORT"),
        ("run --config c.toml --log-level loud", "is no log level"),
        ("run", "--config <FILE>"),
        ("members --api ftp://a:1", "write unix:PATH, http://HOST:PORT or https://HOST:PORT"),
        ("members --cert c.pem", "--key <FILE>"),
        ("explain", "<NODE>"),
        ("doctor --node a", "invalid value 'a'"),
        ("doctor --without-daemon --api unix:x", "cannot be used with"),
        ("", "Usage:"),
    ] {
        let error = parse(bad).expect_err(bad);
        assert!(error.use_stderr() && error.to_string().contains(line), "{bad}: {error}");
    }
}

/// Each kind of failure has its exit code; that nobody reads on is no failure.
#[test]
fn exit_codes() {
    let refused = |status| Failure::Daemon(ClientError::Refused { status, detail: String::new() });
    let unreachable = ClientError::Unreachable {
        address: "unix:x".parse().unwrap(),
        trouble: crate::client::Trouble::Silent,
    };
    for (failure, expected) in [
        (refused(StatusCode::NOT_FOUND), 1),
        (refused(StatusCode::BAD_REQUEST), 2),
        (refused(StatusCode::SERVICE_UNAVAILABLE), 3),
        (refused(StatusCode::FORBIDDEN), 3),
        (refused(StatusCode::UNAUTHORIZED), 2),
        (refused(StatusCode::METHOD_NOT_ALLOWED), 2),
        (Failure::Daemon(unreachable), 3),
        (Failure::Output(io::ErrorKind::BrokenPipe.into()), 0),
        (Failure::Output(io::ErrorKind::StorageFull.into()), 1),
    ] {
        assert_eq!(failure.exit() as u8, expected, "{failure}");
    }
    let closed = |error| format!("{:?}", print(|_| Err(error)));
    let broken = serde_json::Error::io(io::ErrorKind::BrokenPipe.into());
    assert_eq!(closed(broken.into()), format!("{:?}", ExitCode::from(0)));
    assert_eq!(closed(anyhow::anyhow!("no")), format!("{:?}", ExitCode::from(2)));
}

/// The commands ask a daemon and say by their result whether what was asked about is so.
#[tokio::test]
async fn against_a_daemon() {
    let server = Server::start(Fake::new(7, [bare_member("n1@h", MemberState::Up)]), Limits::default());
    let api = format!("--api {}", server.address);
    for (line, expected) in [
        ("members", Exit::Done),
        ("members --json", Exit::Done),
        ("topologies", Exit::Done),
        ("hooks", Exit::Done),
        ("hooks --json", Exit::Done),
        ("events", Exit::Done),
        ("events --json --since 7", Exit::Done),
        ("events --since yesterday", Exit::Usage),
        ("explain n1@h", Exit::Done),
        ("explain n2@h", Exit::NotSo),
        ("explain n1", Exit::Usage),
        ("forget held@h", Exit::Done),
        ("forget held@h --json", Exit::Done),
        ("forget n1@h", Exit::NotSo),
        ("forget n2@h", Exit::NotSo),
        ("forget n1", Exit::Usage),
    ] {
        let mut out = Vec::new();
        let answered = match parse(&format!("{line} {api}")).unwrap() {
            Command::Members(args) => members::run(args, &mut out).await,
            Command::Topologies(args) => topologies::run(args, &mut out).await,
            Command::Hooks(args) => hooks::run(args, &mut out).await,
            Command::Events(args) => events::run(args, &mut out).await,
            Command::Explain(args) => explain::run(args, &mut out).await,
            Command::Forget(args) => forget::run(args, &mut out).await,
            other => panic!("{other:?}"),
        };
        assert_eq!(answered.unwrap_or_else(|failure| failure.exit()), expected, "{line}");
        let lines = String::from_utf8(out).unwrap().lines().count();
        assert_eq!(lines > 0, expected == Exit::Done && !line.ends_with("--since 7"), "{line}");
        if line.contains("--json") {
            assert!(lines <= 1, "{line}");
        }
    }
    let client = Client::new(Some(server.address.clone().into()));
    assert_eq!(explain::hint(&client, "n1").await.unwrap(), "; did you mean n1@h?");
}

/// A follower prints each event as it comes, and ends when nobody takes it.
#[tokio::test]
async fn following() {
    let server = Server::start(Fake::new(7, []), Limits::default());
    let line = format!("events --json --follow --since 7 --api {}", server.address);
    let Command::Events(args) = parse(&line).unwrap() else { panic!("{line}") };
    let (reader, mut out) = io::pipe().unwrap();
    let reading = async {
        let subscribed = async {
            while server.log.subscribers() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), subscribed).await.unwrap();
        server.publish([event(8, EventKind::TopologyChanged, None)], []);
        let printed = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(reader).read_line(&mut line).unwrap();
            line
        });
        let printed = printed.await.unwrap();
        server.publish([event(9, EventKind::TopologyChanged, None)], []);
        printed
    };
    let (followed, printed) = tokio::join!(events::run(args, &mut out), reading);
    assert!(matches!(followed, Err(Failure::Output(_))), "{followed:?}");
    let printed: json::Event<'_> = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed.revision, 8);
}
