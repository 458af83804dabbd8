//! The small server of the tests, with the certificates and tokens that a real one would be given.

use std::fs;

use tempfile::TempDir;
use test_apiserver::{ApiServer, Served};

use crate::{
    certificates::Certificates,
    cluster::{Server, USERS},
};

/// It.
pub(crate) struct Fake {
    api: ApiServer,
    served: Served,
    authority: String,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let files = Certificates::generate(directory.path());
        let [certificate, key, authority] =
            [files.certificate, files.key, files.authority].map(|path| fs::read_to_string(path).unwrap());
        let api = ApiServer::new();
        api.enforce_roles(&USERS);
        let served = api.serve_tls_as(&certificate, &key, &authority);
        Self { api, served, authority }
    }
}

impl Server for Fake {
    fn url(&self) -> String {
        self.served.url()
    }

    fn authority(&self) -> String {
        self.authority.clone()
    }

    fn kill(&self) {
        self.served.stop();
    }

    fn start_again(&self) {
        self.served.restart();
    }

    fn pause(&self) {
        self.served.pause();
    }

    fn resume(&self) {
        self.served.resume();
    }

    fn compact(&self) {
        self.api.compact();
    }
}
