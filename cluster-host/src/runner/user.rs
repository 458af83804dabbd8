//! The user that a runner runs as, by name or number.

use std::fs;

use rustix::process::geteuid;

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

// === impl User ===

impl User {
    /// A name of `/etc/passwd`, `UID` (whose group has the same number, unless it is known there) or `UID:GID`.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("only root can run a plugin as somebody else; leave `user` out".to_owned());
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::find_in(&users, name).ok_or_else(|| "is neither in /etc/passwd nor UID or UID:GID".to_owned())
    }

    fn find_in(users: &str, name: &str) -> Option<Self> {
        if let Some((uid, gid)) = name.split_once(':') {
            return Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? });
        }
        let known = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (known, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
            (known == name || uid == name).then_some((uid, gid))
        });
        let (uid, gid) = known.unwrap_or((name, name));
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and numbers are found, and what is neither is nobody.
    #[test]
    fn by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\n";
        let find = |name| User::find_in(users, name).map(|user| (user.uid, user.gid));
        assert_eq!(find("nobody"), Some((65534, 65533)));
        assert_eq!(find("65534"), Some((65534, 65533)));
        assert_eq!(find("1000"), Some((1000, 1000)));
        assert_eq!(find("1000:5"), Some((1000, 5)));
        assert_eq!(find("somebody"), None);
    }
}
