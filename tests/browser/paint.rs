//! How soon something can be seen.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::{Seen, driver::Browser};
use crate::{host::Plugins, lab};

const VISITS: usize = 9;

/// The first paint of the page, beside that of a page with one word, in the same browser. It is told and not judged: how
/// fast a browser is on this machine is not ours.
#[test]
fn first_paint() {
    lab::run(0, |_| {
        let plugins = Plugins::with(&[]);
        let seen = Seen::start(&plugins, "[node]\nname = \"alice@h\"\n".to_owned());
        let bare = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", bare.local_addr().unwrap());
        thread::spawn(move || {
            for stream in bare.incoming() {
                let mut stream = stream.unwrap();
                let mut asked = [0; 4096];
                let _bytes = stream.read(&mut asked).unwrap();
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n<!doctype html>Hello";
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let browser = Browser::start();
        let paint = |address: &str| {
            browser.open("about:blank");
            browser.open(address);
            let entry = "performance.getEntriesByName('first-contentful-paint')[0]";
            browser.wait(entry);
            browser.value(&format!("{entry}.startTime")).as_f64().unwrap()
        };
        // The first visit of a browser is also its own beginning.
        paint(&address);
        let (mut ours, mut theirs): (Vec<f64>, Vec<f64>) =
            (0..VISITS).map(|_| (paint(&seen.address()), paint(&address))).unzip();
        ours.sort_by(f64::total_cmp);
        theirs.sort_by(f64::total_cmp);
        let (ours, theirs) = (ours[VISITS / 2], theirs[VISITS / 2]);
        println!("first paint {ours:.0} ms, of a bare page {theirs:.0} ms: {:.2}", ours / theirs);
    });
}
