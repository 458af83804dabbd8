//! The certificates and keys of a server, as files in PEM.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Certificates and keys, by their paths.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// Who vouches for the server.
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// What the tokens of service accounts are signed and checked with.
    pub(crate) signing_key: PathBuf,
    pub(crate) public_key: PathBuf,
}

impl Certificates {
    /// New ones for 127.0.0.1, in this directory.
    pub(crate) fn generate(directory: &Path) -> Self {
        let write = |file: &str, pem: String| {
            let path = directory.join(file);
            fs::write(&path, pem).unwrap();
            path
        };
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "test authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);

        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer).unwrap().pem();

        let signing = KeyPair::generate().unwrap();
        Self {
            authority: write("ca.crt", ca_pem),
            certificate: write("apiserver.crt", certificate),
            key: write("apiserver.key", key.serialize_pem()),
            signing_key: write("service-account.key", signing.serialize_pem()),
            public_key: write("service-account.pub", signing.public_key_pem()),
        }
    }
}
