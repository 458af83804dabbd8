//! What a strategy or a connector can tell `cluster-host doctor`: rungs of the ladder from the configuration to a link.
//!
//! An instance that is started for a diagnosis does nothing else: `run` and `start` are not called, so nothing is
//! announced and nothing is linked. What it answers is the text of its end. A plugin that was built before there was
//! this says in its description that it does not know it, and is not asked.

use std::{fmt, future::Future, sync::Arc};

use anyhow::Result;
use cluster_core::{Node, NodeError};
use serde::{Deserialize, Serialize};

use crate::{
    context::Shared,
    runtime::{Ended, until_stopped},
};

/// Rungs of one diagnosis at most; the rest is left out.
pub const RUNGS_MAX: usize = 64;

/// One rung of the ladder: what was looked at, how it is, and what mends it.
///
/// Texts are for whoever is woken at night: the evidence names addresses, files and what was answered; the fix is a
/// command or an edit. No secret belongs into either.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{Rung, Verdict};
///
/// let rungs = [
///     Rung::pass("address", "10.0.0.7:9000"),
///     Rung::fail("tcp", "10.0.0.7:9000: connection refused", "is the service running there?"),
///     Rung::skipped("cookie", "there is no connection"),
/// ];
/// let worst = rungs.iter().max_by_key(|rung| rung.verdict).ok_or("there is none")?;
/// assert_eq!((worst.rung.as_str(), worst.verdict), ("tcp", Verdict::Fail));
/// assert!(worst.fix.is_some() && rungs[0].fix.is_none());
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// What was looked at, in a word or two: `epmd`, `multicast`, `cookie`.
    pub rung: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What mends it; `None` where nothing is to be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a rung is. Later ones are worse.
///
/// # Examples
///
/// ```
/// use cluster_sdk::Verdict;
///
/// assert!(Verdict::Skipped < Verdict::Pass && Verdict::Warn < Verdict::Fail);
/// assert_eq!(Verdict::Warn.to_string(), "warn");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was not looked at, or cannot be known.
    Skipped,
    /// It is well.
    Pass,
    /// It works, or may be meant; it is worth a look.
    Warn,
    /// It is broken.
    Fail,
}

/// What is to be diagnosed, as it crosses: a node, or else what all of them need.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{Inquiry, Node};
///
/// let node = Node::try_new("a@10.0.0.7")?.address("10.0.0.7:9000");
/// let inquiry = Inquiry::about(Some(&node));
/// // It crosses to the plugin as JSON.
/// let crossed: Inquiry = serde_json::from_str(&serde_json::to_string(&inquiry)?)?;
/// assert_eq!(crossed, inquiry);
/// assert_ne!(Inquiry::about(None), inquiry);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// The node whose link is in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Asked>,
}

/// A node that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    name: String,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    attributes: std::collections::BTreeMap<String, String>,
}

// === impl Rung ===

impl Rung {
    /// It is well.
    #[must_use]
    pub fn pass(rung: &str, evidence: impl Into<String>) -> Self {
        Self { rung: rung.to_owned(), verdict: Verdict::Pass, evidence: evidence.into(), fix: None }
    }

    /// It was not looked at, or cannot be known, for this reason.
    #[must_use]
    pub fn skipped(rung: &str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::pass(rung, why) }
    }

    /// It is worth a look; this would mend it.
    #[must_use]
    pub fn warn(rung: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, fix: Some(fix.into()), ..Self::pass(rung, evidence) }
    }

    /// It is broken; this mends it.
    #[must_use]
    pub fn fail(rung: &str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, fix: Some(fix.into()), ..Self::pass(rung, evidence) }
    }
}

// === impl Verdict ===

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Inquiry ===

impl Inquiry {
    /// About a node, or, without one, about what all of them need.
    #[must_use]
    pub fn about(node: Option<&Node>) -> Self {
        let node = node.map(|node| Asked {
            name: node.name().to_string(),
            addresses: node.addresses().map(str::to_owned).collect(),
            attributes: node.attribute_map(),
        });
        Self { node }
    }

    /// The node that it is about.
    pub(crate) fn node(&self) -> Result<Option<Node>, NodeError> {
        let Some(asked) = &self.node else { return Ok(None) };
        let mut node = Node::try_new(&asked.name)?;
        for address in &asked.addresses {
            node = node.address(address);
        }
        for (key, value) in &asked.attributes {
            node = node.attribute(key, value);
        }
        Ok(Some(node))
    }
}

/// Makes a diagnosis until it is done or not wanted any more. What it came to is the text of the end.
pub(crate) async fn answer(shared: &Arc<Shared>, work: impl Future<Output = Result<Vec<Rung>>>) -> Ended {
    let mut told = String::new();
    let work = async {
        let mut rungs = work.await?;
        rungs.truncate(RUNGS_MAX);
        told = serde_json::to_string(&rungs)?;
        Ok(())
    };
    match until_stopped(shared, work).await {
        Ended::Returned(Ok(())) => Ended::Told(told),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node crosses whole, and what crosses is what scripts and other languages can write.
    #[test]
    fn questions() {
        let node = Node::try_new("a@h").unwrap().address("10.0.0.1:9").attribute("zone", "eu");
        let question = Inquiry::about(Some(&node));
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(text, r#"{"node":{"name":"a@h","addresses":["10.0.0.1:9"],"attributes":{"zone":"eu"}}}"#);
        assert_eq!(serde_json::from_str::<Inquiry>(&text).unwrap().node(), Ok(Some(node)));
        let least: Inquiry = serde_json::from_str(r#"{"node":{"name":"a@h"}}"#).unwrap();
        assert_eq!(least.node(), Ok(Some(Node::try_new("a@h").unwrap())));
        assert_eq!(serde_json::to_string(&Inquiry::about(None)).unwrap(), "{}");
        assert!(serde_json::from_str::<Inquiry>(r#"{"node":{"name":"a"}}"#).unwrap().node().is_err());
    }

    /// The shape of a rung, which plugins of every age write.
    #[test]
    fn rungs() {
        let text = serde_json::to_string(&[
            Rung::fail("epmd", "no answer", "start it"),
            Rung::pass("cookie", "read"),
        ]);
        assert_eq!(
            text.unwrap(),
            r#"[{"rung":"epmd","verdict":"fail","evidence":"no answer","fix":"start it"},{"rung":"cookie","verdict":"pass","evidence":"read"}]"#
        );
        assert!(
            Verdict::Fail > Verdict::Warn
                && Verdict::Warn > Verdict::Pass
                && Verdict::Pass > Verdict::Skipped
        );
    }
}
