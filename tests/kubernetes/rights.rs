//! Rights that are missing: what is to be applied is told so that it can be copied.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use test_apiserver::{Kind, Verb};

use super::{A, B, C, NAMESPACE, Site, YAML_CHECK, check_nobody_went, reasons, told, wait_health};
use crate::host::Host;

pub(crate) const ALL: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: cluster-host, namespace: \"demo\" }
rules:
- apiGroups: [\"discovery.k8s.io\"]
  resources: [\"endpointslices\"]
  verbs: [\"list\", \"watch\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: cluster-host, namespace: \"demo\" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: cluster-host }
subjects:
- { kind: ServiceAccount, name: \"clusterer\", namespace: \"demo\" }
";

/// The YAML that `cluster-host topologies` prints: from its first line to the next empty one, or the end.
#[track_caller]
fn yaml(host: &Host) -> String {
    let text = told(host, "topologies");
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("apiVersion")).collect();
    assert!(!lines.is_empty(), "no YAML in\n{text}");
    lines.into_iter().take_while(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// Has a parser read it, where there is one: it is two documents of these kinds.
#[track_caller]
fn check_yaml(text: &str, kinds: [&str; 2]) {
    let mut python = Command::new("python3");
    if !python.args(["-c", "import yaml"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    {
        return;
    }
    let mut python = Command::new("python3");
    let mut child =
        python.args(["-c", YAML_CHECK]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && found.lines().eq(kinds), "{text}\n{found}");
}

/// Who may not list is told with the `Role` and `RoleBinding` to apply: whole in the API, as one line in the table, the events
/// and the log, and to be copied below the table. Nobody is lost meanwhile. Once it may, all of it is gone.
#[test]
fn may_not_list() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "poll = true\npolling_interval = \"500ms\"\n");
    // Whoever asks between the two is not to find the Endpoints, of which this site has none.
    for kind in [Kind::Endpoints, Kind::EndpointSlice] {
        site.api.deny(kind, Verb::List);
    }
    let reason = wait_health(&host, "denied", &["may not list endpointslices in namespace demo", "Apply:\n"]);
    assert!(reason.ends_with(ALL), "{reason}");
    let headline = reason.lines().next().unwrap();
    assert!(headline.contains("system:serviceaccount:demo:clusterer"), "{headline}");

    let table = told(&host, "topologies");
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("denied") && row.ends_with(&format!("{headline} …")), "{table}");
    assert_eq!(yaml(&host), ALL, "{table}");
    check_yaml(ALL, ["Role", "RoleBinding"]);
    let events = told(&host, "events --since 0");
    let event =
        events.lines().find(|line| line.contains("may not list")).unwrap_or_else(|| panic!("{events}"));
    assert!(event.contains(&format!("reason=\"{headline} …\"")), "{event}");
    assert!(!events.contains("RoleBinding"), "{events}");
    host.settle("its line in the log", || {
        host.log().lines().any(|line| line.contains("RoleBinding")).then_some(())
    });
    for line in host.log().lines() {
        assert!(line.starts_with("20") && !line.contains(char::is_control), "a line that is none: {line:?}");
    }
    check_nobody_went(&host);

    site.api.allow(Kind::EndpointSlice, Verb::List);
    wait_health(&host, "running", &[]);
    site.publish([A, B, C]);
    host.wait_up(&[A, B, C]);
    assert!(!told(&host, "topologies").contains("apiVersion"));
    check_nobody_went(&host);
}

/// A host that may nothing from the beginning says so, and begins as soon as it may.
#[test]
fn may_nothing_yet() {
    let site = Site::new();
    site.publish([A, B]);
    site.api.deny_namespace(NAMESPACE);
    let host = site.start("");
    wait_health(&host, "denied", &["may not list endpointslices", ALL]);
    assert_eq!(host.view().up().len(), 1, "itself");
    site.api.allow_namespace(NAMESPACE);
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
    host.check_fold();
}

/// Who may list but not watch polls, which is a note beside what works: no trouble in the log, and the Role is there all the
/// same.
#[test]
fn may_not_watch() {
    let site = Site::new();
    site.api.deny(Kind::EndpointSlice, Verb::Watch);
    let host = site.start_with(&[A, B], "polling_interval = \"500ms\"\n");
    let note = wait_health(&host, "running", &["it polls every 500ms", "watch", ALL]);
    let table = told(&host, "topologies");
    assert!(
        table.lines().nth(1).is_some_and(|row| row.contains("running") && row.ends_with(" …")),
        "{table}"
    );
    assert_eq!(yaml(&host), ALL, "{table}");
    host.settle("its line in the log", || host.log().contains("it polls every").then_some(()));
    assert!(!host.log().contains("topology is not well"), "{}", host.log());
    assert!(reasons(&host).contains(&note), "{:?}", reasons(&host));
    site.publish([A, B, C]);
    host.wait_up(&[A, B, C]);
    // A look at the rights is taken after trouble.
    site.api.allow(Kind::EndpointSlice, Verb::Watch);
    site.served.stop();
    wait_health(&host, "degraded", &["cannot list endpointslices"]);
    site.served.restart();
    wait_health(&host, "running", &[]);
    site.await_watch();
    assert!(!told(&host, "topologies").contains("it polls"));
    check_nobody_went(&host);
}

/// With libcluster's Role, which is for Endpoints, it works by these, and says what would be better.
#[test]
fn only_endpoints() {
    let site = Site::new();
    site.api.deny(Kind::EndpointSlice, Verb::List);
    let endpoints = test_apiserver::objects::endpoints(NAMESPACE, "app").label("app", "app");
    site.api.apply(endpoints.subset([super::pod(A), super::pod(B)], []));
    let host = site.start("");
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &["endpointslices", "Endpoints are used", ALL]);
    assert_eq!(yaml(&host), ALL);
}

/// Who asks for all namespaces is told of a ClusterRole.
#[test]
fn all_namespaces() {
    let site = Site::new();
    site.api.allow_only_namespace(NAMESPACE);
    let host = site.start("kubernetes_namespace = \"*\"\n");
    wait_health(&host, "denied", &["in all namespaces", "kind: ClusterRoleBinding"]);
    check_yaml(&yaml(&host), ["ClusterRole", "ClusterRoleBinding"]);
}

/// Without a token it is anybody; then no Role helps.
#[test]
fn anonymous() {
    let site = Site::new();
    let kubeconfig = super::access::Kubeconfig::of(&site).without_token();
    let host = site.start_by("", &kubeconfig.option());
    let reason = wait_health(&host, "denied", &["system:anonymous", "No token was sent"]);
    assert!(!reason.contains("apiVersion"), "{reason}");
}
