//! Whether two sides that were built apart mean the same tables.
//!
//! `abi_stable` asks whether an implementation has all that an interface wants, and its own loader takes the host for
//! the interface: a newer host would refuse every older plugin. Here **the older side is the interface**, whichever
//! it is: what it does not know is at the end of a table and not looked at, and what the newer one finds missing is
//! `None`. Therefore one minor version must mean one set of functions, for ever and everywhere.

use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::{AbiInstability, AbiInstabilityError, check_layout_compatibility},
    type_layout::{TLFieldOrFunction, TypeLayout},
};

use super::{handshake::ABI_MINOR, table::PluginTable_Ref};

/// Characters of an error at most: `abi_stable` writes pages.
const ERROR_CHARS_MAX: usize = 300;

/// Compares a plugin's tables with ours.
///
/// # Examples
///
/// ```
/// use cluster_sdk::abi::{handshake::ABI_MINOR, layout};
///
/// assert_eq!(layout::check(layout::ours(), ABI_MINOR), Ok(()));
/// ```
///
/// # Errors
/// One line that says what differs, and where.
pub fn check(theirs: &'static TypeLayout, their_minor: u32) -> Result<(), String> {
    compare(ours(), ABI_MINOR, theirs, their_minor)
}

/// The tables as this build knows them.
#[must_use]
pub fn ours() -> &'static TypeLayout {
    <PluginTable_Ref as StableAbi>::LAYOUT
}

fn compare(
    ours: &'static TypeLayout,
    our_minor: u32,
    theirs: &'static TypeLayout,
    their_minor: u32,
) -> Result<(), String> {
    let (interface, implementation) = if their_minor < our_minor { (theirs, ours) } else { (ours, theirs) };
    let Err(found) = check_layout_compatibility(interface, implementation) else {
        return Ok(());
    };
    // `abi_stable` compares the versions of the crates in which the types are written too, by the rules for Rust
    // interfaces: 0.2 of the SDK would refuse 0.1. What counts is the layout, and the versions in the handshake.
    let is_real = |err: &&AbiInstability| !matches!(err, AbiInstability::PackageVersion(_));
    let mut real = found.errors.iter().filter_map(|err| Some((err, err.errs.iter().find(is_real)?)));
    real.next().map_or(Ok(()), |(err, first)| Err(one_line(err, first)))
}

fn one_line(err: &AbiInstabilityError, first: &AbiInstability) -> String {
    // Pointers are steps without a name ("0"), functions come twice, their parameters as one list with commas.
    let mut place: Vec<_> = err.stack_trace.iter().map(|step| name(&step.found)).collect();
    place.retain(|step| *step != "0" && !step.contains(','));
    place.dedup();
    let mut shown = err.clone();
    shown.errs = vec![first.clone()].into();
    let shown = shown.to_string();
    // Its text is: the stack, both layouts in full, then "Error:" and what was expected and found.
    let what = shown.rsplit_once("Error:").map_or(shown.as_str(), |(_, what)| what);
    let words = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let place = if place.is_empty() { "the table".to_owned() } else { place.join(".") };
    let line = format!("ABI layout differs at {place}: {words}");
    line.chars().take(ERROR_CHARS_MAX).collect()
}

fn name(step: &TLFieldOrFunction) -> &'static str {
    match step {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        unsafe_code,
        dead_code,
        non_local_definitions,
        non_camel_case_types,
        unused_qualifications,
        missing_debug_implementations,
        unnameable_types,
        clippy::mem_forget,
        clippy::ptr_as_ptr,
        reason = "emitted by the macros of abi_stable"
    )]

    use abi_stable::StableAbi;

    use super::*;

    /// A table as a version of the SDK might have had it.
    macro_rules! version {
        ($module:ident { $($function:ident: $type:ty),+ ; $last:ident: $last_type:ty $(; $added:ident: $added_type:ty)* }) => {
            mod $module {
                use abi_stable::StableAbi;
                #[repr(C)]
                #[derive(StableAbi)]
                #[sabi(kind(Prefix(prefix_ref = Table_Ref, prefix_fields = Table_Prefix)))]
                pub(super) struct Table {
                    $($function: $type,)+
                    #[sabi(last_prefix_field)]
                    $last: $last_type,
                    $($added: $added_type,)*
                }
            }
        };
    }

    version!(first { ping: extern "C" fn(u64) -> u64; stop: extern "C" fn(u32) });
    version!(second { ping: extern "C" fn(u64) -> u64; stop: extern "C" fn(u32); more: extern "C" fn(u8) });
    version!(changed { ping: extern "C" fn(u32) -> u64; stop: extern "C" fn(u32) });
    version!(swapped { stop: extern "C" fn(u32); ping: extern "C" fn(u64) -> u64 });

    fn layout<T: StableAbi>() -> &'static TypeLayout {
        T::LAYOUT
    }

    /// A function more at the end loads in both directions; anything else is refused in both, in one line.
    #[test]
    fn both_directions() {
        let (first, second) = (layout::<first::Table_Ref>(), layout::<second::Table_Ref>());
        assert_eq!(compare(first, 0, first, 0), Ok(()));
        assert_eq!(compare(first, 0, second, 1), Ok(()), "newer plugin");
        assert_eq!(compare(second, 1, first, 0), Ok(()), "older plugin");
        for wrong in [layout::<changed::Table_Ref>(), layout::<swapped::Table_Ref>()] {
            for (ours, theirs) in [(0, 0), (0, 1), (1, 0)] {
                let line = compare(first, ours, wrong, theirs).unwrap_err();
                assert!(line.starts_with("ABI layout differs at ") && !line.contains('\n'), "{line}");
            }
        }
        let line = compare(first, 0, layout::<changed::Table_Ref>(), 0).unwrap_err();
        assert!(line.starts_with("ABI layout differs at ping: mismatched"), "{line}");
        let line = compare(second, 1, first, 1).unwrap_err();
        assert!(line.contains("too many fields"), "one minor version must be one set of functions: {line}");
    }
}
