//! Who a plugin says it is: the handshake, read and checked.

use cluster_sdk::{
    OfferKind,
    abi::handshake::{
        ABI_MAJOR, HANDSHAKE_BYTES, Handshake, HandshakeError, INTERFACE_ABI_STABLE, INTERFACE_C,
    },
};

use super::refusal::Reason;

/// Who a plugin is and what it offers.
///
/// # Examples
///
/// ```
/// use cluster_host::{Registry, connectors};
/// use cluster_sdk::OfferKind;
///
/// let registry = Registry::new().with_builtin(connectors::plugin())?;
/// let identity = &registry.builtins().first().ok_or("it has none")?.identity;
/// assert_eq!(identity.names(OfferKind::Connector), ["tcp", "exec"]);
/// assert!(!identity.offers(OfferKind::Strategy, "tcp"));
/// assert!(identity.abi().starts_with("1."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Its name: its crate's.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The version of the SDK in it.
    pub sdk: String,
    /// The compiler that built it.
    pub rustc: String,
    /// The target triple that it was built for.
    pub target: String,
    /// Minor version of the ABI; the major one is this host's.
    pub abi_minor: u32,
    /// Whether its panics unwind and so can be caught.
    pub unwinds: bool,
    /// Features of the host that it needs, one bit each.
    pub features_needed: u32,
    /// Features of the processor that it needs, one bit each.
    pub cpu_features: u64,
    /// What it offers, in its own order.
    pub offers: Vec<Offer>,
}

/// A strategy or a connector that a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// Which of the two.
    pub kind: OfferKind,
    /// Its name in a configuration.
    pub name: String,
}

// === impl Identity ===

impl Identity {
    /// Reads the handshake in a file, whose symbol was `symbol`.
    pub(super) fn parse(symbol: &str, bytes: &[u8; HANDSHAKE_BYTES]) -> Result<Self, Reason> {
        let handshake = Handshake::parse(bytes).map_err(|error| match error {
            HandshakeError::Major { major } => Reason::OtherAbi {
                plugin: symbol.rsplit("__").next().unwrap_or_default().to_owned(),
                major: major.to_string(),
            },
            HandshakeError::Magic => Reason::BadHandshake("it has another magic number".to_owned()),
            HandshakeError::Text(what) => Reason::BadHandshake(format!("its {what} is not valid")),
            error => Reason::BadHandshake(error.to_string()),
        })?;
        Self::read(&handshake)
    }

    /// Checks a handshake: valid texts, a known interface, well-formed offers. Whether the plugin suits this machine
    /// is another question.
    pub(super) fn read(handshake: &Handshake) -> Result<Self, Reason> {
        if usize::try_from(handshake.handshake_bytes) != Ok(HANDSHAKE_BYTES) {
            let bytes = handshake.handshake_bytes;
            return Err(Reason::BadHandshake(format!("it has {bytes} bytes, not {HANDSHAKE_BYTES}")));
        }
        if !matches!(handshake.interface, INTERFACE_ABI_STABLE | INTERFACE_C) {
            return Err(Reason::OtherInterface(handshake.interface));
        }
        Ok(Self {
            plugin: text("plugin name", &handshake.plugin)?,
            version: text("plugin version", &handshake.version)?,
            sdk: text("SDK version", &handshake.sdk)?,
            rustc: text("compiler version", &handshake.rustc)?,
            target: text("target", &handshake.target)?,
            abi_minor: handshake.abi_minor,
            unwinds: handshake.panics_unwind(),
            features_needed: handshake.features_needed,
            cpu_features: handshake.cpu_features,
            offers: offers(&text("list of offers", &handshake.offers)?)?,
        })
    }

    /// The version of the ABI that it was built with.
    #[must_use]
    pub fn abi(&self) -> String {
        format!("{ABI_MAJOR}.{}", self.abi_minor)
    }

    /// The names of what it offers of one kind, in its own order.
    #[must_use]
    pub fn names(&self, kind: OfferKind) -> Vec<&str> {
        let offers = self.offers.iter().filter(|offer| offer.kind == kind);
        offers.map(|offer| offer.name.as_str()).collect()
    }

    /// Whether the plugin offers this.
    #[must_use]
    pub fn offers(&self, kind: OfferKind, name: &str) -> bool {
        self.offers.iter().any(|offer| offer.kind == kind && offer.name == name)
    }
}

/// The bytes of a handshake, as they are in a file.
pub(super) fn encode(handshake: &Handshake) -> Vec<u8> {
    let numbers = [
        handshake.handshake_bytes,
        handshake.abi_major,
        handshake.abi_minor,
        handshake.interface,
        handshake.flags,
        handshake.features_needed,
    ];
    let mut bytes = handshake.magic.to_vec();
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(handshake.cpu_features.to_le_bytes());
    for text in [
        handshake.sdk.as_slice(),
        &handshake.rustc,
        &handshake.target,
        &handshake.plugin,
        &handshake.version,
        &handshake.offers,
    ] {
        bytes.extend(text);
    }
    bytes
}

/// A text padded by NUL. It is shown on terminals, so it has no control characters.
fn text(what: &str, padded: &[u8]) -> Result<String, Reason> {
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    let (text, padding) = padded.split_at_checked(end).unwrap_or((padded, &[]));
    let valid = str::from_utf8(text).ok().filter(|text| {
        padding.iter().all(|byte| *byte == 0) && !text.is_empty() && !text.chars().any(char::is_control)
    });
    valid.map(str::to_owned).ok_or_else(|| Reason::BadHandshake(format!("its {what} is not valid")))
}

fn offers(list: &str) -> Result<Vec<Offer>, Reason> {
    let mut offers = Vec::new();
    for word in list.split(' ').filter(|word| !word.is_empty()) {
        let (kind, name) = match word.split_once(':') {
            Some(("s", name)) => (OfferKind::Strategy, name),
            Some(("c", name)) => (OfferKind::Connector, name),
            // A kind of a later minor version.
            Some((kind, _)) if kind.len() == 1 => continue,
            _ => {
                return Err(Reason::BadHandshake(format!("the offer {word:?} is not s:NAME or c:NAME")));
            }
        };
        if !is_offer_name(name) {
            return Err(Reason::BadHandshake(format!("the offer {word:?} has no valid name")));
        }
        let offer = Offer { kind, name: name.to_owned() };
        if offers.contains(&offer) {
            return Err(Reason::BadHandshake(format!("it offers {word:?} twice")));
        }
        offers.push(offer);
    }
    if offers.is_empty() {
        return Err(Reason::BadHandshake("it offers nothing that this host knows".to_owned()));
    }
    Ok(offers)
}

/// `[a-z0-9][a-z0-9_-]*`, so that no name is a path or an option.
fn is_offer_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use cluster_sdk::abi::handshake::MAGIC;

    use super::*;

    /// Offers are read as written; what no configuration could name is an error that shows it.
    #[test]
    fn offer_lists() {
        let names = |list| offers(list).map(|offers| offers.into_iter().map(|o| o.name).collect::<Vec<_>>());
        assert_eq!(names("s:epmd s:local_epmd  c:erlang x:new").unwrap(), ["epmd", "local_epmd", "erlang"]);
        assert_eq!(names("s:a c:a").unwrap(), ["a", "a"]);
        for (list, reason) in [
            ("", "it offers nothing that this host knows"),
            ("x:new", "it offers nothing that this host knows"),
            ("gossip", r#"the offer "gossip" is not s:NAME or c:NAME"#),
            ("s:", r#"the offer "s:" has no valid name"#),
            ("s:../x", r#"the offer "s:../x" has no valid name"#),
            ("s:-x", r#"the offer "s:-x" has no valid name"#),
            ("s:Gossip", r#"the offer "s:Gossip" has no valid name"#),
            ("s:a s:a", r#"it offers "s:a" twice"#),
        ] {
            let error = names(list).unwrap_err().to_string();
            assert_eq!(error, format!("has no valid handshake: {reason}"));
        }
    }

    /// Taking a handshake apart and putting it together again loses no byte.
    #[test]
    fn round_trip() {
        let mut bytes: [u8; HANDSHAKE_BYTES] = std::array::from_fn(|at| u8::try_from(at % 127).unwrap());
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        bytes[20..24].copy_from_slice(&ABI_MAJOR.to_le_bytes());
        assert_eq!(encode(&Handshake::parse(&bytes).unwrap()), bytes);
    }

    /// A text ends at its first NUL and all after it is NUL; what a terminal would obey is refused.
    #[test]
    fn texts() {
        assert_eq!(text("name", b"abc\0\0").unwrap(), "abc");
        assert_eq!(text("name", b"abcde").unwrap(), "abcde");
        for bad in [b"\0\0\0\0\0", b"a\0b\0\0", b"\x1b[2J\0", b"ab\xff\0\0"] {
            assert!(text("name", bad).is_err());
        }
    }
}
