//! Durations as configs write them.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in a plugin's config: `"500ms"`, `"30s"`, `"5m"`, `"1h"`, or a bare number of milliseconds, as
/// libcluster's options are.
///
/// ```
/// use std::time::Duration;
/// use cluster_sdk::ConfigDuration;
/// let interval: ConfigDuration = "5s".parse()?;
/// assert_eq!(Duration::from(interval), Duration::from_secs(5));
/// assert_eq!(interval.to_string(), "5s");
/// # Ok::<(), cluster_sdk::ConfigDurationError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConfigDuration(Duration);

/// The text is no duration; it is inside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write \"500ms\", \"30s\", \"5m\", \"1h\" or a number of milliseconds")]
pub struct ConfigDurationError(String);

/// Units and their milliseconds, largest first. Days are left out: with them people expect weeks and months too.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

// === impl ConfigDuration ===

impl ConfigDuration {
    /// A number of milliseconds, to write defaults with.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A number of seconds, to write defaults with.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration that the standard library calculates with.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<ConfigDuration> for Duration {
    fn from(duration: ConfigDuration) -> Self {
        duration.0
    }
}

/// Parts of a millisecond are kept, but neither shown nor serialised.
impl From<Duration> for ConfigDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for ConfigDuration {
    type Err = ConfigDurationError;

    fn from_str(text: &str) -> Result<Self, ConfigDurationError> {
        let wrong = || ConfigDurationError(text.chars().take(40).collect());
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let count: u64 = count.parse().map_err(|_not_a_number| wrong())?;
        let millis = match unit.trim_start_matches(' ') {
            "" => Some(count),
            unit => UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .and_then(|(_, millis)| count.checked_mul(*millis)),
        };
        millis.map(Self::from_millis).ok_or_else(wrong)
    }
}

impl fmt::Display for ConfigDuration {
    /// In the largest unit that divides it, as it can be parsed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = match UNITS.iter().find(|(_, size)| millis != 0 && millis.is_multiple_of(*size)) {
            Some(unit) => *unit,
            None => ("s", 1_000),
        };
        write!(f, "{}{unit}", millis / size)
    }
}

impl fmt::Debug for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConfigDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ConfigDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\" or a number of milliseconds")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ConfigDuration, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<ConfigDuration, E> {
                Ok(ConfigDuration::from_millis(millis))
            }
            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<ConfigDuration, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(millis), &self);
                u64::try_from(millis).map(ConfigDuration::from_millis).map_err(negative)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ConfigDuration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ConfigDuration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "duration",
            "description": "a duration: \"500ms\", \"30s\", \"5m\", \"1h\", or a number of milliseconds",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)?$" },
                { "type": "integer", "minimum": 0 },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is a duration, and how it is shown.
    #[test]
    fn durations() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("90m", 5_400_000, "90m"),
            ("1h", 3_600_000, "1h"),
            ("1000", 1_000, "1s"),
            ("10 s", 10_000, "10s"),
            ("0", 0, "0s"),
        ] {
            let duration: ConfigDuration = text.parse().unwrap();
            assert_eq!((duration.get().as_millis(), duration.to_string().as_str()), (millis, shown));
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
        for bad in
            ["", "s", "5x", "-1s", "1.5s", "1h30m", "99999999999999999999s", "18446744073709551615h", "٣s"]
        {
            assert!(bad.parse::<ConfigDuration>().is_err(), "{bad}");
        }
    }

    /// Numbers are milliseconds; what is neither a number nor a text says what was wanted.
    #[test]
    fn from_json() {
        let parse = |json: &str| serde_json::from_str::<ConfigDuration>(json).map_err(|err| err.to_string());
        assert_eq!(parse("1500"), Ok(ConfigDuration::from_millis(1_500)));
        assert_eq!(parse(r#""2s""#), Ok(ConfigDuration::from_secs(2)));
        for (json, reason) in [
            ("-1", "invalid value: integer `-1`, expected a duration such as"),
            ("1.5", "invalid type: floating point `1.5`, expected a duration such as"),
            (r#""soon""#, r#""soon" is not a duration: write "500ms", "30s", "5m", "1h" or a number"#),
        ] {
            let err = parse(json).unwrap_err();
            assert!(err.starts_with(reason), "{err}");
        }
    }
}
