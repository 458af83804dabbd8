//! Who may do what.

use std::collections::{BTreeMap, BTreeSet};

use crate::kind::{Kind, Verb};
use crate::query::Target;
use crate::roles::{ADMIN, Roles};
use crate::status::Status;

/// Whose a token is, as long as nothing else is said.
const USER: &str = "system:serviceaccount:demo:clusterer";
/// Who has no token.
const ANONYMOUS: &str = "system:anonymous";

/// Tokens and roles. In the beginning everybody may do everything.
#[derive(Debug)]
pub(crate) struct Access {
    /// The tokens that are accepted; nothing: none is asked for.
    pub(crate) tokens: Option<BTreeSet<String>>,
    /// Tokens of particular users.
    pub(crate) users: BTreeMap<String, String>,
    /// What they may do; nothing: what is not denied.
    pub(crate) roles: Option<Roles>,
    /// Whose the other tokens are.
    pub(crate) user: String,
    pub(crate) denied: BTreeSet<(Kind, Verb)>,
    pub(crate) denied_namespaces: BTreeSet<String>,
    /// The one namespace of the user's role; nothing: a cluster role.
    pub(crate) role_namespace: Option<String>,
    /// Whether there is `discovery.k8s.io/v1`.
    pub(crate) has_slices: bool,
}

// === impl Access ===

impl Default for Access {
    fn default() -> Self {
        Self {
            tokens: None,
            users: BTreeMap::new(),
            roles: None,
            user: USER.to_owned(),
            denied: BTreeSet::new(),
            denied_namespaces: BTreeSet::new(),
            role_namespace: None,
            has_slices: true,
        }
    }
}

impl Access {
    /// Who has this token. No token is a user as well, one who may do nothing.
    pub(crate) fn authenticate(&self, token: Option<&str>) -> Result<&str, Status> {
        if let Some(user) = token.and_then(|token| self.users.get(token)) {
            return Ok(user);
        }
        match (&self.tokens, token) {
            (None, _) => Ok(&self.user),
            (Some(_), None | Some("")) => Ok(ANONYMOUS),
            (Some(tokens), Some(token)) if tokens.contains(token) => Ok(&self.user),
            (Some(_), Some(_)) => Err(Status::unauthorized()),
        }
    }

    /// Whether there are objects of this kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.has_slices || kind != Kind::EndpointSlice
    }

    /// Whether `user` may do this.
    pub(crate) fn authorize(&self, user: &str, verb: Verb, target: &Target) -> Result<(), Status> {
        let namespace = target.namespace.as_deref();
        let is_outside_role = self.role_namespace.is_some() && self.role_namespace.as_deref() != namespace;
        let is_denied = self.denied.contains(&(target.kind, verb))
            || namespace.is_some_and(|namespace| self.denied_namespaces.contains(namespace));
        let has_no_right =
            self.roles.as_ref().is_some_and(|roles| user != ADMIN && !roles.allow(user, verb, target));
        if user == ANONYMOUS || is_outside_role || is_denied || has_no_right {
            return Err(Status::forbidden(user, verb, target.kind, (namespace, target.name.as_deref())));
        }
        Ok(())
    }
}
