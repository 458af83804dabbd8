//! The lock file: the contents of plugin files that may be loaded, written by `cluster-host plugins lock`.
//!
//! ```toml
//! format = 1
//!
//! [[plugin]]
//! name = "strategy-ec2"
//! version = "1.2.0"
//! target = "x86_64-unknown-linux-gnu"
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! glibc = "2.34"                        # the highest that it needs
//! offers = ["strategy ec2"]
//! ```
//!
//! Each content has an entry of its own, so that it is told of each what it is; of one plugin the newest comes first.
//! A plugin's contents for several targets, or several versions of it, are valid at once.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{content::ContentHash, inspect::Inspected};

/// The only format so far. Another one is refused: what it says may be what keeps a plugin out.
const FORMAT: u32 = 1;
/// Bytes that a lock file may have at most.
const LOCK_BYTES_MAX: u64 = 1024 * 1024;
/// Contents of one plugin for one target that [`Lock::before`] leaves: the oldest go.
pub const LOCKED_CONTENTS_MAX: usize = 4;

const HEAD: &str = "\
# The plugin files that may be loaded. Written by `cluster-host plugins lock`: change it by that command. Where the
# configuration has trusted_keys, sign it again after each change: minisign -S -m plugins.lock
";

/// What a lock file says.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::Lock;
///
/// let entry = |version, digit: &str| format!(
///     "[[plugin]]\nname = 'notes'\nversion = '{version}'\ntarget = 'x86_64-unknown-linux-gnu'\nsha256 = '{}'\n\
///      offers = ['strategy notes']\n",
///     digit.repeat(64),
/// );
/// let lock = |entry| Lock::parse(&format!("format = 1\n{entry}"), "plugins.lock".as_ref());
/// // A new version, beside which the one before stays valid.
/// let both = lock(entry("1.1.0", "b"))?.before(lock(entry("1.0.0", "a"))?);
/// let versions: Vec<_> = both.contents.iter().map(|content| content.version.as_str()).collect();
/// assert_eq!(versions, ["1.1.0", "1.0.0"]);
/// assert_eq!(Lock::parse(&both.render()?, "plugins.lock".as_ref())?, both);
/// assert!(Lock::parse("format = 2", "plugins.lock".as_ref()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: u32,
    /// The contents; of one plugin the newest first.
    #[serde(default, rename = "plugin")]
    pub contents: Vec<LockedContent>,
}

/// A content that may be loaded, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedContent {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The SHA-256 of the file.
    pub sha256: ContentHash,
    /// The newest glibc of which it uses something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<String>,
    /// What it offers: `strategy NAME` and `connector NAME`.
    pub offers: Vec<String>,
}

/// Why a lock file cannot be used. Nothing is loaded; the operator can mend it.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The system does not let us read it.
    #[error("the lock file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is not what `plugins lock` writes.
    #[error("the lock file {}:{line} is not what `cluster-host plugins lock` writes: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A newer host wrote it.
    #[error("the lock file {} has format {format}, this host knows {FORMAT}: take a newer cluster-host", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

// === impl Lock ===

impl Lock {
    /// Takes what was looked at; each must have been hashed, or it is left out.
    #[must_use]
    pub fn of<'a>(inspected: impl IntoIterator<Item = &'a Inspected>) -> Self {
        let contents = inspected.into_iter().filter_map(LockedContent::of).collect();
        Self { format: FORMAT, contents }.sorted()
    }

    /// The text of an open lock file; `path` is only named.
    pub(super) fn text(file: &File, path: &Path) -> Result<String, LockError> {
        let unreadable = |error| LockError::Unreadable { path: path.to_owned(), error };
        let mut text = String::new();
        let read = file.take(LOCK_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(read).is_ok_and(|read| read > LOCK_BYTES_MAX) {
            let message = format!("it has more than {LOCK_BYTES_MAX} bytes");
            return Err(unreadable(io::Error::other(message)));
        }
        Ok(text)
    }

    /// Reads the text of a lock file; `path` is only named.
    ///
    /// # Errors
    /// [`LockError`] where it is not one, or of a format that is not known.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let malformed = |error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            LockError::Malformed { path: path.to_owned(), line, message: error.message().replace('\n', " ") }
        };
        let Format { format } = toml::from_str(text).map_err(malformed)?;
        if format != FORMAT {
            return Err(LockError::OtherFormat { path: path.to_owned(), format });
        }
        toml::from_str(text).map_err(malformed)
    }

    /// Leaves what an earlier lock names valid, behind what is named here.
    #[must_use]
    pub fn before(mut self, earlier: Self) -> Self {
        for content in earlier.contents {
            let same = |other: &&LockedContent| other.name == content.name && other.target == content.target;
            let named = self.contents.iter().any(|other| other.sha256 == content.sha256);
            if !named && self.contents.iter().filter(same).count() < LOCKED_CONTENTS_MAX {
                self.contents.push(content);
            }
        }
        self.sorted()
    }

    /// The text of the file: the same for the same contents.
    ///
    /// # Errors
    /// None that is known: it has texts and numbers only.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }

    /// By name, and what was before of one name stays before.
    fn sorted(mut self) -> Self {
        self.contents.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

// === impl LockedContent ===

impl LockedContent {
    fn of(inspected: &Inspected) -> Option<Self> {
        let identity = &inspected.identity;
        let offers = identity.offers.iter().map(|offer| format!("{} {}", offer.kind, offer.name));
        Some(Self {
            name: identity.plugin.clone(),
            version: identity.version.clone(),
            target: identity.target.clone(),
            sha256: inspected.content?,
            glibc: inspected.glibc_needed.map(|glibc| glibc.to_string()),
            offers: offers.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn content(name: &str, version: &str, target: &str, first: char) -> LockedContent {
        LockedContent {
            name: name.to_owned(),
            version: version.to_owned(),
            target: target.to_owned(),
            sha256: format!("{first}{}", "0".repeat(63)).parse().unwrap(),
            glibc: Some("2.34".to_owned()),
            offers: vec!["strategy a".to_owned(), "connector b".to_owned()],
        }
    }

    fn lock(contents: &[LockedContent]) -> Lock {
        Lock { format: FORMAT, contents: contents.to_vec() }.sorted()
    }

    fn versions(lock: &Lock) -> Vec<String> {
        lock.contents.iter().map(|c| format!("{} {} {}", c.name, c.version, c.target)).collect()
    }

    /// What is written is read back, sorted by name, and is the same text again.
    #[test]
    fn round_trip() {
        let lock = lock(&[content("zeta", "1", "x86", 'a'), content("alpha", "2\"", "x86", 'b')]);
        let text = lock.render().unwrap();
        expect![[r#"
            # The plugin files that may be loaded. Written by `cluster-host plugins lock`: change it by that command. Where the
            # configuration has trusted_keys, sign it again after each change: minisign -S -m plugins.lock
            format = 1

            [[plugin]]
            name = "alpha"
            version = '2"'
            target = "x86"
            sha256 = "b000000000000000000000000000000000000000000000000000000000000000"
            glibc = "2.34"
            offers = ["strategy a", "connector b"]

            [[plugin]]
            name = "zeta"
            version = "1"
            target = "x86"
            sha256 = "a000000000000000000000000000000000000000000000000000000000000000"
            glibc = "2.34"
            offers = ["strategy a", "connector b"]
        "#]]
        .assert_eq(&text);
        let read = Lock::parse(&text, Path::new("plugins.lock")).unwrap();
        assert_eq!(read, lock);
        assert_eq!(read.render().unwrap(), text);
        assert_eq!(Lock::parse("format = 1\n", Path::new("x")).unwrap().contents, []);
    }

    /// An earlier lock's contents stay valid behind the new ones, once each, so many of each target and no more.
    #[test]
    fn adding() {
        let earlier = lock(&[
            content("a", "4", "x86", '4'),
            content("a", "3", "x86", '3'),
            content("a", "2", "x86", '2'),
            content("a", "1", "x86", '1'),
            content("a", "1", "arm", '8'),
            content("b", "1", "x86", '9'),
        ]);
        let added = lock(&[content("a", "5", "x86", '5')]).before(earlier.clone());
        assert_eq!(versions(&added), ["a 5 x86", "a 4 x86", "a 3 x86", "a 2 x86", "a 1 arm", "b 1 x86"]);
        assert_eq!(lock(&[content("a", "5", "x86", '5')]).before(added.clone()), added);
        // One that was named before and is now in the directory again becomes the newest.
        let again = lock(&[content("a", "2", "x86", '2')]).before(earlier);
        assert_eq!(versions(&again)[..4], ["a 2 x86", "a 4 x86", "a 3 x86", "a 1 x86"]);
    }

    /// What no host of this version writes is refused with its line, the format first.
    #[test]
    fn malformed() {
        let text = lock(&[content("a", "1", "x86", 'a')]).render().unwrap();
        let error = |text: &str| Lock::parse(text, Path::new("plugins.lock")).unwrap_err().to_string();
        for (text, line, expected) in [
            ("", 1, "missing field `format`"),
            ("format = 1\nnew = 1\n", 2, "unknown field `new`, expected `format` or `plugin`"),
            ("format = 1\n[[plugin]\n", 2, "unclosed array table, expected `]`"),
            (
                &text.replace("a000", "x000"),
                9,
                &format!("\"x{}\" is no SHA-256: write its 64 hexadecimal digits", "0".repeat(63)),
            ),
            (
                &text.replace("sha256 =", "sha512 ="),
                9,
                "unknown field `sha512`, expected one of `name`, `version`, `target`, `sha256`, `glibc`, `offers`",
            ),
        ] {
            let place =
                format!("the lock file plugins.lock:{line} is not what `cluster-host plugins lock` writes: ");
            assert_eq!(error(text), place + expected);
        }
        assert_eq!(
            error("format = 2\nnew = 1\n"),
            "the lock file plugins.lock has format 2, this host knows 1: take a newer cluster-host"
        );
    }
}
