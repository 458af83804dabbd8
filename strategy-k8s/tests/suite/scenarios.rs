//! What has to be so with any server.

mod access;
mod discovery;
mod failure;

use serde_json::Value;
use test_apiserver::objects::{Endpoint, Slice, slice};

use crate::cluster::Cluster;

/// A scenario: panics where something is not as it should be.
pub(crate) type Scenario = fn(&Cluster);

/// Names each scenario after its function.
macro_rules! table {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        /// All of them, by name.
        pub(crate) const ALL: &[(&str, Scenario)] = &[$($((stringify!($name), $module::$name)),*),*];
    };
}

table! {
    discovery {
        list_and_view, change_and_removal, terminating, pods, label_change, two_services, ipv6, pagination, several_namespaces,
        unknown_namespace, bad_selector
    }
    access {
        endpoints_where_slices_are_denied, polls_where_watching_is_denied, what_it_proposes_makes_it_well,
        wrong_token_then_right, rotated_token_with_newline
    }
    failure { killed, paused, compacted }
}

/// A slice of the Service `myapp` with ready pods at these addresses.
fn ready(addresses: &[&str]) -> Value {
    named("myapp-abc").endpoints(addresses.iter().map(|address| pod(address))).into()
}

/// An empty slice of the Service `myapp`.
fn named(name: &str) -> Slice {
    slice("demo", name).service("myapp").label("app", "myapp")
}

/// A ready pod that is named after its address.
fn pod(address: &str) -> Endpoint {
    let name = address.replace(['.', ':'], "-");
    Endpoint::ready(address).pod(&format!("pod-{name}"))
}
