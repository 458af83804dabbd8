//! What goes wrong with the API server, told apart by what is to be done about it.

use std::error::Error;

use kube::{core::Status, runtime::watcher};

/// Characters of the API server's own words that are passed on.
const WORDS_MAX: usize = 300;

/// Something went wrong. What was known before stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    /// At which step.
    pub(crate) step: Step,
    /// What the API server or the system said.
    pub(crate) words: String,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 401: it does not know who we are.
    Unauthenticated,
    /// 403: we may not.
    Forbidden,
    /// 404: the API server does not have that kind of object.
    Unknown,
    /// 410: what we know is too old to go on from: all is to be listed anew, at once. Ordinary after a restart of the server.
    Expired,
    /// Something that a watch told was not understood, and so is lost: all is to be listed anew.
    Garbled,
    /// Anything else: to be tried again.
    Failed,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    List,
    Watch,
}

impl Trouble {
    pub(crate) fn failed(step: Step, words: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, step, words: words.into() }
    }

    pub(crate) fn of_watcher(err: &watcher::Error) -> Self {
        match err {
            watcher::Error::InitialListFailed(err) => Self::of_client(Step::List, err),
            watcher::Error::WatchStartFailed(err) => Self::of_client(Step::Watch, err),
            watcher::Error::WatchFailed(err) => match Self::of_client(Step::Watch, err) {
                trouble if matches!(err, kube::Error::SerdeError(_)) => {
                    Self { kind: Kind::Garbled, ..trouble }
                }
                trouble => trouble,
            },
            watcher::Error::WatchError(status) => match Self::of_status(Step::Watch, status) {
                trouble if trouble.kind == Kind::Failed => Self { kind: Kind::Garbled, ..trouble },
                trouble => trouble,
            },
            watcher::Error::NoResourceVersion => Self::failed(
                Step::Watch,
                "the answer has no resourceVersion: this is no API server of Kubernetes",
            ),
        }
    }

    pub(crate) fn of_client(step: Step, err: &kube::Error) -> Self {
        match err {
            kube::Error::Api(status) => Self::of_status(step, status),
            kube::Error::SerdeError(err) => {
                Self::failed(step, format!("the answer is not understood: {err}"))
            }
            // Its own word for it says nothing more.
            kube::Error::Service(err) => Self::failed(step, chain(err.as_ref())),
            err => Self::failed(step, chain(err)),
        }
    }

    fn of_status(step: Step, status: &Status) -> Self {
        let kind = match status.code {
            401 => Kind::Unauthenticated,
            403 => Kind::Forbidden,
            404 => Kind::Unknown,
            410 => Kind::Expired,
            _ => Kind::Failed,
        };
        // Of a proxy's page in HTML, which is no message, the beginning says enough.
        let message: String =
            status.message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
        Self { kind, step, words: format!("{} ({})", message.trim(), status.code) }
    }
}

/// An error and its causes in one line. The outermost often says no more than where it was noticed.
pub(crate) fn chain(err: &dyn Error) -> String {
    let mut texts = vec![err.to_string()];
    let mut cause = err.source();
    while let Some(err) = cause {
        let text = err.to_string();
        // Some repeat what they were caused by.
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = err.source();
    }
    texts.join(": ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}
