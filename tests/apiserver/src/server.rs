//! The server as a test sees it: what there is, what goes wrong, what was asked.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use crate::fault::Fault;
use crate::kind::{Kind, Verb};
use crate::object::Key;
use crate::request::SeenRequest;
use crate::service::ApiService;
use crate::state::State;
use crate::transport::Served;
use crate::watch::Signal;

/// A Kubernetes API server. Clones are the same server; all may be called from any thread.
#[derive(Clone, Default)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Held by who waits while it looks, so that no change is missed. Never taken with `state` held.
    pulse: Mutex<()>,
    pulsed: Condvar,
    changed: Notify,
}

/// Objects.
impl ApiServer {
    /// A server without objects, where everybody may do everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates or replaces an object; the watches are told. `uid`, where there is none, and `resourceVersion` are
    /// set. Gives the version.
    ///
    /// # Panics
    ///
    /// If it is of a kind that the server does not have, or has no name or namespace.
    #[track_caller]
    pub fn apply(&self, object: impl Into<Value>) -> u64 {
        match self.change(|state| state.apply(object.into())) {
            Ok(change) => change.version,
            Err(problem) => panic!("cannot apply an object: {problem}"),
        }
    }

    /// Puts the objects of a list as they are, with the versions that they have, and goes on from the version of
    /// the list. The watches are not told.
    ///
    /// # Panics
    ///
    /// If it is no list of a kind that the server has.
    #[track_caller]
    pub fn load(&self, list: &Value) {
        let text = |pointer| list.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/kind").trim_end_matches("List");
        let version = text("/metadata/resourceVersion").parse().unwrap_or_default();
        let items = list["items"].as_array().into_iter().flatten();
        let result = self.change(|state| {
            state.store.set_version(version);
            items.cloned().try_for_each(|mut item| {
                item["kind"] = kind.into();
                item["apiVersion"] = text("/apiVersion").into();
                state.store.load(item)
            })
        });
        if let Err(problem) = result {
            panic!("cannot load a list: {problem}");
        }
    }

    /// Takes an object away; the watches are told. Gives the version; nothing if there was none.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Option<u64> {
        let key = Key { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        self.change(|state| state.delete(&key)).map(|change| change.version)
    }

    /// Takes all objects of a kind away, one after the other.
    pub fn delete_all(&self, kind: Kind) {
        self.change(|state| {
            let keys: Vec<Key> = state.store.objects(kind).map(|object| object.key.clone()).collect();
            for key in keys {
                state.delete(&key);
            }
        });
    }

    /// An object that is there.
    #[must_use]
    pub fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let key = Key { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        self.state().store.object(&key).map(|object| object.value())
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().store.version()
    }

    /// Says that the last change had this version, so that the next one has the version after it, as in a recording.
    /// Where it is less than it was, the past is muddled: there should be no watches from then.
    pub fn set_version(&self, version: u64) {
        self.change(|state| state.store.set_version(version));
    }

    /// Sends a bookmark with the current version to all watches that take bookmarks.
    pub fn bookmark(&self) {
        self.change(|state| {
            state.store.make_progress();
            state.watches.bookmark(state.store.version());
        });
    }

    /// Forgets the past: watches from before now get 410 as an event, and tokens to go on with a list HTTP 410.
    pub fn compact(&self) {
        self.change(|state| state.store.compact(state.store.version()));
    }

    /// The same up to a version that is not the current one.
    pub fn compact_to(&self, version: u64) {
        self.change(|state| state.store.compact(version));
    }
}

/// Who may do what.
impl ApiServer {
    /// From now on one of these tokens is asked for: another one is 401, and none is the user `system:anonymous`,
    /// who may do nothing.
    pub fn accept_tokens(&self, tokens: &[&str]) {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        self.change(|state| state.access.tokens = Some(tokens));
    }

    /// Says in each answer that it is this date, in the form of HTTP, whatever this machine's clock says.
    ///
    /// # Panics
    /// It is no text for a header.
    pub fn set_date(&self, date: &str) {
        let date = HeaderValue::from_str(date).expect("a date");
        self.change(|state| state.date = Some(date));
    }

    /// Whose the tokens are; `system:serviceaccount:demo:clusterer` until this is said.
    pub fn set_user(&self, user: &str) {
        self.change(|state| user.clone_into(&mut state.access.user));
    }

    /// Has role-based access control: each of these tokens is of this user, who may do what the Roles say that are
    /// bound to it by `POST`, as on a real server. The user `admin` may do everything. Another token is 401.
    pub fn enforce_roles(&self, users: &[(&str, &str)]) {
        let users = users.iter().map(|(token, user)| ((*token).to_owned(), (*user).to_owned())).collect();
        self.change(|state| {
            state.access.users = users;
            state.access.tokens.get_or_insert_default();
            state.access.roles.get_or_insert_default();
        });
    }

    /// Answers 403 to this.
    pub fn deny(&self, kind: Kind, verb: Verb) {
        self.change(|state| state.access.denied.insert((kind, verb)));
    }

    /// Takes [`Self::deny`] back.
    pub fn allow(&self, kind: Kind, verb: Verb) {
        self.change(|state| state.access.denied.remove(&(kind, verb)));
    }

    /// Answers 403 to all that is asked of this namespace.
    pub fn deny_namespace(&self, namespace: &str) {
        self.change(|state| state.access.denied_namespaces.insert(namespace.to_owned()));
    }

    /// Answers what is asked of this namespace again.
    pub fn allow_namespace(&self, namespace: &str) {
        self.change(|state| state.access.denied_namespaces.remove(namespace));
    }

    /// Answers 403 to all that is not asked of this namespace, as under a namespaced role.
    pub fn allow_only_namespace(&self, namespace: &str) {
        self.change(|state| state.access.role_namespace = Some(namespace.to_owned()));
    }

    /// Has no `discovery.k8s.io/v1` any more: 404.
    pub fn without_slices(&self) {
        self.change(|state| state.access.has_slices = false);
    }
}

/// Faults.
impl ApiServer {
    /// Fails each request that this concerns, until [`Self::heal`]. Of several faults the latest counts.
    pub fn fail(&self, fault: Fault) {
        self.change(|state| state.faults.add(fault, None, None));
    }

    /// Fails the next `times` requests that this concerns.
    pub fn fail_times(&self, times: usize, fault: Fault) {
        if times > 0 {
            self.change(|state| state.faults.add(fault, None, Some(times)));
        }
    }

    /// Fails each request with this verb, until [`Self::heal`].
    pub fn fail_only(&self, verb: Verb, fault: Fault) {
        self.change(|state| state.faults.add(fault, Some(verb), None));
    }

    /// Ends all faults. What hangs goes on hanging.
    pub fn heal(&self) {
        self.change(|state| state.faults.clear());
    }

    /// Ends all open watches as a server does whose time is over, but without a bookmark.
    pub fn end_watches(&self) {
        self.change(|state| state.watches.send_all(|| Signal::End));
    }

    /// Tears all open watches.
    pub fn tear_watches(&self) {
        self.change(|state| state.watches.send_all(|| Signal::Tear));
    }

    /// Says nothing more on the watches that are open now, not even their end: half a connection.
    pub fn mute_watches(&self) {
        self.change(|state| state.watches.mute());
    }

    /// Sends a line, whatever it is, on all open watches.
    pub fn send_raw(&self, line: &str) {
        let line = Bytes::from(format!("{line}\n"));
        self.change(|state| state.watches.send_all(|| Signal::Line(line.clone())));
    }
}

/// What was asked.
impl ApiServer {
    /// The requests so far, as far as they are remembered.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state().requests().cloned().collect()
    }

    /// How many of the requests are so.
    pub fn count(&self, predicate: impl Fn(&SeenRequest) -> bool) -> usize {
        self.state().requests().filter(|request| predicate(request)).count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.change(State::forget_requests);
    }

    /// How many watches are open.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.state().watches.count()
    }

    /// Waits until `condition` is true. It is looked at after each request, each change and each end of a watch, and
    /// must only look.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    /// The same for a thread that may block.
    ///
    /// # Panics
    ///
    /// If it is not true before `deadline` is over: "`what` did not happen".
    #[track_caller]
    pub fn wait_for(&self, what: &str, deadline: Duration, condition: impl Fn(&Self) -> bool) {
        let pulse = self.shared.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let (_pulse, waited) = self
            .shared
            .pulsed
            .wait_timeout_while(pulse, deadline, |()| !condition(self))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "{what} did not happen within {deadline:?}; the server was asked {:#?}",
            self.requests()
        );
    }
}

/// Ways to it.
impl ApiServer {
    /// The server as a service, without a socket.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService::new(self.clone())
    }

    /// Serves it over TLS on loopback.
    ///
    /// # Panics
    ///
    /// If there is no port.
    #[must_use]
    pub fn serve_tls(&self) -> Served {
        Served::tls(self.service())
    }

    /// The same with a certificate and a key that are there already, and the certificate of who vouches for it: all in
    /// PEM.
    ///
    /// # Panics
    ///
    /// If they are not what they should be, or there is no port.
    #[must_use]
    pub fn serve_tls_as(&self, certificate: &str, key: &str, authority: &str) -> Served {
        Served::tls_as(self.service(), certificate, key, authority)
    }

    /// Serves it over plain HTTP on loopback.
    ///
    /// # Panics
    ///
    /// If there is no port.
    #[must_use]
    pub fn serve_http(&self) -> Served {
        Served::http(self.service())
    }
}

impl ApiServer {
    /// Looks at what the server knows.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the server knows, and wakes who waits for that.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        drop(self.shared.pulse.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.pulsed.notify_all();
        self.shared.changed.notify_waiters();
        result
    }

    /// The bookmark that a watch ends with.
    pub(crate) fn last_bookmark(&self, id: u64) -> Option<Bytes> {
        let state = self.state();
        state.watches.last_bookmark(id, &state.store)
    }

    /// Forgets a watch whose client is gone.
    pub(crate) fn close_watch(&self, id: u64) {
        self.change(|state| state.watches.close(id));
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}
