//! The connectors that are part of the host: `tcp` and `exec`.
//!
//! They are written with the SDK like any third party's and linked in as a static plugin, so that they are started,
//! watched and stopped by the same machinery. `none` is not among them: it has no instance, see the host.
//!
//! ```
//! use cluster_host::{Registry, connectors};
//! use cluster_sdk::OfferKind;
//!
//! let registry = Registry::new().with_builtin(connectors::plugin())?;
//! assert!(registry.find(OfferKind::Connector, "exec").is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod exec;
pub(crate) mod process;
mod tcp;

pub use exec::{Exec, ExecConfig};
pub(crate) use process::Group;
pub use tcp::{Tcp, TcpConfig};

cluster_sdk::plugin!(connectors: [Tcp, Exec]);
