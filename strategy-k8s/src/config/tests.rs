//! Configs, and what is said of wrong ones.

use cluster_sdk::{LocalNode, config};
use serde_json::{Value, json};

use super::*;

fn parse(value: Value) -> Result<KubernetesConfig, Vec<ConfigError>> {
    let config: KubernetesConfig = config::parse(value)?;
    let errors = config.errors(&LocalNode::default());
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// Libcluster's example, and the defaults.
#[test]
fn defaults() {
    let config =
        parse(json!({ "kubernetes_selector": "app=myapp", "kubernetes_node_basename": "myapp" })).unwrap();
    assert_eq!(config.mode, Mode::Ip);
    assert_eq!(config.kubernetes_ip_lookup_mode, LookupMode::Endpoints);
    assert_eq!(config.kubernetes_service_account_path.to_str(), Some(SERVICE_ACCOUNT));
    assert_eq!(
        (config.include(), config.terminating, config.prefer),
        (Include::Ready, Terminating::Leaving, Family::Ipv4)
    );
    assert_eq!(config.domain(None), "cluster.local");
    assert!(!config.poll && !config.kubernetes_use_cached_resources && !config.insecure_skip_tls_verify);
    let pods = json!({
        "kubernetes_selector": "app=myapp", "kubernetes_node_basename": "myapp", "kubernetes_ip_lookup_mode": "pods",
    });
    assert_eq!(parse(pods).unwrap().include(), Include::All);
}

/// All options of libcluster in the forms that it has them in.
#[test]
fn all_of_libcluster() {
    let config = parse(json!({
        "mode": "hostname",
        "kubernetes_node_basename": "myapp",
        "kubernetes_selector": "app=myapp,tier in (a,b)",
        "kubernetes_namespace": "my_namespace".replace('_', "-"),
        "kubernetes_service_name": "myapp-headless",
        "kubernetes_service_account_path": "/tmp/sa",
        "kubernetes_master": "kubernetes.default.svc",
        "kubernetes_cluster_name": "cluster",
        "kubernetes_ip_lookup_mode": "pods",
        "kubernetes_use_cached_resources": true,
        "polling_interval": 10_000,
    }))
    .unwrap();
    assert_eq!(config.kubernetes_namespace, Some(Namespaces::These(vec!["my-namespace".to_owned()])));
    assert_eq!(config.service_account("token").to_str(), Some("/tmp/sa/token"));
    assert_eq!(config.polling_interval, ConfigDuration::from_secs(10));
}

/// Namespaces in each form.
#[test]
fn namespaces() {
    let parse = |value: Value| serde_json::from_value::<Namespaces>(value);
    let these = |names: &[&str]| Namespaces::These(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(parse(json!("*")).unwrap(), Namespaces::All);
    assert_eq!(parse(json!("a")).unwrap(), these(&["a"]));
    assert_eq!(parse(json!(["b", "a", "b"])).unwrap(), these(&["a", "b"]));
    let many: Vec<_> = (0..=NAMESPACES_MAX).map(|index| format!("n{index}")).collect();
    for wrong in [json!([]), json!(""), json!("a/b"), json!(["*", "a"]), json!("A"), json!(5), json!(many)] {
        assert!(parse(wrong.clone()).is_err(), "{wrong}");
    }
}

/// All that is wrong is told at once, with the key and the remedy.
#[test]
fn wrong() {
    let check =
        |value: Value| parse(value).unwrap_err().iter().map(|error| format!("{error}\n")).collect::<String>();
    expect_test::expect![[r#"
        kubernetes_node_basename: missing: this key is required (What stands before the `@` in the names of nodes: "myapp" gives `myapp@10.1.2.3`. Required.)
    "#]].assert_eq(&check(json!({})));
    expect_test::expect![[r#"
        kubernetes_node_basename: "my@app" is no first part of a node's name: write what stands before the @, as "myapp"
        kubernetes_service_name: missing: with mode = "hostname" it is part of the names, and the pods' `subdomain`
        kubernetes_cluster_name: has no effect beside cluster_domain: leave one of them out
        kubernetes_selector: is empty, which would pick everything in the namespace: write a label, as "app=myapp"
        polling_interval: 1ms is too short: at least 500ms; without poll nothing is polled
        kubernetes_master: has no effect beside kubeconfig, which names the server: leave one of them out
        insecure_skip_tls_verify: leaves ca_file without effect: leave one of them out
    "#]].assert_eq(&check(json!({
        "kubernetes_node_basename": "my@app",
        "kubernetes_selector": " ",
        "mode": "hostname",
        "kubernetes_cluster_name": "a",
        "cluster_domain": "b",
        "polling_interval": "1ms",
        "kubeconfig": "/k",
        "kubernetes_master": "http://api",
        "ca_file": "/ca",
        "insecure_skip_tls_verify": true,
    })));
    expect_test::expect![[r#"
        kubernetes_selector: missing: which pods are meant, as "app=myapp"
        context: is a context of a kubeconfig: give kubeconfig too
        kubernetes_master: is without TLS: the token could be read on the way. Write https://, or set insecure_skip_tls_verify = true
        proxy_url: is no URL of a proxy: write http://host:port
    "#]].assert_eq(&check(json!({
        "kubernetes_node_basename": "a",
        "kubernetes_service_name": "b",
        "kubernetes_ip_lookup_mode": "pods",
        "kubernetes_master": "http://api",
        "context": "c",
        "proxy_url": "socks5://user:secret@proxy",
    })));
    expect_test::expect![[r#"
        include: expected a string or a table, found a list
        kubernetes_namespace: "No" is no namespace: lower case letters, digits and -, or "*" alone for all
        kubernetes_selectr: unknown key; did you mean `kubernetes_selector`? possible: `ca_file`, `cluster_domain`, `context`, `field_selector`, `include`, `insecure_skip_tls_verify`, `kubeconfig`, `kubernetes_cluster_name`, `kubernetes_ip_lookup_mode`, `kubernetes_master`, `kubernetes_namespace`, `kubernetes_node_basename`, `kubernetes_selector`, `kubernetes_service_account_path`, `kubernetes_service_name`, `kubernetes_use_cached_resources`, `mode`, `pod_ip`, `pod_name`, `poll`, `polling_interval`, `prefer`, `proxy_url`, `terminating`
        mode: `ips` is not possible here; did you mean `ip`? possible: `ip`, `dns`, `hostname`
    "#]].assert_eq(&check(json!({
        "kubernetes_node_basename": "a",
        "kubernetes_selector": "b",
        "kubernetes_selectr": "b",
        "mode": "ips",
        "include": ["ready"],
        "kubernetes_namespace": "No",
        "kubernetes_master": "a b",
    })));
}
