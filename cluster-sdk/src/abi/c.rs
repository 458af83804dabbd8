//! Plugins that are written in C, by `include/libcluster_plugin.h`: their tables as ours.
//!
//! What they fill is [`PluginTable`] without the description that `abi_stable` makes of it for Rust. In its place are bits
//! that say which functions are there: growth is at the end, so those of 1.0 are the lowest. The host's table needs no
//! copy: it begins with the same bits, and a pointer that is `abi_stable`'s own.

#![allow(unsafe_code, reason = "what C has written can be read by no other means")]

use std::ffi::c_void;

use abi_stable::prefix_type::PrefixTypeTrait as _;

use super::{
    host::LoadError,
    table::{
        Bytes, Code, Instance, OfferCode, OperationCode, PluginTable, PluginTable_Ref, Sink, StartArgs,
        StopCode,
    },
    thunk,
};

/// `libcluster_table`: each function as C knows it, which may be null.
#[repr(C)]
pub(super) struct CTable {
    functions: u64,
    reserved: *const c_void,
    ping: Option<unsafe extern "C" fn(u64) -> u64>,
    describe: Option<unsafe extern "C" fn(Sink) -> Code>,
    validate: Option<unsafe extern "C" fn(OfferCode, Bytes, Bytes, Bytes, Sink) -> Code>,
    start: Option<unsafe extern "C" fn(*const StartArgs, *mut Instance, Sink) -> Code>,
    update: Option<unsafe extern "C" fn(Instance, Bytes)>,
    stop: Option<unsafe extern "C" fn(Instance, StopCode, u64)>,
    submit: Option<unsafe extern "C" fn(Instance, u64, OperationCode, Bytes, u64) -> Code>,
    cancel: Option<unsafe extern "C" fn(Instance, u64)>,
    destroy: Option<unsafe extern "C" fn(Instance) -> Code>,
}

/// The functions of 1.0, a bit each: `LIBCLUSTER_FUNCTIONS`.
const FUNCTIONS: u64 = 0x1ff;

/// Makes a table of the one that a plugin in C has. It lives for ever, as the plugin does.
///
/// # Safety
/// `table` must be null, or point at a table by the header of this ABI's major version, which is never freed.
pub(super) unsafe fn table(table: *const CTable) -> Result<PluginTable_Ref, LoadError> {
    let refused = |what: &str| LoadError::NoTable(what.to_owned());
    if table.is_null() || !table.is_aligned() {
        return Err(refused("its entry points at none"));
    }
    // SAFETY: it is not null, and the caller vouches for what is there.
    let functions = unsafe { (*table).functions };
    if functions & FUNCTIONS != FUNCTIONS {
        return Err(LoadError::NoTable(format!(
            "its functions are {functions:#x}, of {FUNCTIONS:#x} at least"
        )));
    }
    // SAFETY: as above; those functions are there.
    let theirs = unsafe { &*table };
    let null = |function: &str| LoadError::NoTable(format!("its function {function} is null"));
    let table = PluginTable {
        ping: theirs.ping.unwrap_or(thunk::ping),
        describe: theirs.describe.ok_or_else(|| null("describe"))?,
        validate: theirs.validate.ok_or_else(|| null("validate"))?,
        start: theirs.start.ok_or_else(|| null("start"))?,
        update: theirs.update.unwrap_or(no_update),
        stop: theirs.stop.ok_or_else(|| null("stop"))?,
        submit: theirs.submit.unwrap_or(no_submit),
        cancel: theirs.cancel.unwrap_or(no_cancel),
        destroy: theirs.destroy.ok_or_else(|| null("destroy"))?,
        #[cfg(feature = "abi-next")]
        next: thunk::ping,
    };
    Ok(table.leak_into_prefix())
}

unsafe extern "C" fn no_update(_: Instance, _: Bytes) {}

unsafe extern "C" fn no_submit(_: Instance, _: u64, _: OperationCode, _: Bytes, _: u64) -> Code {
    Code::UNKNOWN
}

unsafe extern "C" fn no_cancel(_: Instance, _: u64) {}

#[cfg(test)]
mod tests {
    use abi_stable::prefix_type::PrefixRefTrait as _;

    use super::{
        super::entry::{Plugin, Table},
        *,
    };
    use crate::offer::OfferDef;

    struct Nothing;
    impl Plugin for Nothing {
        const OFFERS: &'static [OfferDef] = &[];
    }

    /// What `abi_stable` puts before a table is what the header says is there: bits and a pointer, for the host's too.
    #[test]
    fn begins_alike() {
        let rust = Table::<Nothing>::REF.to_prefix_ref().to_raw_ptr().cast::<CTable>();
        // SAFETY: it points at a table.
        let seen = unsafe { &*rust };
        assert_eq!(seen.functions, FUNCTIONS);
        // SAFETY: it is the function of a table.
        assert_eq!(unsafe { seen.ping.unwrap()(7) }, 7);
        // SAFETY: as above.
        let table = unsafe { table(rust) }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { table.ping()(8) }, 8);
    }
}
