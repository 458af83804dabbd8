//! A host as the API reads it.

use std::sync::Arc;

use cluster_core::{EventLog, NodeName, membership::explain::Explanation};
use cluster_sdk::OfferKind;
use tokio::sync::oneshot;

use super::HostHandle;
use crate::{
    api::{Activity, Answer, Forgotten, PluginUse, Source, TopologyInfo},
    board::Entry,
    hooks::HookInfo,
    metrics::Meters,
    owner::Command,
    plugin::Registry,
    readiness::Readiness,
    reload::{ReloadError, Reloaded},
    state::StateHealth,
};

impl Source for HostHandle {
    fn log(&self) -> &EventLog {
        &self.log
    }

    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn node(&self) -> Option<NodeName> {
        self.board.node()
    }

    fn state(&self) -> StateHealth {
        self.state.health()
    }

    fn topologies(&self) -> Vec<TopologyInfo> {
        let (_, snapshot) = self.log.snapshot();
        let entries = self.board.entries();
        let infos = entries.into_iter().filter_map(|(name, entry)| {
            let status = snapshot.topologies.get(&name)?.as_ref().clone();
            let Entry {
                strategy, plugin, connector, counters, restarts, last_report, last_view, errors, ..
            } = entry;
            Some(TopologyInfo {
                name,
                strategy,
                plugin,
                connector,
                status,
                counters,
                restarts,
                last_report,
                last_view,
                errors,
            })
        });
        infos.collect()
    }

    fn hooks(&self) -> Vec<HookInfo> {
        self.board.hooks.infos(&self.log)
    }

    fn explain(&self, name: NodeName) -> Answer<'_, Option<Explanation>> {
        Box::pin(async move {
            let (answer, explanation) = oneshot::channel();
            self.commands.send(Command::Explain(name, answer)).await.ok()?;
            explanation.await.ok().flatten()
        })
    }

    fn forget(&self, name: NodeName) -> Answer<'_, Option<Forgotten>> {
        Box::pin(async move {
            let (answer, forgotten) = oneshot::channel();
            self.commands.send(Command::Forget(name, answer)).await.ok()?;
            forgotten.await.ok().flatten()
        })
    }

    fn plugins(&self) -> Answer<'_, (Arc<Registry>, Vec<PluginUse>)> {
        Box::pin(async move {
            let registry = match &self.files {
                Some(files) => files.registry().await,
                None => Arc::clone(&self.registry),
            };
            let uses = self.board.entries().into_iter().flat_map(|(topology, entry)| {
                let parts = [(OfferKind::Strategy, entry.strategy), (OfferKind::Connector, entry.connector)];
                parts.map(|(kind, name)| PluginUse { topology: topology.clone(), kind, name })
            });
            (registry, uses.collect())
        })
    }

    fn reload(&self, dry_run: bool) -> Answer<'_, Result<Reloaded, ReloadError>> {
        Box::pin(async move { if dry_run { self.dry_run().await } else { Self::reload(self).await } })
    }

    fn alive(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let (answer, alive) = oneshot::channel();
            self.commands.send(Command::Ping(answer)).await.is_ok() && alive.await.is_ok()
        })
    }

    fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    fn meters(&self) -> &Meters {
        &self.meters
    }
}
