//! The options that all three strategies have.

use std::{borrow::Cow, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use cluster_sdk::{
    ConfigDuration, ConfigError,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
    serde_json::Value,
};

use crate::{
    nameserver::Nameserver,
    schedule::Schedule,
    system::{Source, System},
};

/// Shorter intervals than this are refused: they would be load without use.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Servers that are listed at most.
const SERVERS_MAX: usize = 8;
/// Questions to a server that is silent, at most, and how long one may take.
const ATTEMPTS_MAX: u32 = 10;
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Defines the options of a strategy: its own, and behind them those that all have.
macro_rules! dns_options {
    (
        $(#[$meta:meta])*
        pub struct $config:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, cluster_sdk::serde::Deserialize, cluster_sdk::schemars::JsonSchema)]
        #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
        #[schemars(crate = "cluster_sdk::schemars")]
        pub struct $config {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Time between two look-ups, as "5s" or in milliseconds, give or take a tenth. Default 5s, as in libcluster; at
            /// least 100ms. An answer that says that it holds longer (its TTL) is not asked for again before it runs out: see
            /// `max_ttl`. After a failure it is tried again after half a second, then ever later, up to this time.
            #[serde(default = "crate::options::default_polling_interval")]
            pub polling_interval: cluster_sdk::ConfigDuration,
            /// How long the TTL of an answer may put off the next look-up, as "30s" or in milliseconds; 0 is for not at all, as
            /// in libcluster. Default 30s: no node is found or gone later than that, whatever the TTL. Where `polling_interval` is
            /// longer it counts.
            #[serde(default = "crate::options::default_max_ttl")]
            pub max_ttl: cluster_sdk::ConfigDuration,
            /// Name servers to ask, as `["10.0.0.10", "10.0.0.10:5353", "[fd00::10]:53"]`: the next one where one does not answer,
            /// or not with an answer that is of use. Names are then taken as absolute, and `resolv_conf` is not read. Default: those
            /// in `resolv_conf`. Not in libcluster.
            #[serde(default)]
            pub nameservers: Option<Vec<crate::nameserver::Nameserver>>,
            /// The file that says which name servers to ask, which domains to append to a name that does not end with a full stop
            /// (search), and how many full stops make it be tried without first (ndots). Read before each look-up, so a change
            /// counts at once. A port other than 53 is written as OpenBSD does: `nameserver [127.0.0.1]:5353`. Default
            /// /etc/resolv.conf. /etc/hosts is not asked.
            #[serde(default)]
            pub resolv_conf: Option<std::path::PathBuf>,
            /// How long one question to one server may take, as "2s" or in milliseconds. Default: the timeout in `resolv_conf`,
            /// else 2s, as in libcluster.
            #[serde(default)]
            pub timeout: Option<cluster_sdk::ConfigDuration>,
            /// How often a server that is silent is asked, 1 to 10. Default: the attempts in `resolv_conf`, else 3, as in
            /// libcluster.
            #[serde(default)]
            pub attempts: Option<std::num::NonZeroU32>,
            /// Refused. In libcluster a function that looks names up; write `nameservers` or `resolv_conf` in its place.
            #[serde(default)]
            pub resolver: Option<crate::options::NoResolver>,
        }

        impl $config {
            fn common(&self) -> crate::options::Common<'_> {
                crate::options::Common {
                    polling_interval: self.polling_interval,
                    max_ttl: self.max_ttl,
                    nameservers: self.nameservers.as_deref(),
                    resolv_conf: self.resolv_conf.as_ref(),
                    timeout: self.timeout,
                    attempts: self.attempts,
                }
            }
        }
    };
}
pub(crate) use dns_options;

/// libcluster's `resolver`, which cannot be had: to read one is an error that says what to write in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResolver {}

/// The options that all three strategies have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) polling_interval: ConfigDuration,
    pub(crate) max_ttl: ConfigDuration,
    pub(crate) nameservers: Option<&'a [Nameserver]>,
    pub(crate) resolv_conf: Option<&'a PathBuf>,
    pub(crate) timeout: Option<ConfigDuration>,
    pub(crate) attempts: Option<NonZeroU32>,
}

pub(crate) fn default_polling_interval() -> ConfigDuration {
    ConfigDuration::from_secs(5)
}

pub(crate) fn default_max_ttl() -> ConfigDuration {
    ConfigDuration::from_secs(30)
}

// === impl Common ===

impl Common<'_> {
    /// Everything that is wrong beyond types.
    pub(crate) fn errors(self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |path: &str, message: String| errors.push(ConfigError::new(path, message));
        if self.polling_interval.get() < INTERVAL_MIN {
            let interval = self.polling_interval;
            error("polling_interval", format!("{interval} is too short: at least {INTERVAL_MIN:?}"));
        }
        match self.nameservers {
            Some([]) => error(
                "nameservers",
                "names no server: list them, as [\"10.0.0.10\"], or leave it out for /etc/resolv.conf"
                    .to_owned(),
            ),
            Some(servers) if servers.len() > SERVERS_MAX => {
                error("nameservers", format!("{} servers: at most {SERVERS_MAX}", servers.len()));
            }
            Some(_) if self.resolv_conf.is_some() => {
                error("resolv_conf", "has no effect beside nameservers: leave one of them out".to_owned());
            }
            Some(_) | None => {}
        }
        if let Some(timeout) = self.timeout
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout.get())
        {
            error("timeout", format!("{timeout} is not between {TIMEOUT_MIN:?} and {TIMEOUT_MAX:?}"));
        }
        if let Some(attempts) = self.attempts.filter(|attempts| attempts.get() > ATTEMPTS_MAX) {
            error("attempts", format!("{attempts} are too many: at most {ATTEMPTS_MAX}"));
        }
        errors
    }

    pub(crate) fn schedule(self) -> Schedule {
        Schedule::new(self.polling_interval.get(), self.max_ttl.get())
    }

    pub(crate) fn system(self) -> System {
        let file = || self.resolv_conf.cloned().unwrap_or_else(|| PathBuf::from("/etc/resolv.conf"));
        let addresses = |servers: &[Nameserver]| {
            servers.iter().map(|server| server.address()).collect::<Vec<SocketAddr>>()
        };
        System {
            source: self
                .nameservers
                .map_or_else(|| Source::File(file()), |servers| Source::Servers(addresses(servers))),
            timeout: self.timeout.map(ConfigDuration::get),
            attempts: self.attempts.map(NonZeroU32::get),
        }
    }
}

// === impl NoResolver ===

impl<'de> Deserialize<'de> for NoResolver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whatever is there is read first, so that the error is the same for all of it.
        drop(Value::deserialize(deserializer)?);
        Err(de::Error::custom(
            "is a function in libcluster, and a config has none: leave it out, and say whom to ask with nameservers or \
             resolv_conf",
        ))
    }
}

impl JsonSchema for NoResolver {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "NoResolver".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "refused: leave it out" })
    }
}
