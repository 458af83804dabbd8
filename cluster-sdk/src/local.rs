//! The local node, as strategies and connectors are told of it.

use std::collections::BTreeMap;

use cluster_core::NodeName;
use serde::{Deserialize, Serialize};

/// The node that the host runs beside.
///
/// # Examples
///
/// ```
/// use cluster_sdk::LocalNode;
///
/// let local = LocalNode { name: Some("app@10.0.0.7".parse()?), ..LocalNode::default() };
/// assert!(local.present, "unless a connector says otherwise");
/// assert!(local.attributes.is_empty());
/// # Ok::<(), cluster_sdk::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether it takes part now: while it does not, it is not to be announced. Its absence is no departure: the same
    /// node may be back at any time.
    pub present: bool,
}

/// Who the local node is, as a connector with [`LOCAL_NODE`](crate::Connector::LOCAL_NODE) has learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalIdentity {
    /// Its name.
    pub name: NodeName,
    /// Another number than before means that it has restarted: the creation of a BEAM node, for example. 0: unknown.
    pub incarnation: u64,
    /// Whether it outlives the host: then no strategy says that it leaves when the host stops.
    pub stays: bool,
}

/// What a connector says of the local node.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{
///     Connector, ConnectorContext, LocalIdentity, LocalReport, Node, NodeName, Outcome, Result, testing::TestHost,
/// };
///
/// # use cluster_sdk::{schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// /// Beside a node that tells its name.
/// struct Beside;
///
/// impl Connector for Beside {
///     const NAME: &'static str = "beside";
///     type Config = Config;
///     const LOCAL_NODE: bool = true;
///
///     async fn start(_: Config, ctx: ConnectorContext) -> Result<Self> {
///         ctx.local_up(&LocalIdentity { name: "app@10.0.0.7".parse()?, incarnation: 17, stays: true });
///         ctx.local_down("it restarts");
///         Ok(Self)
///     }
/// #   async fn connect(&self, _: &Node) -> Outcome { Outcome::Done }
/// #   async fn disconnect(&self, _: &NodeName) -> Outcome { Outcome::Done }
/// }
///
/// let host = TestHost::connector::<Beside>(serde_json::json!({}))?;
/// assert!(matches!(host.next_local()?, LocalReport::Up(node) if node.name.as_str() == "app@10.0.0.7"));
/// assert_eq!(host.next_local()?, LocalReport::Down("it restarts".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalReport {
    /// It takes part.
    Up(LocalIdentity),
    /// It does not, for this reason.
    Down(String),
}

/// A [`LocalReport`] on the boundary.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Word {
    up: bool,
    #[serde(with = "name", skip_serializing_if = "Option::is_none")]
    name: Option<NodeName>,
    incarnation: u64,
    stays: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

// === impl LocalNode ===

impl Default for LocalNode {
    /// A node of which nothing is known but that it is present.
    fn default() -> Self {
        Self {
            cluster: String::new(),
            name: None,
            incarnation: 0,
            addresses: Vec::new(),
            attributes: BTreeMap::new(),
            present: true,
        }
    }
}

// === impl LocalReport ===

impl LocalReport {
    pub(crate) fn encode(self) -> Vec<u8> {
        let word = match self {
            Self::Up(LocalIdentity { name, incarnation, stays }) => {
                Word { up: true, name: Some(name), incarnation, stays, reason: String::new() }
            }
            Self::Down(reason) => Word { reason, ..Word::default() },
        };
        serde_json::to_vec(&word).unwrap_or_default()
    }

    /// Nothing where it is not JSON, or a node is up that has no valid name.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let Word { up, name, incarnation, stays, reason } = serde_json::from_slice(bytes).ok()?;
        if up {
            Some(Self::Up(LocalIdentity { name: name?, incarnation, stays }))
        } else {
            Some(Self::Down(reason))
        }
    }
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
