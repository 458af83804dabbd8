//! A client without a socket.

use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Bytes;
use serde_json::Value;
use test_apiserver::{ApiServer, Body};
use tower::Service as _;

/// The pods of the namespace `demo`.
pub(crate) const PODS: &str = "/api/v1/namespaces/demo/pods";
/// Its endpoint slices.
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices";

/// An answer that has come to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An open watch.
#[derive(Debug)]
pub(crate) struct Watch {
    body: Body,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|problem| panic!("{problem} in {self:?}"))
    }

    /// The names of the objects of a list.
    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks, and waits for the end of the answer.
pub(crate) async fn ask(server: &ApiServer, request: Request<Empty<Bytes>>) -> Answer {
    let response = server.service().call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Asks for a path, as [`ask`].
pub(crate) async fn get(server: &ApiServer, uri: &str) -> Answer {
    ask(server, Request::get(uri).body(Empty::new()).unwrap()).await
}

/// Sends an object.
pub(crate) async fn send(server: &ApiServer, method: &str, uri: &str, object: &Value) -> (u16, Value) {
    let body = Full::new(Bytes::from(object.to_string()));
    let request = Request::builder().method(method).uri(uri).body(body).unwrap();
    let response = server.service().call(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

// === impl Watch ===

impl Watch {
    /// Opens a watch of `uri`, which has a query already.
    pub(crate) async fn open(server: &ApiServer, uri: &str) -> Self {
        let request = Request::get(format!("{uri}&watch=true")).body(Empty::<Bytes>::new()).unwrap();
        let response = server.service().call(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: response.into_body() }
    }

    /// What comes next; nothing at the end, and an error when it is torn.
    pub(crate) async fn bytes(&mut self) -> Option<Result<Bytes, String>> {
        let frame = self.body.frame().await?;
        Some(frame.map(|frame| frame.into_data().unwrap()).map_err(|problem| problem.to_string()))
    }

    /// The next event, as `TYPE name`; `end` at the end.
    pub(crate) async fn event(&mut self) -> String {
        let Some(line) = self.bytes().await else { return "end".to_owned() };
        let event: Value = serde_json::from_slice(&line.unwrap()).unwrap();
        let object = &event["object"];
        let word = match event["type"].as_str().unwrap() {
            "BOOKMARK" => &object["metadata"]["resourceVersion"],
            "ERROR" => &object["message"],
            _ => &object["metadata"]["name"],
        };
        format!("{} {}", event["type"].as_str().unwrap(), word.as_str().unwrap())
    }

    /// Whether nothing comes, not even the end.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let day = std::time::Duration::from_secs(86_400);
        tokio::time::timeout(day, self.bytes()).await.is_err()
    }
}
