//! Single objects over HTTP, as the driver of a test makes and changes them.

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::kind::{Kind, Verb};
use crate::object::{Form, Key, Object};
use crate::query::{Query, Target};
use crate::state::State;
use crate::status::Status;

/// How long a pod is given to end.
const GRACE_SECONDS_DEFAULT: u64 = 30;
/// When that is over. There is no clock here, and nobody asks what it shows.
const DELETION_TIMESTAMP: &str = "2026-01-01T00:00:00Z";

/// Does what is asked; gives the HTTP status and the body.
pub(crate) fn answer(
    state: &mut State,
    verb: Verb,
    (target, query): (&Target, &Query),
    body: &Bytes,
) -> Result<(u16, Bytes), Status> {
    match verb {
        Verb::Create => create(state, target, parse(body)?),
        Verb::Update => update(state, target, parse(body)?),
        Verb::Patch => patch(state, target, &parse(body)?),
        Verb::Delete => delete(state, target, query),
        Verb::Get | Verb::List | Verb::Watch => {
            let (_, object) = existing(state, target)?;
            Ok((200, serialised(&object)))
        }
    }
}

fn create(state: &mut State, target: &Target, value: Value) -> Result<(u16, Bytes), Status> {
    let key = key_in(target, &value)?;
    if state.store.object(&key).is_some() {
        return Err(Status::exists(key.kind, &key.name));
    }
    store(state, value, 201)
}

fn update(state: &mut State, target: &Target, value: Value) -> Result<(u16, Bytes), Status> {
    let key = key_in(target, &value)?;
    let (_, object) = existing(state, target)?;
    let version = value.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    if version.is_some_and(|version| object.text("/metadata/resourceVersion") != Some(version)) {
        return Err(Status::conflict(key.kind, &key.name));
    }
    store(state, value, 200)
}

fn patch(state: &mut State, target: &Target, patch: &Value) -> Result<(u16, Bytes), Status> {
    let (_, object) = existing(state, target)?;
    let mut value = object.value();
    merge(&mut value, patch);
    key_in(target, &value)?;
    store(state, value, 200)
}

fn delete(state: &mut State, target: &Target, query: &Query) -> Result<(u16, Bytes), Status> {
    let (key, object) = existing(state, target)?;
    // A pod on a machine is given time to end, and it is the kubelet there that takes it away.
    if key.kind == Kind::Pod
        && object.text("/spec/nodeName").is_some()
        && query.text("gracePeriodSeconds") != "0"
    {
        let mut value = object.value();
        value["metadata"]["deletionTimestamp"] = DELETION_TIMESTAMP.into();
        value["metadata"]["deletionGracePeriodSeconds"] =
            query.number("gracePeriodSeconds").unwrap_or(GRACE_SECONDS_DEFAULT).into();
        return store(state, value, 200);
    }
    state.delete(&key);
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": key.name, "kind": key.kind.resource(), "uid": object.text("/metadata/uid")},
    });
    Ok((200, Bytes::from(format!("{status}\n"))))
}

fn store(state: &mut State, value: Value, code: u16) -> Result<(u16, Bytes), Status> {
    let change = state.apply(value).map_err(|problem| Status::bad_request(&problem))?;
    let bytes = change.after.map(|object| serialised(&object)).unwrap_or_default();
    Ok((code, bytes))
}

fn existing(state: &State, target: &Target) -> Result<(Key, std::sync::Arc<Object>), Status> {
    let name = target.name.clone().unwrap_or_default();
    let namespace = target.namespace.clone().unwrap_or_default();
    let key = Key { kind: target.kind, namespace, name };
    match state.store.object(&key) {
        Some(object) => Ok((key, std::sync::Arc::clone(object))),
        None => Err(Status::no_object(key.kind, &key.name)),
    }
}

/// Where the object belongs, which has to be where the path says.
fn key_in(target: &Target, value: &Value) -> Result<Key, Status> {
    let key = Key::of(value).map_err(|problem| Status::bad_request(&problem))?;
    let is_there = key.kind == target.kind
        && target.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
        && target.name.as_ref().is_none_or(|name| *name == key.name);
    if !is_there {
        return Err(Status::bad_request("the object is not the one that the URL names"));
    }
    Ok(key)
}

/// A merge patch (RFC 7396).
fn merge(value: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, field) in fields {
        if field.is_null() {
            value.as_object_mut().map(|object| object.remove(key));
        } else {
            merge(&mut value[key], field);
        }
    }
}

fn parse(body: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|problem| Status::bad_request(&problem.to_string()))
}

fn serialised(object: &Object) -> Bytes {
    let mut buffer = Vec::new();
    object.write(Form::Full, &mut buffer);
    buffer.push(b'\n');
    Bytes::from(buffer)
}
