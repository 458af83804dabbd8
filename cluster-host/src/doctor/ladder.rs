//! The rungs in their order, and the verdict.

use cluster_sdk::{Rung, Verdict};
use serde::Serialize;

/// Where in the ladder a rung is. The first one that is broken is the cause of those after it, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Config,
    Plugin,
    Name,
    Interfaces,
    Discovery,
    /// What all links of a topology need.
    Links,
    Resolution,
    Link,
    Daemon,
    Clocks,
}

/// What a rung is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// The topology; `None` where the whole host is meant.
    pub(crate) topology: Option<String>,
    /// The node.
    pub(crate) node: Option<String>,
}

/// One rung, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    #[serde(flatten)]
    pub(crate) place: Place,
    #[serde(flatten)]
    pub(crate) rung: Rung,
    #[serde(skip)]
    stage: Stage,
}

/// All rungs.
#[derive(Debug, Default)]
pub(crate) struct Ladder(Vec<Step>);

// === impl Place ===

impl Place {
    /// A topology.
    pub(super) fn topology(name: &str) -> Self {
        Self { topology: Some(name.to_owned()), node: None }
    }

    /// A node in it.
    pub(super) fn node(&self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self.clone() }
    }

    /// `shop, b@10.0.0.7`
    pub(crate) fn text(&self) -> String {
        let parts = [self.topology.as_deref(), self.node.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

// === impl Ladder ===

impl Ladder {
    pub(super) fn add(&mut self, stage: Stage, place: &Place, rung: Rung) {
        self.0.push(Step { place: place.clone(), rung, stage });
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is a rung of this name.
    pub(super) fn has(&self, rung: &str) -> bool {
        self.0.iter().any(|step| step.rung.rung == rung)
    }

    /// Whether something is broken, of a topology or of a node in it.
    pub(super) fn is_broken(&self, place: &Place) -> bool {
        self.0.iter().any(|step| step.place == *place && step.rung.verdict == Verdict::Fail)
    }

    /// Brings the rungs into the order of the ladder; those of one stage stay as they were found.
    pub(super) fn sort(&mut self) {
        for step in &mut self.0 {
            if step.rung.rung == "clocks" {
                step.stage = Stage::Clocks;
            }
        }
        self.0.sort_by_key(|step| step.stage);
    }

    /// The rungs, the first ones first.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The rung that the verdict is about: the first that is broken, else the first that is worth a look.
    pub(crate) fn culprit(&self) -> Option<&Step> {
        let first = |verdict| self.0.iter().find(move |step| step.rung.verdict == verdict);
        first(Verdict::Fail).or_else(|| first(Verdict::Warn))
    }

    /// Whether nothing is broken.
    pub(crate) fn is_well(&self) -> bool {
        self.0.iter().all(|step| step.rung.verdict != Verdict::Fail)
    }

    /// One sentence for whoever was woken: the first rung that is broken, its cause, what mends it.
    pub(crate) fn verdict(&self) -> String {
        let Some(Step { place, rung, .. }) = self.culprit() else {
            let passed = self.0.iter().filter(|step| step.rung.verdict == Verdict::Pass).count();
            let (all, skipped) = (self.0.len(), self.0.len() - passed);
            return format!("all is well: {passed} of {all} rungs passed, {skipped} skipped.");
        };
        let at = match place.text() {
            place if place.is_empty() => rung.rung.clone(),
            place => format!("{} ({place})", rung.rung),
        };
        let begin = if self.is_well() { "nothing is broken, but look at" } else { "broken at" };
        let fix = rung.fix.as_deref().map(|fix| format!("; to mend it: {}", to_do(&rung.rung, fix)));
        let end = |text: &str| text.trim_end_matches(['.', ' ']).to_owned();
        let sentence =
            format!("{begin} {at}: {}{}", end(first_line(&rung.evidence)), end(&fix.unwrap_or_default()));
        if sentence.ends_with('?') { sentence } else { sentence + "." }
    }
}

/// A fix in one line. Where there are more, the text above the verdict has them.
fn to_do(rung: &str, fix: &str) -> String {
    if fix.trim().contains('\n') {
        format!("{} what stands under \"to mend {rung}\"", first_line(fix))
    } else {
        fix.trim().to_owned()
    }
}

/// Where there is more to copy, the rung above has it.
fn first_line(text: &str) -> &str {
    let text = text.trim();
    text.split_once('\n').map_or(text, |(first, _)| first.trim_end_matches([':', ' ']))
}

/// A reason in words for people, as what it is about and what helps: behind the first line, or the first semicolon.
pub(super) fn cause_and_fix(reason: &str) -> (String, Option<String>) {
    let reason = reason.trim();
    if let Some((first, rest)) = reason.split_once('\n') {
        // What introduces the lines goes with them.
        return match first.rsplit_once(". ").filter(|(_, last)| last.ends_with(':')) {
            Some((cause, last)) => (cause.to_owned(), Some(format!("{last}\n{rest}"))),
            None => (first.trim_end().to_owned(), Some(rest.trim_end().to_owned())),
        };
    }
    match reason.split_once("; ") {
        Some((cause, fix)) => (cause.to_owned(), Some(fix.to_owned())),
        None => (reason.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(rungs: impl IntoIterator<Item = (Stage, Rung)>) -> Ladder {
        let mut ladder = Ladder::default();
        for (stage, rung) in rungs {
            ladder.add(stage, &Place::topology("t").node("b@h"), rung);
        }
        ladder.sort();
        ladder
    }

    /// The verdict is about the first broken rung of the ladder, whenever it was found; without one about the first
    /// that is worth a look.
    #[test]
    fn verdicts() {
        let well =
            ladder([(Stage::Link, Rung::pass("tcp", "x")), (Stage::Clocks, Rung::skipped("clocks", "y"))]);
        assert_eq!(well.verdict(), "all is well: 1 of 2 rungs passed, 1 skipped.");
        let warned = ladder([(Stage::Link, Rung::warn("tcp", "slow.", "wait"))]);
        assert!(warned.is_well());
        assert_eq!(warned.verdict(), "nothing is broken, but look at tcp (t, b@h): slow; to mend it: wait.");
        let broken = ladder([
            (Stage::Link, Rung::fail("tcp", "refused", "start it")),
            (Stage::Name, Rung::warn("name", "odd", "rename")),
            (Stage::Discovery, Rung::fail("discovery", "denied", "Apply:\na: b")),
        ]);
        assert!(!broken.is_well());
        assert_eq!(
            broken.verdict(),
            "broken at discovery (t, b@h): denied; to mend it: Apply what stands under \"to mend discovery\"."
        );
    }

    /// Behind the cause is the remedy, in lines to copy or in the same line.
    #[test]
    fn reasons() {
        let fix = |text: &str| Some(text.to_owned());
        assert_eq!(cause_and_fix("a: b; c; d"), ("a: b".to_owned(), fix("c; d")));
        assert_eq!(cause_and_fix("a; b\nc: d\n"), ("a; b".to_owned(), fix("c: d")));
        assert_eq!(cause_and_fix("a. Apply:\nc: d"), ("a".to_owned(), fix("Apply:\nc: d")));
        assert_eq!(cause_and_fix("a"), ("a".to_owned(), None));
    }
}
