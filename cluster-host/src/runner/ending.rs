//! How a process ended, in words.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

/// `its process was ended by signal 11 (SIGSEGV)`
pub(super) fn told(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => match name(signal) {
            Some(name) => format!("its process was ended by signal {signal} ({name})"),
            None => format!("its process was ended by signal {signal}"),
        },
        (None, Some(code)) => format!("its process ended by itself, with exit code {code}"),
        (None, None) => format!("its process ended: {status}"),
    }
}

/// The names of the signals that end a process by their default.
fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signals by number and name, codes by number.
    #[test]
    fn words() {
        for (raw, expected) in [
            (11, "its process was ended by signal 11 (SIGSEGV)"),
            (6 | 128, "its process was ended by signal 6 (SIGABRT)"),
            (34, "its process was ended by signal 34"),
            (0, "its process ended by itself, with exit code 0"),
            (3 << 8, "its process ended by itself, with exit code 3"),
        ] {
            assert_eq!(told(ExitStatus::from_raw(raw)), expected);
        }
    }
}
