//! What a node says that it can do. Source: the flags of the distribution protocol (`dist.hrl`); the bits were compared
//! with what OTP 25 and 28 name them.

use std::fmt;

/// The abilities of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u64);

// === impl Flags ===

impl Flags {
    /// A visible node. We are none: who is visible is drawn into `global` and the mesh of everybody.
    pub(crate) const PUBLISHED: Self = Self(1);
    const EXTENDED_REFERENCES: Self = Self(1 << 2);
    const DIST_MONITOR: Self = Self(1 << 3);
    const FUN_TAGS: Self = Self(1 << 4);
    const DIST_MONITOR_NAME: Self = Self(1 << 5);
    const NEW_FUN_TAGS: Self = Self(1 << 7);
    const EXTENDED_PIDS_PORTS: Self = Self(1 << 8);
    const EXPORT_PTR_TAG: Self = Self(1 << 9);
    const BIT_BINARIES: Self = Self(1 << 10);
    const NEW_FLOATS: Self = Self(1 << 11);
    const SMALL_ATOM_TAGS: Self = Self(1 << 14);
    const UTF8_ATOMS: Self = Self(1 << 16);
    const MAP_TAG: Self = Self(1 << 17);
    const BIG_CREATION: Self = Self(1 << 18);
    /// Handshake version 6: the only one that is spoken here.
    pub(crate) const HANDSHAKE_23: Self = Self(1 << 24);
    const UNLINK_ID: Self = Self(1 << 25);
    /// Stands for all that is mandatory in OTP 25.
    const MANDATORY_25_DIGEST: Self = Self(1 << 26);
    /// Asks the other node for a name.
    pub(crate) const NAME_ME: Self = Self(1 << 33);
    const V4_NC: Self = Self(1 << 34);

    /// What we can do: all that OTP 25 to 28 demand, monitors, and nothing that is not implemented here, above all no
    /// fragments, no atom cache, no spawn requests and no aliases.
    pub(crate) const OURS: Self = Self(
        Self::EXTENDED_REFERENCES.0
            | Self::DIST_MONITOR.0
            | Self::FUN_TAGS.0
            | Self::DIST_MONITOR_NAME.0
            | Self::NEW_FUN_TAGS.0
            | Self::EXTENDED_PIDS_PORTS.0
            | Self::EXPORT_PTR_TAG.0
            | Self::BIT_BINARIES.0
            | Self::NEW_FLOATS.0
            | Self::SMALL_ATOM_TAGS.0
            | Self::UTF8_ATOMS.0
            | Self::MAP_TAG.0
            | Self::BIG_CREATION.0
            | Self::HANDSHAKE_23.0
            | Self::UNLINK_ID.0
            | Self::MANDATORY_25_DIGEST.0
            | Self::V4_NC.0,
    );

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
