//! Forwards the `tracing` events of an instance's thread to the host.
//!
//! In a shared library `tracing` is a copy of its own that nobody listens to; linked statically it is the host's. A
//! subscriber for the thread alone is right for both.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::DefaultGuard,
};

use crate::{abi::table::LevelCode, context::Shared};

/// Bytes of a message at most; the rest is cut off.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Forwards what this thread logs, until the guard is dropped.
pub(crate) fn forward(shared: Arc<Shared>, level: &str) -> DefaultGuard {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    tracing::subscriber::set_default(Forwarder { shared, level })
}

struct Forwarder {
    shared: Arc<Shared>,
    level: LevelFilter,
}

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message { text: String::new(), fields: String::new() };
        event.record(&mut message);
        let Message { mut text, fields } = message;
        text.push_str(&fields);
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        let metadata = event.metadata();
        self.shared.link.log(LevelCode::from_level(*metadata.level()), metadata.target(), text.trim_start());
    }

    // Spans are the author's own affair: the host adds its own.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// An event as one line: the message, then `key=value`.
struct Message {
    text: String,
    fields: String,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.text.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string fails only where the author's own formatting does.
        let written = if field.name() == "message" {
            write!(self.text, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        written.unwrap_or_default();
    }
}

impl LevelCode {
    /// The code of a level.
    pub(crate) fn from_level(level: Level) -> Self {
        match level {
            Level::ERROR => Self::ERROR,
            Level::WARN => Self::WARN,
            Level::INFO => Self::INFO,
            Level::DEBUG => Self::DEBUG,
            Level::TRACE => Self::TRACE,
        }
    }

    /// The level of a code; of those to come the most talkative.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::ERROR => Level::ERROR,
            Self::WARN => Level::WARN,
            Self::INFO => Level::INFO,
            Self::DEBUG => Level::DEBUG,
            _ => Level::TRACE,
        }
    }
}
