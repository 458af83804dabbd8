//! What is wrong with a configuration, and what can be in one.

use super::{K8S, Plugins, cluster_host, config, outcome};

fn check(topology: &str, options: &str) -> (Option<i32>, String) {
    let plugins = Plugins::with(&[K8S]);
    let file = plugins.path().join("host.toml");
    std::fs::write(&file, config("app@127.0.0.1", topology, options)).unwrap();
    let (file, directory) = (file.to_str().unwrap(), plugins.path().to_str().unwrap());
    let (code, out, errors) = outcome(&cluster_host(&["check", "--config", file, "--plugins", directory]));
    (code, (out + &errors).replace(file, "FILE"))
}

/// Every mistake is told at once, with its line.
#[test]
fn all_at_once() {
    // The options begin in line 9.
    let (code, text) = check(
        "connect = \"none\"",
        "kubernetes_namespace = \"De_mo\"\n\
         kubernetes_ip_lookup_mode = \"pod\"\n\
         polling_intervall = \"1s\"\n\
         polling_interval = \"10ms\"\n\
         mode = \"hostname\"\n\
         terminating = 5\n\
         kubernetes_master = \"http://api.example\"\n\
         proxy_url = \"socks5://me:s3cret@proxy\"\n\
         context = \"one\"\n\
         cluster_domain = \"a\"\n\
         kubernetes_cluster_name = \"b\"\n",
    );
    assert_eq!(code, Some(1), "{text}");
    for (line, parts) in [
        (9, ["kubernetes_namespace", "De_mo"]),
        (10, ["kubernetes_ip_lookup_mode", "pods"]),
        (11, ["polling_intervall", "polling_interval"]),
        (14, ["terminating", "5"]),
    ] {
        check_line(&text, line, &parts);
    }
    let (code, text) = check(
        "connect = \"none\"",
        "kubernetes_namespace = [\"a\", \"b\"]\n\
         polling_interval = \"10ms\"\n\
         mode = \"hostname\"\n\
         kubernetes_master = \"http://api.example\"\n\
         proxy_url = \"socks5://me:s3cret@proxy\"\n\
         context = \"one\"\n\
         cluster_domain = \"a\"\n\
         kubernetes_cluster_name = \"b\"\n",
    );
    assert_eq!(code, Some(1), "{text}");
    for (line, parts) in [
        (10, ["polling_interval", "500ms"]),
        (12, ["kubernetes_master", "https://"]),
        (13, ["proxy_url", "http://host:port"]),
        (14, ["context", "kubeconfig"]),
        (16, ["kubernetes_cluster_name", "cluster_domain"]),
    ] {
        check_line(&text, line, &parts);
    }
    // What is missing has the line of the table.
    assert!(text.contains("kubernetes_service_name"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[track_caller]
fn check_line(text: &str, number: usize, parts: &[&str]) {
    let begin = format!("FILE:{number}: ");
    let is_it = |line: &str| line.starts_with(&begin) && parts.iter().all(|part| line.contains(part));
    assert!(text.lines().any(is_it), "line {number} with {parts:?} in\n{text}");
}

/// A configuration of libcluster's own options is one.
#[test]
fn as_in_libcluster() {
    let (code, text) = check(
        "connect = \"none\"",
        "mode = \"hostname\"\n\
         kubernetes_namespace = \"my-namespace\"\n\
         kubernetes_service_name = \"myapp-headless\"\n\
         kubernetes_ip_lookup_mode = \"pods\"\n\
         kubernetes_use_cached_resources = true\n\
         polling_interval = 10000\n",
    );
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("ok: 1 topology, strategies: kubernetes"), "{text}");
}

/// Every option is described.
#[test]
fn described() {
    let plugins = Plugins::with(&[K8S]);
    let words = ["strategies", "--plugins", plugins.path().to_str().unwrap(), "describe", "kubernetes"];
    let (code, text, errors) = outcome(&cluster_host(&words));
    assert_eq!(code, Some(0), "{errors}");
    let options: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("OPTION")).skip(1).collect();
    for option in [
        "kubernetes_node_basename",
        "kubernetes_selector",
        "kubernetes_namespace",
        "kubernetes_service_name",
        "kubernetes_service_account_path",
        "kubernetes_master",
        "kubernetes_cluster_name",
        "kubernetes_ip_lookup_mode",
        "kubernetes_use_cached_resources",
        "mode",
        "polling_interval",
        "poll",
        "include",
        "terminating",
        "prefer",
        "field_selector",
        "cluster_domain",
        "kubeconfig",
        "context",
        "ca_file",
        "proxy_url",
        "insecure_skip_tls_verify",
        "pod_name",
        "pod_ip",
    ] {
        let row = options.iter().find(|row| row.split(' ').next() == Some(option));
        let row = row.unwrap_or_else(|| panic!("{option} in\n{text}"));
        assert!(row.split("  ").filter(|cell| !cell.trim().is_empty()).count() >= 4, "{row}");
    }
    assert_eq!(options.len(), 24, "{text}");
}
