//! What all objects say together: one node for each pod, however many objects name it.
//!
//! ```text
//! object (slice, Endpoints, pod) ──names──► subject (a pod, or an address without one) ──is──► node, by its name
//!           many                  n : m               at most one node                n : 1
//! ```
//!
//! A pod is named by the slices of each Service that selects it, once for each family of addresses; all of these are
//! one node. An object that changes touches its own subjects only.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cluster_sdk::{Changes, Node, NodeName, View};

use crate::{
    endpoint::{Condition, Endpoint, Family, Standing},
    naming::Nameless,
    object::{Object, ObjectKey},
    policy::Policy,
    sighting::Sighting,
};

/// Which objects a list is all there is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Namespace(Arc<str>),
}

/// Everything known.
#[derive(Debug)]
pub(crate) struct Roster {
    policy: Policy,
    objects: HashMap<Arc<ObjectKey>, Held>,
    subjects: HashMap<Subject, Known>,
    /// Which subjects are of one name: mostly one, two while an address goes from one pod to the next.
    names: BTreeMap<NodeName, Vec<Subject>>,
    /// How many slices of the preferred family each Service has.
    preferred: HashMap<ServiceKey, usize>,
}

/// What was heard of an object.
#[derive(Debug)]
struct Held {
    service: Option<(ServiceKey, Family)>,
    subjects: Vec<Subject>,
    is_truncated: bool,
}

/// A Service, by namespace and name.
type ServiceKey = (Arc<str>, Arc<str>);

/// Who is meant by an endpoint: a life of a pod, or an address that has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Subject(Arc<str>);

/// What is known of a subject.
#[derive(Debug, Default)]
struct Known {
    /// By object, in the order of their keys. A vector, as there are one to three: a tree has room for eleven.
    sightings: Vec<(Arc<ObjectKey>, Sighting)>,
    /// What comes of them.
    outcome: Outcome,
}

/// What a subject is to the topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Outcome {
    Node(Node),
    /// It does not count: not ready, or its addresses are of the other family.
    #[default]
    LeftOut,
    /// It would, but has no name.
    Nameless(Nameless),
    /// It is this pod itself, whose node has another name than this one.
    Own(NodeName),
}

// === impl Scope ===

impl Scope {
    fn has(&self, key: &ObjectKey) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => *namespace == key.namespace,
        }
    }
}

// === impl Roster ===

impl Roster {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            objects: HashMap::new(),
            subjects: HashMap::new(),
            names: BTreeMap::new(),
            preferred: HashMap::new(),
        }
    }

    /// The host knows its node by another name than before. Says whether anything comes of that.
    pub(crate) fn handle_own_name(&mut self, node: Option<NodeName>) -> bool {
        if self.policy.own.node == node {
            return false;
        }
        self.policy.own.node = node;
        let all = self.subjects.keys().cloned().collect();
        !self.settle(all).is_empty()
    }

    /// Whether objects of a scope are known.
    pub(crate) fn knows(&self, scope: &Scope) -> bool {
        self.objects.keys().any(|key| scope.has(key))
    }

    /// The objects of a scope are exactly these.
    pub(crate) fn handle_list<O: Object>(&mut self, scope: &Scope, objects: Vec<O>) {
        let gone: Vec<_> = self.objects.keys().filter(|key| scope.has(key)).cloned().collect();
        let mut touched = Vec::new();
        for key in &gone {
            self.forget(key, &mut touched);
        }
        for object in objects {
            self.learn(object, &mut touched);
        }
        // What that changes is told by the view of all.
        for (subject, outcome) in self.turned(touched) {
            self.replace(&subject, outcome);
        }
    }

    /// An object is there, new or changed.
    pub(crate) fn handle_object<O: Object>(&mut self, object: O) -> Changes {
        let key = Arc::new(object.key());
        let mut touched = Vec::new();
        // What a cut-off list names no more may be there still.
        let kept = if object.is_truncated() { self.sightings(&key) } else { Vec::new() };
        self.forget(&key, &mut touched);
        self.learn(object, &mut touched);
        if let Some(held) = self.objects.get_mut(&key) {
            for (subject, sighting) in kept {
                held.sight(subject, &key, sighting, &mut self.subjects);
            }
        }
        self.settle(touched).into_changes()
    }

    /// An object is gone.
    pub(crate) fn handle_deletion(&mut self, key: &ObjectKey) -> Changes {
        let mut touched = Vec::new();
        self.forget(key, &mut touched);
        self.settle(touched).into_changes()
    }

    /// All nodes. Not complete where an object had no room for all, or not everything was listed yet.
    pub(crate) fn view(&self, is_complete: bool) -> View {
        let nodes = self.names.values().filter_map(|subjects| self.node_of(subjects)).cloned();
        if is_complete && !self.is_truncated() { View::complete(nodes) } else { View::partial(nodes) }
    }

    /// Whether an object had no room for all of its addresses.
    pub(crate) fn is_truncated(&self) -> bool {
        self.objects.values().any(|held| held.is_truncated)
    }

    /// What whoever wrote the config should know of what was found.
    pub(crate) fn remark(&self) -> Option<String> {
        let outcomes = || self.subjects.values().map(|known| &known.outcome);
        if let Some(Outcome::Own(name)) = outcomes().find(|outcome| matches!(outcome, Outcome::Own(_))) {
            let own = self.policy.own.node.as_ref().map_or("", NodeName::as_str);
            return Some(format!(
                "this pod's node is {own}, but others will know it as {name}: make [node].name the same"
            ));
        }
        let nameless = outcomes().filter(|outcome| matches!(outcome, Outcome::Nameless(_))).count();
        if let Some(Outcome::Nameless(why)) =
            outcomes().find(|outcome| matches!(outcome, Outcome::Nameless(_)))
        {
            let remedy = match why {
                Nameless::NoHostname => {
                    ": mode = \"hostname\" is for pods with `subdomain`, as a StatefulSet's with `serviceName`"
                }
                Nameless::Name(_) => "",
            };
            return Some(format!("{nameless} pods are left out, the first as {why}{remedy}"));
        }
        if !self.names.is_empty() {
            return None;
        }
        Some(match (self.objects.len(), self.subjects.len()) {
            (0, _) => "nothing matches the selector: look at it, at the namespace and at the labels of the Service or pods".to_owned(),
            (objects, 0) => format!("{objects} objects match the selector, and none names a pod: look at the Service's own selector"),
            (_, pods) => format!("none of {pods} pods counts yet: they are not ready, or of the other family of addresses"),
        })
    }

    fn sightings(&self, key: &ObjectKey) -> Vec<(Subject, Sighting)> {
        let subjects = self.objects.get(key).map(|held| held.subjects.as_slice()).unwrap_or_default();
        let sighting = |subject: &Subject| {
            let (_, sighting) = self.subjects.get(subject)?.sightings.iter().find(|(by, _)| **by == *key)?;
            Some((subject.clone(), sighting.clone()))
        };
        subjects.iter().filter_map(sighting).collect()
    }

    fn forget(&mut self, key: &ObjectKey, touched: &mut Vec<Subject>) {
        let Some(held) = self.objects.remove(key) else {
            return;
        };
        for subject in held.subjects {
            if let Some(known) = self.subjects.get_mut(&subject) {
                known.sightings.retain(|(by, _)| **by != *key);
            }
            touched.push(subject);
        }
        if let Some((service, family)) = held.service
            && family == self.policy.prefer
            && let Some(count) = self.preferred.get_mut(&service)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.preferred.remove(&service);
                self.touch_service(&service, touched);
            }
        }
    }

    fn learn<O: Object>(&mut self, object: O, touched: &mut Vec<Subject>) {
        let key = Arc::new(object.key());
        let service =
            object.service().map(|(name, family)| ((Arc::clone(&key.namespace), name.into()), family));
        if let Some((service, family)) = &service
            && *family == self.policy.prefer
        {
            let count = self.preferred.entry(service.clone()).or_default();
            *count += 1;
            if *count == 1 {
                self.touch_service(service, touched);
            }
        }
        let is_truncated = object.is_truncated();
        let mut held = Held { service, subjects: Vec::new(), is_truncated };
        for endpoint in object.into_endpoints(self.policy.prefer) {
            let sighting = Sighting::new(&endpoint, &self.policy);
            held.sight(Subject::of(endpoint), &key, sighting, &mut self.subjects);
        }
        touched.extend(held.subjects.iter().cloned());
        self.objects.insert(key, held);
    }

    fn touch_service(&self, service: &ServiceKey, touched: &mut Vec<Subject>) {
        let is_of = |held: &&Held| held.service.as_ref().is_some_and(|(other, _)| other == service);
        touched.extend(self.objects.values().filter(is_of).flat_map(|held| held.subjects.iter().cloned()));
    }

    /// Looks anew at what comes of subjects, and tells what that changes.
    fn settle(&mut self, touched: Vec<Subject>) -> Difference {
        let turned = self.turned(touched);
        let mut before: BTreeMap<NodeName, Option<Node>> = BTreeMap::new();
        for (subject, outcome) in &turned {
            let old = self.subjects.get(subject).and_then(|known| known.outcome.name());
            for name in outcome.name().into_iter().chain(old) {
                before.entry(name.clone()).or_insert_with(|| self.node(name).cloned());
            }
        }
        for (subject, outcome) in turned {
            self.replace(&subject, outcome);
        }
        let changed = |(name, before): (NodeName, Option<Node>)| {
            let after = self.node(&name).cloned();
            (after != before).then_some((name, after))
        };
        Difference(before.into_iter().filter_map(changed).collect())
    }

    /// The subjects of which something else comes than before, or that nothing names any more.
    fn turned(&self, mut touched: Vec<Subject>) -> Vec<(Subject, Outcome)> {
        touched.sort_unstable();
        touched.dedup();
        let turn = |subject: Subject| {
            let known = self.subjects.get(&subject)?;
            let outcome = self.outcome(known);
            (outcome != known.outcome || known.sightings.is_empty()).then_some((subject, outcome))
        };
        touched.into_iter().filter_map(turn).collect()
    }

    fn replace(&mut self, subject: &Subject, outcome: Outcome) {
        let Some(known) = self.subjects.get_mut(subject) else {
            return;
        };
        let new_name = outcome.name().cloned();
        let old = std::mem::replace(&mut known.outcome, outcome);
        if known.sightings.is_empty() {
            self.subjects.remove(subject);
        }
        if old.name() != new_name.as_ref() {
            if let Some(name) = old.name()
                && let Some(subjects) = self.names.get_mut(name)
            {
                subjects.retain(|other| other != subject);
                if subjects.is_empty() {
                    self.names.remove(name);
                }
            }
            if let Some(name) = new_name {
                let subjects = self.names.entry(name).or_default();
                subjects.reserve_exact(1);
                subjects.push(subject.clone());
            }
        }
    }

    fn node(&self, name: &NodeName) -> Option<&Node> {
        self.node_of(self.names.get(name)?)
    }

    /// The node of a name. Of two pods the one that does not end: it is the newer. Of several that stay whichever: the
    /// order of their coming must not show.
    fn node_of(&self, subjects: &[Subject]) -> Option<&Node> {
        let nodes = subjects.iter().filter_map(|subject| match &self.subjects.get(subject)?.outcome {
            Outcome::Node(node) => Some(node),
            Outcome::LeftOut | Outcome::Nameless(_) | Outcome::Own(_) => None,
        });
        nodes.min_by(|a, b| (a.is_leaving(), a.entry_bytes()).cmp(&(b.is_leaving(), b.entry_bytes())))
    }

    /// What all that was seen of one subject comes to. Services hear of a change one after the other: what any says of
    /// its end counts at once.
    fn outcome(&self, known: &Known) -> Outcome {
        let is_preferred = |sighting: &Sighting| sighting.family == Some(self.policy.prefer);
        let any_preferred = known.sightings.iter().any(|(_, sighting)| is_preferred(sighting));
        let counting = |(key, sighting): &&(Arc<ObjectKey>, Sighting)| {
            is_preferred(sighting) || !(any_preferred || self.is_passed_over(key))
        };
        let seen: Vec<&Sighting> =
            known.sightings.iter().filter(counting).map(|(_, sighting)| sighting).collect();
        let any = |said: fn(&Condition) -> bool| seen.iter().any(|sighting| said(&sighting.condition));
        let condition = Condition {
            ready: any(|condition| condition.ready),
            serving: any(|condition| condition.serving),
            terminating: any(|condition| condition.terminating),
        };
        let Some(standing) = condition.standing(self.policy.include, self.policy.terminating) else {
            return Outcome::LeftOut;
        };
        let mut nameless = Outcome::LeftOut;
        for sighting in seen {
            match (&sighting.node, standing) {
                (Ok(node), _) if sighting.is_own && self.policy.own.has_other_name(node.name()) => {
                    return Outcome::Own(node.name().clone());
                }
                (Ok(node), Standing::Member) => return Outcome::Node(node.clone()),
                (Ok(node), Standing::Leaving) => return Outcome::Node(node.clone().with_leaving()),
                (Err(err), _) => nameless = Outcome::Nameless(err.clone()),
            }
        }
        nameless
    }

    /// Whether an object has the other family of a Service that has slices of both.
    fn is_passed_over(&self, key: &ObjectKey) -> bool {
        self.objects.get(key).and_then(|held| held.service.as_ref()).is_some_and(|(service, family)| {
            *family != self.policy.prefer && self.preferred.contains_key(service)
        })
    }
}

// === impl Held ===

impl Held {
    /// Notes whom the object names. Of one that it names twice the first word counts.
    fn sight(
        &mut self,
        subject: Subject,
        key: &Arc<ObjectKey>,
        sighting: Sighting,
        subjects: &mut HashMap<Subject, Known>,
    ) {
        let sightings = &mut subjects.entry(subject.clone()).or_default().sightings;
        if let Err(place) = sightings.binary_search_by(|(by, _)| by.cmp(key)) {
            sightings.reserve_exact(1);
            sightings.insert(place, (Arc::clone(key), sighting));
            self.subjects.push(subject);
        }
    }
}

// === impl Subject ===

impl Subject {
    fn of(endpoint: Endpoint) -> Self {
        let Endpoint { namespace, address, pod, .. } = endpoint;
        Self(match pod {
            Some(pod) if !pod.uid.is_empty() => pod.uid.into(),
            Some(_) | None => format!("{namespace}/{address}").into(),
        })
    }
}

// === impl Outcome ===

impl Outcome {
    fn name(&self) -> Option<&NodeName> {
        match self {
            Self::Node(node) => Some(node.name()),
            Self::LeftOut | Self::Nameless(_) | Self::Own(_) => None,
        }
    }
}

/// Names whose node is another than before, or none any more.
#[derive(Debug)]
struct Difference(Vec<(NodeName, Option<Node>)>);

impl Difference {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn into_changes(self) -> Changes {
        let mut changes = (Vec::new(), Vec::new());
        for (name, node) in self.0 {
            match node {
                Some(node) => changes.0.push(node),
                None => changes.1.push(Node::new(name)),
            }
        }
        let (upserts, removals) = changes;
        Changes {
            ttl: None,
            upserts: upserts.into_iter().collect(),
            removals: removals.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
