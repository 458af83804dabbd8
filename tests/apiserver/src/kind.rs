//! The kinds of objects that the server has, and what one may do with them.

use std::fmt;

/// A kind of object that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `EndpointSlice` of `discovery.k8s.io/v1`.
    EndpointSlice,
    /// `Endpoints` of the core group.
    Endpoints,
    /// `Pod` of the core group.
    Pod,
}

/// What a request asks for, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// The objects that there are.
    List,
    /// What changes.
    Watch,
    /// One object.
    Get,
    /// A new object.
    Create,
    /// An object in place of another.
    Update,
    /// An object with some fields replaced.
    Patch,
    /// An object is to go.
    Delete,
}

// === impl Kind ===

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EndpointSlice, Self::Endpoints, Self::Pod];

    /// The kind with this name and version of the API.
    pub(crate) fn of(name: &str, api_version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name && kind.api_version() == api_version)
    }

    /// As objects say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Pod => "Pod",
        }
    }

    /// As paths say it.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::EndpointSlice => "endpointslices",
            Self::Endpoints => "endpoints",
            Self::Pod => "pods",
        }
    }

    /// The API group; the core group has no name.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io",
            Self::Endpoints | Self::Pod => "",
        }
    }

    /// Group and version, as objects say it.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::Endpoints | Self::Pod => "v1",
        }
    }

    /// What its paths begin with.
    pub(crate) const fn root(self) -> &'static str {
        match self {
            Self::EndpointSlice => "/apis/discovery.k8s.io/v1/",
            Self::Endpoints | Self::Pod => "/api/v1/",
        }
    }

    /// Resource and group, as messages say it.
    pub(crate) fn qualified(self) -> String {
        match self.group() {
            "" => self.resource().to_owned(),
            group => format!("{}.{group}", self.resource()),
        }
    }

    /// What stands after the metadata in an object without content, as in bookmarks.
    pub(crate) const fn stub(self) -> &'static str {
        match self {
            Self::EndpointSlice => r#","addressType":"","endpoints":null,"ports":null"#,
            Self::Endpoints => "",
            Self::Pod => r#","spec":{"containers":null},"status":{}"#,
        }
    }

    /// The `Warning` with which it is answered.
    pub(crate) const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Endpoints => {
                Some(r#"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#)
            }
            Self::EndpointSlice | Self::Pod => None,
        }
    }
}

// === impl Verb ===

impl Verb {
    /// As messages say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
