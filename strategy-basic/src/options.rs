//! The options that all three strategies have: what is read of an answer.

/// Shorter intervals than this are refused: they would be load without use.
pub(crate) const INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(100);
/// Longer ones would be a mistake.
pub(crate) const INTERVAL_MAX: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Defines the options of a strategy: its own, and behind them those that all have.
macro_rules! reading_options {
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
            /// Where the list is in JSON, as a JSON pointer: "/data/instances". Default: the whole, or its "nodes" where it is
            /// an object.
            #[serde(default)]
            pub pointer: Option<crate::reading::Pointer>,
            /// How nodes are named, by the fields of an item of the list: "app@{Address}", "app@{Node.Address}" for one in
            /// another, "app@{/Node/Address}" as a JSON pointer, "app@{value}" where an item is a text, or a line. Default: a
            /// text or a line is the whole name, an object has it as "name".
            #[serde(default)]
            pub name_template: Option<cluster_sdk::NameTemplate>,
            /// Fields with addresses, each a text or a list of texts: `["ServiceAddress"]`. Of an item that has none of them
            /// no address is told, and connectors use what is behind the @ of its name. Default: "addresses" and "address".
            #[serde(default)]
            pub addresses: Option<Vec<crate::reading::Field>>,
            /// The port that is added to each address: a number, or the field that has it. Default: none is added.
            #[serde(default)]
            pub port: Option<crate::reading::Port>,
            /// Attributes, and the field of each: `{ zone = "Meta.zone" }`. One that an item has not is left out; a list of texts
            /// is joined by commas. Default: what is in "attributes".
            #[serde(default)]
            pub attributes: Option<std::collections::BTreeMap<String, crate::reading::Field>>,
        }

        impl $config {
            pub(crate) fn mapping(&self) -> crate::reading::Mapping {
                crate::reading::Mapping {
                    pointer: self.pointer.clone(),
                    name: self.name_template.clone(),
                    addresses: self.addresses.clone(),
                    port: self.port.clone(),
                    attributes: self.attributes.clone(),
                }
            }
        }
    };
}
pub(crate) use reading_options;

/// What is wrong with an interval.
pub(crate) fn interval_error(interval: cluster_sdk::ConfigDuration) -> Option<cluster_sdk::ConfigError> {
    let is_fine = (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval.get());
    let message = || format!("{interval} is not between {INTERVAL_MIN:?} and {INTERVAL_MAX:?}");
    (!is_fine).then(|| cluster_sdk::ConfigError::new("interval", message()))
}
