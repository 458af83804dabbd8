//! Where the programs are.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The programs of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) api_server: PathBuf,
    pub(crate) etcd: PathBuf,
}

impl Binaries {
    pub(crate) fn of_this_process() -> Result<Option<Self>, String> {
        Self::find(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    /// What the environment names, else what is on its PATH; nothing where one of them is not there. What is named and
    /// not there is a mistake.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, String> {
        let named = |name: &str, program: &str| match variable(name).map(PathBuf::from) {
            Some(path) if path.is_file() => Ok(Some(path)),
            Some(path) => Err(format!("{name} names {}, which is no file", path.display())),
            None => Ok(on_path(&variable("PATH").unwrap_or_default(), Path::new(program))),
        };
        let (api_server, etcd) = (named("KUBE_APISERVER", "kube-apiserver")?, named("ETCD", "etcd")?);
        match (api_server, etcd) {
            (Some(api_server), Some(etcd)) => Ok(Some(Self { api_server, etcd })),
            (None, Some(_)) if variable("ETCD").is_some() => {
                Err("ETCD is set, and KUBE_APISERVER is not".into())
            }
            (Some(_), None) if variable("KUBE_APISERVER").is_some() => {
                Err("KUBE_APISERVER is set, and ETCD is not".into())
            }
            (None, _) | (_, None) => Ok(None),
        }
    }
}

fn on_path(path: &OsString, program: &Path) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}
