//! The three strategies. They differ in which names they look up, and in how they name nodes.

mod dns;
mod kubernetes_dns;
mod kubernetes_dns_srv;
#[cfg(test)]
mod tests;

pub use dns::{Dns, DnsConfig};
pub use kubernetes_dns::{KubernetesDns, KubernetesDnsConfig};
pub use kubernetes_dns_srv::{KubernetesDnsSrv, KubernetesDnsSrvConfig};
