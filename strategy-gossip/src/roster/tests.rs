use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A roster on a clock of its own, with its answers in words.
struct Script {
    roster: Roster,
    start: Instant,
    now: Instant,
    allow: Allow,
}

impl Script {
    fn new() -> Self {
        let start = crate::runtime::now();
        Self { roster: Roster::new(TIMEOUT), start, now: start, allow: Allow::default() }
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self
    }

    fn alive(&mut self, name: &str, incarnation: Option<u64>, zone: &str) -> Heard {
        let node = Node::try_new(name).unwrap();
        let node = if zone.is_empty() { node } else { node.attribute("zone", zone) };
        let message = Message { name, incarnation, record: node.entry_bytes() };
        self.roster.handle_alive(self.now, message, &self.allow).unwrap()
    }

    fn leaving(&mut self, name: &str, incarnation: u64) -> Heard {
        self.roster.handle_leaving(self.now, name, incarnation).unwrap()
    }

    fn report(&mut self) -> String {
        match self.roster.poll_changes(self.now) {
            None => String::new(),
            Some(changes) => format!("+{:?} -{:?}", changes.upserts, changes.removals),
        }
    }
}

/// News is reported at once, refreshes together after a while, and each name once.
#[test]
fn news_at_once_refreshes_together() {
    let mut script = Script::new();
    assert_eq!(script.report(), "");
    assert_eq!(script.alive("a@h", Some(1), ""), Heard::Newcomer);
    assert_eq!(script.alive("a@h", Some(1), ""), Heard::Refresh);
    assert_eq!(script.report(), r#"+[Ok(a@h{".incarnation": "1"})] -[]"#);
    assert_eq!(script.at(10).alive("a@h", Some(1), ""), Heard::Refresh);
    assert_eq!(script.report(), "");
    assert_eq!(script.at(11).alive("b@h", None, ""), Heard::Newcomer);
    assert_eq!(script.report(), r#"+[Ok(a@h{".incarnation": "1"}), Ok(b@h{})] -[]"#);
    assert_eq!(script.at(12).alive("a@h", Some(1), ""), Heard::Refresh);
    assert_eq!(script.at(260).report(), "");
    assert_eq!(script.at(261).report(), r#"+[Ok(a@h{".incarnation": "1"})] -[]"#);
    assert_eq!(script.at(300).alive("a@h", Some(1), "eu"), Heard::Change);
    assert_eq!(script.report(), r#"+[Ok(a@h{"zone": "eu", ".incarnation": "1"})] -[]"#);
    assert_eq!(script.at(301).alive("c@h", None, ""), Heard::Newcomer);
    assert_eq!(script.report(), "");
    assert_eq!(script.at(305).report(), "+[Ok(c@h{})] -[]");
}

/// Who left stays gone in that incarnation and older ones, and is back with a later one.
#[test]
fn the_dead_stay_dead() {
    let mut script = Script::new();
    assert_eq!(script.alive("a@h", Some(5), ""), Heard::Newcomer);
    assert_eq!(script.alive("a@h", Some(4), ""), Heard::Stale);
    assert_eq!(script.leaving("a@h", 4), Heard::Stale);
    assert_eq!(script.leaving("a@h", 5), Heard::Change);
    assert_eq!(script.leaving("a@h", 5), Heard::Refresh);
    assert_eq!(script.alive("a@h", Some(5), ""), Heard::Stale);
    assert_eq!(script.report(), r#"+[] -[Ok(a@h{".incarnation": "5"})]"#);
    assert_eq!(script.at(60_000).alive("a@h", Some(5), ""), Heard::Stale);
    assert_eq!(script.alive("a@h", Some(6), ""), Heard::Newcomer);
    assert_eq!(script.report(), r#"+[Ok(a@h{".incarnation": "6"})] -[]"#);
    assert_eq!(script.leaving("stranger@h", 1), Heard::Change);
    assert_eq!(script.at(60_005).report(), r#"+[] -[Ok(stranger@h{".incarnation": "1"})]"#);
}

/// A node that was silent for too long is a newcomer again, in the same incarnation too.
#[test]
fn silence_ends() {
    let mut script = Script::new();
    assert_eq!(script.alive("a@h", Some(1), ""), Heard::Newcomer);
    assert_eq!(script.at(30_000).alive("a@h", Some(1), ""), Heard::Refresh);
    assert_eq!(script.at(60_001).alive("a@h", Some(1), ""), Heard::Newcomer);
}

/// A BEAM node's bare heartbeat beside the host's full one takes nothing back, and counts alone once the host has
/// gone.
#[test]
fn bare_beside_full() {
    let mut script = Script::new();
    assert_eq!(script.alive("a@h", None, ""), Heard::Newcomer);
    assert_eq!(script.alive("a@h", Some(1), "eu"), Heard::Newcomer);
    assert_eq!(script.alive("a@h", None, ""), Heard::Refresh);
    assert_eq!(script.report(), r#"+[Ok(a@h{"zone": "eu", ".incarnation": "1"})] -[]"#);
    assert_eq!(script.leaving("a@h", 1), Heard::Change);
    assert_eq!(script.alive("a@h", None, ""), Heard::Newcomer);
    assert_eq!(script.at(5).report(), "+[Ok(a@h{})] -[]");
    assert_eq!(script.alive("a@h", Some(0), ""), Heard::Stale);
}

/// Records come through without what only the heartbeat itself may say, and within `allow`.
#[test]
fn records_are_cleaned() {
    let mut script = Script::new();
    script.allow = Allow::new(Some(vec!["10.0.0.0/8".parse().unwrap()]));
    let record = Node::try_new("a@10.0.0.1")
        .unwrap()
        .address("10.0.0.1:1")
        .address("8.8.8.8:1")
        .with_incarnation(9)
        .with_leaving()
        .attribute("zone", "eu");
    let message = Message { name: "a@10.0.0.1", incarnation: Some(2), record: record.entry_bytes() };
    script.roster.handle_alive(script.now, message, &script.allow).unwrap();
    assert_eq!(
        script.report(),
        r#"+[Ok(a@10.0.0.1{".address": "10.0.0.1:1", "zone": "eu", ".incarnation": "2"})] -[]"#
    );
    let message = Message { name: "b@10.0.0.1", incarnation: None, record: b"junk" };
    assert!(script.roster.handle_alive(script.now, message, &script.allow).is_err());
    assert!(!script.roster.knows("b@10.0.0.1"));
}

/// Beyond the limit newcomers are refused while the known are heard, and get the places of the silent.
#[test]
fn made_up_names_displace_nobody() {
    let mut script = Script::new();
    for n in 0..MEMBERS_MAX {
        assert_eq!(script.alive(&format!("n{n}@h"), Some(1), ""), Heard::Newcomer);
    }
    assert_eq!(script.alive("more@h", Some(1), ""), Heard::Refused);
    assert_eq!(script.leaving("more@h", 1), Heard::Refused);
    script.at(20_000);
    for n in 0..10 {
        assert_eq!(script.alive(&format!("n{n}@h"), Some(1), ""), Heard::Refresh);
    }
    assert_eq!(script.at(31_000).alive("more@h", Some(1), ""), Heard::Newcomer);
    assert_eq!(script.roster.known.len(), 11);
}

/// Silent names are forgotten in the end, and so is their incarnation.
#[test]
fn forgets() {
    let mut script = Script::new();
    script.alive("a@h", Some(9), "");
    script.report();
    script.at(599_000).alive("b@h", None, "");
    script.report();
    assert!(script.roster.knows("a@h"));
    script.at(700_000).alive("b@h", None, "");
    script.report();
    assert!(!script.roster.knows("a@h"));
    assert_eq!(script.alive("a@h", Some(1), ""), Heard::Newcomer);
}

proptest! {
    /// Whatever is heard in whatever order: what was reported last is the highest incarnation heard, and a goodbye of
    /// it is the last word on it.
    #[test]
    fn last_report_is_the_highest_incarnation(
        steps in prop::collection::vec((any::<bool>(), 0_u64..6, 0_u64..300), 1..60),
    ) {
        let mut script = Script::new();
        let (mut ms, mut last) = (0, String::new());
        let mut left = None;
        for (leaves, incarnation, wait) in &steps {
            ms += wait;
            script.at(ms);
            if *leaves {
                script.leaving("a@h", *incarnation);
                left = left.max(Some(*incarnation));
            } else {
                script.alive("a@h", Some(*incarnation), "");
            }
            ms += 300;
            let report = script.at(ms).report();
            if !report.is_empty() {
                last = report;
            }
        }
        let highest = steps.iter().map(|(_, incarnation, _)| *incarnation).max().unwrap();
        let node = format!("[Ok(a@h{{\".incarnation\": \"{highest}\"}})]");
        let expected =
            if left == Some(highest) { format!("+[] -{node}") } else { format!("+{node} -[]") };
        prop_assert_eq!(last, expected);
    }
}
