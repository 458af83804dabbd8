//! The functions of a [`PluginTable`](super::table::PluginTable): from bytes and codes to safe calls, and no panic out.

#![allow(unsafe_code, reason = "the plugin's side of the boundary")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one promise of the caller covers all that a call was given"
)]

use std::{hint::black_box, panic, time::Duration};

use serde_json::Value;

use super::{
    entry::Plugin,
    guard::{Panicked, guarded},
    link::HostLink,
    table::{Bytes, Code, Instance, OfferCode, OperationCode, Sink, StartArgs, StopCode},
};
use crate::{
    connector::Operation,
    context::StopReason,
    instance::{Launch, Thread},
    local::LocalNode,
    offer::{OfferDef, describe_all},
};

/// Why a call failed, as it goes into the sink.
struct Failure {
    code: Code,
    text: String,
}

impl Failure {
    fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<Panicked> for Failure {
    fn from(panicked: Panicked) -> Self {
        Self::new(Code::PANICKED, format!("panicked: {panicked}"))
    }
}

pub(super) unsafe extern "C" fn ping(value: u64) -> u64 {
    // As guarded as the other functions, so that measuring it means something: the call cannot be seen through.
    panic::catch_unwind(|| black_box(std::convert::identity::<u64> as fn(u64) -> u64)(value))
        .unwrap_or(u64::MAX)
}

pub(super) unsafe extern "C" fn describe<P: Plugin>(sink: Sink) -> Code {
    let answer = guarded(|| describe_all(P::OFFERS).to_string()).map_err(Failure::from);
    // SAFETY: the call that the sink was given for is this one.
    unsafe { finish(sink, answer) }
}

pub(super) unsafe extern "C" fn validate<P: Plugin>(
    kind: OfferCode,
    name: Bytes,
    config: Bytes,
    local: Bytes,
    sink: Sink,
) -> Code {
    // SAFETY: the host lends the bytes for this call, here and below.
    let (name, config, local) = unsafe { (text(name), json(config), json(local)) };
    let answer = guarded(|| {
        let offer = find(P::OFFERS, kind, name?)?;
        let local: LocalNode = from_json("local node", local?)?;
        Ok(to_text(&(offer.validate)(config?, &local)))
    });
    // SAFETY: the call that the sink was given for is this one.
    unsafe { finish(sink, answer.map_err(Failure::from).and_then(|answer| answer)) }
}

pub(super) unsafe extern "C" fn start<P: Plugin>(
    args: *const StartArgs,
    out: *mut Instance,
    sink: Sink,
) -> Code {
    // SAFETY: the host lends the arguments for this call.
    let args = unsafe { &*args };
    // SAFETY: as above.
    let (name, config, context) = unsafe { (text(args.name), json(args.config), json(args.context)) };
    let started = guarded(|| {
        let offer = find(P::OFFERS, args.kind, name?)?;
        let launch: Launch = from_json("context", context?)?;
        let config = config?;
        let errors = (offer.validate)(config.clone(), &launch.local);
        if !errors.is_empty() {
            return Err(Failure::new(Code::INVALID, to_text(&errors)));
        }
        // SAFETY: the host keeps its side valid until `destroy` says OK, which waits for this link to be idle.
        let link = unsafe { HostLink::new(args) };
        Thread::start(offer, config, launch, link)
            .map_err(|err| Failure::new(Code::EXHAUSTED, format!("no thread could be started: {err}")))
    });
    let answer = match started.map_err(Failure::from).and_then(|started| started) {
        Ok(thread) => {
            let instance = Instance(Box::into_raw(Box::new(thread)).cast_const().cast());
            // SAFETY: the host lends the place for this call.
            unsafe { out.write(instance) };
            Ok(String::new())
        }
        Err(failure) => Err(failure),
    };
    // SAFETY: the call that the sink was given for is this one.
    unsafe { finish(sink, answer) }
}

pub(super) unsafe extern "C" fn update(instance: Instance, local: Bytes) {
    // SAFETY: the host gives back what `start` gave it, and lends the bytes for this call.
    let (thread, local) = unsafe { (thread(instance), json(local)) };
    let updated = guarded(|| from_json("local node", local?).map(|local| thread.update(local)));
    if let Err(failure) = updated.map_err(Failure::from).and_then(|updated| updated) {
        tracing::warn!(err = failure.text, "update of the local node is ignored");
    }
}

pub(super) unsafe extern "C" fn stop(instance: Instance, reason: StopCode, deadline_ms: u64) {
    // SAFETY: the host gives back what `start` gave it.
    let thread = unsafe { thread(instance) };
    let reason = if reason == StopCode::RESTART { StopReason::Restart } else { StopReason::Leave };
    let within = Duration::from_millis(deadline_ms);
    drop(guarded(|| thread.stop(reason, within)));
}

pub(super) unsafe extern "C" fn submit(
    instance: Instance,
    op: u64,
    kind: OperationCode,
    record: Bytes,
    deadline_ms: u64,
) -> Code {
    // SAFETY: the host gives back what `start` gave it.
    let thread = unsafe { thread(instance) };
    // SAFETY: the host lends the bytes for this call.
    let record = unsafe { record.as_slice() };
    let submitted = guarded(|| match Operation::decode(kind, record) {
        Some(operation) => thread.submit(op, operation, Duration::from_millis(deadline_ms)),
        None => Code::MALFORMED,
    });
    submitted.unwrap_or(Code::PANICKED)
}

pub(super) unsafe extern "C" fn cancel(instance: Instance, op: u64) {
    // SAFETY: the host gives back what `start` gave it.
    let thread = unsafe { thread(instance) };
    drop(guarded(|| thread.cancel(op)));
}

pub(super) unsafe extern "C" fn destroy(instance: Instance) -> Code {
    // SAFETY: the host gives back what `start` gave it.
    let thread = unsafe { thread(instance) };
    if !thread.has_ended() {
        return Code::BUSY;
    }
    let raw = instance.0.cast::<Thread>().cast_mut();
    // SAFETY: it was a box in `start`, and the host does not use the instance after an OK.
    let thread = unsafe { Box::from_raw(raw) };
    drop(guarded(|| drop(thread)));
    Code::OK
}

/// # Safety
/// The instance must come from `start` and not have been destroyed.
unsafe fn thread<'a>(instance: Instance) -> &'a Thread {
    // SAFETY: see above; the methods of a `Thread` may be called from any thread.
    unsafe { &*instance.0.cast::<Thread>() }
}

fn find(offers: &'static [OfferDef], kind: OfferCode, name: &str) -> Result<&'static OfferDef, Failure> {
    let found = offers.iter().find(|offer| offer.kind.code() == kind && offer.name == name);
    found.ok_or_else(|| {
        Failure::new(Code::UNKNOWN, format!("the plugin offers no {} {name:?}", kind_word(kind)))
    })
}

const fn kind_word(kind: OfferCode) -> &'static str {
    match kind {
        OfferCode::STRATEGY => "strategy",
        OfferCode::CONNECTOR => "connector",
        _ => "thing of that kind named",
    }
}

/// # Safety
/// The bytes must be lent for `'a`.
unsafe fn text<'a>(bytes: Bytes) -> Result<&'a str, Failure> {
    // SAFETY: see above.
    let bytes = unsafe { bytes.as_slice() };
    std::str::from_utf8(bytes).map_err(|err| Failure::new(Code::MALFORMED, format!("not UTF-8: {err}")))
}

/// # Safety
/// The bytes must be lent for this call.
unsafe fn json(bytes: Bytes) -> Result<Value, Failure> {
    // SAFETY: see above.
    let bytes = unsafe { bytes.as_slice() };
    serde_json::from_slice(bytes).map_err(|err| Failure::new(Code::MALFORMED, format!("not JSON: {err}")))
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|err| Failure::new(Code::MALFORMED, format!("{what}: {err}")))
}

fn to_text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// # Safety
/// The call that the sink was given for must not have returned.
unsafe fn finish(sink: Sink, answer: Result<String, Failure>) -> Code {
    let (code, text) = match answer {
        Ok(text) => (Code::OK, text),
        Err(failure) => (failure.code, failure.text),
    };
    // SAFETY: see above.
    unsafe { sink.write(text.as_bytes()) };
    code
}
