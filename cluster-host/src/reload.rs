//! Reading the configuration and the plugins again, and making the host what they ask for: whole or not at all.
//!
//! ```text
//! file ──► checked by the plugins, all mistakes at once ──► Assembly ──► Owner::apply
//!                                                                   └──► dry run: Owner::compare, then a preview
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster_core::{EventLog, NodeName, TopologyName};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::{
    assembly::{Assembly, StartError},
    changes::{Changes, UNCHANGED},
    config::{self, Problem},
    metrics::Meters,
    owner::{Command, Fixed},
    plugin::{Registry, signature_path},
    preview::{self, Preview},
};

/// Files of the plugin directory whose changes are noticed.
const FILES_MAX: usize = 4_096;

/// Where the host's configuration is, and what is known of its plugins. Those who ask for a reload at the same time
/// wait for each other.
#[derive(Debug)]
pub(crate) struct Files {
    config: PathBuf,
    meters: Arc<Meters>,
    known: Mutex<Known>,
    /// Whether the last reload was refused, whoever asked for it.
    refused: watch::Sender<bool>,
}

#[derive(Debug)]
struct Known {
    /// The plugins of the configuration that runs.
    registry: Arc<Registry>,
    /// What was read the last time, whether it was used or not.
    read: Fingerprint,
}

/// Tells one state of all that is read from another, by what the system says of the files.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint(BTreeMap<PathBuf, (u64, u64, i64, i64)>);

/// What a reload did, or a dry run found that it would do.
///
/// # Examples
///
/// ```
/// use cluster_host::Reloaded;
///
/// let mut reloaded = Reloaded::default();
/// assert_eq!(reloaded.to_string(), "nothing has changed");
/// reloaded.changes.added.push("office".parse()?);
/// reloaded.changes.unchanged.push("shop".parse()?);
/// assert_eq!(reloaded.to_string(), "added office; 1 as before");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// What was changed.
    pub changes: Changes,
    /// What is allowed in the configuration, but seldom meant.
    pub warnings: Vec<String>,
    /// Of a dry run: what each topology with a new source finds, or why it finds nothing.
    pub previews: BTreeMap<TopologyName, Result<Preview, String>>,
}

/// Why a reload was refused. Everything runs on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The configuration is wrong, in all these places. (operator)
    #[error("the configuration cannot be used:\n{}", lines(.0))]
    Problems(Vec<Problem>),
    /// A plugin that it names cannot be had. (operator)
    #[error(transparent)]
    Plugin(#[from] StartError),
    /// It changes what only a new start of the host can change. (operator)
    #[error("{} cannot be changed by a reload: restart the host", .0.join(", "))]
    Fixed(Vec<&'static str>),
    /// The host was started without a file.
    #[error("the host has no configuration file: it was started by a program, which changes it")]
    NoFile,
    /// The host stops.
    #[error("the host stops")]
    Stopping,
    /// The check itself failed.
    #[error("bug: the check of the configuration ended: {0}")]
    Check(String),
}

/// A configuration that may be applied.
struct Checked {
    assembly: Arc<Assembly>,
    warnings: Vec<String>,
}

// === impl Files ===

impl Files {
    pub(crate) fn new(config: &Path, registry: Arc<Registry>, meters: Arc<Meters>) -> Self {
        let read = Fingerprint::new(config, &registry);
        let known = Mutex::new(Known { registry, read });
        Self { config: config.to_owned(), meters, known, refused: watch::Sender::new(false) }
    }

    /// The plugins of the configuration that runs.
    pub(crate) async fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.known.lock().await.registry)
    }

    /// The directories in which something may change: of the configuration, the plugins and the lock file. Where the
    /// configuration is a link, as in a mounted `ConfigMap`, what it leads to is exchanged by renaming something beside it.
    pub(crate) async fn directories(&self) -> BTreeSet<PathBuf> {
        let known = self.known.lock().await;
        let resolved = self.config.canonicalize().ok();
        let files =
            [Some(self.config.as_path()), resolved.as_deref(), known.registry.pinned_by().lock.as_deref()];
        let here = |parent: &Path| {
            if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
        };
        let parents = files.into_iter().flatten().filter_map(Path::parent).map(here);
        let plugins = known.registry.directory().map(Path::to_owned);
        parents.chain(plugins).filter(|directory| directory.is_dir()).collect()
    }

    /// Reads everything again, and applies it.
    pub(crate) async fn reload(&self, commands: &mpsc::Sender<Command>) -> Result<Reloaded, ReloadError> {
        let mut known = self.known.lock().await;
        known.read = Fingerprint::new(&self.config, &known.registry);
        self.apply(&mut known, commands).await
    }

    /// The same, where something is to be read that was not read before. What comes of it is in the log.
    pub(crate) async fn reload_if_changed(&self, commands: &mpsc::Sender<Command>) {
        let mut known = self.known.lock().await;
        let now = Fingerprint::new(&self.config, &known.registry);
        if known.read != now {
            known.read = now;
            let _logged = self.apply(&mut known, commands).await;
        }
    }

    async fn apply(
        &self,
        known: &mut Known,
        commands: &mpsc::Sender<Command>,
    ) -> Result<Reloaded, ReloadError> {
        let applied = async {
            let (registry, checked) = self.check(&known.registry).await?;
            self.meters.plugins(&registry);
            let Checked { assembly, warnings } = checked?;
            let applied = Arc::clone(&assembly);
            let changes = ask(commands, |answer| Command::Apply(applied, answer)).await?;
            known.registry = Arc::new(registry);
            let registry = Arc::clone(&known.registry);
            blocking(move || assembly.keep(&registry)).await?;
            Ok(Reloaded { changes, warnings, previews: BTreeMap::new() })
        };
        let outcome = applied.await;
        self.meters.reloaded(outcome.is_ok());
        tell(&outcome);
        let is_refused = outcome.is_err();
        self.refused.send_if_modified(|refused| std::mem::replace(refused, is_refused) != is_refused);
        outcome
    }

    /// Tells whether the last reload was refused.
    pub(crate) fn refused(&self) -> watch::Receiver<bool> {
        self.refused.subscribe()
    }

    /// Reads everything again, and tells what that would change: the sources that would be new are asked.
    pub(crate) async fn dry_run(
        &self,
        commands: &mpsc::Sender<Command>,
        log: &EventLog,
        local: Option<NodeName>,
    ) -> Result<Reloaded, ReloadError> {
        let registry = Arc::clone(&self.known.lock().await.registry);
        let (_, checked) = self.check(&registry).await?;
        let Checked { assembly, warnings } = checked?;
        let asked = Arc::clone(&assembly);
        let changes = ask(commands, |answer| Command::Compare(asked, answer)).await?;
        let previews = preview::of(&assembly, &changes, log, local.as_ref()).await;
        Ok(Reloaded { changes, warnings, previews })
    }

    /// Looks at the plugins again and checks the configuration by them.
    async fn check(
        &self,
        registry: &Arc<Registry>,
    ) -> Result<(Registry, Result<Checked, ReloadError>), ReloadError> {
        let (path, registry) = (self.config.clone(), Arc::clone(registry));
        blocking(move || {
            let mut registry = registry.rescan();
            let checked = check(&path, &mut registry);
            (registry, checked)
        })
        .await
    }
}

/// Does what must not hold up the host: files are read, and plugins are loaded and asked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReloadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ReloadError::Check(error.to_string()))
}

fn check(path: &Path, registry: &mut Registry) -> Result<Checked, ReloadError> {
    let environment = |name: &str| std::env::var(name).ok();
    let loaded = config::check(path, &environment, registry).map_err(ReloadError::Problems)?;
    let pending =
        registry.pending().map(|(_, refusal)| format!("pending, an earlier content is used: {refusal}"));
    let warnings = config::warnings(&loaded).iter().map(ToString::to_string).chain(pending).collect();
    let assembly = Arc::new(Assembly::new(loaded.config, registry)?);
    Ok(Checked { assembly, warnings })
}

pub(crate) async fn ask(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<Result<Changes, Fixed>>) -> Command,
) -> Result<Changes, ReloadError> {
    let (answer, changes) = oneshot::channel();
    commands.send(command(answer)).await.map_err(|_stopped| ReloadError::Stopping)?;
    changes.await.map_err(|_stopped| ReloadError::Stopping)?.map_err(ReloadError::Fixed)
}

/// The log lines about a reload, for which nobody may have waited.
fn tell(outcome: &Result<Reloaded, ReloadError>) {
    match outcome {
        Ok(reloaded) => {
            for warning in &reloaded.warnings {
                warn!("{warning}");
            }
            info!("reloaded: {reloaded}");
        }
        Err(ReloadError::Problems(problems)) => {
            warn!(
                problems = problems.len(),
                "the new configuration is refused; everything runs on as it was"
            );
            for problem in problems {
                warn!("{problem}");
            }
        }
        Err(error) => warn!(err = %error, "the reload is refused; everything runs on as it was"),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Of the configuration, the lock file with its signature, and all that is in the plugin directory.
    fn new(config: &Path, registry: &Registry) -> Self {
        let lock = registry.pinned_by().lock.as_deref();
        let signature = lock.map(signature_path);
        let files = [Some(config), lock, signature.as_deref()].into_iter().flatten().map(Path::to_owned);
        let directory = registry.directory().and_then(|directory| fs::read_dir(directory).ok());
        let entries = directory.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let look = |path: PathBuf| {
            let about = fs::metadata(&path).ok()?;
            Some((path, (about.ino(), about.len(), about.mtime(), about.mtime_nsec())))
        };
        Self(files.chain(entries.take(FILES_MAX)).filter_map(look).collect())
    }
}

// === impl Reloaded ===

impl fmt::Display for Reloaded {
    /// One line: what was changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        let is_told = |(word, names): &(&str, &[TopologyName])| *word != UNCHANGED && !names.is_empty();
        for (word, names) in self.changes.lists().into_iter().filter(is_told) {
            let names: Vec<_> = names.iter().map(TopologyName::as_str).collect();
            write!(f, "{}{word} {}", if is_first { "" } else { "; " }, names.join(", "))?;
            is_first = false;
        }
        for (word, names) in self.changes.hooks.lists().into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{}hooks {word}: {}", if is_first { "" } else { "; " }, names.join(", "))?;
            is_first = false;
        }
        match (is_first, self.changes.unchanged.len()) {
            (true, _) => f.write_str("nothing has changed"),
            (false, 0) => Ok(()),
            (false, count) => write!(f, "; {count} as before"),
        }
    }
}
