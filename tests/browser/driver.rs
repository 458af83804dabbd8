//! A Chromium without a window, driven as the W3C has it (`WebDriver`) by Debian's `chromedriver`.
//!
//! It is started where only loopback is: a new Chromium wants to speak with servers of its maker, whatever it is told.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{DEADLINE, free_tcp_port, now, pause};

/// What keeps it from doing anything but what it is asked for.
const OPTIONS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    // A container's /dev/shm is small.
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
];

/// Keys that are no characters, as `WebDriver` writes them.
pub(crate) mod key {
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const HOME: &str = "\u{e011}";
    pub(crate) const RIGHT: &str = "\u{e014}";
    pub(crate) const DOWN: &str = "\u{e015}";
    pub(crate) const TAB: &str = "\u{e004}";
}

/// One window, ended when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

// === impl Browser ===

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = free_tcp_port();
        let driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "chromedriver"])
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driver = driver.unwrap();
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        browser.wait_driver();
        let mut options: Vec<String> = OPTIONS.map(str::to_owned).into();
        options.push(format!("--user-data-dir={}", browser._profile.path().join("profile").display()));
        options.push("--window-size=1440,1000".to_owned());
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": options },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = browser.call("POST", "/session", &capabilities);
        browser.session = format!("/session/{}", answer["sessionId"].as_str().unwrap());
        browser
    }

    fn wait_driver(&mut self) {
        let deadline = now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.driver.try_wait().unwrap();
            assert!(
                ended.is_none() && now() < deadline,
                "chromedriver (package chromium-driver) does not run: {ended:?}; `make test` installs it"
            );
            pause();
        }
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = request(self.port, method, path, Some(body)).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(status == 200, "{method} {path} {body}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }

    #[track_caller]
    fn command(&self, command: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}/{command}", self.session), body)
    }

    #[track_caller]
    pub(crate) fn open(&self, address: &str) {
        self.command("url", &json!({ "url": address }));
    }

    /// What a script in the page returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression}"))
    }

    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        self.value(&format!("document.querySelector({selector:?}).textContent")).as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn count(&self, selector: &str) -> u64 {
        self.value(&format!("document.querySelectorAll({selector:?}).length")).as_u64().unwrap()
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) {
        let deadline = now() + DEADLINE;
        while self.value(&format!("Boolean({expression})")) != true {
            if now() > deadline {
                let page = self.value("document.body.innerText");
                panic!("waiting for {expression}\n{}\n{:?}", page.as_str().unwrap(), self.complaints());
            }
            pause();
        }
    }

    /// Waits until the text of an element has this in it.
    #[track_caller]
    pub(crate) fn wait_text(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({selector:?})?.textContent.includes({text:?})"));
    }

    /// Presses keys one after the other, where the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let pressed = keys.chars().flat_map(|key| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let pressed: Vec<Value> = pressed.collect();
        self.command("actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": pressed }] }));
    }

    /// Clicks with the mouse, as `WebDriver` does: an element that is covered or not to be seen cannot be.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        let element =
            found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap();
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// The width and height of what can be seen, as a phone has them, too.
    #[track_caller]
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the operating system would tell, as `("prefers-color-scheme", "dark")`.
    #[track_caller]
    pub(crate) fn prefer(&self, feature: &str, value: &str) {
        let media = json!({ "features": [{ "name": feature, "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    #[track_caller]
    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Writes what can be seen into the directory of the variable `CLUSTER_PAGE_SHOTS`, where there is one.
    #[track_caller]
    pub(crate) fn shoot(&self, name: &str) {
        let Some(directory) = std::env::var_os("CLUSTER_PAGE_SHOTS") else {
            return;
        };
        let path = format!("{}/screenshot", self.session);
        let (_, answer) = request(self.port, "GET", &path, None).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let image = BASE64_STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
        fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), image).unwrap();
    }

    /// What the browser found wrong with the page since it was last asked: errors of the script, breaches of the policy.
    /// That a host cannot be reached, or has no such path, is not that.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        let messages = log.as_array().unwrap().iter().filter_map(|entry| entry["message"].as_str());
        let ours = messages.filter(|message| {
            !message.starts_with("chrome://") && !message.contains("Failed to load resource")
        });
        ours.map(str::to_owned).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends Chromium, which would outlive its driver.
            let _ended = request(self.port, "DELETE", &self.session, None);
        }
        let _killed = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

/// The status and the body of what is answered on a port of loopback.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(line.clone()))?;
    let mut length = None;
    loop {
        line.clear();
        answer.read_line(&mut line)?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok();
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    match length {
        Some(length) => answer.take(length).read_to_string(&mut body)?,
        None => answer.read_to_string(&mut body)?,
    };
    Ok((status, body))
}
