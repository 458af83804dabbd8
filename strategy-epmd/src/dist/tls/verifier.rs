//! A verifier of a dialled node's certificate for the two ways of asking less than rustls does.
//!
//! It still checks the signatures of the TLS handshake: the other side has the key of the certificate that it shows.

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// Takes certificates with any name in them.
#[derive(Debug)]
pub(super) struct Lenient {
    /// Whose certificates are taken; anybody's where absent, so that one proves nothing.
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

// === impl Lenient ===

impl Lenient {
    /// `verify_none`: takes any certificate.
    pub(super) fn any_certificate(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { roots: None, algorithms }
    }

    /// `server_name_indication = false`: takes a certificate of a CA that is trusted, whatever name is in it.
    pub(super) fn any_name(roots: RootCertStore, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { roots: Some(roots), algorithms }
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
