//! Who could put code into a plugin file: only root and the user that this host runs as may.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{FileType, Stat},
    process::geteuid,
};

use super::refusal::Reason;

const OTHERS_WRITE: u32 = 0o022;
const GROUP_WRITE: u32 = 0o020;
const STICKY: u32 = 0o1000;
const PERMISSIONS: u32 = 0o7777;

/// Checks what a plugin file is and whose, without having opened it.
pub(super) fn check_file(stat: &Stat) -> Result<(), Reason> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Reason::Symlink { target: None }),
        FileType::Directory => return Err(Reason::NotRegular("a directory")),
        FileType::Fifo => return Err(Reason::NotRegular("a FIFO")),
        FileType::Socket => return Err(Reason::NotRegular("a socket")),
        FileType::CharacterDevice | FileType::BlockDevice => return Err(Reason::NotRegular("a device")),
        FileType::Unknown => return Err(Reason::NotRegular("of an unknown kind")),
    }
    let euid = geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != euid {
        return Err(Reason::ForeignOwner { uid: stat.st_uid, euid });
    }
    if stat.st_mode & OTHERS_WRITE != 0 {
        return Err(Reason::Writable { mode: stat.st_mode & PERMISSIONS });
    }
    Ok(())
}

/// Checks a directory and all above it, following symbolic links first. Gives the path without links, which
/// nobody else can turn to another place.
pub(super) fn check_directory(directory: &Path) -> Result<PathBuf, Reason> {
    let resolved = directory.canonicalize().map_err(Reason::Unreadable)?;
    let euid = geteuid().as_raw();
    for ancestor in resolved.ancestors() {
        let stat = fs::metadata(ancestor).map_err(Reason::Unreadable)?;
        check_ancestor(ancestor, &stat, euid)?;
    }
    Ok(resolved)
}

fn check_ancestor(directory: &Path, stat: &fs::Metadata, euid: u32) -> Result<(), Reason> {
    let (uid, mode) = (stat.uid(), stat.mode());
    if uid != 0 && uid != euid && !(uid == OVERFLOW_UID && root_is_outside()) {
        return Err(Reason::ForeignDirectory { directory: directory.to_owned(), uid, euid });
    }
    // In a sticky directory nobody removes or renames what belongs to others.
    let allowed = mode & STICKY != 0 || is_private_group(stat, euid) && mode & OTHERS_WRITE == GROUP_WRITE;
    if mode & OTHERS_WRITE != 0 && !allowed {
        return Err(Reason::WritableDirectory { directory: directory.to_owned(), mode: mode & PERMISSIONS });
    }
    Ok(())
}

/// Whether the group is the user's own: several distributions give each user a group of the same number and a
/// umask of 002, so that everything in a home directory is group-writable by nobody but its owner. The numbers are
/// those outside of a user namespace, in which everybody may be root.
fn is_private_group(stat: &fs::Metadata, euid: u32) -> bool {
    let outside = |map: &str, id: u32| fs::read_to_string(map).ok().and_then(|map| id_outside(&map, id));
    stat.uid() == euid
        && outside("/proc/self/uid_map", stat.uid())
            .is_some_and(|uid| uid != 0 && outside("/proc/self/gid_map", stat.gid()) == Some(uid))
}

/// As whom the kernel shows users who do not exist in our user namespace.
const OVERFLOW_UID: u32 = 65534;

/// Whether we are in a user namespace in which the machine's root has no number: its directories look as if
/// they were nobody's.
fn root_is_outside() -> bool {
    static OUTSIDE: OnceLock<bool> = OnceLock::new();
    *OUTSIDE.get_or_init(|| {
        let outside = || -> io::Result<bool> {
            let map = fs::read_to_string("/proc/self/uid_map")?;
            Ok(id_outside(&map, OVERFLOW_UID).is_none() && fs::metadata("/")?.uid() == OVERFLOW_UID)
        };
        outside().unwrap_or(false)
    })
}

/// The number of a user or a group outside of a user namespace, by the table of the namespace: lines of first
/// inside, first outside, how many.
fn id_outside(map: &str, id: u32) -> Option<u64> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (inside, outside, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        let within = u64::from(id).checked_sub(inside)?;
        (within < count).then(|| outside.saturating_add(within))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a namespace everybody is who they are; with one, who is not in its table is nobody.
    #[test]
    fn id_maps() {
        let all = "         0          0 4294967295\n";
        assert_eq!(id_outside(all, OVERFLOW_UID), Some(u64::from(OVERFLOW_UID)));
        let one = "         0       1000          1\n";
        assert_eq!(
            (id_outside(one, 0), id_outside(one, 1), id_outside(one, OVERFLOW_UID)),
            (Some(1000), None, None)
        );
        let two = "0 1000 1\n1 100000 65536\n";
        assert_eq!((id_outside(two, 0), id_outside(two, 33)), (Some(1000), Some(100_032)));
        assert_eq!(id_outside("", 0), None);
    }
}
