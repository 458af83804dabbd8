//! What is read of the API's objects: as little as is needed, so that lists of thousands cost little.
//!
//! The fields of `k8s-openapi`'s types are many times as many, and each is built and dropped again.

mod endpoints;
mod meta;
mod pod;
mod slice;

use std::{fmt, sync::Arc};

use kube::{Resource, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

pub(crate) use self::{endpoints::Endpoints, pod::Pod, slice::EndpointSlice};
use crate::endpoint::{Endpoint, Family};

/// An object that names endpoints.
pub(crate) trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + fmt::Debug
    + DeserializeOwned
    + Send
    + 'static
{
    /// What it is called in a path of the API and in a Role.
    const PLURAL: &'static str;
    /// The API group that a Role names.
    const GROUP: &'static str;
    /// Objects in one part of a list. What is read of a part is in memory at once, as text and as objects.
    const PAGE: u32;

    /// The addresses that it names. Of a pod that has both families the preferred one.
    fn into_endpoints(self, prefer: Family) -> Vec<Endpoint>;

    /// The Service that it belongs to, and the family of its addresses, where it has but one.
    fn service(&self) -> Option<(&str, Family)> {
        None
    }

    /// Whether it leaves out what it has no room for.
    fn is_truncated(&self) -> bool {
        false
    }

    /// Its namespace and name.
    fn key(&self) -> ObjectKey {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        ObjectKey { namespace: text(&self.meta().namespace), name: text(&self.meta().name) }
    }
}

/// Which object it is, among those of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// Says where the API has a kind.
macro_rules! resource {
    ($object:ty, $kind:literal, $group:literal, $plural:literal) => {
        impl kube::Resource for $object {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> std::borrow::Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata.object
            }
            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata.object
            }
        }
    };
}
use resource;

#[cfg(test)]
mod tests;
