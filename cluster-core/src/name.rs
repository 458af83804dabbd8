//! Names of nodes and topologies. A name that exists is valid: parse, don't validate.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Characters that a [`NodeName`] may have at most: the limit of an Erlang atom.
pub const NODE_NAME_CHARS_MAX: usize = 255;
/// Bytes that a [`TopologyName`] may have at most.
const TOPOLOGY_NAME_BYTES_MAX: usize = 64;

/// The name of a node, `name@host`, as Erlang writes it: the identity of a member.
///
/// Cloning is cheap (a shared string); ordering is by bytes.
///
/// ```
/// use cluster_core::NodeName;
/// let name: NodeName = "app@10.0.0.7".parse()?;
/// assert_eq!(name.host(), "10.0.0.7");
/// assert!("app".parse::<NodeName>().is_err());
/// # Ok::<(), cluster_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// The name of a topology: one configured group of nodes.
///
/// ```
/// use cluster_core::TopologyName;
///
/// assert_eq!(TopologyName::try_new("shop")?.as_str(), "shop");
/// assert!(TopologyName::try_new("").is_err());
/// # Ok::<(), cluster_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopologyName(Arc<str>);

/// Why a text is not a name. Nothing changed; whoever wrote the text can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text has no `@`, two of them, or nothing on one side of it.
    #[error("node name {0:?} is not of the form name@host")]
    NotNameAtHost(String),
    /// The text has more characters than an Erlang atom.
    #[error("node name of {0} characters: at most {NODE_NAME_CHARS_MAX} are possible")]
    NodeNameTooLong(usize),
    /// The text has white space or a control character.
    #[error("node name {0:?} has white space or a control character")]
    NodeNameUnprintable(String),
    /// The text is no topology name.
    #[error("topology name {0:?} is not of 1 to {TOPOLOGY_NAME_BYTES_MAX} letters, digits, '-', '_' or '.'")]
    NotTopologyName(String),
}

// === impl NodeName ===

impl NodeName {
    /// Parses `name@host`.
    ///
    /// # Errors
    /// [`NameError`] when the text is not of that form.
    pub fn try_new(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Whether a text is a node name, without making one of it.
    ///
    /// # Errors
    /// As [`NodeName::try_new`].
    pub fn check(text: &str) -> Result<(), NameError> {
        let characters = text.chars().count();
        if characters > NODE_NAME_CHARS_MAX {
            return Err(NameError::NodeNameTooLong(characters));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(NameError::NodeNameUnprintable(text.to_owned()));
        }
        match text.split_once('@') {
            Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => Ok(()),
            _ => Err(NameError::NotNameAtHost(text.to_owned())),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`: a host name or an IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, host)| host)
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_new(text)
    }
}

// === impl TopologyName ===

impl TopologyName {
    /// Parses a topology name.
    ///
    /// # Errors
    /// [`NameError::NotTopologyName`].
    pub fn try_new(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > TOPOLOGY_NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(NameError::NotTopologyName(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TopologyName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopologyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TopologyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TopologyName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is a node name and what is not, with the reason that is shown.
    #[test]
    fn node_names() {
        for good in ["a@b", "n1@höst.local", "app@fd00::1", "n1@日本.local"] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        for (bad, reason) in [
            ("", r#"node name "" is not of the form name@host"#),
            ("nil", r#"node name "nil" is not of the form name@host"#),
            ("@b", r#"node name "@b" is not of the form name@host"#),
            ("a@", r#"node name "a@" is not of the form name@host"#),
            ("a@b@c", r#"node name "a@b@c" is not of the form name@host"#),
            ("a @b", r#"node name "a @b" has white space or a control character"#),
        ] {
            assert_eq!(bad.parse::<NodeName>().unwrap_err().to_string(), reason);
        }
        let longest = format!("{}@h", "日".repeat(253));
        assert!(longest.parse::<NodeName>().is_ok());
        assert!(format!("{longest}x").parse::<NodeName>().is_err());
    }
}
