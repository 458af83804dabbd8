//! `[plugins]`: which contents of plugin files may be loaded.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, Error, value::SeqAccessDeserializer},
};

use crate::plugin::{ContentHash, TrustedKey};

/// Hashes of one plugin at most.
const HASHES_MAX: usize = 16;
/// Trusted keys at most.
const TRUSTED_KEYS_MAX: usize = 16;

/// `[plugins]`. Where nothing is written every file may be loaded that only root and the host's user can write to.
///
/// ```
/// use cluster_host::Config;
/// use serde_json::json;
///
/// let plugins = |table| Config::from_json(json!({ "plugins": table })).map(|config| config.plugins);
/// assert!(plugins(json!({}))?.allows_unpinned());
/// let locked = plugins(json!({ "lock": "plugins.lock" }))?;
/// assert!(locked.pins_anything() && !locked.allows_unpinned());
/// # Ok::<(), cluster_host::config::Mistakes>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PluginsConfig {
    /// The SHA-256 of a plugin's file, by the plugin's name; several in a list, the newest first, are valid at once.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub sha256: BTreeMap<String, Hashes>,
    /// The file that `cluster-host plugins lock` writes; a relative path begins where the configuration is.
    #[serde(default)]
    pub lock: Option<PathBuf>,
    /// Public keys of minisign. With any, the lock file must be signed by one of them, and so must each plugin that
    /// neither it nor `sha256` names.
    #[serde(default, deserialize_with = "trusted_keys")]
    #[schemars(with = "Vec<String>")]
    pub trusted_keys: Vec<TrustedKey>,
    /// Whether plugins may be loaded that nothing names and nobody signed. By default they may where there is no
    /// `lock`, no `sha256` and no key.
    #[serde(default)]
    pub allow_unpinned: Option<bool>,
    /// A directory of the host's own, mode 0700, for copies of what was loaded last and is pinned: it is run on where
    /// the file in the plugin directory has another content. A relative path begins where the configuration is.
    #[serde(default)]
    pub keep: Option<PathBuf>,
}

/// The hashes of one plugin, the newest first.
///
/// # Examples
///
/// ```
/// use cluster_host::config::Hashes;
/// use serde_json::json;
///
/// let (old, new) = ("0".repeat(64), "f".repeat(64));
/// let one: Hashes = serde_json::from_value(json!(old))?;
/// let two: Hashes = serde_json::from_value(json!([new, old]))?;
/// assert_eq!(one.0.first(), two.0.last());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes(pub Vec<ContentHash>);

// === impl PluginsConfig ===

impl PluginsConfig {
    /// Whether anything says which plugins are meant.
    #[must_use]
    pub fn pins_anything(&self) -> bool {
        self.lock.is_some() || !self.sha256.is_empty() || !self.trusted_keys.is_empty()
    }

    /// Whether plugins may be loaded that nothing names and nobody signed.
    #[must_use]
    pub fn allows_unpinned(&self) -> bool {
        self.allow_unpinned.unwrap_or_else(|| !self.pins_anything())
    }

    /// Has relative paths begin where the configuration's file is.
    pub(super) fn resolve(&mut self, file: &Path) {
        let directory = file.parent().unwrap_or_else(|| Path::new(""));
        for path in [&mut self.lock, &mut self.keep].into_iter().flatten() {
            *path = directory.join(&path);
        }
    }
}

// === impl Hashes ===

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Hashes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the 64 hexadecimal digits of a SHA-256, or a list of such")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Hashes, E> {
                text.parse().map(|hash| Hashes(vec![hash])).map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Hashes, A::Error> {
                let hashes = Vec::deserialize(SeqAccessDeserializer::new(items))?;
                limited::<A::Error>(hashes.len(), HASHES_MAX, "hashes")?;
                Ok(Hashes(hashes))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn trusted_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TrustedKey>, D::Error> {
    let keys = Vec::deserialize(deserializer)?;
    limited::<D::Error>(keys.len(), TRUSTED_KEYS_MAX, "keys")?;
    Ok(keys)
}

fn limited<E: Error>(count: usize, most: usize, what: &str) -> Result<(), E> {
    if count <= most {
        Ok(())
    } else {
        Err(E::custom(format_args!("{count} {what}: at most {most} are possible")))
    }
}
