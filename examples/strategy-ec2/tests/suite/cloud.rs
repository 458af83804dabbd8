//! moto's server, and instances in it. Each test has regions of its own, so that all can share one server.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use roxmltree::Document;

use crate::{
    look::assert_isolated,
    server::{Reply, Request},
};

/// A server of moto. It ends when this is dropped, or with the process.
pub(crate) struct Cloud {
    child: Child,
    port: u16,
}

impl Cloud {
    /// The server that tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cloud> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        assert_isolated();
        let program = std::env::var_os("MOTO_SERVER").expect("MOTO_SERVER: run it by `make ec2`");
        let mut child = Command::new(PathBuf::from(program))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto's server: scripts/setup-tests.sh installs it");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.split_once("http://127.0.0.1:")?.1.trim().parse().ok());
        let port = port.expect("moto says where it listens");
        // Somebody must read what it says, or it waits.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Asks a service for something, and gives what it answered.
    pub(crate) fn ask(
        &self,
        service: &str,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Reply {
        let version = match service {
            "ec2" => "2016-11-15",
            "iam" => "2010-05-08",
            _ => "2011-06-15",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version).extend_pairs(parameters);
        let scope = format!("AKIATEST/20260101/{region}/{service}/aws4_request");
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let headers = [
            ("host", format!("127.0.0.1:{}", self.port)),
            ("authorization", signature),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let request = Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: form.finish(),
        };
        let reply = request.forward(self.port);
        assert_eq!(reply.status, 200, "{action}: {}", reply.body);
        reply
    }

    /// Runs instances in one reservation, and gives their ids.
    pub(crate) fn run(&self, region: &str, count: usize, more: &[(&str, &str)]) -> Vec<String> {
        let count = count.to_string();
        let mut parameters = vec![("ImageId", "ami-12c6146b"), ("MinCount", &count), ("MaxCount", &count)];
        parameters.extend(more);
        let reply = self.ask("ec2", region, "RunInstances", &parameters);
        texts(&reply.body, "instanceId")
    }

    /// Runs instances with tags.
    pub(crate) fn run_tagged(&self, region: &str, count: usize, tags: &[(&str, &str)]) -> Vec<String> {
        let mut more = vec![("TagSpecification.1.ResourceType".to_owned(), "instance")];
        for (n, (key, value)) in tags.iter().enumerate() {
            more.push((format!("TagSpecification.1.Tag.{}.Key", n + 1), key));
            more.push((format!("TagSpecification.1.Tag.{}.Value", n + 1), value));
        }
        let more: Vec<_> = more.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        self.run(region, count, &more)
    }

    /// Has something done to instances: `StopInstances`, `TerminateInstances`.
    pub(crate) fn change(&self, region: &str, action: &str, ids: &[String]) {
        let keys: Vec<_> = (1..=ids.len()).map(|n| format!("InstanceId.{n}")).collect();
        let parameters: Vec<_> =
            keys.iter().map(String::as_str).zip(ids.iter().map(String::as_str)).collect();
        self.ask("ec2", region, action, &parameters);
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The texts of all elements of a name.
pub(crate) fn texts(xml: &str, name: &str) -> Vec<String> {
    let document = Document::parse(xml).unwrap_or_else(|err| panic!("{err}: {xml}"));
    let found = document.descendants().filter(|element| element.has_tag_name(name));
    found.filter_map(|element| element.text().map(str::to_owned)).collect()
}
