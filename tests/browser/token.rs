//! A host that asks for a token. What asks stands in front of the host here, and hands on what has it.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use super::{
    Seen,
    driver::{Browser, key},
};
use crate::{host::Plugins, lab};

const TOKEN: &str = "a right one";
const REFUSAL: &str = r#"{"title":"Unauthorized","status":401,"detail":"this host wants a bearer token"}"#;

/// Answers one request: 401 for what asks of the cluster without the token, else what the host answers.
fn hand_on(mut browser: TcpStream, port: u16) -> io::Result<()> {
    let mut head = String::new();
    let mut asked = BufReader::new(browser.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if asked.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let is_known =
        head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}")));
    if head.starts_with("GET /v1/") && !is_known {
        return write!(
            browser,
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{REFUSAL}",
            REFUSAL.len()
        );
    }
    let mut host = TcpStream::connect(("127.0.0.1", port))?;
    host.write_all(head.replace("Connection: keep-alive", "Connection: close").as_bytes())?;
    io::copy(&mut host, &mut browser).map(drop)
}

/// The page asks for the token until it is the right one, and knows it after a reload of the tab.
#[test]
fn asked_for() {
    lab::run(0, |_| {
        let plugins = Plugins::with(&[]);
        let seen = Seen::start(&plugins, "[node]\nname = \"alice@h\"\n".to_owned());
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", door.local_addr().unwrap());
        let port = seen.port;
        thread::spawn(move || {
            for browser in door.incoming() {
                // A tab that is closed breaks off what it asked.
                thread::spawn(move || hand_on(browser.unwrap(), port).ok());
            }
        });
        let browser = Browser::start();
        browser.open(&address);
        browser.wait("document.getElementById('token').open");
        browser.wait_text("#token-why", "this host wants a bearer token");
        browser.shoot("token");
        // There is nothing behind it to go back to.
        browser.press(key::ESCAPE);
        browser.wait("document.getElementById('token').open");
        browser.press(&["a wrong one", key::ENTER].concat());
        browser.wait(
            "document.getElementById('token').open && document.getElementById('token-value').value === ''",
        );
        browser.press(&[TOKEN, key::ENTER].concat());
        browser.wait_text("#verdict", "Whole: one member, up");
        browser.wait_text("#self", "alice@h");
        browser.open(&address);
        browser.wait_text("#verdict", "Whole: one member, up");
        assert_eq!(browser.value("document.getElementById('token').open"), false);
        assert_eq!(browser.complaints(), [""; 0]);
    });
}
