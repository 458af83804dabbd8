//! TLS for Erlang distribution, as a BEAM started with `-proto_dist inet_tls` speaks it.
//!
//! ```text
//! TcpStream ── connect / accept ──► TlsStream ── handshake, link
//! ```
//!
//! The messages inside are those without TLS, but for one thing: **each frame of the handshake has a length of four
//! bytes, not of two**, as those of the link have.
//!
//! The files are read at each connection: they are few, and a rotated certificate counts without a restart.

mod error;
mod files;
#[cfg(test)]
mod tests;
mod verifier;

use std::{
    borrow::Cow,
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster_sdk::{ConfigError, Secret};
use rustls::{
    ClientConfig, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub(crate) use self::error::TlsError;
use self::{files::Identity, verifier::Lenient};

/// TLS for the links to BEAM nodes that run with `-proto_dist inet_tls`. The options are those of such a node's
/// `ssl_dist_optfile`, under their names; one table stands for its `client` and its `server` list.
///
/// The files are PEM, and are read again for each connection. Certificates need version 3, names as subject
/// alternative names (a common name counts for nothing) and CA:FALSE: the self-signed certificate that `openssl req
/// -x509` makes is a CA's, and does as `cacertfile`, not as a node's. Where a certificate lists extended key usages,
/// a node that dials needs clientAuth and one that is dialled serverAuth; a BEAM node does both. Revocation lists are
/// not read.
///
/// Nodes with an IP address behind the @ need certificates with both `IP:10.0.0.7` and `DNS:10.0.0.7` where all sides
/// verify. This side looks for an address among the addresses, a BEAM node of OTP 25 among the DNS names, and its
/// optfile cannot change that: `{server_name_indication, disable}` has no effect there. Here, where certificates
/// have the DNS form alone, `server_name_indication = false` leaves the check out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// This side's certificate, followed by those of the intermediate CAs, which are sent along as they stand here.
    /// Required where nodes dial this side (mode mesh), and where the nodes that are dialled ask for one
    /// (`fail_if_no_peer_cert`).
    certfile: Option<PathBuf>,
    /// The certificate's private key, not encrypted. Default: in `certfile`.
    keyfile: Option<PathBuf>,
    /// The CAs whose certificates are trusted. Required with `verify_peer`. The system's CAs are never used.
    cacertfile: Option<PathBuf>,
    /// Whether the other side has to prove who it is. `verify_none` encrypts, and that is all: whoever can answer at
    /// a node's address, or get between, reads and changes everything; the cookie's challenge does not bind the
    /// connection. Then nodes that dial are not asked for a certificate either, and `cacertfile` has no effect. A
    /// BEAM node up to OTP 25 has `verify_none` as its default; here it must be written down.
    #[serde(default)]
    verify: Verify,
    /// Whether a node that dials this side must show a certificate. Default: true with `verify_peer`, unlike a BEAM
    /// node's, whose `verify_peer` lets in who shows none.
    fail_if_no_peer_cert: Option<bool>,
    /// The name that the certificate of a node that is dialled must have, in the place of the host part of the node's
    /// name. `false` (a BEAM node's `disable`) is to check no name: then every node with a certificate of these CAs
    /// can pass for every other.
    #[serde(default)]
    server_name_indication: Expected,
    /// The versions that are spoken. Default: both. A BEAM node up to OTP 25 speaks TLS 1.2 alone unless its optfile
    /// has `versions`.
    #[serde(default = "every_version")]
    versions: Vec<Version>,
    /// Refused: keys that are encrypted cannot be read here.
    password: Option<Secret>,
}

/// Whether the other side has to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub(crate) enum Verify {
    /// By a certificate of a CA in `cacertfile`.
    #[default]
    #[serde(rename = "verify_peer")]
    Peer,
    /// No.
    #[serde(rename = "verify_none")]
    None,
}

/// The name in the certificate of a node that is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Expected {
    /// The host part of the node's name.
    #[default]
    Host,
    /// This name.
    Name(String),
    /// Whatever it is.
    Any,
}

/// A version of TLS, as a BEAM node calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Version {
    /// TLS 1.2
    #[serde(rename = "tlsv1.2")]
    Tls12,
    /// TLS 1.3
    #[serde(rename = "tlsv1.3")]
    Tls13,
}

/// Starts TLS with a node that was dialled; `node_host` is the host part of its name.
///
/// There is no deadline here, and one is needed: a node without TLS takes the first bytes for the length of a frame
/// and waits for the rest. Under TLS 1.3 this side is done before the node has looked at its certificate: a refusal
/// comes with the first read, and [`TlsConfig::explain`] knows it.
///
/// # Errors
/// [`TlsError`]: the files cannot be used, or what went wrong between the two. The connection is gone.
pub(crate) async fn connect(
    config: &TlsConfig,
    stream: TcpStream,
    node_host: &str,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = config.expected_name(node_host)?;
    let connector = TlsConnector::from(Arc::new(config.client()?));
    let connected = connector.connect(name, stream).await;
    connected.map(TlsStream::Client).map_err(|err| config.handshake_error(err))
}

/// Starts TLS with a node that dialled. The deadline is the caller's.
///
/// # Errors
/// [`TlsError`]: the files cannot be used, or what went wrong between the two. The connection is gone.
pub(crate) async fn accept(config: &TlsConfig, stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
    let acceptor = TlsAcceptor::from(Arc::new(config.server()?));
    acceptor.accept(stream).await.map(TlsStream::Server).map_err(|err| config.handshake_error(err))
}

// === impl TlsConfig ===

impl TlsConfig {
    /// What is wrong with it for a side that only dials.
    pub(crate) fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |path: &str, message: &str| errors.push(ConfigError::new(path, message));
        if self.verify == Verify::Peer && self.cacertfile.is_none() {
            error(
                "cacertfile",
                "is required with verify_peer: the PEM file of the CAs to trust, or verify = \"verify_none\"",
            );
        }
        if self.verify == Verify::None && self.fail_if_no_peer_cert == Some(true) {
            error(
                "fail_if_no_peer_cert",
                "no certificate is asked for with verify_none: verify = \"verify_peer\"",
            );
        }
        if self.keyfile.is_some() && self.certfile.is_none() {
            error("certfile", "is required with keyfile: the certificate of the key");
        }
        if self.versions.is_empty() {
            error("versions", "is empty: give \"tlsv1.2\", \"tlsv1.3\" or both, or leave it out");
        }
        if let Expected::Name(name) = &self.server_name_indication
            && ServerName::try_from(name.as_str()).is_err()
        {
            error("server_name_indication", "is no DNS name and no IP address; false is to check no name");
        }
        if self.password.is_some() {
            error(
                "password",
                "encrypted keys cannot be read here: write a plain one (openssl pkey -in KEYFILE -out PLAIN), with \
                 mode 0400, and leave out the password",
            );
        }
        errors
    }

    /// What is wrong with it for a side that is dialled as well.
    pub(crate) fn validate_to_accept(&self) -> Vec<ConfigError> {
        let mut errors = self.validate();
        // With a keyfile this is said already.
        if self.certfile.is_none() && self.keyfile.is_none() {
            errors.push(ConfigError::new("certfile", "is required where nodes dial this side"));
        }
        errors
    }

    /// A warning, where the file with the private key can be read or changed by more than its owner and its group.
    pub(crate) fn keyfile_exposed(&self) -> Option<String> {
        let (option, path) = self.key()?;
        let mode = files::mode(path)?;
        let what = match mode {
            _ if mode & 0o022 != 0 => "change",
            _ if mode & 0o004 != 0 => "read",
            _ => return None,
        };
        Some(format!(
            "{option} {path:?} has the private key, and its mode {:04o} lets others {what} it: chmod 0400, or \
             0440 for a group",
            mode & 0o7777
        ))
    }

    /// What an error of a read or write means, where TLS has a word for it: a node's refusal of this side's
    /// certificate comes that late.
    pub(crate) fn explain(&self, error: &std::io::Error) -> Option<TlsError> {
        TlsError::of_tls(error, self.cacertfile.as_deref(), self.certfile.as_deref())
    }

    fn handshake_error(&self, error: std::io::Error) -> TlsError {
        self.explain(&error).unwrap_or_else(|| TlsError::of_tcp(error))
    }

    fn key(&self) -> Option<(&'static str, &Path)> {
        match (&self.keyfile, &self.certfile) {
            (Some(path), _) => Some(("keyfile", path)),
            (None, Some(path)) => Some(("certfile", path)),
            (None, None) => None,
        }
    }

    fn identity(&self) -> Result<Option<Identity>, TlsError> {
        let (Some(certfile), Some(key)) = (&self.certfile, self.key()) else {
            return Ok(None);
        };
        Identity::read(certfile, key).map(Some)
    }

    fn expected_name(&self, node_host: &str) -> Result<ServerName<'static>, TlsError> {
        // Neither sent nor compared where it stands in for a name.
        let none = || ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let name = match &self.server_name_indication {
            Expected::Host => node_host,
            Expected::Name(name) => name,
            Expected::Any => return Ok(none()),
        };
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(name),
            Err(_) if self.verify == Verify::None => Ok(none()),
            Err(source) => Err(TlsError::Name { name: name.to_owned(), source }),
        }
    }

    fn client(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.protocol_versions())
            .map_err(TlsError::Setup)?;
        let builder = match (self.verify, &self.server_name_indication) {
            (Verify::None, _) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient::any_certificate(algorithms))),
            (Verify::Peer, Expected::Any) => {
                let roots = self.roots()?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Lenient::any_name(roots, algorithms)))
            }
            (Verify::Peer, Expected::Host | Expected::Name(_)) => {
                builder.with_root_certificates(self.roots()?)
            }
        };
        let mut config = match self.identity()? {
            Some(Identity { chain, key, refused }) => {
                builder.with_client_auth_cert(chain, key).map_err(|err| refused.because(err))?
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.server_name_indication != Expected::Any;
        // This configuration is for one connection: there is nothing to resume.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn server(&self) -> Result<ServerConfig, TlsError> {
        let Some(Identity { chain, key, refused }) = self.identity()? else {
            return Err(TlsError::NoCertfile);
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.protocol_versions())
            .map_err(TlsError::Setup)?;
        let builder = match self.verify {
            Verify::Peer => builder.with_client_cert_verifier(self.client_verifier(provider)?),
            Verify::None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|err| refused.because(err))?;
        // As with the client's: for one connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client_verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider);
        let builder = match self.fail_if_no_peer_cert {
            Some(false) => builder.allow_unauthenticated(),
            Some(true) | None => builder,
        };
        builder.build().map_err(|err| TlsError::Setup(rustls::Error::General(err.to_string())))
    }

    fn roots(&self) -> Result<rustls::RootCertStore, TlsError> {
        files::roots(self.cacertfile.as_deref().ok_or(TlsError::NoCacertfile)?)
    }

    fn protocol_versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let supported = |version: &Version| match version {
            Version::Tls12 => &TLS12,
            Version::Tls13 => &TLS13,
        };
        self.versions.iter().map(supported).collect()
    }
}

fn every_version() -> Vec<Version> {
    vec![Version::Tls12, Version::Tls13]
}

// === impl Expected ===

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpectedVisitor)
    }
}

struct ExpectedVisitor;

impl de::Visitor<'_> for ExpectedVisitor {
    type Value = Expected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name in quotes, or false to check none")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Expected, E> {
        Ok(Expected::Name(name.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, check: bool) -> Result<Expected, E> {
        if check { Err(E::invalid_value(de::Unexpected::Bool(true), &self)) } else { Ok(Expected::Any) }
    }
}

impl JsonSchema for Expected {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ServerNameIndication".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "const": false }] })
    }
}
