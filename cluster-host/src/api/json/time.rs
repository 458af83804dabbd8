//! Times, as the API writes them.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use humantime::{format_rfc3339_micros, format_rfc3339_millis, format_rfc3339_seconds, parse_rfc3339};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use cluster_host::api::json::{Precision, Time};
///
/// let time = Time::from(SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_250));
/// assert_eq!(time.to_text(Precision::Seconds), "1970-01-01T00:00:01Z");
/// assert_eq!(time.to_text(Precision::Millis), "1970-01-01T00:00:01.500Z");
/// // In JSON it is whole.
/// let text = serde_json::to_string(&time)?;
/// assert_eq!(text, r#""1970-01-01T00:00:01.500250Z""#);
/// assert_eq!(serde_json::from_str::<Time>(&text)?, time);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub SystemTime);

/// How exactly a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// For ages.
    Seconds,
    /// For people who compare.
    Millis,
    /// For machines.
    Micros,
}

/// The end of the year 9999, after 1970.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

// === impl Time ===

impl Time {
    /// The text, to the second, to the millisecond or to the microsecond.
    #[must_use]
    pub fn to_text(self, precision: Precision) -> String {
        // What lies before 1970 or after 9999 cannot be written.
        let time = self.0.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LATEST);
        match precision {
            Precision::Seconds => format_rfc3339_seconds(time).to_string(),
            Precision::Millis => format_rfc3339_millis(time).to_string(),
            Precision::Micros => format_rfc3339_micros(time).to_string(),
        }
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text(Precision::Micros))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        parse_rfc3339(&text).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}
