//! The environment of commands, and of plugins in processes of their own: what programs need to run, and nothing by
//! accident. Credentials in the host's environment are nobody's business but of whom they are named for.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use crate::config::{ConfigError, key_path};

/// Variables that are kept; a `*` at the end stands for anything.
const KEPT: [&str; 8] = ["PATH", "HOME", "LANG", "LC_*", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// What makes the dynamic loader run other code than was meant is never passed on.
const NEVER: &str = "LD_";
/// Shorter values are not looked for in what is told: they would be found everywhere.
const HIDDEN_BYTES_MIN: usize = 4;

/// What a config says of the environment of a command.
///
/// # Examples
///
/// ```
/// use cluster_sdk::Environment;
///
/// let env = [("TOKEN".to_owned(), "hunter2".to_owned()), ("LD_PRELOAD".to_owned(), "evil.so".to_owned())].into();
/// let environment = Environment { env: &env, pass_env: &["AWS_*".to_owned()] };
/// // What has the dynamic loader run other code is a mistake, and is never set.
/// assert_eq!(environment.validate()[0].to_string(), "env.LD_PRELOAD: LD_* is never set");
/// let variables = environment.variables();
/// assert!(variables.contains_key("TOKEN".as_ref() as &std::ffi::OsStr));
/// assert!(!variables.contains_key("LD_PRELOAD".as_ref() as &std::ffi::OsStr));
/// assert_eq!(environment.hide("login: hunter2 is wrong"), "login: *** is wrong");
/// ```
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Variables that are set.
    pub env: &'a BTreeMap<String, String>,
    /// Names of variables that are passed on from the host's environment; `AWS_*` stands for all that begin so.
    pub pass_env: &'a [String],
}

// === impl Environment ===

impl Environment<'_> {
    /// The variables: of this process those that are kept or passed on, then those that are set.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<OsString, OsString> {
        self.of(std::env::vars_os())
    }

    /// What is wrong with it, where the keys are called `env` and `pass_env`.
    #[must_use]
    pub fn validate(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for (name, value) in self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                errors.push(ConfigError::new(key_path("env", name), "is no variable of an environment"));
            } else if name.starts_with(NEVER) {
                errors.push(ConfigError::new(key_path("env", name), "LD_* is never set"));
            }
        }
        for (index, name) in self.pass_env.iter().enumerate() {
            if name.starts_with(NEVER) {
                errors.push(ConfigError::new(format!("pass_env[{index}]"), "LD_* is never passed on"));
            }
        }
        errors
    }

    /// A text without the values of the variables that are set, which may be secret: commands that fail tell what they
    /// were given.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let long = self.env.values().filter(|value| value.len() >= HIDDEN_BYTES_MIN);
        long.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "***"))
    }

    fn of(&self, host: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
        let passed = || KEPT.into_iter().chain(self.pass_env.iter().map(String::as_str));
        let host =
            host.filter(|(name, _)| !is_like(name, "LD_*") && passed().any(|pattern| is_like(name, pattern)));
        let set = self.env.iter().filter(|(name, _)| !name.starts_with(NEVER));
        host.chain(set.map(|(name, value)| (name.into(), value.into()))).collect()
    }
}

impl std::fmt::Debug for Environment<'_> {
    /// Values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (env, pass_env) = (self.env.keys(), self.pass_env);
        f.debug_struct("Environment").field("env", &env).field("pass_env", &pass_env).finish()
    }
}

fn is_like(name: &OsStr, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.as_encoded_bytes().starts_with(start.as_bytes()),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is needed is kept, what is named is passed on, what is set counts more than both, and nothing else is
    /// there; the loader's variables are not there whoever names them.
    #[test]
    fn variables() {
        let host = ["PATH", "LC_ALL", "SECRET", "AWS_KEY", "AWS", "LD_PRELOAD", "HOME"];
        let host = host.map(|name| (name.into(), "host".into()));
        let env = [("HOME", "set"), ("X", "set"), ("LD_PRELOAD", "set")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let pass_env = ["AWS_*", "LD_*", "*"].map(str::to_owned);
        let shown = |pass_env: &[String]| {
            let variables = Environment { env: &env, pass_env }.of(host.clone().into_iter());
            let shown =
                variables.into_iter().map(|(name, value)| format!("{}={}", name.display(), value.display()));
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&[]), "HOME=set LC_ALL=host PATH=host X=set");
        assert_eq!(shown(&pass_env[..2]), "AWS_KEY=host HOME=set LC_ALL=host PATH=host X=set");
        assert_eq!(
            shown(&pass_env),
            "AWS=host AWS_KEY=host HOME=set LC_ALL=host PATH=host SECRET=host X=set"
        );
    }

    /// Values that are set are not in what is told, but for those that are in any text.
    #[test]
    fn hidden() {
        let env = [("TOKEN", "hunter2"), ("SHORT", "a")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let hidden = Environment { env: &env, pass_env: &[] }.hide("a bad token: hunter2");
        assert_eq!(hidden, "a bad token: ***");
    }

    /// What cannot be a variable, or must not be one, is told with its key.
    #[test]
    fn mistakes() {
        let env = [("A=B", ""), ("LD_LIBRARY_PATH", "/"), ("good", "value"), ("null", "\0")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let pass_env = ["LD_*", "GOOD"].map(str::to_owned);
        let paths = Environment { env: &env, pass_env: &pass_env }.validate();
        let paths: Vec<_> = paths.into_iter().map(|error| error.path).collect();
        assert_eq!(paths, [r#"env."A=B""#, "env.LD_LIBRARY_PATH", "env.null", "pass_env[0]"]);
    }
}
