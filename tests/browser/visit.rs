//! A visit: what an operator sees and does, with the mouse, by keyboard, and when the host is lost.

use std::{
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use super::{
    Seen,
    driver::{Browser, key},
};
use crate::{host::Host, lab, lan::Lan};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";
const CAROL: &str = "carol@127.0.0.1";
/// Nobody is ever given up for being silent: who is killed stays a member that is down.
const PATIENT: &str = "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"1h\"";

/// A node with its host, and the service that links to it are made with.
struct Node {
    host: Host,
    service: Option<Service>,
}

/// Accepts links and holds them, until it is dropped.
struct Service {
    port: u16,
    accepting: Option<thread::JoinHandle<()>>,
}

// === impl Service ===

impl Service {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = thread::spawn(move || {
            let mut links = Vec::new();
            for link in listener.incoming() {
                let link = link.unwrap();
                // The last one is not a link but the sign to end.
                link.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                if link.peek(&mut [0]).is_ok_and(|bytes| bytes == 1) {
                    return;
                }
                links.push(link);
            }
        });
        Self { port, accepting: Some(accepting) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut sign = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        std::io::Write::write_all(&mut sign, b"x").unwrap();
        self.accepting.take().unwrap().join().unwrap();
    }
}

// === impl Node ===

impl Node {
    fn start(lan: &Lan, name: &str) -> Self {
        let service = Service::start(0);
        let told = format!(
            "addresses = [\"127.0.0.1:{}\"]\nattributes = {{ zone = \"eu-1\" }}\n[topologies.lan]\n",
            service.port
        );
        let config = lan.config(name, PATIENT).replace("[topologies.lan]\n", &told);
        Self { host: lan.start_with(config), service: Some(service) }
    }

    fn kill(&mut self) {
        self.host.kill();
        self.service = None;
    }
}

fn alice(lan: &Lan) -> Seen {
    let connect =
        "connect = { tcp = { port = 1 } }\nopts = { retry = { first = \"50ms\", cap = \"200ms\" } }";
    Seen::start(&lan.plugins, lan.config(ALICE, PATIENT).replace("connect = \"none\"", connect))
}

/// Members appear, one is killed and returns, all without a touch; the events tell of it.
fn comes_and_goes(browser: &Browser, lan: &Lan, bob: &mut Node) {
    browser.wait_text("#verdict", "Whole: 3 members, all up");
    assert_eq!(browser.count(".tile"), 3);
    assert_eq!(browser.count(".tile[data-state=up][data-link=up]"), 2, "the others are linked");
    browser.wait_text("#topologies .card", "gossip → tcp");
    assert!(browser.value("document.title").as_str().unwrap().starts_with('✓'));
    browser.shoot("visit-whole");

    bob.kill();
    browser.wait_text("#verdict", &format!("1 of 3 members not up: {BOB}"));
    browser.wait("document.querySelector('.tile[data-name^=bob]').dataset.state === 'down'");
    browser.wait_text(".tile[data-name^=bob]", "down for");
    browser.wait_text("#events li[data-kind=node_down]", BOB);
    browser.shoot("visit-down");

    *bob = Node::start(lan, BOB);
    browser.wait_text("#verdict", "Whole: 3 members, all up");
    browser.wait_text("#events li[data-kind=node_up]", BOB);
}

/// The filter takes what is typed after `/`, and Escape clears it.
fn filter(browser: &Browser) {
    browser.press("/carol zone=eu");
    assert_eq!(browser.value("document.activeElement.id"), "filter");
    browser.wait("document.querySelectorAll('.tile').length === 1");
    assert_eq!(browser.value("document.querySelector('.tile').dataset.name"), CAROL);
    browser.press(key::ESCAPE);
    browser.wait("document.querySelectorAll('.tile').length === 3");
    browser.press("nobody is called so");
    browser.wait_text("#nobody", "Nobody is so");
    browser.press(key::ESCAPE);
    browser.wait("document.querySelectorAll('.tile').length === 3");
    browser.click("#states [data-state=up]");
    browser.wait("document.querySelectorAll('.tile').length === 0");
    browser.click("#states [data-state=up]");
    browser.wait("document.querySelectorAll('.tile').length === 3");
}

/// Arrows go from member to member, Enter opens what is known of one, and it follows the arrows; Escape goes back.
fn keyboard(browser: &Browser) {
    let focused = || browser.value("document.activeElement.dataset.name");
    browser.run("document.getElementById('filter').focus()");
    browser.press(key::DOWN);
    assert_eq!(focused(), ALICE);
    browser.press(key::DOWN);
    assert_eq!(focused(), BOB, "in the next topology");
    browser.press(key::RIGHT);
    assert_eq!(focused(), CAROL);
    browser.press(key::HOME);
    browser.press(key::RIGHT);
    assert_eq!(focused(), BOB);
    browser.press(key::ENTER);
    browser.wait_text("#drawer-name", BOB);
    browser.wait_text("#drawer-body", "Who vouches for it");
    browser.wait_text("#drawer-body .fact-box", "lan");
    browser.wait_text("#drawer-body", "tcp: up");
    browser.shoot("visit-explained");
    browser.press(key::RIGHT);
    browser.wait_text("#drawer-name", CAROL);
    browser.press(key::ESCAPE);
    browser.wait("document.getElementById('drawer').hidden");
    assert_eq!(focused(), CAROL, "the focus is where it was");
    // One stop in each group of members, then the next panel.
    browser.press(key::TAB);
    assert_ne!(browser.value("document.activeElement.className"), "tile");

    browser.press("?");
    browser.wait("document.getElementById('help').open");
    browser.press(key::ESCAPE);
    browser.wait("!document.getElementById('help').open");
}

/// The table has the same members, sorted by any column, and is gone through by keyboard as well.
fn table(browser: &Browser) {
    browser.press("t");
    browser.wait("document.querySelectorAll('#rows .row:not([hidden])').length === 3");
    assert_eq!(browser.value("document.querySelector('#rows .row').dataset.name"), ALICE);
    for sorted in ["ascending", "descending"] {
        let first = "[...document.querySelectorAll('#rows .row')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)[0].dataset.name";
        let wanted = if sorted == "ascending" { ALICE } else { CAROL };
        if sorted == "descending" {
            browser.click("#thead [role=columnheader]:nth-child(2) button");
        }
        assert_eq!(browser.value("document.querySelector('[aria-sort]').getAttribute('aria-sort')"), sorted);
        assert_eq!(browser.value(first), wanted);
    }
    browser.run("document.getElementById('table').focus()");
    browser.press(&[key::HOME, key::DOWN, key::ENTER].concat());
    browser.wait_text("#drawer-name", BOB);
    browser.shoot("visit-table");
    browser.press(key::ESCAPE);
    browser.wait("document.getElementById('drawer').hidden");
    browser.press("m");
    browser.wait("!document.getElementById('map').hidden");
}

/// Where events are paused none is drawn, and none is lost.
fn pause(browser: &Browser, bob: &mut Node, lan: &Lan) {
    browser.press("p");
    let drawn = browser.count("#events li");
    bob.kill();
    browser.wait_text("#verdict", "not up");
    browser.wait_text("#pause", "new");
    assert_eq!(browser.count("#events li"), drawn);
    browser.press("p");
    browser.wait(&format!("document.querySelectorAll('#events li').length > {drawn}"));
    browser.run("const filter = document.getElementById('events-filter'); filter.value = 'node_down bob'; filter.dispatchEvent(new Event('input'))");
    browser.wait(
        "[...document.querySelectorAll('#events li')].every((row) => row.dataset.kind === 'node_down')",
    );
    browser.run("const filter = document.getElementById('events-filter'); filter.value = ''; filter.dispatchEvent(new Event('input'))");
    *bob = Node::start(lan, BOB);
    browser.wait_text("#verdict", "Whole");
}

/// The page is dark where the system is, unless it was told otherwise, and fits a phone.
fn themes(browser: &Browser) {
    let brightness = || {
        let colour = browser.value("getComputedStyle(document.body).backgroundColor");
        let numbers = colour.as_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        numbers.split(", ").map(|number| number.parse::<u32>().unwrap()).sum::<u32>()
    };
    browser.prefer("prefers-color-scheme", "dark");
    assert!(brightness() < 150);
    browser.shoot("visit-dark");
    browser.click("#theme");
    assert!(brightness() > 600, "told to be light");
    browser.click("#theme");
    browser.prefer("prefers-color-scheme", "light");
    assert!(brightness() < 150, "told to be dark");
    browser.click("#theme");
    assert!(brightness() > 600);
    browser.prefer("prefers-reduced-motion", "reduce");
    assert_eq!(browser.value("getComputedStyle(document.getElementById('drawer')).animationName"), "none");

    browser.resize(375, 800);
    browser.wait("innerWidth === 375");
    browser.wait("document.documentElement.scrollWidth <= 375");
    browser.shoot("visit-phone");
    browser.resize(1440, 1000);
}

/// A lost host is said to be lost, with the time of what is shown; it is found again without a touch.
fn lost(browser: &Browser, alice: &mut Seen) {
    browser.run("globalThis.isSamePage = true");
    alice.host.kill();
    browser.wait("document.documentElement.classList.contains('lost')");
    browser.wait_text("#banner", "Lost the host. What you see is as of");
    browser.wait_text("#facts", "as of");
    browser.wait_text("#banner-when", "ry");
    assert_eq!(browser.count(".tile"), 3, "what was known stands");
    assert!(browser.value("document.title").as_str().unwrap().starts_with('?'));
    browser.shoot("visit-lost");
    alice.host.restart();
    alice.wait_ready();
    browser.wait("!document.documentElement.classList.contains('lost')");
    browser.wait_text("#verdict", "Whole: 3 members, all up");
    browser.wait("document.getElementById('banner').hidden");
    assert_eq!(browser.value("globalThis.isSamePage"), true, "it was not loaded anew");
    // Another life of the host is another epoch: all is told at once.
    browser.wait_text("#events", "is not this log's");
    alice.wait_shown(browser);
}

/// The whole visit.
#[test]
fn visit() {
    lab::run(0, |_| {
        let lan = Lan::new();
        let mut alice = alice(&lan);
        let browser = Browser::start();
        browser.open(&alice.address());
        browser.wait_text("#verdict", "Whole: one member, up");
        let mut bob = Node::start(&lan, BOB);
        let _carol = Node::start(&lan, CAROL);
        comes_and_goes(&browser, &lan, &mut bob);
        filter(&browser);
        keyboard(&browser);
        table(&browser);
        pause(&browser, &mut bob, &lan);
        themes(&browser);
        lost(&browser, &mut alice);
        assert_eq!(browser.complaints(), [""; 0]);
    });
}
