//! The cookie: what lets a node into the cluster, and into the execution of code on each of its nodes. It is read when
//! it is needed and never shown.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

/// Bytes of a cookie at most: those of an atom.
const COOKIE_BYTES_MAX: usize = 255 * 4;
/// Where BEAM nodes of this user have theirs.
const HOME_FILE: &str = ".erlang.cookie";

/// Where the cookie is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CookieSource {
    File(PathBuf),
    Variable(String),
    /// `$HOME/.erlang.cookie`.
    Home,
}

/// A cookie, which shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cookie(Vec<u8>);

/// A cookie, and whether others can read it too.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) cookie: Cookie,
    /// The file that every user of the machine can read.
    pub(crate) exposed: Option<PathBuf>,
}

/// Why there is no cookie. An operator can mend it; it is read again with the next try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CookieError {
    #[error("cookie file {path:?} cannot be read: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("there is no cookie in {path:?}: {source}; give the connector a cookie_file or cookie_env")]
    Home { path: PathBuf, source: io::Error },
    #[error("cookie file {0:?} is no regular file")]
    NotAFile(PathBuf),
    #[error("variable {0} of the environment, which should have the cookie, is not set")]
    Unset(String),
    #[error("$HOME is not set: give the connector a cookie_file or cookie_env")]
    NoHome,
    #[error("the cookie in {0} is empty")]
    Empty(String),
    #[error("the cookie in {0} has more than {COOKIE_BYTES_MAX} bytes")]
    TooLong(String),
    #[error("the cookie in {0} has a line's end in it")]
    Lines(String),
}

// === impl CookieSource ===

impl CookieSource {
    /// Reads it. A symbolic link is followed, as Kubernetes' secrets are some.
    ///
    /// # Errors
    /// [`CookieError`].
    pub(crate) fn read(&self) -> Result<Found, CookieError> {
        match self {
            Self::File(path) => from_file(path.clone()),
            Self::Variable(variable) => {
                let value = std::env::var_os(variable).ok_or_else(|| CookieError::Unset(variable.clone()))?;
                let cookie = Cookie::parse(value.as_encoded_bytes(), &format!("${variable}"))?;
                Ok(Found { cookie, exposed: None })
            }
            Self::Home => {
                let home = std::env::var_os("HOME").ok_or(CookieError::NoHome)?;
                from_file(PathBuf::from(home).join(HOME_FILE)).map_err(|error| match error {
                    CookieError::File { path, source } => CookieError::Home { path, source },
                    other => other,
                })
            }
        }
    }
}

impl fmt::Display for CookieSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(variable) => write!(f, "${variable}"),
            Self::Home => write!(f, "$HOME/{HOME_FILE}"),
        }
    }
}

fn from_file(path: PathBuf) -> Result<Found, CookieError> {
    let failed = |source| CookieError::File { path: path.clone(), source };
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(CookieError::NotAFile(path));
    }
    let mut bytes = Vec::new();
    // A byte more than allowed, and room for the line's end, tell whether it is too long.
    let most = u64::try_from(COOKIE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(3);
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    let cookie = Cookie::parse(&bytes, &path.display().to_string())?;
    let exposed = metadata.permissions().mode() & 0o004 != 0;
    Ok(Found { cookie, exposed: exposed.then_some(path) })
}

// === impl Cookie ===

impl Cookie {
    fn parse(bytes: &[u8], place: &str) -> Result<Self, CookieError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(CookieError::Empty(place.to_owned()));
        }
        if bytes.len() > COOKIE_BYTES_MAX {
            return Err(CookieError::TooLong(place.to_owned()));
        }
        if bytes.contains(&b'\n') {
            return Err(CookieError::Lines(place.to_owned()));
        }
        Ok(Self(bytes.to_vec()))
    }

    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
