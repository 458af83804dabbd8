//! The command lines of a server and its etcd, and the file of its tokens.

use std::{fmt::Write as _, path::PathBuf};

use crate::certificates::Certificates;

/// The files and ports of a server and its etcd.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) directory: PathBuf,
    pub(crate) certificates: Certificates,
    pub(crate) tokens: PathBuf,
    pub(crate) ports: Ports,
}

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) etcd_client: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) api_server: u16,
}

impl Layout {
    /// The arguments of `etcd`. What it writes need not outlive the machine.
    pub(crate) fn etcd(&self, may_skip_fsync: bool) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd_client);
        let peer = format!("http://127.0.0.1:{}", self.ports.etcd_peer);
        let mut arguments = vec![
            "--name=default".to_owned(),
            format!("--data-dir={}", self.directory.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ];
        if may_skip_fsync {
            arguments.push("--unsafe-no-fsync=true".to_owned());
        }
        arguments
    }

    /// The arguments of `kube-apiserver`.
    pub(crate) fn api_server(&self) -> Vec<String> {
        let files = &self.certificates;
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd_client),
            "--bind-address=127.0.0.1".to_owned(),
            // By itself it looks for the address of a network, which need not be there.
            "--advertise-address=127.0.0.1".to_owned(),
            // It would write that address, which it does not take, into the Endpoints of the Service `kubernetes`.
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--secure-port={}", self.ports.api_server),
            format!("--cert-dir={}", self.directory.display()),
            format!("--tls-cert-file={}", files.certificate.display()),
            format!("--tls-private-key-file={}", files.key.display()),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", files.public_key.display()),
            format!("--service-account-signing-key-file={}", files.signing_key.display()),
            format!("--token-auth-file={}", self.tokens.display()),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            // Without a controller there are no service accounts that pods could be of.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]
    }
}

/// The file of tokens: token, user, uid, groups. The first user is the one who may do everything.
pub(crate) fn tokens(users: &[(&str, &str)]) -> String {
    let mut lines = String::new();
    for (index, (token, user)) in users.iter().enumerate() {
        let groups = if index == 0 { ",\"system:masters\"" } else { "" };
        writeln!(lines, "{token},{user},uid-{index}{groups}").unwrap();
    }
    lines
}
