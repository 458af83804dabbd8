//! Where a new plugin gets its SDK.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

const CRATE: &str = "cluster-sdk";
/// Where this crate is on the machine that built it. What is given to others (scripts/dist.sh) names no place.
const HERE: Option<&str> = match option_env!("CLUSTER_HOST_DIST") {
    None => Some(env!("CARGO_MANIFEST_DIR")),
    Some(_) => None,
};

/// The dependency of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sdk {
    /// The crate's directory.
    Path(PathBuf),
    /// A version of the registry.
    Version(String),
}

/// The text is neither. Nothing was written; whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SdkError {
    #[error("there is no {CRATE} in it: name a checkout of libcluster-rs, or its directory {CRATE}")]
    NotThere,
    #[error("it is no directory, and no version such as \"{}\"", env!("CARGO_PKG_VERSION"))]
    Neither,
}

// === impl Sdk ===

impl Sdk {
    /// The value behind `cluster-sdk =`, without the braces.
    pub(super) fn dependency(&self) -> String {
        match self {
            Self::Path(path) => format!("path = {}", toml::Value::from(path.display().to_string())),
            Self::Version(version) => format!("version = {}", toml::Value::from(version.as_str())),
        }
    }

    /// The versions that the checkout is built with.
    pub(super) fn lock(&self) -> Option<Vec<u8>> {
        match self {
            Self::Path(path) => fs::read(path.parent()?.join("Cargo.lock")).ok(),
            Self::Version(_) => None,
        }
    }

    fn at(directory: &Path) -> Option<Self> {
        [directory.join(CRATE), directory.to_owned()].into_iter().find_map(|path| {
            let manifest = fs::read_to_string(path.join("Cargo.toml")).ok()?;
            let is_it = manifest.lines().any(|line| line.trim_end() == format!("name = {CRATE:?}"));
            is_it.then(|| path.canonicalize().ok().map(Self::Path)).flatten()
        })
    }
}

impl Default for Sdk {
    /// The checkout that this program was built from, if it is still there.
    fn default() -> Self {
        let checkout = HERE.and_then(|here| Path::new(here).parent()).and_then(Self::at);
        checkout.unwrap_or_else(|| Self::Version(env!("CARGO_PKG_VERSION").to_owned()))
    }
}

impl FromStr for Sdk {
    type Err = SdkError;

    fn from_str(text: &str) -> Result<Self, SdkError> {
        if Path::new(text).is_dir() {
            return Self::at(text.as_ref()).ok_or(SdkError::NotThere);
        }
        let is_version = text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
        if is_version { Ok(Self::Version(text.to_owned())) } else { Err(SdkError::Neither) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout, its crate, a version; all else is told.
    #[test]
    fn where_from() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sdk = Sdk::Path(root.join(CRATE).canonicalize().unwrap());
        assert_eq!(root.to_str().unwrap().parse(), Ok(sdk.clone()));
        assert_eq!(root.join(CRATE).to_str().unwrap().parse(), Ok(sdk.clone()));
        assert_eq!(Sdk::default(), sdk);
        assert!(sdk.lock().is_some());
        assert_eq!(root.join("docs").to_str().unwrap().parse::<Sdk>(), Err(SdkError::NotThere));
        assert_eq!("0.1".parse(), Ok(Sdk::Version("0.1".to_owned())));
        assert_eq!(Sdk::Version("0.1".to_owned()).dependency(), "version = \"0.1\"");
        assert_eq!(Sdk::Path("/a \"b\"".into()).dependency(), "path = '/a \"b\"'");
        for text in ["", "nowhere", "/nowhere", "1.0 beta"] {
            assert_eq!(text.parse::<Sdk>(), Err(SdkError::Neither));
        }
    }
}
