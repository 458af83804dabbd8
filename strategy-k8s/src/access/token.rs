//! The service account's token, which the kubelet replaces before it expires.

use std::{
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use http::HeaderValue;

/// Bytes that a token may have at most. They are some 1,000.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// The file of a token. It is read for each request: these are one a minute.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    /// What was read last. It goes on to be used while the file has none, as in Kubernetes' own clients.
    last: Mutex<Option<HeaderValue>>,
}

/// The file cannot be read and never could, or holds no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("token file {path:?} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("token file {0:?} is empty, or has what is no token")]
    NoToken(PathBuf),
}

impl TokenFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new(None) }
    }

    /// The token as it is sent.
    pub(crate) fn header(&self) -> Result<HeaderValue, TokenError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.read() {
            Ok(header) => Ok(last.insert(header).clone()),
            // It may be just about to be written.
            Err(err) => last.clone().ok_or(err),
        }
    }

    /// Files made by hand end with a newline, which is no part of the token.
    fn read(&self) -> Result<HeaderValue, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: self.path.clone(), source };
        let no_token = || TokenError::NoToken(self.path.clone());
        let text = std::fs::read_to_string(&self.path).map_err(unreadable)?;
        let token = Some(text.trim()).filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()));
        let header = format!("Bearer {}", token.ok_or_else(no_token)?);
        let mut header = HeaderValue::try_from(header).map_err(|_no_header| no_token())?;
        header.set_sensitive(true);
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White space around a token is no part of it; a new one is taken at once; while there is none the last one counts;
    /// no error and no debug output shows it.
    #[test]
    fn reading() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(matches!(file.header(), Err(TokenError::Unreadable { .. })));
        for wrong in ["", " \n", "s3cret\nof two lines"] {
            std::fs::write(&path, wrong).unwrap();
            let err = file.header().unwrap_err();
            assert!(matches!(err, TokenError::NoToken(_)) && !err.to_string().contains("s3cret"), "{err}");
        }
        std::fs::write(&path, "  s3cret-1\n").unwrap();
        assert_eq!(file.header().unwrap(), "Bearer s3cret-1");
        std::fs::write(&path, "s3cret-2").unwrap();
        assert_eq!(file.header().unwrap(), "Bearer s3cret-2");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.header().unwrap(), "Bearer s3cret-2");
        assert!(!format!("{file:?}").contains("s3cret"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.header().unwrap(), "Bearer s3cret-2");
    }
}
