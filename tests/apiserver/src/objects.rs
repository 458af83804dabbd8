//! Objects as tests need them: what matters is said, the rest is as a real cluster has it.

use serde_json::{Value, json};

/// Endpoints that a slice has at most, as the real controller makes them.
pub const SLICE_ENDPOINTS_MAX: usize = 100;

/// An `EndpointSlice` without endpoints.
#[must_use]
pub fn slice(namespace: &str, name: &str) -> Slice {
    Slice(json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    }))
}

/// An `Endpoints` without addresses.
#[must_use]
pub fn endpoints(namespace: &str, name: &str) -> Endpoints {
    Endpoints(json!({
        "kind": "Endpoints", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": {}}, "subsets": [],
    }))
}

/// A running, ready `Pod` without an address.
#[must_use]
pub fn pod(namespace: &str, name: &str) -> Pod {
    Pod(json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": {}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/myapp:1.0.0"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
}

/// The slices of a service with `count` ready endpoints, up to [`SLICE_ENDPOINTS_MAX`] in each.
#[must_use]
pub fn slices_of(namespace: &str, service: &str, count: usize) -> Vec<Slice> {
    let indices: Vec<usize> = (0..count).collect();
    let slices = indices.chunks(SLICE_ENDPOINTS_MAX).enumerate().map(|(number, indices)| {
        let slice = slice(namespace, &format!("{service}-{number:05}")).service(service).port("dist", 9_000);
        slice.endpoints(indices.iter().map(|index| nth_endpoint(service, *index)))
    });
    slices.collect()
}

/// `count` ready pods with addresses and the label `app`.
#[must_use]
pub fn pods_of(namespace: &str, app: &str, count: usize) -> Vec<Pod> {
    (0..count)
        .map(|index| {
            pod(namespace, &format!("{app}-{index}"))
                .label("app", app)
                .ip(&nth_address(index))
                .node(&format!("node-{}", index % 50))
        })
        .collect()
}

/// The endpoint number `index` of a service: each has another address and pod.
#[must_use]
pub fn nth_endpoint(service: &str, index: usize) -> Endpoint {
    Endpoint::ready(&nth_address(index))
        .pod(&format!("{service}-{index}"))
        .node(&format!("node-{}", index % 50))
        .zone(&format!("zone-{}", index % 3))
}

/// The address number `index` in 10.0.0.0/8.
#[must_use]
pub fn nth_address(index: usize) -> String {
    format!("10.{}.{}.{}", index / 62_500, index / 250 % 250, index % 250 + 1)
}

/// An `EndpointSlice`.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice(Value);

/// An `Endpoints`.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoints(Value);

/// A `Pod`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod(Value);

/// An endpoint of a slice, or an address of an `Endpoints`.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint(Value);

// === impl Slice ===

impl Slice {
    /// Of which service it is.
    #[must_use]
    pub fn service(self, service: &str) -> Self {
        self.label("kubernetes.io/service-name", service)
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        set_label(&mut self.0, key, value);
        self
    }

    /// Says that its addresses are of IPv6.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.address_type("IPv6")
    }

    /// Sets `addressType`.
    #[must_use]
    pub fn address_type(mut self, address_type: &str) -> Self {
        self.0["addressType"] = address_type.into();
        self
    }

    /// Adds a port.
    #[must_use]
    pub fn port(mut self, name: &str, port: u16) -> Self {
        push(&mut self.0["ports"], json!({"name": name, "port": port, "protocol": "TCP"}));
        self
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn endpoint(mut self, mut endpoint: Endpoint) -> Self {
        set_namespace(&mut endpoint.0, &self.0["metadata"]["namespace"]);
        push(&mut self.0["endpoints"], endpoint.0);
        self
    }

    /// Adds endpoints.
    #[must_use]
    pub fn endpoints(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        endpoints.into_iter().fold(self, Self::endpoint)
    }
}

impl From<Slice> for Value {
    fn from(Slice(value): Slice) -> Self {
        value
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// One that is ready.
    #[must_use]
    pub fn ready(address: &str) -> Self {
        Self::with(address, &json!({"ready": true, "serving": true, "terminating": false}))
    }

    /// One that is not ready.
    #[must_use]
    pub fn not_ready(address: &str) -> Self {
        Self::with(address, &json!({"ready": false, "serving": false, "terminating": false}))
    }

    /// One that is about to end and still serves.
    #[must_use]
    pub fn terminating(address: &str) -> Self {
        Self::with(address, &json!({"ready": false, "serving": true, "terminating": true}))
    }

    /// One that is about to end and does not serve any more.
    #[must_use]
    pub fn ending(address: &str) -> Self {
        Self::with(address, &json!({"ready": false, "serving": false, "terminating": true}))
    }

    /// One with these conditions, as they may be in slices that a controller mirrored (`{"ready": true}`) or a person
    /// wrote (`{}`).
    #[must_use]
    pub fn with(address: &str, conditions: &Value) -> Self {
        Self(json!({"addresses": [address], "conditions": conditions}))
    }

    /// Of which pod it is.
    #[must_use]
    pub fn pod(mut self, name: &str) -> Self {
        self.0["targetRef"] = json!({"kind": "Pod", "name": name});
        self
    }

    /// On which node of the cluster it is.
    #[must_use]
    pub fn node(self, name: &str) -> Self {
        self.field("nodeName", name)
    }

    /// In which zone it is.
    #[must_use]
    pub fn zone(self, zone: &str) -> Self {
        self.field("zone", zone)
    }

    /// Its host name in the service's domain.
    #[must_use]
    pub fn hostname(self, hostname: &str) -> Self {
        self.field("hostname", hostname)
    }

    /// Sets any field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// As an `Endpoints` has it: one address, no conditions, no zone.
    fn into_address(mut self, namespace: &Value) -> Value {
        set_namespace(&mut self.0, namespace);
        let mut address = json!({"ip": self.0["addresses"][0]});
        for field in ["hostname", "nodeName", "targetRef"] {
            if let Some(value) = self.0.get(field) {
                address[field] = value.clone();
            }
        }
        address
    }
}

// === impl Endpoints ===

impl Endpoints {
    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        set_label(&mut self.0, key, value);
        self
    }

    /// Sets an annotation, like `endpoints.kubernetes.io/over-capacity`.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = value.into();
        self
    }

    /// Adds a subset with these addresses that are ready, and these that are not.
    #[must_use]
    pub fn subset(
        mut self,
        ready: impl IntoIterator<Item = Endpoint>,
        not_ready: impl IntoIterator<Item = Endpoint>,
    ) -> Self {
        let namespace = self.0["metadata"]["namespace"].clone();
        let mut subset = json!({"ports": [{"name": "dist", "port": 9_000, "protocol": "TCP"}]});
        let ready: Vec<Value> = ready.into_iter().map(|one| one.into_address(&namespace)).collect();
        let not_ready: Vec<Value> = not_ready.into_iter().map(|one| one.into_address(&namespace)).collect();
        // A real server leaves out what is empty.
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            if !addresses.is_empty() {
                subset[field] = addresses.into();
            }
        }
        push(&mut self.0["subsets"], subset);
        self
    }
}

impl From<Endpoints> for Value {
    fn from(Endpoints(value): Endpoints) -> Self {
        value
    }
}

// === impl Pod ===

impl Pod {
    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        set_label(&mut self.0, key, value);
        self
    }

    /// Its address; called again, a further one.
    #[must_use]
    pub fn ip(mut self, ip: &str) -> Self {
        let status = &mut self.0["status"];
        if status["podIP"].is_null() {
            status["podIP"] = ip.into();
        }
        push(&mut status["podIPs"], json!({"ip": ip}));
        self
    }

    /// Its phase: `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    #[must_use]
    pub fn phase(mut self, phase: &str) -> Self {
        self.0["status"]["phase"] = phase.into();
        self
    }

    /// Says that it is not ready.
    #[must_use]
    pub fn not_ready(mut self) -> Self {
        self.0["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        self
    }

    /// Says that it is about to end.
    #[must_use]
    pub fn terminating(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        self.0["metadata"]["deletionGracePeriodSeconds"] = 30.into();
        self
    }

    /// On which node of the cluster it is.
    #[must_use]
    pub fn node(self, name: &str) -> Self {
        self.spec("nodeName", name)
    }

    /// Its host name.
    #[must_use]
    pub fn hostname(self, hostname: &str) -> Self {
        self.spec("hostname", hostname)
    }

    /// The headless service that its host name is under.
    #[must_use]
    pub fn subdomain(self, subdomain: &str) -> Self {
        self.spec("subdomain", subdomain)
    }

    /// Sets a field of `spec`.
    #[must_use]
    pub fn spec(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][name] = value.into();
        self
    }
}

impl From<Pod> for Value {
    fn from(Pod(value): Pod) -> Self {
        value
    }
}

fn set_label(object: &mut Value, key: &str, value: &str) {
    object["metadata"]["labels"][key] = value.into();
}

/// Says in which namespace the pod of an endpoint is.
fn set_namespace(endpoint: &mut Value, namespace: &Value) {
    if let Some(target) = endpoint.get_mut("targetRef") {
        target["namespace"] = namespace.clone();
    }
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => *other = vec![item].into(),
    }
}
