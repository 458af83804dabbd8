//! The log: to standard error, as lines for people or as JSON for machines. What happened is in the message, to
//! what is in the fields: `topology=`, `strategy=`, `node=`, `err=`.

use std::{
    fmt,
    io::{self, IsTerminal as _},
    str::FromStr,
};

use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    fmt::layer,
    layer::{Layer, SubscriberExt as _},
    util::{SubscriberInitExt as _, TryInitError},
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which log lines are written: a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels by module as in
/// `info,cluster_host::api=debug`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogLevel(Targets);

/// The text is no [`LogLevel`]. Nothing changed; whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no log level: write off, error, warn, info, debug, trace, or MODULE=LEVEL, several with commas"
)]
pub(crate) struct LogLevelError(String);

impl FromStr for LogLevel {
    type Err = LogLevelError;

    /// A word that is no level would be taken for a module of which all is written, and nothing of others: that is a
    /// slip of the pen far more often.
    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let is_level =
            |part: &str| part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok());
        match text.parse() {
            Ok(targets) if text.split(',').all(is_level) => Ok(Self(targets)),
            Ok(_) | Err(_) => Err(LogLevelError(text.to_owned())),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Starts logging for this process.
///
/// # Errors
/// When something else in this process logs already.
pub(crate) fn init(format: LogFormat, level: LogLevel) -> Result<(), TryInitError> {
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    Registry::default().with(lines.with_filter(level.0)).try_init()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels and modules are understood, and a slip of the pen is refused rather than taken for a module.
    #[test]
    fn levels() {
        for good in ["off", "info", "DEBUG", "info,cluster_host::api=trace"] {
            assert!(good.parse::<LogLevel>().is_ok(), "{good}");
        }
        for bad in ["inof", "", "info,cluster_host=loud", "info,,warn"] {
            assert!(bad.parse::<LogLevel>().is_err(), "{bad}");
        }
    }
}
