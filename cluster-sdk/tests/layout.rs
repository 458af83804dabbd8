//! The ABI is what `golden/abi-v1.txt` says, to the byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    mem::{align_of, offset_of, size_of},
    path::Path,
};

use abi_stable::type_layout::{TLData, TLField, TypeLayout};
use cluster_sdk::abi::{
    PluginEntry,
    handshake::{ABI_MAJOR, ABI_MINOR, Handshake, SYMBOL_PREFIX},
    layout,
    table::{Bytes, CODES, Code, HostCtx, Instance, Sink, StartArgs},
};

const GOLDEN: &str = "tests/golden/abi-v1.txt";
/// The ABI as it was frozen: never written anew.
const FROZEN: &str = include_str!("golden/abi-v1.0.txt");
const HOW: &str = "\
The ABI has changed. If functions were added at the end of a table, or codes, raise ABI_MINOR in handshake.rs and write the
file anew by
    UPDATE_GOLDEN=1 cargo test -p cluster-sdk --test layout
Anything else breaks the plugins that there are: undo it, or begin a new ABI_MAJOR with a symbol prefix of its own.";

/// Sizes and places of what crosses by value, on 64-bit targets.
#[test]
#[cfg(target_pointer_width = "64")]
fn by_value() {
    assert_eq!((size_of::<Bytes>(), align_of::<Bytes>()), (16, 8));
    assert_eq!((size_of::<Sink>(), align_of::<Sink>()), (16, 8));
    assert_eq!((size_of::<HostCtx>(), size_of::<Instance>(), size_of::<Code>()), (8, 8, 4));
    assert_eq!((size_of::<StartArgs>(), align_of::<StartArgs>()), (72, 8));
    let places = [
        offset_of!(StartArgs, kind),
        offset_of!(StartArgs, name),
        offset_of!(StartArgs, config),
        offset_of!(StartArgs, context),
        offset_of!(StartArgs, host),
        offset_of!(StartArgs, host_ctx),
    ];
    assert_eq!(places, [0, 8, 24, 40, 56, 64]);
    assert_eq!((size_of::<Handshake>(), align_of::<Handshake>()), (840, 8));
    let places = [
        offset_of!(Handshake, magic),
        offset_of!(Handshake, handshake_bytes),
        offset_of!(Handshake, abi_major),
        offset_of!(Handshake, abi_minor),
        offset_of!(Handshake, interface),
        offset_of!(Handshake, flags),
        offset_of!(Handshake, features_needed),
        offset_of!(Handshake, cpu_features),
        offset_of!(Handshake, sdk),
        offset_of!(Handshake, rustc),
        offset_of!(Handshake, target),
        offset_of!(Handshake, plugin),
        offset_of!(Handshake, version),
        offset_of!(Handshake, offers),
    ];
    assert_eq!(places, [0, 16, 20, 24, 28, 32, 36, 40, 48, 72, 120, 184, 248, 328]);
    assert_eq!((size_of::<PluginEntry>(), align_of::<PluginEntry>()), (848, 8));
}

/// Names, order and types of the functions are those of the golden file.
#[test]
#[cfg(target_pointer_width = "64")]
fn golden() {
    let found = dump();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(golden.lines()).find(|(found, golden)| found != golden);
    assert!(found == golden, "{HOW}\nFirst difference (found, golden): {differs:#?}");
}

/// What was frozen as 1.0 is still there: by-value types to the byte, the functions of each table in their places, every
/// code with its value. A plugin that was built then is understood.
#[test]
fn frozen() {
    if let Some(broken) = breaks(FROZEN, &dump()) {
        panic!("{broken}\n{HOW}");
    }
}

/// Each way to break it is noticed, and growth is none.
#[test]
fn freezing_notices() {
    let found = dump();
    let changed = |from: &str, to: &str| {
        assert!(found.contains(from), "{from:?} is not in the dump");
        breaks(FROZEN, &found.replacen(from, to, 1))
    };
    let exited = found.lines().find(|line| line.starts_with("    exited: ")).unwrap();
    let later = format!("{exited}\n    later: unsafe extern \"C\" fn() -> ()");
    for (from, to) in [
        (exited, later.as_str()),
        ("    EXHAUSTED = 10\n", "    EXHAUSTED = 10\n    LATER = 11\n"),
        ("table HostTable: ", "table HostTable: 9"),
    ] {
        assert_eq!(changed(from, to), None, "{from:?} -> {to:?}");
    }
    for (from, to) in [
        ("    log: ", "    before: unsafe extern \"C\" fn() -> ()\n    log: "),
        ("    ptr: *const u8\n", "    ptr: *const u8\n    more: usize\n"),
        ("struct Bytes: 16 bytes", "struct Bytes: 24 bytes"),
        ("    MALFORMED = 3\n", ""),
        ("    MALFORMED = 3\n", "    MALFORMED = 30\n"),
        ("    availability: ", "    available: "),
        ("struct Sink", "struct Drain"),
        ("libcluster_plugin_v1__", "libcluster_plugin_v2__"),
    ] {
        assert!(changed(from, to).is_some(), "{from:?} -> {to:?}");
    }
}

/// The first thing of a dump that a later one does not keep.
fn breaks(frozen: &str, found: &str) -> Option<String> {
    let symbol = |text: &str| text.lines().next()?.split_once(", ").map(|(_, symbol)| symbol.to_owned());
    if symbol(frozen) != symbol(found) {
        return Some(format!("the symbol was {:?}", symbol(frozen)));
    }
    let found: BTreeMap<_, _> = found.split("\n\n").skip(1).filter_map(type_of).collect();
    frozen.split("\n\n").skip(1).filter_map(type_of).find_map(|(name, (head, lines))| {
        let Some((head_now, lines_now)) = found.get(name) else {
            return Some(format!("{name} is gone"));
        };
        let is_table = head.starts_with("table");
        if !is_table && head != *head_now {
            return Some(format!("{head} is {head_now}"));
        }
        let (fields, codes) = parts(&lines);
        let (fields_now, codes_now) = parts(lines_now);
        let is_kept = if is_table { fields_now.starts_with(&fields) } else { fields_now == fields };
        if !is_kept {
            return Some(format!("{name} has other fields"));
        }
        codes.iter().find(|code| !codes_now.contains(code)).map(|code| format!("{name} has no {code}"))
    })
}

/// The fields and the codes of a type.
fn parts<'a>(lines: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    lines.iter().partition(|line| !line.contains(" = "))
}

/// A type of a dump: its name, its head, its lines.
fn type_of(block: &str) -> Option<(&str, (&str, Vec<&str>))> {
    let mut lines = block.lines();
    let head = lines.next()?;
    let name = head.split_once(' ')?.1.split(':').next()?;
    Some((name, (head, lines.collect())))
}

/// Every type of ours that the tables reach.
fn dump() -> String {
    let mut types = BTreeMap::new();
    collect(layout::ours(), &mut BTreeSet::new(), &mut types);
    let mut text = format!("ABI {ABI_MAJOR}.{ABI_MINOR}, symbol {SYMBOL_PREFIX}CRATE\n");
    for (name, layout) in types {
        describe(&mut text, name, layout);
        for (_, code, value) in CODES.iter().filter(|(of, ..)| *of == name) {
            writeln!(text, "    {code} = {value}").unwrap();
        }
    }
    text
}

fn collect(
    layout: &'static TypeLayout,
    seen: &mut BTreeSet<usize>,
    types: &mut BTreeMap<&'static str, &'static TypeLayout>,
) {
    if !seen.insert(std::ptr::from_ref(layout).addr()) {
        return;
    }
    if layout.package().as_str() == "cluster-sdk" {
        types.insert(layout.name(), layout);
    }
    for nested in layout.shared_vars().type_layouts() {
        collect(nested(), seen, types);
    }
}

fn describe(text: &mut String, name: &str, layout: &TypeLayout) {
    let fields = match layout.data() {
        TLData::Struct { fields } => fields,
        TLData::PrefixType(prefix) => prefix.fields,
        other => panic!("{name} is {other:?}: only structs and tables cross"),
    };
    let kind = if matches!(layout.data(), TLData::PrefixType(_)) { "table" } else { "struct" };
    writeln!(text, "\n{kind} {name}: {} bytes", layout.size()).unwrap();
    for field in fields.iter() {
        writeln!(text, "    {}: {}", field.name(), shown(&field)).unwrap();
    }
}

fn shown(field: &TLField) -> String {
    let functions: Vec<_> = field.function_range().iter().collect();
    if let [function] = functions.as_slice() {
        let names = function.param_names.as_str().split([',', ';']);
        let types = function.param_type_layouts.iter().map(|layout| layout().full_type().to_string());
        let parameters: Vec<_> =
            names.zip(types).map(|(name, of)| format!("{name}: {}", of.trim())).collect();
        let returned = function
            .return_type_layout()
            .map_or_else(|| "()".to_owned(), |layout| layout().full_type().to_string());
        let safety = if function.fn_qualifs.is_unsafe() { "unsafe " } else { "" };
        return format!("{safety}extern \"C\" fn({}) -> {returned}", parameters.join(", "));
    }
    field.full_type().to_string().trim().to_owned()
}
