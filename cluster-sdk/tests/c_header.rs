//! `include/libcluster_plugin.h` is the ABI of `golden/abi-v1.txt`: a C compiler checks each code, each place and the type
//! of each function.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::{fmt::Write as _, fs, mem::offset_of, path::Path, process::Command};

use cluster_sdk::{
    Node,
    abi::{
        handshake::{
            ABI_MAJOR, ABI_MINOR, FLAG_PANIC_UNWIND, HANDSHAKE_BYTES, Handshake, INTERFACE_C, MAGIC,
        },
        table::{CHUNK_BYTES_MAX, CODES, LOCAL_BYTES_MAX, TTL_NONE},
    },
};

const GOLDEN: &str = include_str!("golden/abi-v1.txt");

/// Lines of the golden file below the one that begins so.
fn section(title: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = GOLDEN.split_once(&format!("\n{title}: ")).unwrap_or_else(|| panic!("no {title}"));
    let lines = rest.lines().skip(1).take_while(|line| line.starts_with("    "));
    lines.filter_map(|line| line.trim().split_once(": ")).collect()
}

/// A type of the golden file, as C writes it.
fn in_c(rust: &str) -> String {
    let c = match rust {
        "()" => "void",
        "u64" => "uint64_t",
        "Bytes" => "libcluster_bytes",
        "Sink" => "libcluster_sink",
        "HostCtx" | "Instance" => "const void *",
        "*mut c_void" => "void *",
        "*const u8" => "const uint8_t *",
        "usize" => "size_t",
        "*const StartArgs" => "const libcluster_start *",
        "*mut Instance" => "const void **",
        "PrefixRef<'a, HostTable>" => "const libcluster_host *",
        _ if rust == "Flag" || (rust.ends_with("Code") && !rust.contains('(')) => "uint32_t",
        _ => match rust.strip_prefix("unsafe extern \"C\" fn(").and_then(|rust| rust.split_once(") -> ")) {
            Some((parameters, result)) => return function(parameters, result),
            None => panic!("{rust} is not known to C"),
        },
    };
    c.to_owned()
}

fn function(parameters: &str, result: &str) -> String {
    let types: Vec<_> = parameters
        .split(", ")
        .filter_map(|parameter| parameter.split_once(": "))
        .map(|(_, kind)| in_c(kind))
        .collect();
    format!("{} (*)({})", in_c(result), types.join(", "))
}

/// Asserts that a struct of C has these fields, of these types, in this order from `offset` on, and nothing after them.
fn fields(program: &mut String, name: &str, mut offset: usize, fields: &[(&str, &str)]) {
    let mut last = "";
    for (field, rust) in fields {
        let kind = in_c(rust);
        writeln!(
            program,
            "_Static_assert(__builtin_types_compatible_p(__typeof__((({name} *)0)->{field}), {kind}), \"{name}.{field}\");\n\
             _Static_assert(offsetof({name}, {field}) == {offset}, \"place of {name}.{field}\");"
        )
        .unwrap();
        let size = match *rust {
            "Bytes" => 16,
            _ => 8,
        };
        offset += size;
        last = field;
    }
    assert!(!last.is_empty());
    writeln!(program, "_Static_assert(sizeof({name}) == {offset}, \"{name} has more\");").unwrap();
}

/// The name that a code has in C: those that two kinds have say which.
fn code_in_c(kind: &str, code: &str) -> String {
    match (kind, code) {
        ("ExitCode", "PANICKED") => "LIBCLUSTER_EXIT_PANICKED".to_owned(),
        _ => format!("LIBCLUSTER_{code}"),
    }
}

/// The program compiles: all that it asserts is so.
fn compiles(program: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agree.c");
    fs::write(&file, program).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let compiler = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .args([&include, &file])
        .output()
        .unwrap_or_else(|err| panic!("cc (package gcc) cannot be run: {err}"));
    if compiler.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&compiler.stderr).into_owned())
    }
}

fn program() -> String {
    let mut program = "#include \"libcluster_plugin.h\"\n".to_owned();
    fields(&mut program, "libcluster_bytes", 0, &[("ptr", "*const u8"), ("len", "usize")]);
    fields(&mut program, "libcluster_sink", 0, &section("struct Sink"));
    // A code of four bytes is followed by as many that are empty.
    fields(&mut program, "libcluster_start", 0, &section("struct StartArgs"));
    fields(&mut program, "libcluster_host", 16, &section("table HostTable"));
    fields(&mut program, "libcluster_table", 16, &section("table PluginTable"));
    let functions = section("table PluginTable").len();
    let mut equal = |c: &str, rust: u64| {
        writeln!(program, "_Static_assert({c} == {rust}u, \"{c}\");").unwrap();
    };
    equal("LIBCLUSTER_FUNCTIONS", (1 << functions) - 1);
    for (kind, code, value) in CODES {
        equal(&code_in_c(kind, code), u64::from(*value));
    }
    for (c, rust) in [
        ("LIBCLUSTER_ABI_MAJOR", u64::from(ABI_MAJOR)),
        ("LIBCLUSTER_ABI_MINOR", u64::from(ABI_MINOR)),
        ("LIBCLUSTER_INTERFACE_C", u64::from(INTERFACE_C)),
        ("LIBCLUSTER_FLAG_PANIC_UNWIND", u64::from(FLAG_PANIC_UNWIND)),
        ("LIBCLUSTER_TTL_NONE", TTL_NONE),
    ] {
        equal(c, rust);
    }
    for (c, rust) in [
        ("LIBCLUSTER_HANDSHAKE_BYTES", HANDSHAKE_BYTES),
        ("sizeof(libcluster_handshake)", HANDSHAKE_BYTES),
        ("offsetof(libcluster_entry, table)", HANDSHAKE_BYTES),
        ("sizeof((libcluster_handshake *)0)->magic", MAGIC.len()),
        ("offsetof(libcluster_handshake, interface)", offset_of!(Handshake, interface)),
        ("offsetof(libcluster_handshake, cpu_features)", offset_of!(Handshake, cpu_features)),
        ("offsetof(libcluster_handshake, compiler)", offset_of!(Handshake, rustc)),
        ("offsetof(libcluster_handshake, target)", offset_of!(Handshake, target)),
        ("offsetof(libcluster_handshake, plugin)", offset_of!(Handshake, plugin)),
        ("offsetof(libcluster_handshake, version)", offset_of!(Handshake, version)),
        ("offsetof(libcluster_handshake, offers)", offset_of!(Handshake, offers)),
        ("LIBCLUSTER_CHUNK_BYTES_MAX", CHUNK_BYTES_MAX),
        ("LIBCLUSTER_LOCAL_BYTES_MAX", LOCAL_BYTES_MAX),
    ] {
        equal(c, rust.try_into().unwrap());
    }
    program
}

/// Everything that the header declares is what the golden file says.
#[test]
fn agrees() {
    compiles(&program()).unwrap();
}

/// Its functions write records as Rust does, and nothing into a buffer that is too small.
#[test]
fn records() {
    let program = r#"
        #include "libcluster_plugin.h"
        #include <stdio.h>
        int main(void) {
            uint8_t buffer[64];
            size_t used = 0, first, second;
            used = first = libcluster_node(buffer, sizeof buffer, 0, "a@h1", 4);
            used = second = libcluster_node(buffer, sizeof buffer, used, "b@h2", 4);
            used = libcluster_attribute(buffer, sizeof buffer, first, used, ".address", "10.0.0.7:9000");
            fwrite(buffer, 1, used, stdout);
            return first == 0 || second == 0 || libcluster_node(buffer, used, used, "c@h3", 4) != 0 ||
                   libcluster_attribute(buffer, used + 5, first, used, "key", "value") != 0;
        }"#;
    let directory = tempfile::tempdir().unwrap();
    let (file, run) = (directory.path().join("records.c"), directory.path().join("records"));
    fs::write(&file, program).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"];
    let compiled =
        Command::new("cc").args(options).arg(include).arg(file).arg("-o").arg(&run).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(run).output().unwrap();
    let mut expected = Vec::new();
    Node::try_new("a@h1").unwrap().encode(&mut expected);
    Node::try_new("b@h2").unwrap().address("10.0.0.7:9000").encode(&mut expected);
    assert_eq!((output.status.success(), output.stdout), (true, expected));
}

/// What differs is noticed: a code, a type, an order.
#[test]
fn notices() {
    let good = program();
    for (from, to) in [
        ("LIBCLUSTER_MALFORMED == 3u", "LIBCLUSTER_MALFORMED == 4u"),
        ("offsetof(libcluster_host, log) == 24", "offsetof(libcluster_host, log) == 32"),
        ("uint64_t (*)(uint64_t)", "uint32_t (*)(uint64_t)"),
        ("sizeof(libcluster_table) == ", "sizeof(libcluster_table) == 8 + "),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(
            compiles(&good.replacen(from, to, 1)).unwrap_err().contains("static assertion failed"),
            "{from}"
        );
    }
}
