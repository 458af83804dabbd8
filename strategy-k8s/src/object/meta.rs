//! The metadata of an object, without what nobody asks for: `managedFields` alone are a third of a list's bytes.

use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

/// The metadata of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) object: ObjectMeta,
    /// It is about to be deleted.
    pub(crate) is_terminating: bool,
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            name: Option<String>,
            namespace: Option<String>,
            uid: Option<String>,
            resource_version: Option<String>,
            labels: Option<std::collections::BTreeMap<String, String>>,
            annotations: Option<std::collections::BTreeMap<String, String>>,
            deletion_timestamp: Option<IgnoredAny>,
        }
        let written = Written::deserialize(deserializer)?;
        let annotations = written.annotations.map(|mut annotations| {
            annotations.retain(|key, _| key == super::endpoints::OVER_CAPACITY);
            annotations
        });
        let object = ObjectMeta {
            name: written.name,
            namespace: written.namespace,
            uid: written.uid,
            resource_version: written.resource_version,
            labels: written.labels,
            annotations: annotations.filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        };
        Ok(Self { object, is_terminating: written.deletion_timestamp.is_some() })
    }
}
