//! The rights that are missing, as what whoever runs the cluster has to apply.

use std::fmt::{self, Display};

use cluster_sdk::serde_json::Value;

/// What the Role is called that is proposed.
const ROLE: &str = "cluster-host";

/// Rights on one kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Right {
    /// The API group; of the oldest kinds it is empty.
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
}

/// A Role and its binding in YAML, ready for `kubectl apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant<'a> {
    pub(crate) right: Right,
    /// None for all namespaces.
    pub(crate) namespace: Option<&'a str>,
    /// Whom the API server took us for.
    pub(crate) user: &'a str,
}

/// Who we are to the API server, by what it says when it forbids something.
pub(crate) fn user_of(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    Some(rest.split_once('"')?.0).filter(|user| !user.is_empty() && !user.contains(char::is_control))
}

/// Requests without a token are this user's.
pub(crate) fn is_anonymous(user: &str) -> bool {
    user == "system:anonymous"
}

/// As a string, also where it looks like a number. JSON's strings are YAML's.
fn quoted(name: &str) -> Value {
    Value::from(name)
}

impl Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { right: Right { group, plural }, namespace, user } = self;
        let (kind, place) = match namespace {
            Some(namespace) => ("Role", format!(", namespace: {}", quoted(namespace))),
            None => ("ClusterRole", String::new()),
        };
        let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
        let subject = match account {
            Some((home, name)) => {
                format!("kind: ServiceAccount, name: {}, namespace: {}", quoted(name), quoted(home))
            }
            None => format!("kind: User, apiGroup: rbac.authorization.k8s.io, name: {}", quoted(user)),
        };
        write!(
            f,
            "apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{ name: {ROLE}{place} }}
rules:
- apiGroups: [\"{group}\"]
  resources: [\"{plural}\"]
  verbs: [\"list\", \"watch\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata: {{ name: {ROLE}{place} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {ROLE} }}
subjects:
- {{ {subject} }}
"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICES: Right = Right { group: "discovery.k8s.io", plural: "endpointslices" };

    /// The user is found in the API server's own words.
    #[test]
    fn users() {
        let denied = include_str!("../../tests/fixtures/kubernetes/status-403-endpointslices.json");
        let denied: Value = serde_json::from_str(denied).unwrap();
        let message = denied["message"].as_str().unwrap();
        assert_eq!(user_of(message), Some("system:serviceaccount:demo:nobody"));
        for other in ["", "User \"", "User \"\" cannot", "User \"a\u{1b}b\" cannot", "endpoints is forbidden"]
        {
            assert_eq!(user_of(other), None, "{other:?}");
        }
    }

    /// For a service account and one namespace.
    #[test]
    fn a_role() {
        let user = "system:serviceaccount:demo:nobody";
        expect_test::expect![[r#"
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
            - { kind: ServiceAccount, name: "nobody", namespace: "demo" }
        "#]]
        .assert_eq(&Grant { right: SLICES, namespace: Some("demo"), user }.to_string());
    }

    /// For all namespaces, and somebody who is no service account.
    #[test]
    fn a_cluster_role() {
        let pods = Right { group: "", plural: "pods" };
        let text = Grant { right: pods, namespace: None, user: "jane@example" }.to_string();
        for part in [
            "kind: ClusterRole\n",
            "kind: ClusterRoleBinding\n",
            "apiGroups: [\"\"]",
            "name: \"jane@example\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("namespace"), "{text}");
    }
}
