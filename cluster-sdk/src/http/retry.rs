//! When a request is tried again.

use std::time::Duration;

use hyper::{HeaderMap, header};

use crate::Backoff;

/// Waits between the tries of one request.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };
/// The longest `retry-after` that a request waits for by itself. One that is longer ends it, and nothing is asked
/// before.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A server that wants to be left alone for longer is asked nevertheless.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(3600);

/// The wait before the next try after `failures` in a row; nothing where there is to be none.
pub(super) fn wait(
    failures: u32,
    retries: u32,
    retry_after: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let wait = BACKOFF.wait(failures, random).max(retry_after.unwrap_or_default());
    (failures <= retries && wait <= WAIT_MAX).then_some(wait)
}

/// How long the server wants to be left alone. A date counts from the one that the answer itself has, so that no clock
/// needs to be right.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(header::RETRY_AFTER)?;
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_not_a_number) => {
            let date = |text| httpdate::parse_http_date(text).ok();
            date(asked)?.duration_since(date(text(header::DATE)?)?).unwrap_or_default()
        }
    };
    Some(wait.min(QUIET_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits grow, or are what the server asks for; too many, or one that is too long, end it.
    #[test]
    fn waits() {
        let millis = |failures, asked| wait(failures, 2, asked, 1.0).map(|wait| wait.as_millis());
        assert_eq!([1, 2, 3].map(|failures| millis(failures, None)), [Some(200), Some(400), None]);
        assert_eq!(millis(1, Some(3 * SECOND)), Some(3_000));
        assert_eq!(millis(1, Some(6 * SECOND)), None);
        assert_eq!(wait(1, 0, None, 0.0), None);
    }

    /// Seconds, a date, and what is neither.
    #[test]
    fn asked_for() {
        let headers = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(header::DATE, date.parse().unwrap());
            }
            retry_after(&headers)
        };
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(headers("120", None), Some(120 * SECOND));
        assert_eq!(headers("999999999", None), Some(QUIET_MAX));
        assert_eq!(headers(later, Some(now)), Some(60 * SECOND));
        assert_eq!(headers(now, Some(later)), Some(Duration::ZERO));
        assert_eq!(headers(later, None), None);
        assert_eq!(headers("soon", Some(now)), None);
        assert_eq!(headers("-1", None), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
