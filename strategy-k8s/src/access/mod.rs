//! The way to the API server: which one it is, who we are there, and how a request goes.

mod address;
mod gate;
mod token;

use std::{
    io,
    path::{Path, PathBuf},
};

use hyper_util::{
    client::legacy::{
        Client as HttpClient,
        connect::{HttpConnector, proxy::Tunnel},
    },
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tower::{BoxError, Layer as _, util::Either};

pub(crate) use self::{
    address::{proxy, server_url},
    gate::{Answer, Gate, Journal},
    token::TokenFile,
};
use crate::{
    config::{KubernetesConfig, Namespaces},
    surroundings::Surroundings,
};

/// How long a connection may take.
const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Bytes that are read from a connection at a time.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Everything about the way to the API server that is found out once.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    config: Config,
    /// The service account's; a kubeconfig brings its own credentials.
    token: Option<PathBuf>,
    /// Where we are ourselves.
    pub(crate) namespace: Option<String>,
}

/// Why there is no way to the API server. Whoever set this up can mend it; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// A file of the service account is not there.
    #[error(
        "service account file {path:?} cannot be read: {source}; in a pod it is there unless automountServiceAccountToken is false; elsewhere give kubeconfig"
    )]
    ServiceAccount { path: PathBuf, source: io::Error },
    /// Without certificates anybody could be the API server.
    #[error(
        "certificates of the API server cannot be read from {path:?}: {source}; mount the service account, give ca_file or, where that is meant, insecure_skip_tls_verify = true"
    )]
    Authority { path: PathBuf, source: io::Error },
    /// The kubeconfig is not there, or not valid. The error itself is not kept: its words quote the file.
    #[error("kubeconfig {path:?}: {what}")]
    Kubeconfig { path: PathBuf, what: String },
    /// The token would be shown to whoever is on the way.
    #[error(
        "{0} is without TLS: the token could be read on the way; write https://, or set insecure_skip_tls_verify = true"
    )]
    Plain(String),
    /// Nobody says which namespace is meant.
    #[error("no namespace: {0:?} is not there; give kubernetes_namespace")]
    NoNamespace(PathBuf),
    /// An address is none.
    #[error(transparent)]
    Address(#[from] address::AddressError),
    /// Certificates, keys or credentials of the kubeconfig are not usable.
    #[error("{}", crate::trouble::chain(.0))]
    Client(Box<kube::Error>),
}

impl Access {
    /// Finds out where the API server is and how it is reached. Reads files.
    pub(crate) async fn resolve(
        config: &KubernetesConfig,
        around: &Surroundings,
    ) -> Result<Self, AccessError> {
        let mut access = match &config.kubeconfig {
            Some(path) => Self::of_kubeconfig(path, config.context.as_deref()).await?,
            None => Self::of_service_account(config, around)?,
        };
        if let Some(ca) = &config.ca_file {
            access.config.root_cert = Some(Vec::new());
            access.config.root_cert_file = Some(readable(ca)?);
        }
        if let Some(url) = &config.proxy_url {
            access.config.proxy_url = Some(proxy(url)?);
        }
        // Also where a kubeconfig says so: a config that is copied along is not so many words.
        access.config.accept_invalid_certs = config.insecure_skip_tls_verify;
        if access.config.cluster_url.scheme_str() == Some("http") && !config.insecure_skip_tls_verify {
            return Err(AccessError::Plain(access.server()));
        }
        Ok(access)
    }

    fn of_service_account(config: &KubernetesConfig, around: &Surroundings) -> Result<Self, AccessError> {
        let domain = config.domain(around.cluster_domain.as_deref());
        let url = match (&config.kubernetes_master, &around.api_server) {
            (Some(master), _) => server_url(master, &domain)?,
            (None, Some(in_pod)) => server_url(in_pod, &domain)?,
            (None, None) => server_url("kubernetes.default.svc", &domain)?,
        };
        let mut kube = Config::new(url);
        if config.ca_file.is_none() && !config.insecure_skip_tls_verify {
            // The verifier of this file, which reads it again and again, takes the place of one for no certificates.
            kube.root_cert = Some(Vec::new());
            kube.root_cert_file = Some(readable(&config.service_account("ca.crt"))?);
        }
        let namespace = std::fs::read_to_string(config.service_account("namespace")).ok();
        let namespace = namespace.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let token = config.service_account("token");
        if let Err(source) = std::fs::metadata(&token) {
            return Err(AccessError::ServiceAccount { path: token, source });
        }
        Ok(Self { config: kube, token: Some(token), namespace })
    }

    async fn of_kubeconfig(path: &Path, context: Option<&str>) -> Result<Self, AccessError> {
        let wrong = |err| AccessError::Kubeconfig { path: path.to_owned(), what: kubeconfig_trouble(&err) };
        let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        // By itself it takes a proxy from the environment too, which is not what the file says.
        let named = |name: &str| kubeconfig.contexts.iter().find(|entry| entry.name == name)?.context.clone();
        let cluster =
            context.or(kubeconfig.current_context.as_deref()).and_then(named).map(|context| context.cluster);
        let entry = kubeconfig.clusters.iter().find(|entry| Some(&entry.name) == cluster.as_ref());
        let proxy_url = entry.and_then(|entry| entry.cluster.as_ref()?.proxy_url.clone());
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)?;
        config.proxy_url = proxy_url.filter(|url| !url.is_empty()).map(|url| proxy(&url)).transpose()?;
        let namespace = Some(config.default_namespace.clone());
        Ok(Self { config, token: None, namespace })
    }

    /// The namespaces that are followed; none is all of them.
    pub(crate) fn namespaces(&self, config: &KubernetesConfig) -> Result<Vec<Option<String>>, AccessError> {
        match (&config.kubernetes_namespace, &self.namespace) {
            (Some(Namespaces::All), _) => Ok(vec![None]),
            (Some(Namespaces::These(names)), _) => Ok(names.iter().cloned().map(Some).collect()),
            (None, Some(own)) => Ok(vec![Some(own.clone())]),
            (None, None) => Err(AccessError::NoNamespace(config.service_account("namespace"))),
        }
    }

    /// The API server, for messages.
    pub(crate) fn server(&self) -> String {
        self.config.cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    /// A client with a connection of its own. What its requests came to is told to the journal.
    pub(crate) fn client(&self, journal: Journal) -> Result<Client, AccessError> {
        let kube = &self.config;
        let failed = |err| AccessError::Client(Box::new(err));
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_connect_timeout(Some(CONNECT_WITHIN));
        let mut builder = HttpClient::builder(TokioExecutor::new());
        // It keeps what it once needed.
        builder.http1_max_buf_size(READ_BYTES_MAX);
        let http = match &kube.proxy_url {
            Some(url) => {
                let tunnel = Tunnel::new(url.clone(), direct);
                let tunnel = match address::proxy_credentials(url) {
                    Some(header) => tunnel.with_auth(header),
                    None => tunnel,
                };
                let connector = kube.rustls_https_connector_with_connector(tunnel).map_err(failed)?;
                Either::Left(builder.build::<_, Body>(connector))
            }
            None => {
                let connector = kube.rustls_https_connector_with_connector(direct).map_err(failed)?;
                Either::Right(builder.build::<_, Body>(connector))
            }
        };
        let http = kube.base_uri_layer().layer(kube.extra_headers_layer().map_err(failed)?.layer(http));
        let token = self.token.clone().map(TokenFile::new);
        let namespace = kube.default_namespace.clone();
        Ok(match kube.auth_layer().map_err(failed)? {
            Some(auth) => Client::new(
                Gate::new(auth.layer(tower::util::MapErr::new(http, BoxError::from)), token, journal),
                namespace,
            ),
            None => Client::new(Gate::new(http, token, journal), namespace),
        })
    }
}

/// What is wrong with a kubeconfig. Of YAML that is not understood the place is told, and not what stands there or near it,
/// as that may be a token, a key or a password.
fn kubeconfig_trouble(err: &KubeconfigError) -> String {
    match err {
        KubeconfigError::ReadConfig(err, _) => err.to_string(),
        KubeconfigError::Parse(err) => {
            let place = err.location().map_or_else(String::new, |place| {
                format!(" at line {} column {}", place.line(), place.column())
            });
            format!("is no valid YAML, or not what a kubeconfig has{place}")
        }
        err => err.to_string(),
    }
}

/// The path, when it can be read.
fn readable(path: &Path) -> Result<PathBuf, AccessError> {
    match std::fs::read(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(source) => Err(AccessError::Authority { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use cluster_sdk::config;
    use serde_json::json;

    use super::*;

    /// The namespace is the config's, else that of the service account; where there is neither, that is said.
    #[test]
    fn namespaces() {
        let account = tempfile::tempdir().unwrap();
        std::fs::write(account.path().join("token"), "t").unwrap();
        let resolve = |namespace: Option<&str>| {
            let mut all = json!({
                "kubernetes_node_basename": "app",
                "kubernetes_service_name": "app",
                "kubernetes_service_account_path": account.path(),
                "insecure_skip_tls_verify": true,
            });
            if let Some(namespace) = namespace {
                all["kubernetes_namespace"] = json!(namespace);
            }
            let config: KubernetesConfig = config::parse(all).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let access = runtime.block_on(Access::resolve(&config, &Surroundings::default())).unwrap();
            access.namespaces(&config).map_err(|err| err.to_string())
        };
        let missing = resolve(None).unwrap_err();
        assert!(
            missing.contains("no namespace") && missing.contains("give kubernetes_namespace"),
            "{missing}"
        );
        std::fs::write(account.path().join("namespace"), "own\n").unwrap();
        assert_eq!(resolve(None).unwrap(), [Some("own".to_owned())]);
        assert_eq!(resolve(Some("other")).unwrap(), [Some("other".to_owned())]);
        assert_eq!(resolve(Some("*")).unwrap(), [None]);
    }
}
