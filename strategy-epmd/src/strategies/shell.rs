//! Names of remote shells and maintenance scripts, which are at epmd for as long as somebody works with a node.
//!
//! | form | of |
//! |---|---|
//! | `rem-1a2b-app`, `rpc-1a2b-app` | `bin/app remote` and `bin/app rpc` of a release made by `mix release` |
//! | `remsh1a2b3c4d-app`, `maint1a2b3c4d-app` | `bin/app remote_console` and its like, of a release made by relx, rebar3 or Distillery |
//! | `app_maint_1234` | `nodetool` of older releases made by relx |
//!
//! Nearly all of these are hidden and known by that; not where they cannot be asked, as with TLS. The forms are narrow: a
//! real node that looked like one would never be found.

/// Digits that a number in hexadecimal has in such a name.
const HEX_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// Whether a name, without its host, is one of a shell.
pub(super) fn is_shell(alive: &str) -> bool {
    is_prefixed(alive) || is_of_nodetool(alive)
}

fn is_prefixed(alive: &str) -> bool {
    let rest = ["rem-", "rpc-", "remsh", "maint"].iter().find_map(|prefix| alive.strip_prefix(prefix));
    let Some((number, name)) = rest.and_then(|rest| rest.split_once('-')) else { return false };
    let is_number = HEX_DIGITS.contains(&number.len()) && number.bytes().all(|b| b.is_ascii_hexdigit());
    is_number && !name.is_empty()
}

fn is_of_nodetool(alive: &str) -> bool {
    alive.rsplit_once("_maint_").is_some_and(|(name, process)| {
        !name.is_empty() && !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shells are told from nodes whose names are merely like theirs.
    #[test]
    fn shells() {
        for shell in
            ["rem-1a2b-app", "rpc-00ff-my-app", "remsh1A2B3C4D-app", "maintdeadbeef-app", "app_maint_123"]
        {
            assert!(is_shell(shell), "{shell}");
        }
        for node in [
            "app",
            "rem",
            "rem-",
            "rem-1a2b",
            "rem-1a2b-",
            "rem-app-1",
            "rem-zzzz-app",
            "rpc-0-app",
            "rpc-123456789-app",
            "remsh",
            "remote-1a2b-app",
            "maintenance-app",
            "maint",
            "app_maint_",
            "_maint_1",
            "app_maint_x1",
            "app-rem-1a2b-app",
        ] {
            assert!(!is_shell(node), "{node}");
        }
    }
}
