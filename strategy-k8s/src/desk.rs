//! Where the sources of one topology come together: what they find becomes one view, and how they do one health.

use std::{cell::RefCell, collections::BTreeMap};

use cluster_sdk::{Changes, Context, NodeName, Refused, View};

use crate::{
    object::{Object, ObjectKey},
    roster::{Roster, Scope},
};

/// Whom the topology is told of: the host, or a test.
pub(crate) trait Host {
    /// See [`Context::report`].
    fn report(&self, view: View) -> Result<(), Refused>;
    /// See [`Context::apply`].
    fn apply(&self, changes: Changes) -> Result<(), Refused>;
    /// How the topology does, when that has changed.
    fn health(&self, health: &Health);
    /// See [`Context::count`].
    fn count(&self, counter: &'static str);
}

/// How a source, or the topology, does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Health {
    /// It has found nothing out yet.
    #[default]
    Starting,
    /// With what should be known nevertheless.
    Well(Option<String>),
    /// What was known stands.
    Degraded(String),
    /// It is refused; what was known stands.
    Denied(String),
}

/// Which source it is: each has a namespace, or one all.
pub(crate) type SourceId = usize;

/// The topology.
#[derive(Debug)]
pub(crate) struct Desk<H> {
    host: H,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    sources: BTreeMap<SourceId, Source>,
    /// Why the host did not take the last report; then the next one has to be a whole view.
    refused: Option<Refused>,
    shown: Health,
}

#[derive(Debug, Default)]
struct Source {
    health: Health,
    is_listed: bool,
}

// === impl Desk ===

impl<H: Host> Desk<H> {
    pub(crate) fn new(host: H, roster: Roster, sources: usize) -> Self {
        let sources = (0..sources).map(|id| (id, Source::default())).collect();
        let state = State { roster, sources, refused: None, shown: Health::Starting };
        Self { host, state: RefCell::new(state) }
    }

    pub(crate) fn count(&self, counter: &'static str) {
        self.host.count(counter);
    }

    /// Whether objects of a scope are known.
    pub(crate) fn knows(&self, scope: &Scope) -> bool {
        self.state.borrow().roster.knows(scope)
    }

    /// A source has listed everything in its scope.
    pub(crate) fn handle_list<O: Object>(&self, id: SourceId, scope: &Scope, objects: Vec<O>) {
        let state = &mut *self.state.borrow_mut();
        state.roster.handle_list(scope, objects);
        if let Some(source) = state.sources.get_mut(&id) {
            source.is_listed = true;
        }
        self.report_all(state);
    }

    /// A watch tells of one object.
    pub(crate) fn handle_object<O: Object>(&self, object: O) {
        let state = &mut *self.state.borrow_mut();
        let changes = state.roster.handle_object(object);
        self.report_changes(state, changes);
    }

    /// A watch tells that an object is gone.
    pub(crate) fn handle_deletion(&self, key: &ObjectKey) {
        let state = &mut *self.state.borrow_mut();
        let changes = state.roster.handle_deletion(key);
        self.report_changes(state, changes);
    }

    /// The local node has this name now.
    pub(crate) fn handle_own_name(&self, name: Option<NodeName>) {
        let state = &mut *self.state.borrow_mut();
        if state.roster.handle_own_name(name) {
            self.report_all(state);
        }
    }

    /// How a source does.
    pub(crate) fn handle_health(&self, id: SourceId, health: Health) {
        let state = &mut *self.state.borrow_mut();
        if let Some(source) = state.sources.get_mut(&id) {
            source.health = health;
        }
        self.show(state);
    }

    fn report_all(&self, state: &mut State) {
        let is_complete = state.sources.values().all(|source| source.is_listed);
        state.refused = self.host.report(state.roster.view(is_complete)).err();
        self.show(state);
    }

    fn report_changes(&self, state: &mut State, changes: Changes) {
        if state.refused.is_some() {
            return self.report_all(state);
        }
        if !(changes.upserts.is_empty() && changes.removals.is_empty()) {
            state.refused = self.host.apply(changes).err();
            self.show(state);
        }
    }

    /// Says how all of them do, if that is new: the worst of them.
    fn show(&self, state: &mut State) {
        let health = state.health();
        if health != state.shown && health != Health::Starting {
            self.host.health(&health);
            state.shown = health;
        }
    }
}

// === impl State ===

impl State {
    fn health(&self) -> Health {
        let of = |is_kind: fn(&Health) -> bool| {
            let mut such =
                self.sources.values().map(|source| &source.health).filter(|health| is_kind(health));
            let first = such.next().cloned();
            (first, such.count())
        };
        // Beside the words: what follows them is to be copied.
        let with_others = |text: String, others: usize| match (others, text.split_once('\n')) {
            (0, _) => text,
            (_, Some((words, rest))) => {
                format!("{words} (for this namespace; {others} others are in need of the like)\n{rest}")
            }
            (_, None) => format!("{text} (and {others} other namespaces likewise)"),
        };
        if let (Some(Health::Denied(reason)), others) = of(|health| matches!(health, Health::Denied(_))) {
            return Health::Denied(with_others(reason, others));
        }
        if let (Some(Health::Degraded(reason)), others) = of(|health| matches!(health, Health::Degraded(_))) {
            return Health::Degraded(with_others(reason, others));
        }
        if let Some(refused) = self.refused {
            return Health::Degraded(refused.to_string());
        }
        if self.sources.values().any(|source| source.health == Health::Starting) {
            return Health::Starting;
        }
        let noted = of(|health| matches!(health, Health::Well(Some(_))));
        match noted {
            (Some(Health::Well(Some(note))), others) => Health::Well(Some(with_others(note, others))),
            _ => Health::Well(self.roster.remark()),
        }
    }
}

// === impl Host for Context ===

impl Host for Context {
    fn report(&self, view: View) -> Result<(), Refused> {
        Self::report(self, view)
    }

    fn apply(&self, changes: Changes) -> Result<(), Refused> {
        Self::apply(self, changes)
    }

    fn health(&self, health: &Health) {
        match health {
            Health::Starting => {}
            Health::Well(None) => self.healthy(),
            Health::Well(Some(note)) => self.healthy_but(note),
            Health::Degraded(reason) => self.degraded(reason),
            Health::Denied(reason) => self.denied(reason),
        }
    }

    fn count(&self, counter: &'static str) {
        Self::count(self, counter, 1);
    }
}
