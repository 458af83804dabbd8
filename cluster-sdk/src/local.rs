//! The local node, as strategies and connectors are told of it.

use std::collections::BTreeMap;

use cluster_core::NodeName;
use serde::{Deserialize, Serialize};

/// The node that the host runs beside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalNode {
    /// Name of the cluster.
    pub cluster: String,
    /// Its name; absent where the host was given none, or does not know it yet.
    #[serde(with = "name", skip_serializing_if = "Option::is_none")]
    pub name: Option<NodeName>,
    /// Grows with each restart of the node.
    pub incarnation: u64,
    /// Where it can be reached.
    pub addresses: Vec<String>,
    /// What it says of itself.
    pub attributes: BTreeMap<String, String>,
}

mod name {
    //! `cluster_core` does not know serde.

    use cluster_core::NodeName;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        name: &Option<NodeName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        name.as_ref().map(NodeName::as_str).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<NodeName>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| NodeName::try_new(&name).map_err(D::Error::custom)).transpose()
    }
}
