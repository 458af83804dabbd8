//! Files that are whole whatever happens.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Writes a file that is there whole or not at all, even where the machine stops meanwhile. A file that is there loses
/// its content by being replaced: whoever has it open keeps it.
pub(crate) fn write_whole(mut content: impl Read, path: &Path, mode: u32) -> io::Result<()> {
    let mut temporary = OsString::from(path);
    temporary.push(".new");
    let mut write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        io::copy(&mut content, &mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The new name is the directory's content.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    let written = write();
    if written.is_err() {
        let _nothing_to_remove = fs::remove_file(&temporary);
    }
    written
}
