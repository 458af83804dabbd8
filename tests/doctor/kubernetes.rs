//! The Kubernetes API refuses, is not there, or has nobody.

use std::time::{Duration, SystemTime};

use expect_test::expect;
use test_apiserver::{Kind, Verb};

use super::{A, B, Site, config};
use crate::doctor::Patient;

fn patient(site: &Site, options: &str) -> Patient {
    let config = config(A, "connect = \"none\"", &format!("{}{options}", site.way()));
    Patient::new(&config, site.plugins.path())
}

/// Where all is as it should be, every rung is well.
#[test]
fn all_is_well() {
    let site = Site::new();
    site.publish([A, B]);
    patient(&site, "").examine().check_well();
}

/// The clock of the API server is another one.
#[test]
fn clock_is_off() {
    let site = Site::new();
    site.publish([A, B]);
    #[expect(clippy::disallowed_methods, reason = "a clock is what is tested")]
    let date = SystemTime::now() + Duration::from_hours(1);
    site.api.set_date(&httpdate::fmt_http_date(date));
    patient(&site, "").examine().hide(&site.served.url(), "SERVER").check_warned(&expect![[r#"
        warn clocks [t] the clock of SERVER is 60 min ahead of this one's
          fix: set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'; tokens and certificates are refused where they are of another time
        nothing is broken, but look at clocks (t): the clock of SERVER is 60 min ahead of this one's; to mend it: set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'; tokens and certificates are refused where they are of another time.
    "#]]);
}

/// The service account may not list: the Role to apply is the fix.
#[test]
fn rights_denied() {
    let site = Site::new();
    site.publish([A, B]);
    // Where it may list the older kind, that is what it does.
    for kind in [Kind::EndpointSlice, Kind::Endpoints] {
        site.api.deny(kind, Verb::List);
    }
    patient(&site, "").examine().hide(&site.served.url(), "SERVER").check(&expect![[r#"
        fail discovery [t] may not list endpointslices in namespace demo at SERVER: endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:demo:clusterer" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "demo" (403)
          fix: Apply:
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: { name: cluster-host, namespace: "demo" }
        rules:
        - apiGroups: ["discovery.k8s.io"]
          resources: ["endpointslices"]
          verbs: ["list", "watch"]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: { name: cluster-host, namespace: "demo" }
        roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: cluster-host }
        subjects:
        - { kind: ServiceAccount, name: "clusterer", namespace: "demo" }
        broken at discovery (t): may not list endpointslices in namespace demo at SERVER: endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:demo:clusterer" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "demo" (403); to mend it: Apply what stands under "to mend discovery".
    "#]]);
}

/// The token is not taken any more.
#[test]
fn token_expired() {
    let site = Site::new();
    site.api.accept_tokens(&["another"]);
    patient(&site, "").examine().hide(&site.served.url(), "SERVER").check(&expect![[r#"
        fail discovery [t] SERVER does not take our token: Unauthorized (401)
          fix: it is expired or of another cluster: write a good one to its file, which is read anew at each try
        broken at discovery (t): SERVER does not take our token: Unauthorized (401); to mend it: it is expired or of another cluster: write a good one to its file, which is read anew at each try.
    "#]]);
}

/// Nobody listens where the API server should be.
#[test]
fn api_server_is_gone() {
    let site = Site::new();
    let port = crate::host::free_tcp_port();
    let way = format!(
        "kubernetes_service_account_path = {:?}\nkubernetes_master = \"127.0.0.1:{port}\"\n",
        site.account.path()
    );
    let patient = Patient::new(&config(A, "connect = \"none\"", &way), site.plugins.path());
    patient.examine().hide(&port, "PORT").check(&expect![[r#"
        fail discovery [t] cannot list endpointslices in namespace demo at https://127.0.0.1:PORT: client error (Connect): tcp connect error: Connection refused (os error 111)
          fix: is the control plane up, and is kubernetes_master right?
        broken at discovery (t): cannot list endpointslices in namespace demo at https://127.0.0.1:PORT: client error (Connect): tcp connect error: Connection refused (os error 111); to mend it: is the control plane up, and is kubernetes_master right?
    "#]]);
}

/// The selector matches nothing.
#[test]
fn selector_matches_nothing() {
    let site = Site::new();
    site.publish([A, B]);
    let config = config(A, "connect = \"none\"", &site.way()).replace("app=app", "app=shop");
    Patient::new(&config, site.plugins.path()).examine().check(&expect![[r#"
        fail discovery [t] kubernetes answers, and names nobody: nothing matches the selector: look at it, at the namespace and at the labels of the Service or pods
          fix: make its config select your nodes; cluster-host strategies describe kubernetes
        broken at discovery (t): kubernetes answers, and names nobody: nothing matches the selector: look at it, at the namespace and at the labels of the Service or pods; to mend it: make its config select your nodes; cluster-host strategies describe kubernetes.
    "#]]);
}
