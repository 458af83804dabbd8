//! Many members, and much that happens to them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Seen, driver::Browser, put};
use crate::{
    host::{BASIC, DEADLINE, Plugins, now, private_directory},
    lab,
};

const MEMBERS: usize = 1_000;
/// So many members change with each list, and lists come ten times a second: 100 events a second.
const CHANGES: usize = 10;
const LIST_INTERVAL: Duration = Duration::from_millis(100);
const LISTS: usize = 60;

/// Members of two topologies; as many as changes have been made have another attribute.
fn nodes(from: usize, to: usize, changes: usize) -> Value {
    let node = |number: usize| {
        let turn = changes.saturating_sub(number) / MEMBERS;
        json!({
            "name": format!("app@10.1.{}.{}", number / 200, number % 200 + 1),
            "attributes": { "zone": format!("zone-{}", number % 3), "turn": (turn + usize::from(changes > number)).to_string() },
        })
    };
    (from..to).map(node).collect::<Vec<_>>().into()
}

/// With 1,000 members and 100 events a second the page has all that the host has, and what it keeps does not grow. How
/// fast that was is told and not judged.
#[test]
fn a_thousand_members() {
    lab::run(0, |_| {
        let scratch = private_directory();
        let (fleet, edge) = (scratch.path().join("fleet.json"), scratch.path().join("edge.json"));
        put(&fleet, &nodes(0, MEMBERS - 300, 0));
        put(&edge, &nodes(MEMBERS - 300, MEMBERS, 0));
        let topology = |name: &str, file: &std::path::Path| {
            format!(
                "[topologies.{name}]\nstrategy = \"file\"\nconfig = {{ path = {file:?} }}\nconnect = \"none\"\n"
            )
        };
        let config = topology("fleet", &fleet) + &topology("edge", &edge);
        let plugins = Plugins::with(&[BASIC]);
        let seen = Seen::start(&plugins, config);
        let browser = Browser::start();
        browser.open(&seen.address());
        browser.wait(&format!("document.querySelectorAll('.tile').length === {MEMBERS}"));
        browser.shoot("load-light");
        browser.prefer("prefers-color-scheme", "dark");
        browser.shoot("load-dark");
        browser.run(
            "globalThis.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ entryTypes: ['longtask'] });
             globalThis.frames = 0; const frame = () => { frames += 1; requestAnimationFrame(frame); }; frame();",
        );
        let (begin, first) = (now(), seen.revision());
        for list in 1..=LISTS {
            put(&fleet, &nodes(0, MEMBERS - 300, list * CHANGES));
            put(&edge, &nodes(MEMBERS - 300, MEMBERS, list * CHANGES));
            let next = begin + LIST_INTERVAL * u32::try_from(list).unwrap();
            while now() < next {
                crate::host::pause();
            }
        }
        // The host looks at its file in its own time: the last list is there when its change is.
        let deadline = now() + DEADLINE;
        while seen.revision() < first + (LISTS * CHANGES) as u64 {
            assert!(now() < deadline, "the host is at {} of {}", seen.revision() - first, LISTS * CHANGES);
            crate::host::pause();
        }
        let took = begin.elapsed();
        seen.wait_shown(&browser);
        let behind = begin.elapsed().saturating_sub(took);
        let events = seen.revision() - first;
        let rate = events as f64 / took.as_secs_f64();
        let tasks = browser.value("tasks.map((task) => Math.round(task))");
        let frames = browser.value("frames").as_u64().unwrap() as f64 / begin.elapsed().as_secs_f64();
        println!(
            "{events} events, {rate:.0}/s, the page {behind:.0?} behind at most, {frames:.0} frames/s, long tasks, ms: {tasks}"
        );
        assert!(browser.count("#events li") <= 200);
        assert_eq!(browser.count(".tile"), MEMBERS as u64);
        browser.press("t");
        browser.wait("document.querySelector('#table').ariaRowCount === '1001'");
        assert!(browser.count("#rows .row") < 60, "only what can be seen");
        browser.shoot("load-table");
        browser.run("document.getElementById('table').scrollTop = 1e6");
        browser.wait_text("#rows", "app@10.1.4.200");
        // What the page has of each member is what the host has.
        browser.run("document.getElementById('filter').value = 'turn=1'; document.getElementById('filter').dispatchEvent(new Event('input'))");
        browser.wait(&format!("document.querySelector('#table').ariaRowCount === '{}'", LISTS * CHANGES + 1));
        assert_eq!(browser.complaints(), [""; 0]);
    });
}
