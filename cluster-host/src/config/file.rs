//! Reading the file.

use std::{fs::File, io::Read, path::Path};

/// Bytes that a configuration may have at most.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// The text of a file, or why there is none, for whoever named it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|err| format!("cannot be opened: {err}"))?;
    if file.metadata().is_ok_and(|about| about.is_dir()) {
        return Err("is a directory: name a file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = read.map_err(|err| format!("cannot be read: {err}"))?;
    if u64::try_from(length).is_ok_and(|length| length > CONFIG_BYTES_MAX) {
        return Err(format!("has more than {CONFIG_BYTES_MAX} bytes: this is no configuration"));
    }
    String::from_utf8(bytes).map_err(|err| {
        let valid = err.as_bytes().get(..err.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8: see line {line}")
    })
}
