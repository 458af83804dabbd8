//! `[state]`: what is remembered across restarts, and where.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

/// `[state]`. Without it nothing is written, and a restarted host begins anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StateConfig {
    /// A directory of this host's own, made with mode 0700 if it is not there: the membership and how far each hook is
    /// are kept in it. A relative path begins where the configuration is.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

// === impl StateConfig ===

impl StateConfig {
    /// Has a relative path begin where the configuration's file is.
    pub(super) fn resolve(&mut self, file: &Path) {
        if let Some(path) = &mut self.directory {
            *path = file.parent().unwrap_or_else(|| Path::new("")).join(&path);
        }
    }
}
