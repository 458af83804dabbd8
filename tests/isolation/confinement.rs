//! What a process of a plugin has of its host: what it was given, and nothing by accident.

use super::{check_steady, start_with, wait_topology};

/// The lines of what a process says of itself that begin so.
fn lines<'a>(told: &'a str, prefix: &str) -> Vec<&'a str> {
    told.lines().filter_map(|line| line.strip_prefix(prefix)).collect()
}

/// Its environment is what every program needs, what is set and what is passed on by name; it has its standard streams,
/// the socket and the plugin open; it can neither gain rights nor dump core; and it does not see what is none of its
/// business, where the kernel has Landlock.
#[test]
fn what_a_process_has() {
    let topologies = r#"
[topologies.tells]
strategy = "breaks"
connect = "none"
config = { how = "tell" }
[topologies.tells.opts.isolation.process]
env = { REGION = "eu-1" }
pass_env = ["CLUSTER_TEST_*"]
memory_mib_max = 100
"#;
    let secrets = [("SECRET", "hunter2"), ("CLUSTER_TEST_KEY", "k"), ("LANG", "C"), ("LD_BIND_NOW", "1")];
    let host = start_with(topologies, &secrets);
    let told = wait_topology(&host, "tells", "its word", |topology| topology["health"] == "degraded");
    let told = told["reason"].as_str().unwrap();

    let mut names: Vec<_> = lines(told, "env ").iter().filter_map(|line| line.split_once('=')).collect();
    names.retain(|(name, _)| {
        !["PATH", "HOME", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"].contains(name)
    });
    assert_eq!(names, [("CLUSTER_TEST_KEY", "k"), ("LANG", "C"), ("REGION", "eu-1")], "{told}");

    let descriptors = lines(told, "fd ");
    let of = |number: &str| {
        let found = descriptors.iter().find_map(|line| line.strip_prefix(number)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no descriptor {number} in {descriptors:?}"))
    };
    assert_eq!(of("0"), "/dev/null");
    assert!(of("1").starts_with("pipe:") && of("1") == of("2"), "{descriptors:?}");
    assert!(of("3").starts_with("socket:"), "{descriptors:?}");
    assert_eq!(descriptors.iter().filter(|line| line.contains("libplugin_faulty.so")).count(), 1);
    let others = descriptors.iter().filter(|line| !line.contains("anon_inode:") && !line.contains("socket:"));
    // Those, and the directory that they are read from.
    assert_eq!(others.count(), 5, "{descriptors:?}");

    let has = |part: &str| assert!(told.contains(part), "{part} in {told}");
    has("limit Max core file size 0 0");
    has("limit Max data size 104857600 104857600");
    has("limit Max open files 1024 1024");
    has("status NoNewPrivs: 1");
    has("path /etc/hosts read");
    has("path /dev/null read");
    if has_landlock() {
        for hidden in ["/root", "/tmp", "/proc/1/environ"] {
            has(&format!("path {hidden} PermissionDenied"));
        }
    }
    check_steady(&host);
}

/// Whether this kernel has Landlock, by its own word.
fn has_landlock() -> bool {
    std::fs::read_to_string("/proc/kallsyms").is_ok_and(|symbols| symbols.contains("landlock_restrict_self"))
}

/// Where the host runs as root, a plugin can run as somebody else.
#[test]
fn another_user() {
    let topologies = r#"
[topologies.tells]
strategy = "breaks"
connect = "none"
config = { how = "tell" }
opts.isolation.process.user = "65534:65533"
"#;
    if !rustix::process::geteuid().is_root() {
        let (plugins, _) = (crate::host::Plugins::with(&[crate::host::FAULTY]), ());
        let file = plugins.path().join("host.toml");
        std::fs::write(&file, topologies).unwrap();
        let (file, directory) = (file.to_str().unwrap(), plugins.path().to_str().unwrap());
        let output = crate::host::cluster_host(&["check", "--config", file, "--plugins", directory]);
        let (code, out, _) = crate::host::outcome(&output);
        assert_eq!(code, Some(1));
        assert!(out.contains("only root can run a plugin as somebody else"), "{out}");
        return;
    }
    let host = start_with(topologies, &[]);
    let told = wait_topology(&host, "tells", "its word", |topology| topology["health"] == "degraded");
    let told = told["reason"].as_str().unwrap();
    for line in
        ["status Uid: 65534 65534 65534 65534", "status Gid: 65533 65533 65533 65533", "status Groups:"]
    {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
}
