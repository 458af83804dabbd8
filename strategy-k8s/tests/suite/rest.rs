//! A client of the API, as one user: objects are made and changed as on any server.

use std::time::Duration;

use http::{Method, Request};
use kube::{Client, Config, Error, client::Body};
use serde_json::Value;
use test_apiserver::ServiceAccount;
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, sleep},
};

/// How long a server may take until it is ready: a real one makes its tables first, on a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a change of rights may take to be known.
const STATUS_WITHIN: Duration = Duration::from_secs(30);
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// A client whose calls block.
pub(crate) struct Rest {
    runtime: Runtime,
    client: Client,
    // Its files are read as long as the client is there.
    _account: ServiceAccount,
}

impl Rest {
    pub(crate) fn new(url: &str, authority: &str, token: &str) -> Self {
        let account = ServiceAccount::with_ca(authority, "default", token);
        let mut config = Config::new(url.parse().unwrap());
        config.root_cert = Some(Vec::new());
        config.root_cert_file = Some(account.path().join("ca.crt"));
        config.auth_info.token_file = Some(account.path().join("token").to_str().unwrap().to_owned());
        config.read_timeout = Some(STATUS_WITHIN);
        config.default_retry = false;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async { Client::try_from(config) }).unwrap();
        Self { runtime, client, _account: account }
    }

    /// Creates an object, or replaces the one that is there.
    pub(crate) fn apply(&self, object: &Value) {
        let collection = collection(object);
        match self.send(Method::POST, &collection, object) {
            Err(Error::Api(status)) if status.code == 409 => {
                let name = object["metadata"]["name"].as_str().unwrap();
                self.expect(&Method::PUT, &format!("{collection}/{name}"), object);
            }
            outcome => drop(outcome.unwrap_or_else(|err| panic!("cannot create {object}: {err}"))),
        }
    }

    pub(crate) fn patch(&self, path: &str, patch: &Value) {
        self.expect(&Method::PATCH, path, patch);
    }

    pub(crate) fn delete(&self, path: &str) {
        self.expect(&Method::DELETE, path, &Value::Null);
    }

    /// Waits until the server says that it is ready.
    pub(crate) fn wait_until_ready(&self) {
        self.wait(READY_WITHIN, "/readyz", 200);
    }

    /// Waits until a request is answered with this HTTP status.
    pub(crate) fn wait_for_status(&self, path: &str, status: u16) {
        self.wait(STATUS_WITHIN, path, status);
    }

    fn wait(&self, within: Duration, path: &str, wanted: u16) {
        self.runtime.block_on(async {
            let begin = Instant::now();
            loop {
                let outcome = self.client.send(request(Method::GET, path, Body::empty())).await;
                if outcome.as_ref().is_ok_and(|response| response.status() == wanted) {
                    return;
                }
                assert!(begin.elapsed() < within, "{path} is not answered with {wanted}: {outcome:?}");
                sleep(INTERVAL).await;
            }
        });
    }

    fn expect(&self, method: &Method, path: &str, body: &Value) {
        let outcome = self.send(method.clone(), path, body);
        outcome.unwrap_or_else(|err| panic!("{method} {path} {body}: {err}"));
    }

    fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.runtime.block_on(self.client.request(request(method, path, body)))
    }
}

fn request<B>(method: Method, path: &str, body: B) -> Request<B> {
    let kind = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    Request::builder().method(method).uri(path).header("Content-Type", kind).body(body).unwrap()
}

/// Where objects of a kind are created.
pub(crate) fn collection(object: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let version = text(&object["apiVersion"]).unwrap();
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let kind = text(&object["kind"]).unwrap().to_lowercase();
    let plural = if kind.ends_with('s') { kind } else { format!("{kind}s") };
    match text(&object["metadata"]["namespace"]) {
        Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{version}/{plural}"),
    }
}
