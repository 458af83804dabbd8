//! The strategy `dns`: a node for each address of a name.

use cluster_sdk::{ConfigError, Context, LocalNode, Result, Strategy};

use crate::{
    basename::Basename,
    domain::Domains,
    naming::{Family, Naming},
    options::dns_options,
    poll::Poll,
};

/// The strategy `dns`.
#[derive(Debug)]
pub struct Dns;

dns_options! {
    /// Options of the `dns` strategy, which is libcluster's `DNSPoll`: a node for each address that a name resolves to, named
    /// `node_basename@ADDRESS`. A name that cannot be looked up takes nobody down: what was known stands and the topology is
    /// degraded. Only an answer without an error and without addresses says that nobody is there.
    pub struct DnsConfig {
        /// The name to look up, as "app.example.com", or a list of names, whose nodes are taken together. With a full stop at its
        /// end a name is absolute, else the search list of `resolv_conf` applies. A list is not in libcluster.
        pub query: Domains,
        /// The part of the nodes' names before the `@`, the same for all, as "app": they are started as `app@10.0.0.7`.
        pub node_basename: Basename,
        /// Which addresses: "both", "ipv4" (A records) or "ipv6" (AAAA records). Default "both", as in libcluster: a node that
        /// has two addresses then has two names, of which it goes by one, so choose where names have both.
        #[serde(default = "default_family")]
        pub family: Family,
    }
}

fn default_family() -> Family {
    Family::Both
}

// === impl Dns ===

impl Strategy for Dns {
    const NAME: &'static str = "dns";
    type Config = DnsConfig;

    fn validate(config: &DnsConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors = config.common().errors();
        errors.extend(config.query.count_error().map(|message| ConfigError::new("query", message)));
        errors
    }

    async fn run(config: DnsConfig, ctx: Context) -> Result<()> {
        let poll = Poll {
            names: config.query.names(),
            system: config.common().system(),
            schedule: config.common().schedule(),
            naming: Naming::Addresses(config.node_basename, config.family),
        };
        poll.run(&ctx).await
    }
}
