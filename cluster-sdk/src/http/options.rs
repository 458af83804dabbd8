//! How a client asks: what a config may say.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use hyper::{HeaderMap, header::HeaderName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    error::Trouble,
    secret::{Spoken, header_value},
};
use crate::{ConfigDuration, ConfigError, Secret};

/// Headers that are not the config's to set: they say how a message is sent.
const HEADERS_RESERVED: [&str; 8] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// How long one try may take.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Tries after the first one, at most.
const RETRIES_MAX: u32 = 10;
/// What the limit of a body may be.
const BODY_BYTES_LIMIT_MAX: u64 = 1 << 30;

/// How an [`Http`](super::Http) asks: as a table of a plugin's config, or made by a program.
///
/// There is no proxy: none is taken from the environment, where one may be meant for something else and would see
/// what is asked here. Answers are not compressed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long one try may take, from finding the server to the last byte of its answer, as "10s". Default 10s.
    pub timeout: ConfigDuration,
    /// How often it is tried again at once where that may help: the server is not reached, says 429 or 5xx, or its answer
    /// breaks off. Default 2, at most 10; 0 for never.
    pub retries: u32,
    /// Bytes that an answer may have at most. Default 16 MiB.
    pub body_bytes_max: u64,
    /// Headers of each request, each a text, `{ file = PATH }` or `{ env = NAME }`, as
    /// `{ x-consul-token = { file = "/run/secrets/consul" } }`. They are never shown, and files are read anew each time.
    pub headers: BTreeMap<String, Secret>,
    /// A token that is sent as the header `authorization: Bearer TOKEN`: a text, `{ file = PATH }` or `{ env = NAME }`.
    pub bearer: Option<Secret>,
    /// PEM file with the authorities that may vouch for the server, in place of those of the system. Read anew for each
    /// connection, as are the next two.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate, and those between it and its authority, that is shown to a server that asks for one.
    pub client_cert: Option<PathBuf>,
    /// PEM file with the key of `client_cert`.
    pub client_key: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: ConfigDuration::from_secs(10),
            retries: 2,
            body_bytes_max: 16 << 20,
            headers: BTreeMap::new(),
            bearer: None,
            ca_file: None,
            client_cert: None,
            client_key: None,
        }
    }
}

// === impl HttpOptions ===

impl HttpOptions {
    /// Everything that is wrong beyond types, by the names of the fields.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::http::HttpOptions;
    ///
    /// let mut options = HttpOptions::default();
    /// assert!(options.errors().is_empty());
    /// options.client_cert = Some("client.pem".into());
    /// options.retries = 100;
    /// let errors = options.errors();
    /// assert_eq!(errors.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(), ["retries", "client_key"]);
    /// ```
    #[must_use]
    pub fn errors(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |path: &str, message: String| errors.push(ConfigError::new(path, message));
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&self.timeout.get()) {
            let timeout = self.timeout;
            error("timeout", format!("{timeout} is not between {TIMEOUT_MIN:?} and {TIMEOUT_MAX:?}"));
        }
        if self.retries > RETRIES_MAX {
            error("retries", format!("{} are too many: at most {RETRIES_MAX}", self.retries));
        }
        if !(1..=BODY_BYTES_LIMIT_MAX).contains(&self.body_bytes_max) {
            let max = self.body_bytes_max;
            error("body_bytes_max", format!("{max} is not between 1 and {BODY_BYTES_LIMIT_MAX}"));
        }
        for name in self.headers.keys() {
            let path = crate::config::key_path("headers", name);
            match HeaderName::from_bytes(name.as_bytes()) {
                Err(_) => error(&path, "is not the name of a header".to_owned()),
                Ok(name) if HEADERS_RESERVED.contains(&name.as_str()) => {
                    error(&path, "says how the message is sent, and cannot be set".to_owned());
                }
                Ok(name) if name == "authorization" && self.bearer.is_some() => {
                    error(&path, "is what bearer sends: leave one of them out".to_owned());
                }
                Ok(_) => {}
            }
        }
        match (&self.client_cert, &self.client_key) {
            (Some(_), None) => error("client_key", "is missing beside client_cert".to_owned()),
            (None, Some(_)) => error("client_cert", "is missing beside client_key".to_owned()),
            _ => {}
        }
        errors
    }

    /// The headers of each request, read now.
    pub(super) fn read_headers(&self, spoken: &mut Spoken) -> Result<HeaderMap, Trouble> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &self.headers {
            let value = header_value(name, "", secret, spoken)?;
            let name = HeaderName::from_bytes(name.as_bytes());
            headers.insert(name.map_err(|_checked| Trouble::Header("headers".to_owned()))?, value);
        }
        if let Some(token) = &self.bearer {
            headers.insert(
                hyper::header::AUTHORIZATION,
                header_value("authorization", "Bearer ", token, spoken)?,
            );
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config;

    /// The texts that begin like these are all that is told.
    #[track_caller]
    fn check(options: serde_json::Value, expected: &[&str]) {
        let found = match config::parse::<HttpOptions>(options) {
            Ok(options) => options.errors(),
            Err(errors) => errors,
        };
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        let is_alike = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
        assert!(is_alike, "{found:#?}");
    }

    /// What makes no sense is told with its place.
    #[test]
    fn values() {
        check(json!({}), &[]);
        check(json!({ "timeout": "1s", "retries": 0, "headers": { "X-Token": { "env": "TOKEN" } } }), &[]);
        check(
            json!({ "timeout": 0, "retries": 11, "body_bytes_max": 0 }),
            &["timeout: 0s is not between", "retries: 11 are too many", "body_bytes_max: 0 is not between 1"],
        );
        check(
            json!({ "headers": { "a b": "c", "Host": "d", "Authorization": "e" }, "bearer": "f" }),
            &[
                "headers.Authorization: is what bearer sends",
                "headers.Host: says how the message is sent",
                r#"headers."a b": is not the name of a header"#,
            ],
        );
        check(json!({ "client_cert": "/c" }), &["client_key: is missing"]);
        check(json!({ "client_key": "/k" }), &["client_cert: is missing"]);
        check(json!({ "time_out": "1s" }), &["time_out: unknown key; did you mean `timeout`?"]);
    }
}
