//! The macros that make a crate a plugin.

/// Makes the crate a plugin: exports the symbol that a host looks for in the shared library, and defines
/// `pub fn plugin()` for a program that links the crate instead.
///
/// ```standalone_crate
/// # mod example {
/// # use cluster_sdk::{Context, Discover, Result, View, schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # pub struct Config {}
/// # struct Dns;
/// # impl Discover for Dns {
/// #     const NAME: &'static str = "dns";
/// #     type Config = Config;
/// #     async fn discover(_: &Config, _: &Context) -> Result<View> { Ok(View::complete([])) }
/// # }
/// cluster_sdk::export_plugin!(discover: [Dns]);
/// # }
/// assert_eq!(example::plugin().handshake().offers().collect::<Vec<_>>().len(), 1);
/// ```
///
/// Lists are `strategies`, `discover` and `connectors`, in any order. Names that are doubled, too long together, or not of
/// lower case letters, digits, `-` and `_` do not compile. `crate-type = ["cdylib", "rlib"]` makes both forms.
#[macro_export]
macro_rules! export_plugin {
    ($($lists:tt)*) => {
        /// The plugin, for a host that links it instead of loading it.
        #[must_use]
        pub fn plugin() -> &'static $crate::abi::PluginEntry {
            $crate::__plugin_statics!($($lists)*);
            #[unsafe(export_name = concat!("libcluster_plugin_v1__", env!("CARGO_CRATE_NAME")))]
            static ENTRY: $crate::abi::PluginEntry = $crate::__plugin_entry!();
            &ENTRY
        }
    };
}

/// As [`export_plugin!`](crate::export_plugin) without the symbol: for strategies and connectors that are part of a
/// program.
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
/// cluster_sdk::plugin!(discover: [Here]);
///
/// let offers: Vec<_> = plugin().handshake().offers().collect();
/// assert_eq!(offers, [(cluster_sdk::OfferKind::Strategy, "here")]);
/// ```
#[macro_export]
macro_rules! plugin {
    ($($lists:tt)*) => {
        /// The plugin, for a host that links it.
        #[must_use]
        pub fn plugin() -> &'static $crate::abi::PluginEntry {
            $crate::__plugin_statics!($($lists)*);
            static ENTRY: $crate::abi::PluginEntry = $crate::__plugin_entry!();
            &ENTRY
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_statics {
    ($($list:ident: [$($offer:ty),* $(,)?]),* $(,)?) => {
        struct Offers;
        impl $crate::abi::Plugin for Offers {
            const OFFERS: &'static [$crate::OfferDef] = &[$($($crate::__plugin_offer!($list, $offer)),*),*];
        }
        static HEADER: $crate::abi::LibHeader = $crate::abi::header::<Offers>();
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_offer {
    (strategies, $offer:ty) => {
        $crate::OfferDef::strategy::<$offer>()
    };
    (discover, $offer:ty) => {
        $crate::OfferDef::discover::<$offer>()
    };
    (connectors, $offer:ty) => {
        $crate::OfferDef::connector::<$offer>()
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_entry {
    () => {
        $crate::abi::PluginEntry::new(
            $crate::abi::handshake::Handshake::new::<Offers>(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            ),
            &HEADER,
        )
    };
}
