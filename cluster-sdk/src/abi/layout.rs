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
    let (interface, implementation) = if their_minor < our_minor {
        (theirs, ours)
    } else {
        (ours, theirs)
    };
    let Err(found) = check_layout_compatibility(interface, implementation) else {
        return Ok(());
    };
    // `abi_stable` compares the versions of the crates in which the types are written too, by the rules for Rust
    // interfaces: 0.2 of the SDK would refuse 0.1. What counts is the layout, and the versions in the handshake.
    let is_real = |err: &&AbiInstability| !matches!(err, AbiInstability::PackageVersion(_));
    let mut real = found
        .errors
        .iter()
        .filter_map(|err| Some((err, err.errs.iter().find(is_real)?)));
    real.next()
        .map_or(Ok(()), |(err, first)| Err(one_line(err, first)))
}

fn one_line(err: &AbiInstabilityError, first: &AbiInstability) -> String {
    let place: Vec<_> = err.stack_trace.iter().map(|step| name(&step.found)).collect();
    let mut shown = err.clone();
    shown.errs = vec![first.clone()].into();
    let shown = shown.to_string();
    // Its text is: the stack, both layouts in full, then "Error:" and what was expected and found.
    let what = shown
        .rsplit_once("Error:")
        .map_or(shown.as_str(), |(_, what)| what);
    let words = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let place = if place.is_empty() {
        "the table".to_owned()
    } else {
        place.join(".")
    };
    let line = format!("ABI layout differs at {place}: {words}");
    line.chars().take(ERROR_CHARS_MAX).collect()
}

fn name(step: &TLFieldOrFunction) -> &'static str {
    match step {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    }
}
