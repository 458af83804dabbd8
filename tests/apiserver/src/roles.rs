//! Role-based access control: Roles and their bindings, as they are applied over REST, and who may do what by them.

use std::collections::BTreeMap;

use http::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::kind::{Kind, Verb};
use crate::query::Target;
use crate::status::Status;

/// The user who may do everything, as one of the group `system:masters` may.
pub(crate) const ADMIN: &str = "admin";
/// What the paths of Roles begin with.
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/";
/// What the paths of namespaces begin with.
const NAMESPACES: &str = "/api/v1/namespaces";

/// Roles, their bindings and namespaces, by their paths. A namespace need not be there for objects to be in it.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    objects: BTreeMap<String, Value>,
}

// === impl Roles ===

impl Roles {
    /// Whether a path is of such an object, or a collection of them.
    pub(crate) fn has(path: &str) -> bool {
        path.starts_with(RBAC)
            || path.strip_prefix(NAMESPACES).is_some_and(|rest| rest.matches('/').count() < 2)
    }

    /// Does what is asked; gives the HTTP status and the object. No watch is told of it, as nobody watches these.
    pub(crate) fn answer(
        &mut self,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> Result<(u16, Value), Status> {
        let parse = || serde_json::from_slice(body).map_err(|err| Status::bad_request(&err.to_string()));
        match method.as_str() {
            "POST" => {
                let object: Value = parse()?;
                let name = object.pointer("/metadata/name").and_then(Value::as_str);
                let name = name.ok_or_else(|| Status::bad_request("name is required"))?;
                let path = format!("{path}/{name}");
                if self.objects.contains_key(&path) {
                    return Err(Status::path_exists(name));
                }
                self.objects.insert(path, object.clone());
                Ok((201, object))
            }
            "PUT" => {
                let object: Value = parse()?;
                let known = self.objects.get_mut(path).ok_or_else(Status::unknown_path)?;
                known.clone_from(&object);
                Ok((200, object))
            }
            "GET" => Ok((200, self.objects.get(path).cloned().ok_or_else(Status::unknown_path)?)),
            "DELETE" => {
                self.objects.remove(path).ok_or_else(Status::unknown_path)?;
                Ok((200, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})))
            }
            _ => Err(Status::bad_method()),
        }
    }

    /// Whether some binding lets `user` do this.
    pub(crate) fn allow(&self, user: &str, verb: Verb, target: &Target) -> bool {
        let everywhere = self.bound(user, "clusterrolebindings", None);
        let here = target.namespace.as_deref();
        let there = here.into_iter().flat_map(|namespace| self.bound(user, "rolebindings", Some(namespace)));
        everywhere.chain(there).any(|role| {
            let rules = role["rules"].as_array().into_iter().flatten();
            rules.into_iter().any(|rule| permits(rule, verb, target.kind))
        })
    }

    /// The Roles that bindings of one collection give to `user`.
    fn bound(&self, user: &str, plural: &str, namespace: Option<&str>) -> impl Iterator<Item = &Value> {
        let place = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let prefix = format!("{RBAC}{place}{plural}/");
        let bindings = self.objects.iter().filter(move |(path, _)| path.starts_with(&prefix));
        bindings.filter_map(move |(_, binding)| {
            let mut subjects = binding["subjects"].as_array()?.iter();
            subjects.any(|subject| is_user(subject, user)).then_some(())?;
            let name = binding.pointer("/roleRef/name")?.as_str()?;
            let path = match binding.pointer("/roleRef/kind")?.as_str()? {
                "ClusterRole" => format!("{RBAC}clusterroles/{name}"),
                _ => format!("{RBAC}{place}roles/{name}"),
            };
            self.objects.get(&path)
        })
    }
}

/// Whether a subject of a binding is this user.
fn is_user(subject: &Value, user: &str) -> bool {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    match text("kind") {
        "User" => text("apiGroup") == "rbac.authorization.k8s.io" && text("name") == user,
        "ServiceAccount" => format!("system:serviceaccount:{}:{}", text("namespace"), text("name")) == user,
        _ => false,
    }
}

/// Whether a rule lets one do this with objects of a kind.
fn permits(rule: &Value, verb: Verb, kind: Kind) -> bool {
    let has = |field: &str, wanted: &str| {
        let mut entries = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        entries.any(|entry| entry == wanted || entry == "*")
    };
    has("apiGroups", kind.group()) && has("resources", kind.resource()) && has("verbs", verb.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "system:serviceaccount:demo:clusterer";

    fn put(roles: &mut Roles, path: &str, object: &Value) {
        roles.answer(&Method::POST, &format!("{RBAC}{path}"), &Bytes::from(object.to_string())).unwrap();
    }

    fn role(kind: &str, group: &str) -> Value {
        let rule = json!({"apiGroups": [group], "resources": ["endpointslices"], "verbs": ["list"]});
        json!({"kind": kind, "metadata": {"name": "r"}, "rules": [rule]})
    }

    fn binding(role: &str, subject: &Value) -> Value {
        json!({"metadata": {"name": "b"}, "roleRef": {"kind": role, "name": "r"}, "subjects": [subject]})
    }

    fn may(roles: &Roles, namespace: Option<&str>) -> bool {
        let target =
            Target { kind: Kind::EndpointSlice, namespace: namespace.map(str::to_owned), name: None };
        assert!(!roles.allow(USER, Verb::Watch, &target));
        assert!(!roles.allow("somebody", Verb::List, &target));
        roles.allow(USER, Verb::List, &target)
    }

    /// A Role counts in its namespace, a ClusterRole where it is bound; both for whom they are bound to, and for the API
    /// group and verb that they name.
    #[test]
    fn rights_are_those_of_bound_roles() {
        let account = json!({"kind": "ServiceAccount", "namespace": "demo", "name": "clusterer"});
        let user = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": USER});
        let mut roles = Roles::default();
        put(&mut roles, "namespaces/demo/roles", &role("Role", "discovery.k8s.io"));
        assert!(!may(&roles, Some("demo")), "a Role that is not bound");
        put(&mut roles, "namespaces/demo/rolebindings", &binding("Role", &account));
        assert_eq!([Some("demo"), Some("other"), None].map(|place| may(&roles, place)), [true, false, false]);

        let mut roles = Roles::default();
        put(&mut roles, "clusterroles", &role("ClusterRole", "discovery.k8s.io"));
        put(&mut roles, "clusterrolebindings", &binding("ClusterRole", &user));
        assert_eq!([Some("demo"), Some("other"), None].map(|place| may(&roles, place)), [true, true, true]);
        roles.answer(&Method::DELETE, &format!("{RBAC}clusterrolebindings/b"), &Bytes::new()).unwrap();
        assert!(!may(&roles, None));

        let mut roles = Roles::default();
        put(&mut roles, "namespaces/demo/roles", &role("Role", ""));
        put(&mut roles, "namespaces/demo/rolebindings", &binding("Role", &account));
        assert!(!may(&roles, Some("demo")), "of another API group");
    }
}
