//! Log lines of plugins, as events of the host.

use std::fmt;

use tracing::{
    Dispatch, Event, Level, Metadata,
    callsite::DefaultCallsite,
    field::{FieldSet, Value},
    metadata::Kind,
};

/// A line of log that an instance wrote.
pub struct LogRecord<'a> {
    /// Its level.
    pub level: Level,
    /// The module that wrote it.
    pub target: &'a str,
    /// The message, and its fields as `key=value`.
    pub message: &'a str,
    pub(super) dispatch: &'a Dispatch,
}

/// The target of the events that [`LogRecord::emit`] makes; filters are asked about the module that wrote the line.
const TARGET: &str = "plugin";
const FIELDS: &[&str] = &["message", "topology", "module"];

macro_rules! callsites {
    ($($level:ident)+) => {
        /// Metadata must be static, so there is one for each level.
        fn metadata(level: Level) -> &'static Metadata<'static> {
            match level {$(
                Level::$level => {
                    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
                    static METADATA: Metadata<'static> = tracing::metadata! {
                        name: "plugin log",
                        target: TARGET,
                        level: Level::$level,
                        fields: FIELDS,
                        callsite: &CALLSITE,
                        kind: Kind::EVENT,
                    };
                    &METADATA
                }
            )+}
        }
    };
}

callsites!(ERROR WARN INFO DEBUG TRACE);

impl LogRecord<'_> {
    /// Makes it an event of the host, for the subscriber that was the default where the instance was started.
    ///
    /// A plugin that is linked statically logs through the very `tracing` of the host, and in the middle of one event
    /// `tracing` makes no other: so this goes to the subscriber directly, and works in both cases.
    pub fn emit(&self, topology: &str) {
        let metadata = metadata(self.level);
        let callsite = metadata.callsite();
        let asked = Metadata::new(
            metadata.name(),
            self.target,
            self.level,
            None,
            None,
            None,
            FieldSet::new(FIELDS, callsite),
            Kind::EVENT,
        );
        if !self.dispatch.enabled(&asked) {
            return;
        }
        let mut fields = metadata.fields().iter();
        let (Some(message), Some(name), Some(module)) = (fields.next(), fields.next(), fields.next()) else {
            return;
        };
        let values: [_; 3] = [
            (&message, Some(&self.message as &dyn Value)),
            (&name, Some(&topology as &dyn Value)),
            (&module, Some(&self.target as &dyn Value)),
        ];
        self.dispatch.event(&Event::new(metadata, &metadata.fields().value_set(&values)));
    }
}

impl fmt::Debug for LogRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.message)
    }
}
