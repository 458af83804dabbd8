//! `.hosts.erlang`: where it is, and what is in it.
//!
//! ```text
//! 'db1.example'.     % a quoted atom: needed for anything but letters, digits, _ and @
//! db2.               % an atom, ended by a full stop and white space
//! ```
//!
//! Read as `net_adm:host_file/0` does it: the first of three folders that has one counts. Stricter is that a term other
//! than an atom is an error: OTP hands it on, to fail later and silently.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    iter::Peekable,
    path::{Path, PathBuf},
    str::Chars,
};

use super::local_epmd::host_error;

/// The name of the file.
const NAME: &str = ".hosts.erlang";
/// Bytes that the file may have at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Hosts that it may name at most.
const HOSTS_MAX: usize = 1_024;

/// Files of which the first that exists counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    files: Vec<PathBuf>,
    /// What is to be said where none exists.
    hint: Option<&'static str>,
}

/// What the process was started with.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    pub(super) folder: Option<PathBuf>,
    pub(super) home: Option<OsString>,
    pub(super) root: Option<OsString>,
    pub(super) path: Option<OsString>,
}

/// Why there are no hosts. What was known before stands; the operator can mend it.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostsFileError {
    /// None of the files exists.
    #[error("no {NAME}: tried {tried}; write one, with a line 'host.name'. for each host{hint}")]
    Missing {
        /// The files.
        tried: String,
        /// What else could be done.
        hint: String,
    },
    /// There is one that cannot be read.
    #[error("cannot read {}: {err}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        err: io::Error,
    },
    /// It says something else than hosts.
    #[error("{}:{line}: {what}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// It names no host: it is being written, or has no use.
    #[error("{} names no host", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// What is wrong at a line.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    what: String,
}

/// Reads atoms.
struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

// === impl Surroundings ===

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        Self {
            folder: env::current_dir().ok(),
            home: env::var_os("HOME"),
            root: env::var_os("ROOTDIR"),
            path: env::var_os("PATH"),
        }
    }

    /// Where OTP is installed: what a release says, or where the `erl` of the path really is.
    fn otp_root(&self) -> Option<PathBuf> {
        if let Some(root) = self.root.as_ref().filter(|root| !root.is_empty()) {
            return Some(root.into());
        }
        let mut programs = env::split_paths(self.path.as_ref()?).map(|folder| folder.join("erl"));
        let program = programs.find(|program| program.is_file())?;
        // ROOT/bin/erl, or ROOT/erts-13.1/bin/erl in a release.
        let root = fs::canonicalize(program).ok()?.parent()?.parent()?.to_owned();
        let is_erts = root.file_name().is_some_and(|name| name.to_string_lossy().starts_with("erts-"));
        if is_erts { Some(root.parent()?.to_owned()) } else { Some(root) }
    }
}

// === impl Places ===

impl Places {
    /// The one file.
    pub(super) fn only(file: &Path) -> Self {
        Self { files: vec![file.to_owned()], hint: None }
    }

    /// The same three as OTP: the current folder, the home folder, the root of OTP.
    pub(super) fn of_otp(otp_root: Option<&Path>, surroundings: &Surroundings) -> Self {
        let home = surroundings.home.as_ref().filter(|home| !home.is_empty());
        let root = otp_root.map(Path::to_owned).or_else(|| surroundings.otp_root());
        let hint = root.is_none().then_some(" (where OTP is installed is not known: set otp_root)");
        let folders = [surroundings.folder.clone(), home.map(PathBuf::from), root];
        Self { files: folders.into_iter().flatten().map(|folder| folder.join(NAME)).collect(), hint }
    }

    /// Reads the first file that exists: the hosts, in their order, each once. Blocks.
    pub(super) fn read(&self) -> Result<Vec<String>, HostsFileError> {
        for file in &self.files {
            let text = match read(file) {
                Ok(text) => text,
                Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(err) => return Err(HostsFileError::Unreadable { file: file.clone(), err }),
            };
            let wrong = |Fault { line, what }| HostsFileError::Syntax { file: file.clone(), line, what };
            let hosts = parse(&text).map_err(wrong)?;
            return if hosts.is_empty() {
                Err(HostsFileError::Empty { file: file.clone() })
            } else {
                Ok(hosts)
            };
        }
        let tried: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        Err(HostsFileError::Missing {
            tried: tried.join(", "),
            hint: self.hint.unwrap_or_default().to_owned(),
        })
    }
}

fn read(file: &Path) -> io::Result<String> {
    // What is no file could be one that never ends, or a pipe that nobody writes to.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<String>, Fault> {
    let mut scanner = Scanner { rest: text.chars().peekable(), line: 1 };
    let mut hosts = Vec::new();
    while let Some((line, host)) = scanner.host()? {
        if let Some(what) = host_error(&host) {
            return Err(Fault { line, what });
        }
        if !hosts.contains(&host) {
            if hosts.len() == HOSTS_MAX {
                return Err(Fault { line, what: format!("more than {HOSTS_MAX} hosts") });
            }
            hosts.push(host);
        }
    }
    Ok(hosts)
}

// === impl Scanner ===

impl Scanner<'_> {
    /// The next host and its line; none at the end.
    fn host(&mut self) -> Result<Option<(usize, String)>, Fault> {
        self.skip_blank();
        let line = self.line;
        let Some(first) = self.rest.peek().copied() else { return Ok(None) };
        let host = match first {
            '\'' => {
                self.next();
                self.quoted('\'', line)?
            }
            '"' => {
                self.next();
                let text = self.quoted('"', line)?;
                return Err(Fault { line, what: format!("\"{text}\" is a string: write '{text}'.") });
            }
            'a'..='z' => self.unquoted(),
            _ => {
                let word = self.word();
                return Err(Fault { line, what: format!("{word:?} is no atom: write 'HOST'.") });
            }
        };
        self.full_stop(&host)?;
        Ok(Some((line, host)))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn next_if(&mut self, is_wanted: impl Fn(char) -> bool) -> Option<char> {
        let wanted = self.rest.peek().is_some_and(|c| is_wanted(*c));
        if wanted { self.next() } else { None }
    }

    /// White space and comments.
    fn skip_blank(&mut self) {
        while let Some(c) = self.next_if(|c| c.is_whitespace() || c == '%') {
            while c == '%' && self.next_if(|c| c != '\n').is_some() {}
        }
    }

    fn unquoted(&mut self) -> String {
        let mut atom = String::new();
        while let Some(c) = self.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '@')) {
            atom.push(c);
        }
        atom
    }

    /// The rest up to white space, to be shown.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.next_if(|c| !c.is_whitespace() && c != '%') {
            word.push(c);
        }
        word.chars().take(80).collect()
    }

    /// What is in quotes, behind the first one.
    fn quoted(&mut self, quote: char, line: usize) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\\') => match self.next_if(|c| matches!(c, '\\' | '\'' | '"')) {
                    Some(c) => text.push(c),
                    None => return Err(Fault { line, what: "no host has such an escape in it".to_owned() }),
                },
                Some(c) if c == quote => return Ok(text),
                None | Some('\n') => return Err(Fault { line, what: format!("the {quote} is not closed") }),
                Some(c) => text.push(c),
            }
        }
    }

    /// The end of a term: a full stop with something blank behind it.
    fn full_stop(&mut self, host: &str) -> Result<(), Fault> {
        self.skip_blank();
        let line = self.line;
        if self.next_if(|c| c == '.').is_some() {
            if self.rest.peek().is_none_or(|c| c.is_whitespace() || *c == '%') {
                return Ok(());
            }
            let whole = format!("{host}.{}", self.word().trim_end_matches('.'));
            return Err(Fault { line, what: format!("a host with a dot needs quotes: write '{whole}'.") });
        }
        let what = match self.word().as_str() {
            "" => format!("a full stop is missing behind {host}"),
            more => format!(
                "expected a full stop behind {host}, found {more:?}; other hosts need quotes: 'HOST'."
            ),
        };
        Err(Fault { line, what })
    }
}

#[cfg(test)]
mod tests;
