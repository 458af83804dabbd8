//! The strategy `kubernetes` for `cluster-host`: nodes are the pods that the Kubernetes API tells of.
//!
//! ```text
//! access ─► source (a namespace: list, watch, poll) ─► desk (all of them) ─► host
//!                                                        roster: objects ─► nodes
//! ```

mod access;
mod config;
mod desk;
mod diagnosis;
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
mod sighting;
mod source;
mod surroundings;
#[cfg(test)]
mod testing;
mod trouble;

use std::rc::Rc;

use cluster_sdk::{ConfigError, Context, LocalNode, Result, Rung, Strategy};
use futures_util::future::{join, join_all};
use tokio::{sync::mpsc, time::sleep};

use self::{
    access::{Access, AccessError},
    desk::Desk,
    plan::Plan,
    policy::{Own, Policy},
    roster::Roster,
    source::{BACKOFF, Line, Source},
    surroundings::Surroundings,
};
pub use self::{
    config::{Include, KubernetesConfig, LookupMode, Mode, NAMESPACES_MAX, Namespaces, Terminating},
    endpoint::Family,
};

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

    async fn diagnose(config: &KubernetesConfig, _local: &LocalNode) -> Vec<Rung> {
        diagnosis::diagnose(config).await
    }

    async fn run(config: KubernetesConfig, ctx: Context) -> Result<()> {
        let around = Surroundings::of_this_process();
        let Way { access, lines } = find_way(&config, &around, &ctx).await;
        let own = Own {
            node: ctx.local().name,
            namespace: access.namespace.clone(),
            pod: around.pod_name(&config),
            address: around.pod_ip(&config),
        };
        let roster = Roster::new(Policy::new(&config, &around, own));
        let desk = Rc::new(Desk::new(ctx.clone(), roster, lines.len()));
        let plan = Rc::new(Plan::new(&config, access.server()));
        let sources = lines.into_iter().enumerate().map(|(id, (namespace, line))| {
            Source::new(id, namespace, line, Rc::clone(&desk), Rc::clone(&plan)).run()
        });
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

/// The API server, reached by a line for each namespace that is followed, or one for all.
struct Way {
    access: Access,
    lines: Vec<(Option<String>, Line)>,
}

impl Way {
    async fn find(config: &KubernetesConfig, around: &Surroundings) -> Result<Self, AccessError> {
        let access = Access::resolve(config, around).await?;
        let lines = access.namespaces(config)?.into_iter().map(|namespace| {
            let (journal, answers) = mpsc::unbounded_channel();
            access.client(journal).map(|client| (namespace, Line { client, answers }))
        });
        let lines = lines.collect::<Result<_, _>>()?;
        Ok(Self { access, lines })
    }
}

/// Finds the way to the API server, however long that takes.
async fn find_way(config: &KubernetesConfig, around: &Surroundings, ctx: &Context) -> Way {
    let mut failures = 0_u32;
    loop {
        match Way::find(config, around).await {
            Ok(way) => return way,
            Err(err) => {
                failures = failures.saturating_add(1);
                ctx.degraded(&err.to_string());
                sleep(BACKOFF.wait(failures, fastrand::f64())).await;
            }
        }
    }
}
