//! What a scenario needs of a cluster, whichever server it has.

use serde_json::{Value, json};
use test_apiserver::ServiceAccount;

use crate::rest::Rest;

/// The namespace that scenarios are in.
pub(crate) const NAMESPACE: &str = "demo";
/// Who the strategy is to the server. A token of a file may be any user's, a service account's too.
const USER: &str = "system:serviceaccount:demo:clusterer";
/// The tokens that a server takes, and whose they are.
pub(crate) const USERS: [(&str, &str); 3] = [("token-admin", "admin"), (TOKEN, USER), (NEXT_TOKEN, USER)];
/// The strategy's token, and the one that takes its place.
pub(crate) const TOKEN: &str = "token-first";
pub(crate) const NEXT_TOKEN: &str = "token-second";

/// A server, as a process is one.
pub(crate) trait Server {
    /// Where it is.
    fn url(&self) -> String;
    /// The certificate of who vouches for it.
    fn authority(&self) -> String;
    /// Ends it at once, without a last word. What it knows stays.
    fn kill(&self);
    /// Starts it again, with the same port and objects.
    fn start_again(&self);
    /// Holds it up: connections are taken, and nothing is answered.
    fn pause(&self);
    /// Lets it go on.
    fn resume(&self);
    /// Has it forget its past, so that no watch can go on from there. Also possible while it is not running.
    fn compact(&self);
}

/// A cluster: a server and the admin's way to it.
pub(crate) struct Cluster {
    // Dropped before the server.
    rest: Rest,
    server: Box<dyn Server>,
}

/// What may be done with a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) verbs: &'static [&'static str],
}

/// All that the strategy needs as a rule.
pub(crate) const SLICES: Rights = Rights::new("discovery.k8s.io", "endpointslices", &["list", "watch"]);
/// What it falls back to.
pub(crate) const ENDPOINTS: Rights = Rights::new("", "endpoints", &["list", "watch"]);
/// What it needs for pods.
pub(crate) const PODS: Rights = Rights::new("", "pods", &["list", "watch"]);

impl Rights {
    pub(crate) const fn new(
        group: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        Self { group, resource, verbs }
    }
}

impl Cluster {
    /// A cluster with a namespace, where the strategy may do nothing yet.
    pub(crate) fn new(server: impl Server + 'static) -> Self {
        let rest = Rest::new(&server.url(), &server.authority(), USERS[0].0);
        rest.wait_until_ready();
        let cluster = Self { rest, server: Box::new(server) };
        cluster.create_namespace(NAMESPACE);
        cluster
    }

    pub(crate) fn server(&self) -> &dyn Server {
        self.server.as_ref()
    }

    /// Starts the server again and waits until it works.
    pub(crate) fn start_again(&self) {
        self.server.start_again();
        self.rest.wait_until_ready();
    }

    /// A service account's files, with a token.
    pub(crate) fn account(&self, token: &str) -> ServiceAccount {
        ServiceAccount::with_ca(&self.server.authority(), NAMESPACE, token)
    }

    pub(crate) fn create_namespace(&self, name: &str) {
        self.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }

    /// Creates or replaces an object of any kind.
    pub(crate) fn apply(&self, object: impl Into<Value>) {
        self.rest.apply(&object.into());
    }

    /// Creates a pod and, as on a real server that is another request, sets its status.
    pub(crate) fn create_pod(&self, pod: impl Into<Value>) {
        let mut pod = pod.into();
        let status = pod.as_object_mut().unwrap().remove("status").unwrap();
        self.rest.apply(&pod);
        self.patch_pod_status(pod["metadata"]["name"].as_str().unwrap(), &status);
    }

    pub(crate) fn patch_pod_status(&self, name: &str, status: &Value) {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}/status");
        self.rest.patch(&path, &json!({ "status": status }));
    }

    /// Asks a pod to end; it stays, as nobody runs who would take it away.
    pub(crate) fn terminate_pod(&self, name: &str) {
        self.rest.delete(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}?gracePeriodSeconds=600"));
    }

    /// Takes a pod away.
    pub(crate) fn remove_pod(&self, name: &str) {
        self.rest.delete(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}?gracePeriodSeconds=0"));
    }

    pub(crate) fn delete_slice(&self, name: &str) {
        self.rest.delete(&format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{name}"));
    }

    /// Has the strategy's user have these rights in a namespace, and no others there.
    pub(crate) fn grant(&self, namespace: &str, rights: &[Rights]) {
        self.grant_as("Role", Some(namespace), rights);
    }

    /// The same in all namespaces.
    pub(crate) fn grant_everywhere(&self, rights: &[Rights]) {
        self.grant_as("ClusterRole", None, rights);
    }

    fn grant_as(&self, kind: &str, namespace: Option<&str>, rights: &[Rights]) {
        const API: &str = "rbac.authorization.k8s.io";
        let rules: Vec<Value> = rights
            .iter()
            .map(|right| json!({"apiGroups": [right.group], "resources": [right.resource], "verbs": right.verbs}))
            .collect();
        let metadata = json!({"name": "granted", "namespace": namespace});
        self.apply(json!({
            "apiVersion": format!("{API}/v1"), "kind": kind, "metadata": metadata, "rules": rules,
        }));
        self.apply(json!({
            "apiVersion": format!("{API}/v1"), "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": API, "kind": kind, "name": "granted"},
            "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": "clusterer"}],
        }));
        self.wait_until_granted(namespace, rights);
    }

    /// A real server learns of Roles by a watch of its own, a little later.
    fn wait_until_granted(&self, namespace: Option<&str>, rights: &[Rights]) {
        let user = Rest::new(&self.server.url(), &self.server.authority(), TOKEN);
        let namespace = namespace.map(|name| format!("namespaces/{name}/")).unwrap_or_default();
        for right in [SLICES, ENDPOINTS, PODS] {
            let root =
                if right.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", right.group) };
            for (verb, query) in [("list", "limit=1"), ("watch", "watch=true&timeoutSeconds=1")] {
                let is_granted = rights
                    .iter()
                    .any(|granted| granted.resource == right.resource && granted.verbs.contains(&verb));
                let path = format!("{root}/v1/{namespace}{}?{query}", right.resource);
                user.wait_for_status(&path, if is_granted { 200 } else { 403 });
            }
        }
    }
}
