//! The files of a service account, as a pod has them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::transport::Served;

/// A directory with `token`, `ca.crt` and `namespace`, which is deleted when this is dropped.
#[derive(Debug)]
pub struct ServiceAccount {
    directory: TempDir,
}

// === impl ServiceAccount ===

impl ServiceAccount {
    /// The files for a server.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    #[must_use]
    pub fn new(served: &Served, namespace: &str, token: &str) -> Self {
        Self::with_ca(&served.ca_pem(), namespace, token)
    }

    /// The files for a server that this authority vouches for.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    #[must_use]
    pub fn with_ca(ca_pem: &str, namespace: &str, token: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let account = Self { directory };
        account.write("namespace", namespace);
        account.write_token(token);
        account.write_ca(ca_pem);
        account
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the token.
    pub fn write_token(&self, token: &str) {
        self.write("token", token);
    }

    /// Replaces the certificate of the authority.
    pub fn write_ca(&self, pem: &str) {
        self.write("ca.crt", pem);
    }

    /// Takes a file away.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path().join(file)).expect("the file is there");
    }

    /// Replaces a file at once, as the kubelet does: nobody reads half of it.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, file: &str, content: &str) {
        let new = self.path().join(format!(".{file}"));
        fs::write(&new, content).expect("the file can be written");
        fs::rename(&new, self.path().join(file)).expect("the file can be replaced");
    }
}
