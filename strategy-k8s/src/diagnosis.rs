//! What `cluster-host doctor` is told beside what the strategy finds: whether the clock of the API server is that of this
//! machine. Tokens and certificates are good for a time that the one writes and the other reads.

use std::time::{Duration, SystemTime};

use cluster_sdk::Rung;
use http::{HeaderMap, Request, header::DATE};
use kube::client::Body;
use tokio::sync::mpsc;

use crate::{access::Access, config::KubernetesConfig, surroundings::Surroundings};

/// What is asked for: anybody may, and every server has it. The date is in a refusal, too.
const QUESTION: &str = "/version";
/// A difference that is no clock's fault: the date is in whole seconds, and was written a while ago.
const APART_MAX: Duration = Duration::from_secs(10);
/// From here on differences are told in minutes.
const SECONDS_MAX: u64 = 120;

/// Asks the API server for the time. Where it cannot be asked, the strategy itself says why.
pub(crate) async fn diagnose(config: &KubernetesConfig) -> Vec<Rung> {
    let around = Surroundings::of_this_process();
    let Ok(access) = Access::resolve(config, &around).await else { return Vec::new() };
    let (journal, _answers) = mpsc::unbounded_channel();
    let Ok(client) = access.client(journal) else { return Vec::new() };
    let Ok(request) = Request::get(QUESTION).body(Body::empty()) else { return Vec::new() };
    let Ok(answer) = client.send(request).await else { return Vec::new() };
    of_clock(&access.server(), answer.headers(), wall()).into_iter().collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where a diagnosis reads the clock")]
fn wall() -> SystemTime {
    SystemTime::now()
}

fn of_clock(server: &str, headers: &HeaderMap, now: SystemTime) -> Option<Rung> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let (apart, is_ahead) = match date.duration_since(now) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    };
    if apart <= APART_MAX {
        return Some(Rung::pass("clocks", format!("{server} has the time of this machine")));
    }
    let seconds = apart.as_secs();
    let apart =
        if seconds < SECONDS_MAX { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) };
    let evidence = format!(
        "the clock of {server} is {apart} {} this one's",
        if is_ahead { "ahead of" } else { "behind" }
    );
    let fix = "set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'; tokens and certificates are \
               refused where they are of another time";
    Some(Rung::warn("clocks", evidence, fix))
}

#[cfg(test)]
mod tests {
    use cluster_sdk::Verdict;
    use http::HeaderValue;

    use super::*;

    /// Which differences are told, and how; a server that tells no time is not wrong.
    #[test]
    fn differences() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let told = |date: SystemTime| {
            let date = HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap();
            let rung = of_clock("https://k", &HeaderMap::from_iter([(DATE, date)]), now).unwrap();
            (rung.verdict, rung.evidence)
        };
        let seconds = Duration::from_secs;
        for near in [now, now + seconds(10), now - seconds(10)] {
            assert_eq!(told(near), (Verdict::Pass, "https://k has the time of this machine".to_owned()));
        }
        for (date, expected) in [
            (now + seconds(11), "11 s ahead of this one's"),
            (now - seconds(119), "119 s behind this one's"),
            (now - seconds(3_599), "60 min behind this one's"),
        ] {
            assert_eq!(told(date), (Verdict::Warn, format!("the clock of https://k is {expected}")));
        }
        for date in [None, Some("yesterday")] {
            let headers = date.map(|date| (DATE, HeaderValue::from_static(date)));
            assert!(of_clock("https://k", &headers.into_iter().collect(), now).is_none());
        }
    }
}
