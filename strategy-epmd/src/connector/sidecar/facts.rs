//! What is asked of a BEAM node when the host attaches to it.

use std::time::Duration;

use tokio::join;

use crate::dist::{
    rpc::{Rpc, RpcError},
    term::Term,
};

/// How a BEAM node is set up, as far as it matters to its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its `net_ticktime`, if it tells.
    pub(super) net_ticktime: Option<Duration>,
    /// Whether it uses long names.
    pub(super) long_names: Option<bool>,
    /// `prevent_overlapping_partitions` of its kernel: on by default since OTP 25.
    prevents_partitions: Option<bool>,
    /// `connect_all` of its kernel: on by default.
    connects_all: Option<bool>,
}

/// The oldest OTP in which `prevent_overlapping_partitions` is on by default.
const PREVENTS_SINCE: u32 = 25;

// === impl Facts ===

impl Facts {
    /// Asks. What a node does not answer stays unknown; that it does not answer at all is an error.
    pub(super) async fn ask(rpc: &Rpc, within: Duration) -> Result<Self, RpcError> {
        let env = |key: &str| {
            rpc.call("application", "get_env", vec![Term::atom("kernel"), Term::atom(key)], within)
        };
        let (ticktime, long_names, release, prevents, connects, argument) = join!(
            rpc.call("net_kernel", "get_net_ticktime", vec![], within),
            rpc.call("net_kernel", "longnames", vec![], within),
            rpc.call("erlang", "system_info", vec![Term::atom("otp_release")], within),
            env("prevent_overlapping_partitions"),
            env("connect_all"),
            rpc.call("init", "get_argument", vec![Term::atom("connect_all")], within),
        );
        let release = answered(release)?.and_then(|release| match release {
            Term::Text(text) => String::from_utf8(text).ok()?.parse::<u32>().ok(),
            _ => None,
        });
        let default = release.map(|release| release >= PREVENTS_SINCE);
        let by_argument = answered(argument)?.is_some_and(|value| is_false_argument(&value));
        let connects = if by_argument { Some(false) } else { setting(answered(connects)?, Some(true)) };
        Ok(Self {
            net_ticktime: answered(ticktime)?.and_then(|value| seconds(&value)),
            long_names: answered(long_names)?.and_then(|value| truth(&value)),
            prevents_partitions: setting(answered(prevents)?, default),
            connects_all: connects,
        })
    }

    /// Why cutting a live link could cost others, unless it certainly does not.
    pub(super) fn harm(&self) -> Option<&'static str> {
        match (self.prevents_partitions, self.connects_all) {
            (Some(false), _) | (_, Some(false)) => None,
            (Some(true), Some(true)) => Some(
                "prevent_overlapping_partitions is on there: the loss of one live link would cost all others \
                 (disconnect_live = \"always\" cuts it nevertheless)",
            ),
            _ => Some(
                "whether prevent_overlapping_partitions is on there cannot be read: the loss of one live link could \
                 cost all others (disconnect_live = \"always\" cuts it nevertheless)",
            ),
        }
    }
}

/// What a function returned; `None` where it does not exist there.
fn answered(value: Result<Term, RpcError>) -> Result<Option<Term>, RpcError> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(RpcError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value of `application:get_env/2`.
fn setting(value: Option<Term>, default: Option<bool>) -> Option<bool> {
    match value?.as_tuple() {
        Some([_ok, value]) => truth(value),
        _ => default,
    }
}

fn truth(value: &Term) -> Option<bool> {
    match value.as_atom()? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The seconds of `net_kernel:get_net_ticktime/0`: a number, or one that is being changed to.
fn seconds(value: &Term) -> Option<Duration> {
    let seconds = match value.as_tuple() {
        Some([_ongoing, seconds]) => seconds.as_integer()?,
        _ => value.as_integer()?,
    };
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Whether `init:get_argument(connect_all)` is `{ok, [["false"]]}`.
fn is_false_argument(value: &Term) -> bool {
    let values = value.as_tuple().and_then(|tuple| tuple.get(1)).and_then(Term::as_list);
    let last = values.and_then(<[Term]>::last).and_then(Term::as_list).and_then(<[Term]>::last);
    matches!(last, Some(Term::Text(text)) if text == b"false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(prevents_partitions: Option<bool>, connects_all: Option<bool>) -> Facts {
        Facts { net_ticktime: None, long_names: None, prevents_partitions, connects_all }
    }

    /// A live link is cut only where one of the settings is known to be off.
    #[test]
    fn harm() {
        for (prevents, connects, is_harmless) in [
            (Some(true), Some(true), false),
            (None, Some(true), false),
            (Some(true), None, false),
            (None, None, false),
            (Some(false), Some(true), true),
            (Some(false), None, true),
            (None, Some(false), true),
            (Some(true), Some(false), true),
        ] {
            assert_eq!(facts(prevents, connects).harm().is_none(), is_harmless, "{prevents:?} {connects:?}");
        }
    }

    /// What nodes answer, and what else could come.
    #[test]
    fn answers() {
        let ok = |value: &str| Term::Tuple(vec![Term::atom("ok"), Term::atom(value)]);
        assert_eq!(setting(Some(ok("false")), Some(true)), Some(false));
        assert_eq!(setting(Some(Term::atom("undefined")), Some(true)), Some(true));
        assert_eq!(setting(Some(ok("perhaps")), Some(true)), None);
        assert_eq!(setting(None, Some(true)), None);
        assert_eq!(seconds(&Term::Integer(8)), Some(Duration::from_secs(8)));
        let changing = Term::Tuple(vec![Term::atom("ongoing_change_to"), Term::Integer(60)]);
        assert_eq!(seconds(&changing), Some(Duration::from_secs(60)));
        assert_eq!(seconds(&Term::atom("ignored")), None);
        let argument = |text: &str| {
            Term::Tuple(vec![Term::atom("ok"), Term::List(vec![Term::List(vec![Term::text(text)])])])
        };
        assert!(is_false_argument(&argument("false")) && !is_false_argument(&argument("true")));
        assert!(!is_false_argument(&Term::atom("error")));
    }
}
