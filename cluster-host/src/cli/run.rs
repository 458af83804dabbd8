//! `run`: the daemon in the foreground.

use std::{path::Path, process::ExitCode, sync::Arc};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tracing::{info, warn};

use super::{Exit, RunArgs, complain, plugins};
use crate::{
    api::{Listener, Source as _},
    config::{self, Config, Loaded, Problem},
    host::{Host, HostHandle},
    logging,
    notify::Notifier,
    plugin::Registry,
};

/// Runs the daemon until it is told to end.
pub(super) fn run(args: &RunArgs) -> ExitCode {
    if let Err(error) = logging::init(args.log_format, args.log_level.clone()) {
        complain(&error);
        return Exit::Usage.into();
    }
    // What this process has in its memory and its environment is not for processes of the same user: those of plugins.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "other processes of this user can read the memory of this one");
    }
    let ended = prepare(args).and_then(|(loaded, registry, listeners)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(&args.config, loaded.config, registry, listeners))
    });
    match ended {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            complain(&format!("{error:#}"));
            Exit::Usage.into()
        }
    }
}

/// Where it listens.
struct Listeners {
    api: Listener,
    probes: Option<Listener>,
}

/// Everything that can be wrong before anything runs.
fn prepare(args: &RunArgs) -> anyhow::Result<(Loaded, Registry, Listeners)> {
    let mut registry = plugins::registry(&args.plugins)?;
    let environment = |name: &str| std::env::var(name).ok();
    let checked = config::check(&args.config, &environment, &mut registry);
    let loaded = checked.map_err(|problems| all(&problems))?;
    for warning in config::warnings(&loaded) {
        warn!("{warning}");
    }
    for (kept, refusal) in registry.pending() {
        let (version, file) = (&kept.identity.version, kept.path.display());
        warn!(plugin = kept.identity.plugin, version, %file, "a plugin file is pending, an earlier content of it is used: {refusal}");
    }
    let address = args.listen.clone().or_else(|| loaded.config.api.listen.clone());
    let api = Listener::bind_guarded(&address.unwrap_or_default(), &loaded.config.api.access())?;
    let address = args.probe_listen.as_ref().or(loaded.config.api.probe_listen.as_ref());
    let probes = address.map(Listener::bind_probes).transpose()?;
    Ok((loaded, registry, Listeners { api, probes }))
}

async fn serve(file: &Path, config: Config, registry: Registry, listeners: Listeners) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let Listeners { api, probes } = listeners;
    let (address, watches) = (api.address().clone(), config.reload.watch);
    let probe_address = probes.as_ref().map(|probes| probes.address().clone());
    let mut builder = Host::builder(config, registry).listen(api).reload_from(file);
    if let Some(probes) = probes {
        builder = builder.probes(probes);
    }
    let host = builder.start()?;
    let node = host.handle().node();
    info!(node = node.map(tracing::field::display), api = %address, probes = probe_address.map(tracing::field::display), version = env!("CARGO_PKG_VERSION"), "cluster-host runs");
    let notifier = Arc::new(Notifier::new(&|name| std::env::var_os(name), std::process::id()));
    notifier.ready(host.handle()).await;
    let (telling, handle) = (Arc::clone(&notifier), host.handle().clone());
    let telling = tokio::spawn(async move { telling.follow(&handle).await });
    let mut reloads = JoinSet::new();
    if watches {
        let handle = host.handle().clone();
        reloads.spawn(async move {
            if let Err(error) = handle.follow().await {
                warn!(err = %error, "changes of the configuration and the plugins are not noticed; use cluster-host reload");
            }
        });
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break info!("SIGTERM: stopping"),
            _ = interrupt.recv() => break info!("SIGINT: stopping"),
            _ = hangup.recv() => {
                let (handle, notifier) = (host.handle().clone(), Arc::clone(&notifier));
                reloads.spawn(async move {
                    notifier.reloading().await;
                    // What comes of it is logged.
                    drop(HostHandle::reload(&handle).await);
                    notifier.ready(&handle).await;
                });
            }
            // What has ended takes no memory.
            Some(_ended) = reloads.join_next() => {}
        }
    }
    reloads.abort_all();
    telling.abort();
    notifier.stopping().await;
    host.stop().await;
    info!("stopped");
    Ok(())
}

/// All problems, one a line.
fn all(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the configuration cannot be used:\n{}", lines.join("\n"))
}
