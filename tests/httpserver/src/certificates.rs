//! An authority, and the certificates that it gives.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

/// Who vouches for servers and clients.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files have them.
#[derive(Debug, Clone)]
pub struct Pem {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

// === impl Authority ===

impl Authority {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If there is no randomness, as with all here.
    #[must_use]
    pub fn generate() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key).expect("an authority can be made").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a client.
    #[must_use]
    pub fn client(&self) -> Pem {
        self.issue("client", ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A certificate for a server of this name.
    #[must_use]
    pub fn server_pem(&self, name: &str) -> Pem {
        self.issue(name, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// TLS for a server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> TlsAcceptor {
        self.acceptor(name, false)
    }

    /// As [`Authority::server`], for clients that have a certificate of this authority.
    #[must_use]
    pub fn server_for_clients(&self, name: &str) -> TlsAcceptor {
        self.acceptor(name, true)
    }

    fn acceptor(&self, name: &str, asks_for_certificate: bool) -> TlsAcceptor {
        let pem = self.server_pem(name);
        let certificate =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions");
        let config = if asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&self.pem)).expect("an authority can be trusted");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.expect("there is an authority"))
        } else {
            config.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("a key in PEM");
        let config = config.with_single_cert(vec![certificate(&pem.certificate)], key);
        TlsAcceptor::from(Arc::new(config.expect("the key belongs to the certificate")))
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Pem {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("the name is valid");
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        Pem { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
