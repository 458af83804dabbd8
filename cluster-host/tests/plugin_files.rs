//! Files in a plugin directory: which are told apart as plugins, and why the others are not, without running any.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the helpers of tests are tests too, but clippy does not know it"
)]

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use clap::Parser as _;
use cluster_host::{
    cli::{plugins::PluginsArgs, strategies::StrategiesArgs},
    plugin::{LoadError, Registry, Source, inspect, load},
};
use cluster_sdk::{OfferKind, abi::handshake::MAGIC};
use object::{
    NativeEndian, elf,
    read::elf::{FileHeader as _, SectionHeader as _},
};

/// A real plugin, which Cargo leaves beside the test as it is a dev-dependency.
fn real_plugin() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let path = executable.with_file_name("libplugin_faulty.so");
    assert!(path.exists(), "{} is missing: it is built by `cargo test`", path.display());
    path
}

/// A directory that nobody else writes to.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Why the file is refused, without its path.
#[track_caller]
fn refusal(path: &Path) -> String {
    let refusal = inspect(path).expect_err("refused");
    let line = refusal.to_string();
    assert!(!line.contains('\n'), "one line: {line}");
    let line = line.strip_prefix(&format!("{}: ", path.display())).expect("begins with the path").to_owned();
    line.replace(path.to_str().unwrap(), "FILE").replace(path.parent().unwrap().to_str().unwrap(), "DIR")
}

/// `plugin` with every occurrence of one text near its beginning, where the dynamic loader's texts are, replaced by
/// another of equal length.
fn replaced(plugin: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = plugin.to_vec();
    let mut found = 0;
    for at in 0..bytes.len().min(256 * 1024) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    bytes
}

/// Where in the file of [`real_plugin`] its handshake is. The code that compares magic numbers has one too, so it is
/// where the size follows.
fn handshake_offset(plugin: &[u8]) -> usize {
    static OFFSET: OnceLock<usize> = OnceLock::new();
    *OFFSET.get_or_init(|| {
        let start = [MAGIC.as_slice(), &840_u32.to_le_bytes()].concat();
        (0..plugin.len()).step_by(8).find(|at| plugin[*at..].starts_with(&start)).expect("a handshake")
    })
}

/// `plugin` with other bytes at an offset of its handshake.
fn with_handshake(plugin: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    patched(plugin, handshake_offset(plugin) + offset, bytes)
}

const DT_TEXTREL: u64 = 22;
const DT_RUNPATH: u64 = 29;

/// `plugin` with the tag of one entry of its dynamic table replaced: of the number of relative relocations, which
/// is a hint only.
fn with_dynamic(plugin: &[u8], tag: u64) -> Vec<u8> {
    const DT_RELACOUNT: u64 = 0x6fff_fff9;
    let relacount = DT_RELACOUNT.to_le_bytes();
    let at = (0..plugin.len() - 8).step_by(8).find(|at| plugin[*at..].starts_with(&relacount)).unwrap();
    patched(plugin, at, &tag.to_le_bytes())
}

fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(length, 0);
    bytes
}

fn patched(plugin: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut patched = plugin.to_vec();
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    patched
}

/// A real plugin is accepted, with who it is and what it offers.
#[test]
fn a_real_plugin_is_accepted() {
    let directory = directory();
    let path = directory.path().join("libplugin.so");
    write(&path, &fs::read(real_plugin()).unwrap());
    let inspected = inspect(&path).unwrap();
    assert_eq!(inspected.identity.plugin, "plugin-faulty");
    assert!(inspected.identity.unwinds);
    assert!(!inspected.identity.offers.is_empty());
}

/// Writes each content to a file and compares why it is refused.
#[track_caller]
fn check(contents: Vec<(&str, Vec<u8>, String)>) {
    let directory = directory();
    let path = directory.path().join("x.so");
    for (what, bytes, expected) in contents {
        write(&path, &bytes);
        assert_eq!(machine_words(&refusal(&path)), expected, "{what}");
    }
}

/// Every wrong ELF structure gets its own line: what is wrong, and what would mend it.
#[test]
fn wrong_files() {
    let plugin = fs::read(real_plugin()).unwrap();
    let not_ours = "remove it from the plugin directory";
    check(vec![
        ("text", b"hello".to_vec(), format!(r#"not a shared library: it starts with "hello"; {not_ours}"#)),
        ("empty", Vec::new(), "empty; copy or build it again".to_owned()),
        (
            "ten bytes of a library",
            plugin[..10].to_vec(),
            "cut off: the ELF header ends at byte 64, the file at 10; copy or build it again".to_owned(),
        ),
        (
            "32 bits",
            patched(&plugin, 4, &[1]),
            "a 32-bit library, this host has 64 bits; build it for this machine".to_owned(),
        ),
        (
            "other byte order",
            patched(&plugin, 5, &[if cfg!(target_endian = "big") { 1 } else { 2 }]),
            "a library of the other byte order; build it for this machine".to_owned(),
        ),
        (
            "other architecture",
            patched(&plugin, 18, &22_u16.to_le_bytes()),
            format!("built for s390x, this host is {}; build it for this machine", std::env::consts::ARCH),
        ),
        (
            "other major in the symbol",
            replaced(&plugin, b"libcluster_plugin_v1__", b"libcluster_plugin_v2__"),
            "plugin_faulty needs ABI 2.x, this host has 1.0; take the plugin's version for this host"
                .to_owned(),
        ),
        (
            "no symbol",
            replaced(&plugin, b"libcluster_plugin_v1__", b"libother___plugin_v1__"),
            format!("a valid shared library, but not a cluster-host plugin; {not_ours}"),
        ),
        (
            "glibc of the future",
            replaced(&plugin, b"GLIBC_2.2.5\0", b"GLIBC_9.2.5\0"),
            "needs glibc 9.2, this machine has GLIBC; build it on a system with glibc GLIBC or older"
                .to_owned(),
        ),
        (
            "search path",
            with_dynamic(&plugin, DT_RUNPATH),
            "has a library search path of its own (PATH); run patchelf --remove-rpath FILE".to_owned(),
        ),
        (
            "relocations in the code",
            with_dynamic(&plugin, DT_TEXTREL),
            "has relocations in its code (TEXTREL); build it as position-independent code".to_owned(),
        ),
    ]);
}

/// Every wrong handshake gets its own line.
#[test]
fn wrong_handshakes() {
    let plugin = fs::read(real_plugin()).unwrap();
    check(vec![
        (
            "other major in the handshake",
            with_handshake(&plugin, 20, &7_u32.to_le_bytes()),
            "plugin_faulty needs ABI 7.x, this host has 1.0; take the plugin's version for this host".to_owned(),
        ),
        (
            "other magic number",
            with_handshake(&plugin, 0, b"X"),
            "has no valid handshake: it has another magic number; build it with cluster-sdk's export_plugin!"
                .to_owned(),
        ),
        (
            "interface of the future",
            with_handshake(&plugin, 28, &9_u32.to_le_bytes()),
            "has interface 9, which this host does not know; take a newer cluster-host".to_owned(),
        ),
        (
            "features of the future",
            with_handshake(&plugin, 36, &4_u32.to_le_bytes()),
            "needs features of the host that this one lacks (bits 0x4); take a newer cluster-host".to_owned(),
        ),
        (
            "processor of the future",
            with_handshake(&plugin, 40, &(1_u64 << 63).to_le_bytes()),
            "compiled for a processor with features unknown to this host, which this one lacks; \
             build it without target-cpu=native"
                .to_owned(),
        ),
        (
            "other target",
            with_handshake(&plugin, 120, &padded("x86_64-unknown-linux-musl", 64)),
            "built for x86_64-unknown-linux-musl, this host for TARGET; build it for this machine".to_owned(),
        ),
        (
            "control characters in a text",
            with_handshake(&plugin, 184, b"\x1b[2J"),
            "has no valid handshake: its plugin name is not valid; build it with cluster-sdk's export_plugin!"
                .to_owned(),
        ),
        (
            "a name that is a path",
            with_handshake(&plugin, 328, b"s:../../x "),
            "has no valid handshake: the offer \"s:../../x\" has no valid name; \
             build it with cluster-sdk's export_plugin!"
                .to_owned(),
        ),
    ]);
}

/// Replaces what differs between machines: the version of glibc, the text of a search path, the target.
fn machine_words(line: &str) -> String {
    let mut line = line.to_owned();
    for (before, after, word) in [
        ("this machine has ", ";", "GLIBC"),
        ("system with glibc ", " or older", "GLIBC"),
        ("path of its own (", ");", "PATH"),
        ("this host for ", ";", "TARGET"),
    ] {
        if let Some((head, rest)) = line.split_once(before)
            && let Some((_, tail)) = rest.split_once(after)
        {
            line = format!("{head}{before}{word}{after}{tail}");
        }
    }
    line
}

/// Libraries of something else, executables and object files are told apart from plugins.
#[test]
fn other_elf_files() {
    let directory = directory();
    let path = directory.path().join("x.so");
    fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(refusal(&path), "an executable, not a shared library; remove it from the plugin directory");

    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for library in ["libc.so.6", "libgcc_s.so.1"] {
        let line = maps.lines().find(|line| line.ends_with(library)).expect("mapped into every test");
        fs::copy(&line[line.find('/').unwrap()..], &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            refusal(&path),
            "a valid shared library, but not a cluster-host plugin; remove it from the plugin directory"
        );
    }
}

/// Whoever else could exchange the file or its content makes it refused.
#[test]
fn wrong_places_and_rights() {
    let plugin = fs::read(real_plugin()).unwrap();
    let directory = directory();
    let (good, path) = (directory.path().join("good.so"), directory.path().join("x.so"));
    write(&good, &plugin);

    std::os::unix::fs::symlink(&good, &path).unwrap();
    assert_eq!(
        refusal(&path),
        "a symbolic link to DIR/good.so; run cp --remove-destination DIR/good.so FILE"
    );
    fs::remove_file(&good).unwrap();
    assert_eq!(refusal(&path), "a symbolic link to nothing; run rm FILE");
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    assert_eq!(refusal(&path), "a directory, not a regular file; remove it from the plugin directory");
    fs::remove_dir(&path).unwrap();

    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(refusal(&path), "a socket, not a regular file; remove it from the plugin directory");
    drop(socket);
    fs::remove_file(&path).unwrap();

    assert_eq!(refusal(&path), "cannot be read: No such file or directory (os error 2)");
    for (mode, expected) in [
        (0o664, "group-writable (mode 0664); run chmod g-w FILE"),
        (0o666, "world-writable (mode 0666); run chmod go-w FILE"),
        (0o642, "world-writable (mode 0642); run chmod go-w FILE"),
    ] {
        write(&path, &plugin);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(refusal(&path), expected);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(inspect(&path).is_ok());

    // Only root can give files away, and in a user namespace not even root can.
    if std::os::unix::fs::chown(&path, Some(1234), None).is_ok() {
        assert_eq!(
            refusal(&path),
            "belongs to uid 1234, but this host runs as uid 0; run chown 0 FILE, if you trust it"
        );
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        std::os::unix::fs::chown(directory.path(), Some(1234), None).unwrap();
        assert_eq!(
            refusal(&path),
            "the directory DIR belongs to uid 1234, but this host runs as uid 0; \
             keep plugins in a directory of your own"
        );
        std::os::unix::fs::chown(directory.path(), Some(0), None).unwrap();
    }

    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(refusal(&path), "the directory DIR is world-writable (mode 0777); run chmod go-w DIR");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(inspect(&path).is_ok(), "in a sticky directory nobody else can exchange it");
}

/// A directory above that others can write to is as bad as the plugin directory itself.
#[test]
fn the_directories_above_count() {
    let above = directory();
    let directory = above.path().join("plugins");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.join("x.so");
    write(&path, &fs::read(real_plugin()).unwrap());
    assert!(inspect(&path).is_ok());
    fs::set_permissions(above.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let above_path = above.path().display();
    assert_eq!(
        refusal(&path),
        format!("the directory {above_path} is world-writable (mode 0777); run chmod go-w {above_path}")
    );
}

/// A FIFO and a device are refused without being opened, so nothing waits for a writer.
#[test]
fn a_fifo_does_not_hang() {
    let directory = directory();
    let path = directory.path().join("x.so");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let (done, waiting) = mpsc::channel();
    thread::spawn(move || done.send(refusal(&path)).unwrap());
    let line = waiting.recv_timeout(Duration::from_secs(20)).expect("no hang");
    assert_eq!(line, "a FIFO, not a regular file; remove it from the plugin directory");
}

/// A plugin that was cut off anywhere is refused; loading it would end the process.
#[test]
fn truncated_at_every_64_kib() {
    let directory = directory();
    let path = directory.path().join("x.so");
    let plugin = fs::read(real_plugin()).unwrap();
    write(&path, &plugin);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let lengths = (0..plugin.len()).rev().step_by(64 * 1024).chain((0..=4096).rev().step_by(61));
    for length in lengths {
        file.set_len(length as u64).unwrap();
        let line = refusal(&path);
        assert!(line.starts_with("cut off: ") || length < 64, "{length}: {line}");
    }
}

/// Whatever byte of a plugin is wrong, looking at it neither panics nor hangs.
#[test]
fn byte_flips() {
    const THREADS: u64 = 2;
    const ROUNDS: u64 = 10_000 / THREADS;
    let plugin = with_few_relocations(&fs::read(real_plugin()).unwrap());
    let directory = directory();
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            let path = directory.path().join(format!("{seed}.so"));
            let plugin = &plugin;
            scope.spawn(move || flip_bytes(&path, plugin, seed, ROUNDS));
        }
    });
}

/// `plugin` with all but one relocation hidden, because reading them all ten thousand times would take a debug build
/// too long.
fn with_few_relocations(plugin: &[u8]) -> Vec<u8> {
    const SECTION_BYTES: usize = size_of::<elf::SectionHeader64<NativeEndian>>();
    const OFFSET_OF_SIZE: usize = 32;
    let header = elf::FileHeader64::<NativeEndian>::parse(plugin).unwrap();
    let table = usize::try_from(header.e_shoff.get(NativeEndian)).unwrap();
    let sections = header.section_headers(NativeEndian, plugin).unwrap();
    let index = sections.iter().position(|section| section.sh_type(NativeEndian) == elf::SHT_RELA).unwrap();
    let one = size_of::<elf::Rela64<NativeEndian>>() as u64;
    patched(plugin, table + index * SECTION_BYTES + OFFSET_OF_SIZE, &one.to_le_bytes())
}

fn flip_bytes(path: &Path, plugin: &[u8], seed: u64, rounds: u64) {
    write(path, plugin);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let edge = plugin.len().min(8 * 1024);
    let mut refused = 0;
    for round in 0..rounds {
        // The headers are at both ends, and that is where a flip matters most.
        let at = match round % 4 {
            0 => random(plugin.len()),
            1 => plugin.len() - 1 - random(edge),
            2 => random(1024),
            _ => random(edge),
        };
        let flipped = plugin[at] ^ (1 << random(8));
        file.write_all_at(&[flipped], at as u64).unwrap();
        refused += u64::from(inspect(path).is_err());
        file.write_all_at(&plugin[at..=at], at as u64).unwrap();
    }
    assert!(refused > rounds / 100, "seed {seed}: flips in the headers are noticed: {refused}");
    assert!(inspect(path).is_ok());
}

/// A directory is read whatever is in it: sorted, `*.so` only, each refusal beside the plugins that work.
#[test]
fn a_directory_of_good_and_bad() {
    let directory = directory();
    write(&directory.path().join("b.so"), &fs::read(real_plugin()).unwrap());
    write(&directory.path().join("a.so"), b"text");
    write(&directory.path().join("README.md"), b"text");
    let registry = Registry::scan(directory.path());
    let files: Vec<_> = registry
        .files()
        .iter()
        .map(|file| (file.path.file_name().unwrap().to_str().unwrap(), file.result.is_ok()))
        .collect();
    assert_eq!(files, [("a.so", false), ("b.so", true)]);
    assert!(registry.problem().is_none());
    let offer = &registry.offers()[0].0.name;
    let found = registry.find(registry.offers()[0].0.kind, offer).unwrap();
    assert_eq!(found.path().unwrap(), directory.path().join("b.so"));
}

/// Two files that offer one name are both named, and only when the name is used.
#[test]
fn duplicate_offers() {
    let directory = directory();
    let plugin = fs::read(real_plugin()).unwrap();
    write(&directory.path().join("a.so"), &with_handshake(&plugin, 328, &padded("s:one s:two", 512)));
    write(&directory.path().join("b.so"), &with_handshake(&plugin, 328, &padded("s:two c:one", 512)));
    let registry = Registry::scan(directory.path());
    let root = directory.path().display();
    assert_eq!(
        registry.find(OfferKind::Strategy, "two").unwrap_err().to_string(),
        format!(r#"the strategy "two" is offered by {root}/a.so and {root}/b.so: keep one of them"#)
    );
    assert!(registry.find(OfferKind::Strategy, "one").is_ok());
    assert!(registry.find(OfferKind::Connector, "one").is_ok());
}

/// An unknown name gets the nearest one, all there are, and which files were refused and why.
#[test]
fn unknown_names() {
    let directory = directory();
    let root = directory.path().display().to_string();
    let error = |name| {
        let registry = Registry::scan(directory.path());
        registry.find(OfferKind::Strategy, name).unwrap_err().to_string().replace(&root, "DIR")
    };
    assert_eq!(
        error("gossip"),
        r#"no plugin offers a strategy "gossip"; there is no strategy at all (plugin directory DIR)"#
    );
    let plugin = fs::read(real_plugin()).unwrap();
    write(
        &directory.path().join("a.so"),
        &with_handshake(&plugin, 328, &padded("s:gossip s:epmd c:erlang", 512)),
    );
    write(&directory.path().join("b.so"), b"text");
    assert_eq!(
        error("gosip"),
        r#"no plugin offers a strategy "gosip"; did you mean "gossip"?; there is epmd, gossip (plugin directory DIR); refused: DIR/b.so: not a shared library: it starts with "text"; remove it from the plugin directory"#
    );
    assert_eq!(
        error("erlang"),
        r#"no plugin offers a strategy "erlang"; "erlang" is a connector; there is epmd, gossip (plugin directory DIR); refused: DIR/b.so: not a shared library: it starts with "text"; remove it from the plugin directory"#
    );
    let missing = Registry::scan(&directory.path().join("missing"));
    assert_eq!(
        missing.find(OfferKind::Strategy, "gossip").unwrap_err().to_string().replace(&root, "DIR"),
        r#"no plugin offers a strategy "gossip"; the plugin directory DIR/missing cannot be read: No such file or directory (os error 2); there is no strategy at all (plugin directory DIR/missing)"#
    );
}

/// How often a file is mapped into this process.
fn mappings(path: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(path.to_str().unwrap())).count()
}

/// Each file is loaded as itself and once, although the dynamic loader knows libraries by the names they were opened
/// by; what is wrong by the time of loading is refused then.
#[test]
fn loading() {
    let directory = directory();
    let plugin = fs::read(real_plugin()).unwrap();
    let (a, b) = (directory.path().join("a.so"), directory.path().join("b.so"));
    write(&a, &with_handshake(&plugin, 328, &padded("s:one", 512)));
    write(&b, &with_handshake(&plugin, 328, &padded("s:two", 512)));
    let registry = Registry::scan(directory.path());
    assert_eq!((mappings(&a), mappings(&b)), (0, 0), "looking loads nothing");
    for name in ["one", "two"] {
        let source = registry.find(OfferKind::Strategy, name).unwrap();
        let loaded = load(source).unwrap();
        assert_eq!(loaded.ping(7), 7);
        assert!(!loaded.describe().unwrap().is_empty());
    }
    let once = (mappings(&a), mappings(&b));
    assert!(once.0 > 0 && once.1 > 0);
    let one = registry.find(OfferKind::Strategy, "one").unwrap();
    load(one).unwrap();
    assert_eq!((mappings(&a), mappings(&b)), once);

    // Put in its place as an upgrade does it: the old file lives on in the loaded library.
    let new = directory.path().join("new");
    write(&new, &plugin);
    fs::rename(&new, &a).unwrap();
    assert!(matches!(load(one), Err(LoadError::Changed(path)) if path == a));
    fs::remove_file(&a).unwrap();
    assert!(matches!(load(one), Err(LoadError::Refused(_))));
}

/// A plugin whose panics abort is looked at like any other, but its code does not come into this process.
#[test]
fn panics_that_abort() {
    let directory = directory();
    let plugin = fs::read(real_plugin()).unwrap();
    let path = directory.path().join("a.so");
    write(&path, &with_handshake(&plugin, 32, &0_u32.to_le_bytes()));
    let registry = Registry::scan(directory.path());
    let source = registry.find(OfferKind::Strategy, "fixed").unwrap();
    assert_eq!(
        load(source).unwrap_err().to_string(),
        format!(
            "{}: built with panic=abort: a panic of it would end this host; \
             build it with panic=unwind, or run it with isolation = \"process\"",
            path.display()
        )
    );
    assert_eq!(mappings(&path), 0);
}

/// The connectors that are linked in are found and loaded like those of files, and a file cannot take their names.
#[test]
fn builtin_connectors() {
    let directory = directory();
    let plugin = fs::read(real_plugin()).unwrap();
    write(&directory.path().join("a.so"), &with_handshake(&plugin, 328, &padded("c:tcp", 512)));
    let registry = Registry::scan(directory.path()).with_builtin(cluster_host::connectors::plugin()).unwrap();
    let exec = registry.find(OfferKind::Connector, "exec").unwrap();
    assert!(matches!(exec, Source::Builtin(_)));
    let offers = load(exec).unwrap().describe().unwrap();
    assert_eq!(offers.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>(), ["tcp", "exec"]);
    assert_eq!(
        registry.find(OfferKind::Connector, "tcp").unwrap_err().to_string(),
        format!(
            r#"the connector "tcp" is offered by cluster-host itself and {}/a.so: keep one of them"#,
            directory.path().display()
        )
    );
}

#[derive(clap::Parser)]
struct Plugins {
    #[command(flatten)]
    args: PluginsArgs,
}

#[derive(clap::Parser)]
struct Strategies {
    #[command(flatten)]
    args: StrategiesArgs,
}

fn plugins(arguments: &[&str]) -> String {
    let mut out = Vec::new();
    let arguments = Plugins::parse_from([&["plugins"], arguments].concat());
    cluster_host::cli::plugins::plugins(&arguments.args, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn strategies(arguments: &[&str]) -> String {
    let mut out = Vec::new();
    let arguments = Strategies::parse_from([&["strategies"], arguments].concat());
    cluster_host::cli::strategies::strategies(&arguments.args, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// `plugins` shows every file with what it offers or why it is refused, for people and as JSON, and loads none.
#[test]
fn plugins_command() {
    let directory = directory();
    let good = directory.path().join("good.so");
    let plugin = fs::read(real_plugin()).unwrap();
    write(&good, &with_handshake(&plugin, 328, &padded("s:one s:two c:three", 512)));
    write(&directory.path().join("bad.so"), b"text");
    let root = directory.path().to_str().unwrap();
    assert_eq!(
        plugins(&["--plugins", root]).replace(root, "DIR"),
        concat!(
            "(built in): cluster-host 0.1.0: connectors tcp, exec\n",
            "DIR/bad.so: refused: not a shared library: it starts with \"text\"; ",
            "remove it from the plugin directory\n",
            "DIR/good.so: plugin-faulty 0.1.0: strategies one, two; connector three\n",
        )
    );
    let json: serde_json::Value = serde_json::from_str(&plugins(&["--json", "--plugins", root])).unwrap();
    let [builtin, bad, good_json] = json["plugins"].as_array().unwrap().as_slice() else {
        panic!("three rows")
    };
    assert_eq!((&builtin["file"], &builtin["connectors"][0]), (&serde_json::Value::Null, &"tcp".into()));
    assert_eq!(bad["refused"]["remedy"], "remove it from the plugin directory");
    assert_eq!(good_json["strategies"], serde_json::json!(["one", "two"]));
    assert_eq!(good_json["refused"], serde_json::Value::Null);
    assert_eq!(mappings(&good), 0);
}

/// `strategies` lists what a configuration can name; `describe` shows the options of one.
#[test]
fn strategies_command() {
    let directory = directory();
    write(&directory.path().join("x.so"), &fs::read(real_plugin()).unwrap());
    let root = directory.path().to_str().unwrap();
    let list = strategies(&["--plugins", root]);
    let tcp = ["connector", "tcp", "cluster-host", "0.1.0", "(built", "in)"];
    assert!(list.lines().any(|line| line.split_whitespace().eq(tcp)), "{list}");
    assert!(list.lines().any(|line| line.starts_with("strategy ") && line.ends_with("/x.so")), "{list}");
    let tcp = strategies(&["--plugins", root, "describe", "tcp"]);
    assert!(tcp.starts_with("connector tcp, of cluster-host 0.1.0 (cluster-host itself)\n"), "{tcp}");
    for line in ["dead_after ", "port "] {
        assert!(tcp.lines().any(|row| row.starts_with(line)), "{tcp}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&strategies(&["--plugins", root, "describe", "tcp", "--json"])).unwrap();
    assert_eq!(json[0]["links"], "own");
}
