//! What is said about a configuration, and where in its file it belongs.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::Config;

/// One thing to say about a configuration, for whoever wrote it: `FILE:LINE: key: message`.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, config::Severity};
///
/// let text = "[topologies.office]\nstratgy = 'gossip'\nconnect = 'none'\n";
/// let problems = Config::parse("cluster.toml".as_ref(), text, &|_| None).unwrap_err();
/// let misspelt = problems.iter().find(|problem| problem.line == Some(2)).ok_or("all is well")?;
/// assert_eq!((misspelt.path.as_str(), misspelt.severity), ("topologies.office.stratgy", Severity::Error));
/// let line = misspelt.to_string();
/// assert!(line.starts_with("cluster.toml:2: topologies.office.stratgy: unknown key; did you mean `strategy`?"));
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// The key: `topologies.office.config.hosts[1]`; empty where none is meant.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is used, but this is seldom meant.
    Warning,
}

/// A configuration and the lines of its keys.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, config::Mistakes};
///
/// let text = "[topologies.office]\nstrategy = 'gossip'\nconfig = { port = 45892 }\n";
/// let loaded = Config::parse("cluster.toml".as_ref(), text, &|_| None).map_err(Mistakes::from)?;
/// assert_eq!(loaded.config.topologies.len(), 1);
/// assert_eq!(loaded.line_of("topologies.office.config.port"), Some(3));
/// // Of what is not written the line of what it would be in.
/// assert_eq!(loaded.line_of("topologies.office.opts"), Some(1));
/// let problem = loaded.problem("topologies.office.config.port", "is taken");
/// assert_eq!(problem.to_string(), "cluster.toml:3: topologies.office.config.port: is taken");
/// # Ok::<(), Mistakes>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    file: PathBuf,
    lines: Lines,
}

/// The line of each key.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

// === impl Problem ===

impl Problem {
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        let (severity, path) = (Severity::Error, String::new());
        Self { severity, file: file.to_owned(), line: None, path, message }
    }

    pub(super) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub(super) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Problem {
    /// One line, whatever a plugin's message has in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        f.write_str(match self.severity {
            Severity::Error => " ",
            Severity::Warning => " warning: ",
        })?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        let mut parts = self.message.split(char::is_control);
        f.write_str(parts.next().unwrap_or_default())?;
        parts.filter(|part| !part.is_empty()).try_for_each(|part| write!(f, " {part}"))
    }
}

// === impl Loaded ===

impl Loaded {
    pub(super) fn new(config: Config, file: &Path, lines: Lines) -> Self {
        Self { config, file: file.to_owned(), lines }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of a key, or of the nearest table or list around it that is in the file.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<usize> {
        self.lines.of(path)
    }

    /// Says something about a key.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        self.lines.problem(&self.file, path, message.into())
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn insert(&mut self, path: String, line: usize) {
        self.0.insert(path, line);
    }

    fn of(&self, path: &str) -> Option<usize> {
        let around = self.0.iter().filter(|(known, _)| is_around(known, path));
        around.max_by_key(|(known, _)| known.len()).map(|(_, line)| *line)
    }

    /// What is missing from the whole file is told at its first line.
    pub(super) fn problem(&self, file: &Path, path: &str, message: String) -> Problem {
        let line = Some(self.of(path).unwrap_or(1));
        Problem { severity: Severity::Error, file: file.to_owned(), line, path: path.to_owned(), message }
    }
}

/// Whether a path is another or leads to what is inside of it.
pub(super) fn is_around(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
