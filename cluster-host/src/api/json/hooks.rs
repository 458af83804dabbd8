//! The shapes of what is known of hooks.

use std::borrow::Cow;

use cluster_core::Cursor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use crate::hooks::HookInfo;

/// The answer of `/v1/hooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hooks<'a> {
    /// The epoch of the log.
    pub epoch: Cow<'a, str>,
    /// The revision of the last event.
    pub revision: u64,
    /// The hooks in the order of their names.
    pub hooks: Vec<Hook<'a>>,
}

/// A hook: [`HookInfo`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hook<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does: `command "PROGRAM"` or `post URL`.
    pub action: Cow<'a, str>,
    /// All up to it is done.
    pub cursor: Cow<'a, str>,
    /// The cursor that a restart of the host would begin with; absent where nothing is remembered.
    pub saved: Option<Cow<'a, str>>,
    /// Why the cursor cannot be written.
    pub save_failure: Option<Cow<'a, str>>,
    /// Events that it is not done with yet; absent where a resync takes the place of those.
    pub lag: Option<u64>,
    /// Documents that were delivered, since the host started, as are the next two.
    pub delivered: u64,
    /// Tries that have failed.
    pub failed: u64,
    /// Documents that were given up.
    pub given_up: u64,
    /// When a document was delivered last.
    pub last_success: Option<Time>,
    /// The last try that has failed.
    pub last_failure: Option<HookFailure<'a>>,
    /// When a document that has failed is tried again.
    pub next_try: Option<Time>,
}

/// A try that has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookFailure<'a> {
    /// When.
    pub at: Time,
    /// Why.
    pub reason: Cow<'a, str>,
}

// === impl Hooks ===

impl<'a> Hooks<'a> {
    /// The shape of the hooks.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::{Config, Host, Registry, api::{Source as _, json::Hooks}};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::from_json(json!({ "on_event": [{ "name": "note", "command": ["true"] }] }))?;
    /// let host = Host::builder(config, Registry::new()).start()?;
    /// assert!(host.handle().alive().await);
    /// let (cursor, infos) = (host.handle().log().cursor(), host.handle().hooks());
    /// let shape = Hooks::new(cursor, &infos);
    /// assert_eq!(shape.hooks.iter().map(|hook| hook.name.as_ref()).collect::<Vec<_>>(), ["note"]);
    /// host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(cursor: Cursor, hooks: &'a [HookInfo]) -> Self {
        Self {
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            hooks: hooks.iter().map(Hook::from).collect(),
        }
    }
}

// === impl Hook ===

impl<'a> From<&'a HookInfo> for Hook<'a> {
    fn from(info: &'a HookInfo) -> Self {
        let failure = |(at, reason): &'a (std::time::SystemTime, String)| HookFailure {
            at: Time(*at),
            reason: reason.into(),
        };
        Self {
            name: (&info.name).into(),
            action: (&info.action).into(),
            cursor: info.cursor.to_string().into(),
            saved: info.saved.map(|cursor| cursor.to_string().into()),
            save_failure: info.save_failure.as_ref().map(Into::into),
            lag: info.lag,
            delivered: info.delivered,
            failed: info.failed,
            given_up: info.given_up,
            last_success: info.last_success.map(Time),
            last_failure: info.last_failure.as_ref().map(failure),
            next_try: info.next_try.map(Time),
        }
    }
}
