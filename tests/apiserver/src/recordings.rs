//! What a real server was asked and what it answered.
//!
//! `requests.json` in the directory names each file with its request line, HTTP status and headers; the file is the
//! body. `tests/fixtures/kubernetes/README.md` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Bytes;
use serde_json::Value;

use crate::body::Body;
use crate::kind::Kind;
use crate::query::{Query, Target};

/// A directory of recordings.
#[derive(Debug, Clone)]
pub struct Recordings {
    all: Vec<Recording>,
}

/// One answer of a real server.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The file's name.
    pub file: String,
    /// Path and query of the request.
    pub uri: String,
    /// The HTTP status.
    pub status: u16,
    /// Those of the headers that matter to a client.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Bytes,
}

// === impl Recordings ===

impl Recordings {
    /// Those of this repository.
    ///
    /// # Panics
    ///
    /// As [`Self::open`].
    #[must_use]
    pub fn bundled() -> Self {
        Self::open(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/kubernetes")))
    }

    /// Reads a directory.
    ///
    /// # Panics
    ///
    /// If `requests.json` or a file that it names is not there, or is not as it should be.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let index = read(&directory.join("requests.json"));
        let index: Value = serde_json::from_slice(&index).expect("requests.json is JSON");
        let files = index.as_object().expect("requests.json is an object");
        Self { all: files.iter().map(|(file, entry)| Recording::new(directory, file, entry)).collect() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Recording> {
        self.all.iter()
    }

    /// The one with this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn file(&self, name: &str) -> &Recording {
        let found = self.all.iter().find(|recording| recording.file == name);
        found.unwrap_or_else(|| panic!("there is no recording {name}"))
    }
}

// === impl Recording ===

impl Recording {
    fn new(directory: &Path, file: &str, entry: &Value) -> Self {
        let request = entry["request"].as_str().unwrap_or_default();
        let uri = request.strip_prefix("GET ").unwrap_or_else(|| panic!("{file} was not a GET"));
        let status = entry["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let headers = entry["headers"].as_object().into_iter().flatten().map(|(name, value)| {
            let name: HeaderName = name.parse().expect("it is a header's name");
            let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
            (name, value.expect("it is a header's value"))
        });
        Self {
            file: file.to_owned(),
            uri: uri.to_owned(),
            status: status.unwrap_or_else(|| panic!("{file} has no status")),
            headers: headers.collect(),
            body: Bytes::from(read(&directory.join(file))),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|problem| panic!("{}: {problem}", self.file))
    }

    /// The events of a watch.
    ///
    /// # Panics
    ///
    /// If a line is no JSON.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let lines = self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                serde_json::from_slice(line).unwrap_or_else(|problem| panic!("{}: {problem}", self.file))
            })
            .collect()
    }

    /// Which objects it is about; nothing if it is about none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Target::parse(self.path()).map(|target| target.kind)
    }

    /// Whether it is of a watch.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        is_watch(self.uri.split_once('?').map_or("", |(_, query)| query))
    }

    /// The request, without a token.
    ///
    /// # Panics
    ///
    /// If the request line is none.
    #[must_use]
    pub fn request(&self) -> Request<http_body_util::Empty<Bytes>> {
        let request = Request::get(&self.uri).body(http_body_util::Empty::new());
        request.expect("it is a request line")
    }

    /// Whether a request asks for the same: the same path, and both watch or neither does.
    pub(crate) fn is_like(&self, uri: &http::Uri) -> bool {
        self.path() == uri.path() && self.is_watch() == is_watch(uri.query().unwrap_or_default())
    }

    /// The answer as it was, with `body`.
    pub(crate) fn response(&self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        response.headers_mut().clone_from(&self.headers);
        // How the body goes is between the transport and its length.
        response.headers_mut().remove(http::header::TRANSFER_ENCODING);
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        response
    }

    fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }
}

fn is_watch(query: &str) -> bool {
    Query::parse(query).is("watch")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|problem| panic!("cannot read {}: {problem}", path.display()))
}
