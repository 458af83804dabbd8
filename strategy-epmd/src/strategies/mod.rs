//! The strategies: who should be in a topology, by Erlang's own means.
//!
//! ```text
//! epmd          names in the config
//! local_epmd    the epmd of this machine   --+
//! erlang_hosts  .hosts.erlang --> each epmd --+--> listing: members, of the kind that they say
//! ```

mod epmd;
mod erlang_hosts;
mod hosts_file;
mod kinds;
pub(crate) mod listing;
mod local_epmd;
mod name_type;
mod shell;
mod timeout;

pub use epmd::{Epmd, EpmdConfig};
pub use erlang_hosts::{ErlangHosts, ErlangHostsConfig};
pub use local_epmd::{LocalEpmd, LocalEpmdConfig};
pub use timeout::NoTimeout;
