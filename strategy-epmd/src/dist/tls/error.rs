//! What can go wrong with TLS, in words for who can mend it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::{
    AlertDescription, CertificateError, Error,
    pki_types::{InvalidDnsNameError, UnixTime, pem},
};

/// Why there is no TLS connection. Nothing was changed by the try, and the next one reads the files again: what an
/// operator mends counts without a restart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TlsError {
    /// A file cannot be read. For the operator of this side.
    #[error("{option} {path:?} cannot be read")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is no PEM. For the operator of this side.
    #[error("{option} {path:?} is damaged")]
    Pem {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in a file. For the operator of this side.
    #[error("{option} {path:?} has no certificate: PEM is expected, with a line -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in a file. For the operator of this side.
    #[error("{option} {path:?} has no private key: name the file that has it by keyfile")]
    NoKey {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The private key is encrypted. For the operator of this side.
    #[error(
        "the private key in {option} {path:?} is encrypted: write a plain one (openssl pkey -in KEYFILE -out PLAIN)"
    )]
    EncryptedKey {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not of one pair. For the operator of this side.
    #[error("the private key in {keyfile:?} is not that of the first certificate in {certfile:?}")]
    KeyMismatch {
        /// The certificate's file.
        certfile: PathBuf,
        /// The key's file.
        keyfile: PathBuf,
    },
    /// Key or certificate cannot be used. For the operator of this side.
    #[error("the certificate in {certfile:?} and the key in {keyfile:?} cannot be used")]
    Identity {
        /// The certificate's file.
        certfile: PathBuf,
        /// The key's file.
        keyfile: PathBuf,
        /// What is wrong.
        #[source]
        source: Error,
    },
    /// A CA's certificate cannot be used. For the operator of this side.
    #[error("certificate number {number} in cacertfile {path:?} cannot be used as a CA's")]
    Ca {
        /// The file.
        path: PathBuf,
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong.
        #[source]
        source: Error,
    },
    /// Nodes dial this side, which has no certificate to show. For the operator of this side.
    #[error("there is no certfile, which is required where nodes dial this side")]
    NoCertfile,
    /// Nothing says whom to trust. For the operator of this side.
    #[error("there is no cacertfile, which is required with verify_peer")]
    NoCacertfile,
    /// The host part of the node's name can be in no certificate. For the operator of this side.
    #[error(
        "{name:?} is no DNS name and no IP address: say by server_name_indication what the certificate has"
    )]
    Name {
        /// The name.
        name: String,
        /// What rustls says to it.
        #[source]
        source: InvalidDnsNameError,
    },
    /// Rustls refuses what was built here. For programmers.
    #[error("bug: TLS cannot be set up")]
    Setup(#[source] Error),
    /// The other side's certificate is signed by nobody who is trusted. For the operator of either side.
    #[error("the node's certificate is signed by no CA in cacertfile {cacertfile:?}")]
    UnknownCa {
        /// The CAs.
        cacertfile: PathBuf,
    },
    /// The other side's certificate has run out. For the node's operator.
    #[error("the node's certificate expired{}", Ago(*.ago))]
    Expired {
        /// How long ago.
        ago: Option<Duration>,
    },
    /// The other side's certificate is for later. For the operator of either side.
    #[error("the node's certificate is not valid yet: compare the clocks")]
    NotYetValid,
    /// The other side's certificate is not for this node. For the operator of either side.
    #[error(
        "the node's certificate is not for {expected} but for {presented}: have it as a subject alternative name \
         (an IP address as IP:, not DNS:), or say by server_name_indication what to expect"
    )]
    WrongName {
        /// The name that was expected.
        expected: String,
        /// The names that are there.
        presented: String,
    },
    /// The other side's certificate is wrong in another way. For the node's operator.
    #[error("the node's certificate cannot be accepted: {reason}")]
    PeerCertificate {
        /// In which way.
        reason: String,
    },
    /// A node that dialled has no certificate. For the operator of either side.
    #[error(
        "the node showed no certificate: give it a certfile in the client list of its ssl_dist_optfile, or set \
         fail_if_no_peer_cert = false here"
    )]
    NoPeerCertificate,
    /// The other side wants a certificate. For the operator of this side.
    #[error("the node wants a certificate (fail_if_no_peer_cert) and there is no certfile to show")]
    CertificateWanted,
    /// The other side ended the handshake. For the operator of this side.
    #[error("the node refuses {}: {reason}", Ours(.certfile.as_deref()))]
    Refused {
        /// What we may have shown.
        certfile: Option<PathBuf>,
        /// What it said.
        reason: String,
    },
    /// The two have no version or cipher in common. For the operator of either side.
    #[error("the node and this side speak no common TLS: compare versions with its ssl_dist_optfile")]
    Incompatible(#[source] Error),
    /// What came is no TLS. For the operator of either side.
    #[error("the node speaks no TLS: start it with -proto_dist inet_tls, or leave out tls here")]
    NotTls,
    /// The other side hung up.
    #[error(
        "the node closed the connection in the TLS handshake: it speaks no TLS (-proto_dist inet_tls), or its log \
         says why"
    )]
    Closed,
    /// Another fault of the protocol. Its log may say more.
    #[error("the TLS connection failed")]
    Protocol(#[source] Error),
    /// The connection failed under TLS. Trying again may help.
    #[error("the connection failed in the TLS handshake")]
    Io(#[source] io::Error),
}

/// ` 3 days ago`, or nothing where it is not known.
struct Ago(Option<Duration>);

/// What the other side refuses.
struct Ours<'a>(Option<&'a Path>);

// === impl TlsError ===

impl TlsError {
    /// What rustls says by an error of a socket; none where it says nothing.
    pub(super) fn of_tls(
        error: &io::Error,
        cacertfile: Option<&Path>,
        certfile: Option<&Path>,
    ) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(reason) => Self::of_certificate(reason, cacertfile),
            Error::NoCertificatesPresented => Self::NoPeerCertificate,
            Error::AlertReceived(alert) => Self::of_alert(*alert, error, certfile),
            Error::PeerIncompatible(_) => Self::Incompatible(error.clone()),
            Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Protocol(error.clone()),
        })
    }

    /// What the socket itself says.
    pub(super) fn of_tcp(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }

    fn of_certificate(error: &CertificateError, cacertfile: Option<&Path>) -> Self {
        let other = |reason: &str| Self::PeerCertificate { reason: reason.to_owned() };
        match error {
            // A bad signature is what a CA that was made anew under its old name leads to.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match cacertfile {
                Some(path) => Self::UnknownCa { cacertfile: path.to_owned() },
                None => Self::PeerCertificate { reason: error.to_string() },
            },
            CertificateError::Expired => Self::Expired { ago: None },
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { ago: between(*not_after, *time) }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForNameContext { expected, presented } => Self::WrongName {
                expected: expected.to_str().into_owned(),
                presented: if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") },
            },
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => other(
                "its extended key usage does not have what this side of a connection needs (serverAuth, clientAuth)",
            ),
            // These two are told in no variant of their own.
            CertificateError::Other(reason) if reason.to_string().contains("CaUsedAsEndEntity") => {
                other("it is a CA's (CA:TRUE): issue one with CA:FALSE for the node")
            }
            CertificateError::Other(reason) if reason.to_string().contains("UnsupportedCertVersion") => {
                other("it has not version 3: issue it with extensions, such as subject alternative names")
            }
            _ => Self::PeerCertificate { reason: error.to_string() },
        }
    }

    fn of_alert(alert: AlertDescription, error: &Error, certfile: Option<&Path>) -> Self {
        let reason = match alert {
            AlertDescription::CertificateRequired => return Self::CertificateWanted,
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
                return Self::Incompatible(error.clone());
            }
            AlertDescription::UnknownCA => "its cacertfile does not have the CA",
            AlertDescription::CertificateExpired => "it expired",
            AlertDescription::HandshakeFailure if certfile.is_none() => {
                "without a certfile to show: it may want one (fail_if_no_peer_cert); its log says more"
            }
            AlertDescription::HandshakeFailure => {
                "handshake failure, which may be the names in the certificate; its log says more"
            }
            _ => {
                return Self::Refused {
                    certfile: certfile.map(Path::to_owned),
                    reason: format!("{alert:?}"),
                };
            }
        };
        Self::Refused { certfile: certfile.map(Path::to_owned), reason: reason.to_owned() }
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> Option<Duration> {
    later.as_secs().checked_sub(earlier.as_secs()).map(Duration::from_secs)
}

// === impl Ago ===

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ago) = self.0 else { return Ok(()) };
        let hours = ago.as_secs() / 3600;
        match hours {
            0 => write!(f, " {} s ago", ago.as_secs()),
            1..48 => write!(f, " {hours} h ago"),
            _ => write!(f, " {} days ago", hours / 24),
        }
    }
}

// === impl Ours ===

impl fmt::Display for Ours<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(certfile) => write!(f, "the certificate in {certfile:?}"),
            None => f.write_str("the connection"),
        }
    }
}
