//! What there is to load: the plugin files of a directory and the plugins linked into this program.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
};

use cluster_sdk::{OfferKind, abi::PluginEntry};

use super::{
    content::ContentHash,
    identity::{Identity, Offer},
    inspect::{Inspected, Stamp},
    listing::{self, DirectoryError, PluginFile},
    pins::{Pins, PinsError, Standing},
    refusal::{Reason, Refusal},
};
use crate::{config::PluginsConfig, runner::Runner};

/// The connector of a topology that names none.
pub const CONNECTOR_DEFAULT: &str = "erlang";
/// The file of the plugin that offers it.
const CONNECTOR_DEFAULT_FILE: &str = "libstrategy_epmd.so";
/// Refused files that the error about an unknown name lists at most.
const REFUSED_SHOWN_MAX: usize = 3;

/// The plugins that there are. None of their code has run.
///
/// ```
/// use cluster_host::Registry;
/// use cluster_sdk::OfferKind;
///
/// // A directory that is not there is no reason not to start: what is linked in works without.
/// let registry = Registry::scan("/nonexistent".as_ref()).with_builtin(cluster_host::connectors::plugin())?;
/// assert!(registry.problem().is_some() && registry.files().is_empty());
/// let offers: Vec<_> = registry.offers().iter().map(|(offer, _)| offer.name.clone()).collect();
/// assert_eq!(offers, ["exec", "tcp"]);
/// let tcp = registry.find(OfferKind::Connector, "tcp")?;
/// assert_eq!((tcp.identity().plugin.as_str(), tcp.path()), ("cluster-host", None));
/// assert!(registry.find(OfferKind::Connector, "tpc").unwrap_err().to_string().contains("tcp"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    directory: Option<PathBuf>,
    problem: Option<DirectoryError>,
    files: Vec<PluginFile>,
    builtins: Vec<Builtin>,
    pins: Pins,
    runner: Option<Runner>,
}

/// A plugin that is linked into this program.
#[derive(Clone)]
pub struct Builtin {
    /// Its tables.
    pub entry: &'static PluginEntry,
    /// Who it is.
    pub identity: Identity,
}

/// Where a strategy or a connector comes from.
///
/// # Examples
///
/// ```
/// use cluster_host::{Registry, connectors};
///
/// let registry = Registry::new().with_builtin(connectors::plugin())?;
/// let source = registry.sources().next().ok_or("it has none")?;
/// assert_eq!((source.to_string().as_str(), source.path()), ("cluster-host itself", None));
/// assert_eq!(source.identity().plugin, "cluster-host");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// From a file.
    File(&'a Inspected),
    /// From this program.
    Builtin(&'a Builtin),
}

/// What a plugin is made of: that of one name may be another the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// This program.
    Builtin,
    /// This content, from whatever file.
    Content(ContentHash),
    /// This file as it was.
    File(Stamp),
}

/// Why a name cannot be used. The operator can mend it, in the configuration or in the plugin directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// Nobody offers it.
    #[error("no plugin offers a {kind} {name:?}{}{}", DidYouMean(near.as_deref()), Hints(hints))]
    Unknown {
        /// What was looked for.
        kind: OfferKind,
        /// The name.
        name: String,
        /// The name that is offered and most like it.
        near: Option<String>,
        /// What may help, each a clause.
        hints: Vec<String>,
    },
    /// More than one offers it.
    #[error("the {kind} {name:?} is offered by {}: keep one of them", sources.join(" and "))]
    Ambiguous {
        /// What was looked for.
        kind: OfferKind,
        /// The name.
        name: String,
        /// Who offers it.
        sources: Vec<String>,
    },
}

struct DidYouMean<'a>(Option<&'a str>);

struct Hints<'a>(&'a [String]);

// === impl Registry ===

impl Registry {
    /// Nothing at all: add what is linked in by [`Registry::with_builtin`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at all files `*.so` of a directory, running none of their code. What is wrong with the directory
    /// itself is told by [`Registry::problem`], so that what is linked in can work without it.
    #[must_use]
    pub fn scan(directory: &Path) -> Self {
        let mut registry = Self { directory: Some(directory.to_owned()), ..Self::default() };
        (registry.files, registry.problem) = listing::list(directory, &registry.pins);
        registry
    }

    /// Has a `[plugins]` count: looks at the directory again, and takes of its files only what may be loaded by it, or
    /// in the place of a file what was kept of it.
    ///
    /// # Errors
    /// [`PinsError`] where the lock file cannot be believed. Then no file is loaded.
    pub fn pin(&mut self, config: &PluginsConfig) -> Result<(), PinsError> {
        if self.pins.config() == config && config == &PluginsConfig::default() {
            return Ok(());
        }
        self.files.clear();
        self.pins = Pins::load(config)?;
        if let Some(directory) = &self.directory {
            (self.files, self.problem) = listing::list(directory, &self.pins);
        }
        Ok(())
    }

    /// The `[plugins]` that counts.
    #[must_use]
    pub fn pinned_by(&self) -> &PluginsConfig {
        self.pins.config()
    }

    /// The files in whose place a content of before is loaded.
    pub fn pending(&self) -> impl Iterator<Item = (&Inspected, &Refusal)> {
        self.files.iter().filter_map(|file| Some((file.result.as_ref().ok()?, file.pending.as_ref()?)))
    }

    /// Keeps a copy of what was loaded from a file, where its content is named and the configuration says where.
    ///
    /// # Errors
    /// Where it cannot be written. Nothing else depends on it before the file has another content.
    pub fn keep(&self, loaded: &Inspected) -> io::Result<()> {
        let named = matches!(loaded.standing, Standing::Pinned | Standing::Locked { .. });
        match (self.pins.keep(), loaded.content) {
            (Some(keep), Some(content)) if named => keep.store(loaded, content),
            _ => Ok(()),
        }
    }

    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Looks at the same directory once more; no `[plugins]` counts yet.
    #[must_use]
    pub fn rescan(&self) -> Self {
        let scanned = self.directory.as_deref().map(Self::scan).unwrap_or_default();
        Self { builtins: self.builtins.clone(), runner: self.runner.clone(), ..scanned }
    }

    /// Adds a plugin that is linked into this program.
    ///
    /// # Errors
    /// What is wrong with its handshake: a mistake in the program.
    pub fn with_builtin(mut self, entry: &'static PluginEntry) -> Result<Self, Reason> {
        self.builtins.push(Builtin { entry, identity: Identity::read(entry.handshake())? });
        Ok(self)
    }

    /// Gives it the program that runs plugins in processes of their own: one that calls
    /// [`runner::run_if_asked`](crate::runner::run_if_asked) first of all, such as `cluster-host`. Without one nothing
    /// runs in a process of its own by default.
    #[must_use]
    pub fn with_runner(mut self, program: &Path) -> Self {
        self.runner = Some(Runner::new(program));
        self
    }

    /// What runs plugins in processes of their own.
    pub(crate) fn runner(&self) -> Option<&Runner> {
        self.runner.as_ref()
    }

    /// The directory that was looked at.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// What is wrong with the directory as a whole.
    #[must_use]
    pub fn problem(&self) -> Option<&DirectoryError> {
        self.problem.as_ref()
    }

    /// The files, sorted by name.
    #[must_use]
    pub fn files(&self) -> &[PluginFile] {
        &self.files
    }

    /// The plugins that are linked in.
    #[must_use]
    pub fn builtins(&self) -> &[Builtin] {
        &self.builtins
    }

    /// All that may be loaded, what is linked in first.
    pub fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        let files = self.files.iter().filter_map(|file| file.result.as_ref().ok());
        self.builtins.iter().map(Source::Builtin).chain(files.map(Source::File))
    }

    /// Everything that is offered, and by whom, sorted by kind and name. A name can be there twice.
    #[must_use]
    pub fn offers(&self) -> Vec<(&Offer, Source<'_>)> {
        let mut offers: Vec<_> = self
            .sources()
            .flat_map(|source| source.identity().offers.iter().map(move |offer| (offer, source)))
            .collect();
        offers.sort_by_key(|(offer, _)| *offer);
        offers
    }

    /// Who offers a strategy or a connector of this name.
    ///
    /// # Errors
    /// [`LookupError`] when nobody does, or more than one.
    pub fn find(&self, kind: OfferKind, name: &str) -> Result<Source<'_>, LookupError> {
        let mut found = self.sources().filter(|source| source.identity().offers(kind, name));
        let Some(first) = found.next() else {
            return Err(self.unknown(kind, name));
        };
        let others: Vec<_> = found.map(|source| source.to_string()).collect();
        if others.is_empty() {
            return Ok(first);
        }
        let sources = [first.to_string()].into_iter().chain(others).collect();
        Err(LookupError::Ambiguous { kind, name: name.to_owned(), sources })
    }

    fn unknown(&self, kind: OfferKind, name: &str) -> LookupError {
        let mut hints = Vec::new();
        let offers = self.offers();
        let offered: BTreeSet<&str> = offers
            .iter()
            .filter(|(offer, _)| offer.kind == kind)
            .map(|(offer, _)| offer.name.as_str())
            .collect();
        let near = nearest(name, offered.iter().copied()).map(str::to_owned);
        if let Some((other, _)) = offers.iter().find(|(offer, _)| offer.kind != kind && offer.name == name) {
            hints.push(format!("{name:?} is a {}", other.kind));
        }
        if kind == OfferKind::Connector && name == CONNECTOR_DEFAULT {
            hints.push(format!(
                "it is the default connector (plugin {CONNECTOR_DEFAULT_FILE}): write connect = \"none\" to watch without linking"
            ));
        }
        if let Some(problem) = &self.problem {
            hints.push(problem.to_string());
        }
        hints.push(if offered.is_empty() {
            format!("there is no {kind} at all{}", self.directory_words())
        } else {
            let offered: Vec<_> = offered.into_iter().collect();
            format!("there is {}{}", offered.join(", "), self.directory_words())
        });
        let mut refused = self.files.iter().filter_map(|file| file.result.as_ref().err());
        for refusal in refused.by_ref().take(REFUSED_SHOWN_MAX) {
            hints.push(format!("refused: {refusal}"));
        }
        let more = refused.count();
        if more > 0 {
            hints.push(format!("{more} more files are refused, see `cluster-host plugins`"));
        }
        LookupError::Unknown { kind, name: name.to_owned(), near, hints }
    }

    fn directory_words(&self) -> String {
        match &self.directory {
            Some(directory) => format!(" (plugin directory {})", directory.display()),
            None => " (no plugin directory)".to_owned(),
        }
    }
}

// === impl Source ===

impl<'a> Source<'a> {
    /// Who the plugin is.
    #[must_use]
    pub fn identity(&self) -> &'a Identity {
        match self {
            Self::File(inspected) => &inspected.identity,
            Self::Builtin(builtin) => &builtin.identity,
        }
    }

    /// Tells it from what has taken its place since.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::File(inspected) => inspected.origin(),
            Self::Builtin(_) => Origin::Builtin,
        }
    }

    /// The file, where it comes from one.
    #[must_use]
    pub fn path(&self) -> Option<&'a Path> {
        match self {
            Self::File(inspected) => Some(&inspected.path),
            Self::Builtin(_) => None,
        }
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(inspected) => write!(f, "{}", inspected.path.display()),
            Self::Builtin(_) => f.write_str("cluster-host itself"),
        }
    }
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builtin").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, "; did you mean {name:?}?"))
    }
}

impl fmt::Display for Hints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// The candidate that `name` is most likely a slip of.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}
