//! A certificate for the server, and who vouches for it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The names under which a server is reached, in a test and in a cluster.
const NAMES: [&str; 4] =
    ["127.0.0.1", "localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// A certificate authority and a server that it vouches for.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The authority's certificate.
    pub(crate) ca_pem: String,
    /// The server's certificate and key.
    pub(crate) config: Arc<ServerConfig>,
}

// === impl Identity ===

impl Identity {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If there is no randomness.
    pub(crate) fn generate() -> Self {
        let ca_key = KeyPair::generate().expect("a key can be made");
        let mut ca = CertificateParams::new(Vec::new()).expect("no names are valid names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_pem = ca.self_signed(&ca_key).expect("an authority can be made").pem();
        let issuer = Issuer::new(ca, ca_key);

        let key = KeyPair::generate().expect("a key can be made");
        let leaf = CertificateParams::new(NAMES.map(str::to_owned)).expect("the names are valid");
        let certificate = leaf.signed_by(&key, &issuer).expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self::new(vec![certificate.der().clone()], key, ca_pem)
    }

    /// One that is there already.
    ///
    /// # Panics
    ///
    /// If it is not what it should be.
    pub(crate) fn of_pem(certificate: &str, key: &str, authority: &str) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("a certificate in PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key in PEM");
        Self::new(chain, key, authority.to_owned())
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, ca_pem: String) -> Self {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { ca_pem, config: Arc::new(config) }
    }
}
