//! The strategy `exec`: nodes are what a command prints.

mod command;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use cluster_sdk::{
    ConfigDuration, ConfigError, Context, LocalNode, Result, Secret, Strategy, config::key_path,
};

use self::command::Command;
use crate::{
    options::{interval_error, reading_options},
    poll::{Look, Source, poll},
    reading::{self, Found, Mapping},
};

/// What a command may be given to run.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// What the limit of an output may be.
const OUTPUT_BYTES_LIMIT_MAX: u64 = 1 << 30;

/// The strategy `exec`.
#[derive(Debug)]
pub struct Exec;

reading_options! {
    /// Options of the `exec` strategy: a command is run again and again, and prints the nodes: a name a line, or JSON. An exit
    /// code other than 0, an output that cannot be read, or none at all takes nobody away: what was known stands and the
    /// topology is degraded, with the last line that the command has written to its standard error. Who prints `[]` says that
    /// nobody is there.
    pub struct ExecConfig {
        /// Program and arguments, as `["consul-members", "--format", "json"]`. No shell is involved: for pipes write
        /// `["bash", "-euo", "pipefail", "-c", "…"]`.
        pub command: Vec<String>,
        /// Time between the end of one run and the next, as "10s", give or take a tenth. Default 10s. After a failure it is run
        /// again after half a second, then ever later.
        #[serde(default = "default_interval")]
        pub interval: ConfigDuration,
        /// How long a run may take, as "10s"; then the command is killed, with all that it has started. Default 10s.
        #[serde(default = "default_timeout")]
        pub timeout: ConfigDuration,
        /// Variables of its environment, each a text, `{ file = PATH }` or `{ env = NAME }`, which hands on one of the host's. From
        /// the host it has what every process needs, such as PATH, HOME, LANG, TZ and TMPDIR, and nothing else.
        #[serde(default)]
        pub env: BTreeMap<String, Secret>,
        /// Bytes that it may print at most; more is an error. Default 16 MiB.
        #[serde(default = "default_output_bytes_max")]
        pub output_bytes_max: u64,
    }
}

fn default_interval() -> ConfigDuration {
    ConfigDuration::from_secs(10)
}

fn default_timeout() -> ConfigDuration {
    ConfigDuration::from_secs(10)
}

fn default_output_bytes_max() -> u64 {
    16 << 20
}

// === impl Exec ===

impl Strategy for Exec {
    const NAME: &'static str = "exec";
    type Config = ExecConfig;

    fn validate(config: &ExecConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors: Vec<ConfigError> = interval_error(config.interval).into_iter().collect();
        let mut error = |path: &str, message: String| errors.push(ConfigError::new(path, message));
        if config.command.first().is_none_or(String::is_empty) {
            error("command", "names no program: write [\"PROGRAM\", \"ARGUMENT\"]".to_owned());
        }
        for (place, _) in config.command.iter().enumerate().filter(|(_, word)| word.contains('\0')) {
            error(&format!("command[{place}]"), "has a NUL byte".to_owned());
        }
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&config.timeout.get()) {
            let timeout = config.timeout;
            error("timeout", format!("{timeout} is not between {TIMEOUT_MIN:?} and {TIMEOUT_MAX:?}"));
        }
        if !(1..=OUTPUT_BYTES_LIMIT_MAX).contains(&config.output_bytes_max) {
            let max = config.output_bytes_max;
            error("output_bytes_max", format!("{max} is not between 1 and {OUTPUT_BYTES_LIMIT_MAX}"));
        }
        for name in config.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            error(&key_path("env", name), "is not the name of a variable".to_owned());
        }
        for name in config.env.keys().filter(|name| name.starts_with("LD_")) {
            error(&key_path("env", name), "LD_* is never set".to_owned());
        }
        errors
    }

    async fn run(config: ExecConfig, ctx: Context) -> Result<()> {
        let (mapping, interval) = (config.mapping(), config.interval.get());
        let command = Command {
            words: config.command,
            env: config.env,
            timeout: config.timeout.get(),
            output_bytes_max: usize::try_from(config.output_bytes_max)?,
        };
        poll(Printed { command, mapping }, interval, &ctx).await
    }
}

/// What a command prints.
struct Printed {
    command: Command,
    mapping: Mapping,
}

// === impl Printed ===

impl Source for Printed {
    async fn look(&mut self, _: &Context) -> Look {
        match self.read().await {
            Ok(found) => Look { found: Some(found), trouble: None },
            Err(reason) => Look::failed(self.command.hide(&reason)),
        }
    }
}

impl Printed {
    async fn read(&self) -> Result<Found, String> {
        let command = &self.command;
        let output = command.run().await.map_err(|err| format!("{command}: {err}"))?;
        // A pipe whose beginning has failed looks like this.
        if output.iter().all(u8::is_ascii_whitespace) {
            return Err(format!("{command} has printed nothing: where nobody is there, have it print []"));
        }
        reading::read(&output, &self.mapping).map_err(|err| format!("what {command} has printed: {err}"))
    }
}
