//! The strategy `kubernetes` for `cluster-host`: nodes are the pods that the Kubernetes API tells of.
//!
//! ```text
//! access ─► source (a namespace: list, watch, poll) ─► desk (all of them) ─► host
//!                                                        roster: objects ─► nodes
//! ```

mod access;
mod config;
mod desk;
mod endpoint;
#[cfg(test)]
mod libcluster;
mod naming;
mod object;
mod plan;
mod policy;
mod report;
mod rights;
mod roster;
mod source;
mod surroundings;
#[cfg(test)]
mod testing;
mod trouble;

use std::{rc::Rc, time::Duration};

use cluster_sdk::{Backoff, ConfigError, Context, LocalNode, Result, Strategy, anyhow::bail};
use futures_util::future::{join, join_all};
use tokio::{sync::mpsc, time::sleep};

use self::{
    access::Access,
    desk::Desk,
    plan::Plan,
    policy::{Own, Policy},
    roster::Roster,
    source::{Line, Source},
    surroundings::Surroundings,
};
pub use self::{
    config::{Include, KubernetesConfig, LookupMode, Mode, NAMESPACES_MAX, Namespaces, Terminating},
    endpoint::Family,
};

/// Waits between tries to find the way to the API server: for files that are not there yet.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_millis(1_500) };

/// The strategy `kubernetes`.
#[derive(Debug)]
pub struct Kubernetes;

cluster_sdk::export_plugin!(strategies: [Kubernetes]);

// === impl Kubernetes ===

impl Strategy for Kubernetes {
    const NAME: &'static str = "kubernetes";
    type Config = KubernetesConfig;

    fn validate(config: &KubernetesConfig, local: &LocalNode) -> Vec<ConfigError> {
        config.errors(local)
    }

    async fn run(config: KubernetesConfig, ctx: Context) -> Result<()> {
        let around = Surroundings::of_this_process();
        let access = find_way(&config, &around, &ctx).await;
        let namespaces: Vec<Option<String>> = match (&config.kubernetes_namespace, &access.namespace) {
            (Some(Namespaces::All), _) => vec![None],
            (Some(Namespaces::These(names)), _) => names.iter().cloned().map(Some).collect(),
            (None, Some(own)) => vec![Some(own.clone())],
            (None, None) => bail!(
                "no namespace: {:?} is not there; give kubernetes_namespace",
                config.service_account("namespace")
            ),
        };
        let own = Own {
            node: ctx.local().name,
            namespace: access.namespace.clone(),
            pod: around.pod_name(&config),
            address: around.pod_ip(&config),
        };
        let roster = Roster::new(Policy::new(&config, &around, own));
        let desk = Rc::new(Desk::new(ctx.clone(), roster, namespaces.len()));
        let plan = Rc::new(Plan::new(&config, access.server()));
        let mut sources = Vec::new();
        for (id, namespace) in namespaces.into_iter().enumerate() {
            let (journal, answers) = mpsc::unbounded_channel();
            let line = Line { client: access.client(journal)?, answers };
            sources.push(Source::new(id, namespace, line, Rc::clone(&desk), Rc::clone(&plan)).run());
        }
        let own_name = async {
            loop {
                ctx.local_changed().await;
                desk.handle_own_name(ctx.local().name);
            }
        };
        // Both go on for ever.
        join(join_all(sources), own_name).await;
        Ok(())
    }
}

/// Finds the way to the API server, however long that takes.
async fn find_way(config: &KubernetesConfig, around: &Surroundings, ctx: &Context) -> Access {
    let mut failures = 0_u32;
    loop {
        let found = Access::resolve(config, around).await;
        // Its certificates and keys are looked at too.
        let usable =
            found.and_then(|access| access.client(mpsc::unbounded_channel().0).map(|_client| access));
        match usable {
            Ok(access) => return access,
            Err(err) => {
                failures = failures.saturating_add(1);
                ctx.degraded(&err.to_string());
                sleep(BACKOFF.wait(failures, fastrand::f64())).await;
            }
        }
    }
}
