//! The strategy `http`: nodes are what a server answers.

mod next;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use cluster_sdk::{
    ConfigDuration, ConfigError, Context, LocalNode, Result, Secret, Strategy,
    http::{self, HttpError, HttpOptions, Next, Url},
};

pub use self::next::NextPage;
use crate::{
    options::{interval_error, reading_options},
    poll::{Look, Source, Trouble, poll},
    reading::{self, Found, Mapping},
};

/// The strategy `http`.
#[derive(Debug)]
pub struct Http;

reading_options! {
    /// Options of the `http` strategy: a server is asked again and again, and answers with the nodes, as JSON or a name a line.
    /// An answer that does not come, is not of 200 to 299, or cannot be read takes nobody away: what was known stands and the
    /// topology is degraded. Where a later page fails, or an item is no node, what was found is taken as a part: nobody is
    /// gone by it.
    pub struct HttpConfig {
        /// The address, as `http://127.0.0.1:8500/v1/catalog/service/shop`. Without a user and password, which are headers.
        pub url: Url,
        /// How an answer says where the next page is. "link": by a header `link` with rel="next". "/links/next": by its
        /// address, at a JSON pointer. `{ pointer = "/meta/next_page", query = "page" }`: by a token at a JSON pointer, which goes
        /// into the query. `{ header = "X-Nomad-NextToken", query = "next_token" }`: by a token in a header. Default: there is one
        /// page.
        #[serde(default)]
        pub next: Option<NextPage>,
        /// Time between an answer and the next request, as "10s", give or take a tenth. Default 10s. After a failure it is asked
        /// again after half a second, then ever later, and not before a server that is overrun wants it.
        #[serde(default = "default_interval")]
        pub interval: ConfigDuration,
        /// How long one try may take, from finding the server to the last byte of a page, as "10s". Default 10s.
        #[serde(default = "default_timeout")]
        pub timeout: ConfigDuration,
        /// How often a page is asked for again at once where that may help: the server is not reached, says 429 or 5xx, or its
        /// answer breaks off. Default 2, at most 10.
        #[serde(default = "default_retries")]
        pub retries: u32,
        /// Bytes that a page may have at most. Default 16 MiB.
        #[serde(default = "default_body_bytes_max")]
        pub body_bytes_max: u64,
        /// Headers, each a text, `{ file = PATH }` or `{ env = NAME }`, as
        /// `{ X-Consul-Token = { file = "/run/secrets/consul" } }`. They are never shown, and files are read anew each time.
        #[serde(default)]
        pub headers: BTreeMap<String, Secret>,
        /// A token that is sent as the header `authorization: Bearer TOKEN`: a text, `{ file = PATH }` or `{ env = NAME }`.
        #[serde(default)]
        pub bearer: Option<Secret>,
        /// PEM file with the authorities that may vouch for the server, in place of those of the system.
        #[serde(default)]
        pub ca_file: Option<PathBuf>,
        /// PEM file with the certificate that is shown to a server that asks for one.
        #[serde(default)]
        pub client_cert: Option<PathBuf>,
        /// PEM file with the key of `client_cert`.
        #[serde(default)]
        pub client_key: Option<PathBuf>,
    }
}

fn default_interval() -> ConfigDuration {
    ConfigDuration::from_secs(10)
}

fn default_timeout() -> ConfigDuration {
    HttpOptions::default().timeout
}

fn default_retries() -> u32 {
    HttpOptions::default().retries
}

fn default_body_bytes_max() -> u64 {
    HttpOptions::default().body_bytes_max
}

// === impl HttpConfig ===

impl HttpConfig {
    fn options(&self) -> HttpOptions {
        let mut options = HttpOptions::default();
        options.timeout = self.timeout;
        options.retries = self.retries;
        options.body_bytes_max = self.body_bytes_max;
        options.headers = self.headers.clone();
        options.bearer = self.bearer.clone();
        options.ca_file = self.ca_file.clone();
        options.client_cert = self.client_cert.clone();
        options.client_key = self.client_key.clone();
        options
    }
}

// === impl Http ===

impl Strategy for Http {
    const NAME: &'static str = "http";
    type Config = HttpConfig;

    fn validate(config: &HttpConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors: Vec<ConfigError> = interval_error(config.interval).into_iter().collect();
        errors.extend(config.options().errors());
        errors
    }

    async fn run(config: HttpConfig, ctx: Context) -> Result<()> {
        let answers = Answers {
            client: http::Http::new(config.options()),
            mapping: config.mapping(),
            url: config.url,
            next: config.next.map(NextPage::into_next),
        };
        poll(answers, config.interval.get(), &ctx).await
    }
}

/// What a server answers.
struct Answers {
    client: http::Http,
    mapping: Mapping,
    url: Url,
    next: Option<Next>,
}

// === impl Answers ===

impl Source for Answers {
    async fn look(&mut self, ctx: &Context) -> Look {
        let mut found = None;
        let trouble = self.pages(&mut found, ctx).await.err();
        let trouble = trouble.map(|err| Trouble {
            reason: err.to_string(),
            is_denied: err.is_denied(),
            retry_after: err.retry_after(),
        });
        // Of who is on a page that did not come nothing is known.
        if let (Some(found), Some(_)) = (&mut found, &trouble) {
            found.is_partial = true;
        }
        Look { found, trouble }
    }
}

impl Answers {
    /// Adds what the pages have, up to the first one that fails.
    async fn pages(&self, found: &mut Option<Found>, ctx: &Context) -> Result<(), HttpError> {
        let request = self.client.get(&self.url).revalidated();
        let Some(next) = &self.next else {
            let page = request.send().await?;
            return self.add(&page, found, ctx);
        };
        let mut pages = request.pages(next.clone());
        while let Some(page) = pages.next().await? {
            self.add(&page, found, ctx)?;
        }
        Ok(())
    }

    fn add(&self, page: &http::Answer, found: &mut Option<Found>, ctx: &Context) -> Result<(), HttpError> {
        ctx.count("pages", 1);
        ctx.count("unchanged_pages", u64::from(page.is_unchanged()));
        let read = reading::read(page.bytes(), &self.mapping).map_err(|err| page.unexpected(&err))?;
        found.get_or_insert_default().extend(read);
        Ok(())
    }
}
