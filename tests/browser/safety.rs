//! What strangers say stays text, and can be read.

use serde_json::{Value, json};

use super::{Seen, driver::Browser, put};
use crate::{
    host::{BASIC, Plugins, private_directory},
    lab,
};

const MARKUP: &str = "<img src=x onerror=globalThis.taken=1>";

/// All that is shown against what it is shown on, for each text of the page: those whose contrast is below 4.5.
const FAINT: &str = r"
    const luminance = ([r, g, b]) => [r, g, b].map((part) => part / 255)
        .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
    const numbers = (colour) => {
        const parts = colour.match(/[\d.]+/g).map(Number);
        return colour.startsWith('color(') ? parts.map((part, index) => index < 3 ? part * 255 : part) : parts;
    };
    const ground = (element) => {
        for (; element; element = element.parentElement) {
            const colour = numbers(getComputedStyle(element).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const faint = new Set();
    for (const element of document.querySelectorAll('body *')) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || !element.checkVisibility() || element.closest('script, noscript')) continue;
        const lights = [luminance(numbers(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => b - a);
        const contrast = (lights[0] + .05) / (lights[1] + .05);
        if (contrast < 4.5) faint.add(`${element.className || element.tagName} ${contrast.toFixed(2)}: ${element.textContent.slice(0, 30)}`);
    }
    return [...faint];
";

/// What can be pressed, chosen or written into, and says not what it is.
const NAMELESS: &str = "
    return [...document.querySelectorAll('button, input, [role=option], [role=grid], [role=listbox], summary, dialog, section, aside')]
        .filter((element) => !(element.ariaLabel || element.getAttribute('aria-labelledby') || element.labels?.length || element.textContent.trim()))
        .map((element) => element.outerHTML);
";

fn members() -> Value {
    json!([
        { "name": "plain@h", "attributes": { "zone": "a" } },
        { "name": "<b>bold<b>@h", "attributes": { "zone": MARKUP, "<i>key</i>": "x" } },
        { "name": "silent@h", "addresses": ["127.0.0.1:1"] },
    ])
}

/// Markup in names, attributes, reasons and names of topologies' files is shown letter by letter and does nothing; all of
/// it can be read in both themes, and whatever can be touched has a name.
#[test]
fn text_stays_text() {
    lab::run(0, |_| {
        let scratch = private_directory();
        let file = scratch.path().join("nodes.json");
        put(&file, &members());
        let config = format!(
            "[node]\nname = \"self@h\"\n[topologies.tcp]\nstrategy = \"file\"\nconfig = {{ path = {file:?} }}\nconnect = {{ tcp = {{ port = 1 }} }}\n\
             [topologies.none]\nstrategy = \"file\"\nconfig = {{ path = {file:?} }}\nconnect = \"none\"\n\
             [topologies.odd]\nstrategy = \"file\"\nconfig = {{ path = \"/nowhere/{MARKUP}\" }}\nconnect = \"none\"\n"
        );
        let plugins = Plugins::with(&[BASIC]);
        let seen = Seen::start(&plugins, config);
        let browser = Browser::start();
        browser.open(&seen.address());
        browser.wait_text("#verdict", "topology odd degraded");
        browser.wait_text("#topologies", &format!("/nowhere/{MARKUP}"));
        browser.wait("document.querySelectorAll('[aria-label=\"Members of tcp\"] .tile').length === 3");
        for _turn in 0..2 {
            browser.run("document.getElementById('filter').value = '<img'; document.getElementById('filter').dispatchEvent(new Event('input'))");
            browser.wait("document.querySelectorAll('[aria-label=\"Members of tcp\"] .tile').length === 1");
            browser.click("[aria-label=\"Members of tcp\"] .tile");
            browser.wait_text("#drawer-body", MARKUP);
            browser.wait_text("#drawer-body", "<i>key</i>");
            assert_eq!(browser.text("#drawer-name"), "<b>bold<b>@h");
            assert_eq!(browser.run(FAINT), json!([]));
            browser.shoot("safety");
            browser.run("document.getElementById('drawer-close').click()");
            browser.run("document.getElementById('filter').value = ''; document.getElementById('filter').dispatchEvent(new Event('input'))");
            browser.wait("document.querySelectorAll('[aria-label=\"Members of tcp\"] .tile').length === 3");
            assert_eq!(browser.run(FAINT), json!([]));
            browser.run("document.getElementById('view-table').click()");
            browser.wait_text("#rows", "<b>bold<b>@h");
            assert_eq!(browser.run(FAINT), json!([]));
            browser.run("document.getElementById('view-map').click()");
            browser.prefer("prefers-color-scheme", "dark");
        }
        assert_eq!(browser.run(NAMELESS), json!([]));
        assert_eq!(browser.count("img, b b, i i, .name *, #drawer-body i:not(.mark)"), 0);
        assert_eq!(browser.value("globalThis.taken ?? 'no'"), "no");
        assert_eq!(browser.complaints(), [""; 0]);
        // The browser would have refused as well.
        let refused = browser.run(
            "try { document.body.innerHTML = '<p>'; return 'taken'; } catch (error) { return error.name; }",
        );
        assert_eq!(refused, "TypeError");
    });
}
