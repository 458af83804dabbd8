//! One namespace (or all), followed: listed, then watched, and listed anew where that is needed.
//!
//! ```text
//!            ┌──────── 410, a list that takes too long, a line lost ─────┐
//!            ▼                                                           │
//!   list ─► known ─► watch ──(ends: each minute, errors)──► watch ───────┤
//!    │ 403, 404        │ 403, or it is not let stand                     │
//!    ▼                 ▼                                                 │
//!   next kind of     poll: list, wait, list … ─── every five minutes ────┘
//!   object
//! ```
//!
//! The watch is kube-runtime's. Its back-off is not: that never grows while the first list fails, as each try begins with
//! an event that resets it. Here only what was brought to an end resets the count of failures.

mod poll;
mod retry;

use std::{pin::pin, rc::Rc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use kube::{
    Api, Client,
    runtime::watcher::{self, Event, ListSemantic, watcher},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

pub(crate) use self::retry::BACKOFF;
use self::retry::Retry;
use crate::{
    access::Answer,
    desk::{Desk, Health, Host, SourceId},
    object::{EndpointSlice, Endpoints, Object, Pod},
    plan::{Kind, Plan},
    report,
    rights::Right,
    roster::Scope,
    trouble::{self, Step, Trouble},
};

/// How long a watch lasts before it is renewed. A connection that died unnoticed is noticed five seconds later.
const WATCH_SECS: u32 = 60;
/// How long the next part of a list may take.
const LIST_WITHIN: Duration = Duration::from_secs(30);
/// While it has to do without the better way, it is looked this often whether it still has to.
const AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Objects that one list may have. Those of 5,000 pods are 51 slices.
const OBJECTS_MAX: usize = 100_000;

/// A namespace that is followed.
pub(crate) struct Source<H> {
    id: SourceId,
    desk: Rc<Desk<H>>,
    plan: Rc<Plan>,
    client: Client,
    /// None for all.
    namespace: Option<String>,
    answers: UnboundedReceiver<Answer>,
    retry: Retry,
    /// What stands in the way of the better ways.
    note: Option<String>,
}

/// The API server, as a source reaches it.
pub(crate) struct Line {
    pub(crate) client: Client,
    /// What the client's requests came to.
    pub(crate) answers: UnboundedReceiver<Answer>,
}

/// Why one way of following came to its end.
enum End {
    /// All is to be listed anew.
    Relist,
    /// This kind of object cannot be listed.
    Refused(Trouble),
    /// It can be listed, but not watched.
    NoWatch(Trouble),
}

impl<H: Host> Source<H> {
    pub(crate) fn new(
        id: SourceId,
        namespace: Option<String>,
        line: Line,
        desk: Rc<Desk<H>>,
        plan: Rc<Plan>,
    ) -> Self {
        let Line { client, answers } = line;
        Self { id, desk, plan, client, namespace, answers, retry: Retry::default(), note: None }
    }

    /// Goes on for ever: with the first kind of object that may be listed.
    pub(crate) async fn run(mut self) {
        loop {
            let mut refused = None;
            for kind in self.plan.kinds {
                let end = match kind {
                    Kind::EndpointSlices => self.follow::<EndpointSlice>().await,
                    Kind::Endpoints => self.follow::<Endpoints>().await,
                    Kind::Pods => self.follow::<Pod>().await,
                };
                let Some(trouble) = end else {
                    refused = None;
                    break;
                };
                let (note, health) = self.refusal(*kind, &trouble);
                self.note(note);
                refused.get_or_insert(health);
            }
            if let Some(health) = refused {
                self.desk.handle_health(self.id, health);
                self.pause().await;
            }
            self.note = None;
        }
    }

    /// Follows objects of one kind, until all is to be begun anew, or they are refused.
    async fn follow<O: Object>(&mut self) -> Option<Trouble> {
        if self.plan.poll {
            return self.poll::<O>(None).await;
        }
        match self.watch::<O>().await {
            End::Relist => None,
            End::Refused(trouble) => Some(trouble),
            End::NoWatch(trouble) => self.poll::<O>(Some(trouble)).await,
        }
    }

    async fn watch<O: Object>(&mut self) -> End {
        let mut events = pin!(watcher(self.api::<O>(), self.watcher_config::<O>()));
        let mut listed: Vec<O> = Vec::new();
        let mut is_listing = true;
        // Where this is the second choice, it is looked now and then whether the first is possible by now.
        let again_at = self.note.is_some().then(|| Instant::now() + AGAIN_AFTER);
        loop {
            let settled_at = self.retry.settled_at();
            let event = tokio::select! {
                Some(answer) = self.answers.recv() => {
                    self.handle_answer(answer);
                    if self.retry.are_watches_cut() {
                        let words = "each ends as soon as it has begun: look for a proxy on the way";
                        return End::NoWatch(Trouble::failed(Step::Watch, words));
                    }
                    continue;
                }
                () = until(settled_at) => {
                    self.recovered();
                    continue;
                }
                () = until(again_at) => return End::Relist,
                event = next(&mut events, is_listing) => event,
            };
            match event {
                Some(Ok(Event::Init)) => {
                    listed.clear();
                    is_listing = true;
                }
                Some(Ok(Event::InitApply(object))) if listed.len() < OBJECTS_MAX => listed.push(object),
                Some(Ok(Event::InitDone)) if self.is_doubtful(&listed) => {
                    self.pause().await;
                    return End::Relist;
                }
                Some(Ok(Event::InitDone)) => {
                    is_listing = false;
                    self.handle_list(std::mem::take(&mut listed));
                }
                Some(Ok(Event::Apply(object))) => {
                    self.desk.handle_object(object);
                    self.handle_event();
                }
                Some(Ok(Event::Delete(object))) => {
                    self.desk.handle_deletion(&object.key());
                    self.handle_event();
                }
                Some(Err(err)) => {
                    if let Some(end) = self.handle_trouble::<O>(Trouble::of_watcher(&err)).await {
                        return end;
                    }
                }
                Some(Ok(Event::InitApply(_))) => {
                    let words = format!("more than {OBJECTS_MAX} objects match");
                    self.fail::<O>(&Trouble::failed(Step::List, words)).await;
                    return End::Relist;
                }
                None => {
                    let words = format!("not whole within {LIST_WITHIN:?}");
                    self.fail::<O>(&Trouble::failed(Step::List, words)).await;
                    return End::Relist;
                }
            }
        }
    }

    fn api<O: Object>(&self) -> Api<O> {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn watcher_config<O: Object>(&self) -> watcher::Config {
        let semantic =
            if self.plan.use_cached_resources { ListSemantic::Any } else { ListSemantic::MostRecent };
        watcher::Config {
            label_selector: self.plan.label_selector.clone(),
            field_selector: self.plan.field_selector.clone(),
            // From its cache the API server gives all at once.
            page_size: (!self.plan.use_cached_resources).then_some(O::PAGE),
            ..watcher::Config::default()
        }
        .timeout(WATCH_SECS)
        .list_semantic(semantic)
    }

    fn scope(&self) -> Scope {
        self.namespace.as_deref().map_or(Scope::All, |namespace| Scope::Namespace(namespace.into()))
    }

    fn place(&self) -> String {
        let named = |namespace: &String| format!("namespace {namespace}");
        self.namespace.as_ref().map_or_else(|| "all namespaces".to_owned(), named)
    }

    fn handle_list<O: Object>(&mut self, objects: Vec<O>) {
        self.retry.handle_list(Instant::now());
        let truncated = objects.iter().filter(|object| object.is_truncated()).count();
        self.desk.handle_list(self.id, &self.scope(), objects);
        if truncated > 0 {
            let plural = O::PLURAL;
            self.note(format!(
                "{truncated} of the {plural} have no room for all addresses (1,000): what they leave out is not known"
            ));
        }
        self.recovered();
    }

    fn handle_event(&mut self) {
        self.retry.handle_event();
        if self.retry.is_failing() {
            self.recovered();
        }
    }

    fn handle_answer(&mut self, answer: Answer) {
        self.desk.count("requests");
        self.desk.count(if answer.is_watch { "watches" } else { "lists" });
        self.retry.handle_answer(answer, Instant::now());
    }

    /// Whether a list is empty all at once, and better not believed yet. Tells so.
    fn is_doubtful<O: Object>(&mut self, objects: &[O]) -> bool {
        let is_empty = objects.is_empty() && self.desk.knows(&self.scope());
        let doubts = is_empty && self.retry.doubts_empty_list();
        if doubts {
            let place = self.place();
            let text = format!(
                "the list of {place} is empty all at once; it is asked for again before that is believed"
            );
            self.desk.handle_health(self.id, Health::Degraded(text));
        }
        doubts
    }

    /// Something went wrong on the way of the watch: waits, or says how to go on.
    async fn handle_trouble<O: Object>(&mut self, trouble: Trouble) -> Option<End> {
        self.retry.unsettle();
        match (trouble.kind, trouble.step) {
            (trouble::Kind::Expired, _) => {
                if !self.retry.may_relist(Instant::now()) {
                    self.fail::<O>(&trouble).await;
                }
                Some(End::Relist)
            }
            (trouble::Kind::Garbled, _) => {
                self.fail::<O>(&trouble).await;
                Some(End::Relist)
            }
            (trouble::Kind::Forbidden | trouble::Kind::Unknown, Step::List) => Some(End::Refused(trouble)),
            (trouble::Kind::Forbidden, Step::Watch) => Some(End::NoWatch(trouble)),
            (trouble::Kind::Unauthenticated | trouble::Kind::Unknown | trouble::Kind::Failed, _) => {
                self.fail::<O>(&trouble).await;
                None
            }
        }
    }

    /// Tells of it, and waits before the next try.
    async fn fail<O: Object>(&mut self, trouble: &Trouble) {
        let what = report::of_trouble(trouble, O::PLURAL, &self.place(), &self.plan.server);
        let health = match trouble.kind {
            trouble::Kind::Unauthenticated => Health::Denied(what),
            _ => Health::Degraded(what),
        };
        self.desk.handle_health(self.id, health);
        self.pause().await;
    }

    fn recovered(&mut self) {
        self.retry.recover();
        self.desk.handle_health(self.id, Health::Well(self.note.clone()));
    }

    /// Of several notes the first counts: the others come from it.
    fn note(&mut self, text: String) {
        self.note.get_or_insert(text);
    }

    async fn pause(&mut self) {
        sleep(self.retry.wait(fastrand::f64())).await;
    }

    /// One kind of object is refused: as a note beside the next kind, and as the health where there is no next.
    fn refusal(&self, kind: Kind, trouble: &Trouble) -> (String, Health) {
        let right = match kind {
            Kind::EndpointSlices => right::<EndpointSlice>(),
            Kind::Endpoints => right::<Endpoints>(),
            Kind::Pods => right::<Pod>(),
        };
        let what = report::of_trouble(trouble, right.plural, &self.place(), &self.plan.server);
        let fallback =
            "Endpoints are used, which end at 1,000 addresses and do not tell of pods that terminate";
        if trouble.kind == trouble::Kind::Unknown {
            return (format!("{what}: {fallback}"), Health::Degraded(what));
        }
        let remedy = report::remedy(right, self.namespace.as_deref(), trouble);
        (format!("{what}: {fallback}. {remedy}"), Health::Denied(format!("{what}. {remedy}")))
    }
}

fn right<O: Object>() -> Right {
    Right { group: O::GROUP, plural: O::PLURAL }
}

/// What the watch tells next. None where a list does not come on.
async fn next<O>(
    events: &mut (impl Stream<Item = watcher::Result<Event<O>>> + Unpin),
    is_listing: bool,
) -> Option<watcher::Result<Event<O>>> {
    let event = events.next().with_subscriber(silent());
    if is_listing { timeout(LIST_WITHIN, event).await.ok().flatten() } else { event.await }
}

/// kube logs each failure as a warning, again and again; here changes are told.
fn silent() -> NoSubscriber {
    NoSubscriber::default()
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
