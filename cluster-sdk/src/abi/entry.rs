//! The one symbol that a plugin exports, and what it points at.

#![allow(unsafe_code, reason = "what the symbol points at is vouched for by its name and its handshake")]

use std::{ffi::c_void, fmt};

use abi_stable::{
    library::{AbiHeaderRef, CheckTypeLayout, LibHeader, RootModule, RootModuleResult},
    marker_type::ErasedPrefix,
    prefix_type::{PrefixRefTrait, WithMetadata},
    sabi_types::VersionStrings,
    std_types::{ROk, RStr},
};

use super::{
    c::CTable,
    handshake::Handshake,
    table::{PluginTable, PluginTable_Ref},
    thunk,
};
use crate::offer::OfferDef;

/// What a plugin offers, as a type: implemented by [`export_plugin!`](crate::export_plugin) and
/// [`plugin!`](crate::plugin).
pub trait Plugin: 'static {
    /// Strategies and connectors.
    const OFFERS: &'static [OfferDef];
}

/// What the exported symbol is: the handshake, which is read from the file first, and the way to the functions.
///
/// # Examples
///
/// ```
/// # use cluster_sdk::{Context, Discover, Node, Result, View, schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// # struct Here;
/// # impl Discover for Here {
/// #     const NAME: &'static str = "here";
/// #     type Config = Config;
/// #     async fn discover(_: &Config, _: &Context) -> Result<View> { Ok(View::complete([Node::try_new("a@h")?])) }
/// # }
/// # cluster_sdk::plugin!(discover: [Here]);
/// use cluster_sdk::abi::host::LoadedPlugin;
///
/// // What `plugin!` and `export_plugin!` have made: who it is can be read before anything of it is used.
/// let entry = plugin();
/// assert_eq!(entry.handshake().offers().count(), 1);
/// assert!(LoadedPlugin::from_entry(entry).is_ok());
/// ```
#[repr(C)]
pub struct PluginEntry {
    handshake: Handshake,
    header: HeaderPtr,
}

/// A pointer and not a reference: until the handshake and the version of `abi_stable` are checked, it is not known what
/// is there. Of a plugin in C it is a [`CTable`].
#[repr(transparent)]
struct HeaderPtr(*const LibHeader);

// SAFETY: it points at a static that may be shared.
unsafe impl Sync for HeaderPtr {}
// SAFETY: as above.
unsafe impl Send for HeaderPtr {}

/// The functions of one plugin.
pub(super) struct Table<P>(std::marker::PhantomData<P>);

impl<P: Plugin> Table<P> {
    const VALUE: &'static WithMetadata<PluginTable> = &WithMetadata::new(PluginTable {
        ping: thunk::ping,
        describe: thunk::describe::<P>,
        validate: thunk::validate::<P>,
        start: thunk::start::<P>,
        update: thunk::update,
        stop: thunk::stop,
        submit: thunk::submit,
        cancel: thunk::cancel,
        destroy: thunk::destroy,
        #[cfg(feature = "abi-next")]
        next: thunk::ping,
    });
    /// The table as a host sees it.
    pub(super) const REF: PluginTable_Ref = PluginTable_Ref(Self::VALUE.static_as_prefix());
}

impl RootModule for PluginTable_Ref {
    abi_stable::declare_root_module_statics! {PluginTable_Ref}
    const BASE_NAME: &'static str = "libcluster_plugin";
    const NAME: &'static str = "libcluster_plugin";
    // Not the version that counts: that one is in the handshake.
    const VERSION_STRINGS: VersionStrings = VersionStrings { version: RStr::from_str("1.0.0") };
}

/// The header of a plugin: used by the macros, in a `static` of the plugin.
#[doc(hidden)]
#[must_use]
pub const fn header<P: Plugin>() -> LibHeader {
    extern "C" fn construct<P: Plugin>() -> RootModuleResult {
        // SAFETY: erasing the type of a prefix; `header` names the type that it has.
        ROk(unsafe { Table::<P>::REF.to_prefix_ref().cast::<ErasedPrefix>() })
    }
    // SAFETY: `construct` gives a `PluginTable_Ref`, erased.
    unsafe { LibHeader::from_constructor::<PluginTable_Ref>(construct::<P>, CheckTypeLayout::Yes) }
}

/// The entry behind an exported symbol.
///
/// # Safety
/// `symbol` must be the address of a symbol named [`SYMBOL_PREFIX`](super::handshake::SYMBOL_PREFIX)… in a library that
/// is never unloaded, and the file's handshake must have been read and accepted: magic, major version, target.
#[must_use]
pub unsafe fn entry_from_symbol(symbol: *const c_void) -> &'static PluginEntry {
    // SAFETY: the caller has checked that there is an entry, and that it stays.
    unsafe { &*symbol.cast::<PluginEntry>() }
}

// === impl PluginEntry ===

impl PluginEntry {
    /// An entry: used by the macros.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(handshake: Handshake, header: &'static LibHeader) -> Self {
        Self { handshake, header: HeaderPtr(header) }
    }

    /// Who the plugin is.
    #[must_use]
    pub const fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Where the table of a plugin in C is, by its own word.
    pub(super) const fn c_table(&self) -> *const CTable {
        self.header.0.cast()
    }

    /// The header, with as much of it checked as `abi_stable` checks before it may be read: its magic, its version,
    /// and that both sides pass values alike.
    pub(super) fn library(&'static self) -> Result<&'static LibHeader, String> {
        // SAFETY: the handshake says that `abi_stable` wrote what is there, and its headers of all versions begin with
        // an `AbiHeader`; this is what `abi_stable` does with the address of its own symbol.
        let header = unsafe { std::mem::transmute::<*const LibHeader, AbiHeaderRef>(self.header.0) };
        header.upgrade().map_err(|err| err.to_string())
    }
}

impl fmt::Debug for PluginEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEntry").field(&self.handshake).finish()
    }
}
