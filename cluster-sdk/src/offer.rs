//! What a plugin offers, with the types of its authors erased.

use std::{fmt, future::Future, pin::Pin};

use anyhow::anyhow;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    abi::table::OfferCode,
    config::{self, ConfigError},
    connector::{self, Connector},
    context::Context,
    diagnosis::{self, Inquiry},
    discover::{self, Discover},
    instance::Command,
    local::LocalNode,
    runtime::{Ended, until_stopped},
    strategy::Strategy,
};

/// A strategy or connector that a plugin offers. Made by [`export_plugin!`](crate::export_plugin) and
/// [`plugin!`](crate::plugin).
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
/// use cluster_sdk::OfferDef;
///
/// // `Here` is a `Discover`.
/// const OFFER: OfferDef = OfferDef::discover::<Here>();
/// assert_eq!(format!("{OFFER:?}"), "strategy here");
/// ```
pub struct OfferDef {
    pub(crate) kind: OfferKind,
    pub(crate) name: &'static str,
    describe: fn() -> Value,
    pub(crate) validate: fn(Value, &LocalNode) -> Vec<ConfigError>,
    pub(crate) run: fn(Value, Context, mpsc::UnboundedReceiver<Command>) -> Work,
    pub(crate) diagnose: fn(Value, Context, Inquiry) -> Work,
}

pub(crate) type Work = Pin<Box<dyn Future<Output = Ended>>>;

/// What an offer is.
///
/// # Examples
///
/// ```
/// use cluster_sdk::OfferKind;
///
/// assert_eq!(OfferKind::Strategy.as_str(), "strategy");
/// assert_eq!(OfferKind::Connector.to_string(), "connector");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferKind {
    /// A strategy, whether it pushes or is asked.
    Strategy,
    /// A connector.
    Connector,
}

// === impl OfferKind ===

impl OfferKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Connector => "connector",
        }
    }

    pub(crate) const fn code(self) -> OfferCode {
        match self {
            Self::Strategy => OfferCode::STRATEGY,
            Self::Connector => OfferCode::CONNECTOR,
        }
    }

    /// The letter of it in [`Handshake::offers`](crate::abi::handshake::Handshake::offers).
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::Strategy => b's',
            Self::Connector => b'c',
        }
    }
}

impl fmt::Display for OfferKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl OfferDef ===

impl OfferDef {
    /// A strategy that pushes.
    #[must_use]
    pub const fn strategy<S: Strategy>() -> Self {
        Self {
            kind: OfferKind::Strategy,
            name: S::NAME,
            describe: || describe::<S::Config>(OfferKind::Strategy, S::NAME),
            validate: |config, local| validate::<S::Config>(config, local, S::validate),
            run: |config, ctx, _| {
                Box::pin(async move {
                    let shared = std::sync::Arc::clone(ctx.shared());
                    until_stopped(&shared, async { S::run(parse(config)?, ctx).await }).await
                })
            },
            diagnose: |config, ctx, _| {
                Box::pin(async move {
                    let work = async { Ok(S::diagnose(&parse(config)?, &ctx.local()).await) };
                    diagnosis::answer(ctx.shared(), work).await
                })
            },
        }
    }

    /// A strategy that is asked.
    #[must_use]
    pub const fn discover<D: Discover>() -> Self {
        Self {
            kind: OfferKind::Strategy,
            name: D::NAME,
            describe: || describe::<D::Config>(OfferKind::Strategy, D::NAME),
            validate: |config, local| validate::<D::Config>(config, local, D::validate),
            run: |config, ctx, _| {
                Box::pin(async move {
                    let shared = std::sync::Arc::clone(ctx.shared());
                    until_stopped(&shared, async { discover::poll::<D>(parse(config)?, ctx).await }).await
                })
            },
            diagnose: |config, ctx, _| {
                Box::pin(async move {
                    let work = async { Ok(D::diagnose(&parse(config)?, &ctx.local()).await) };
                    diagnosis::answer(ctx.shared(), work).await
                })
            },
        }
    }

    /// A connector.
    #[must_use]
    pub const fn connector<C: Connector>() -> Self {
        Self {
            kind: OfferKind::Connector,
            name: C::NAME,
            describe: || {
                let mut offer = describe::<C::Config>(OfferKind::Connector, C::NAME);
                if let Some(offer) = offer.as_object_mut() {
                    offer.insert("links".to_owned(), json!(C::LINKS));
                    offer.insert("by_address".to_owned(), json!(C::BY_ADDRESS));
                    offer.insert("local_node".to_owned(), json!(C::LOCAL_NODE));
                }
                offer
            },
            validate: |config, local| validate::<C::Config>(config, local, C::validate),
            run: |config, ctx, commands| {
                Box::pin(async move {
                    match parse(config) {
                        Ok(config) => connector::serve::<C>(config, ctx, commands).await,
                        Err(err) => Ended::Returned(Err(err)),
                    }
                })
            },
            diagnose: |config, ctx, question| {
                Box::pin(async move {
                    let work = async {
                        let (config, node) = (parse(config)?, question.node()?);
                        Ok(C::diagnose(&config, node.as_ref(), &ctx.local()).await)
                    };
                    diagnosis::answer(ctx.shared(), work).await
                })
            },
        }
    }
}

impl fmt::Debug for OfferDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// The answer to `describe`.
pub(crate) fn describe_all(offers: &[OfferDef]) -> Value {
    offers.iter().map(|offer| (offer.describe)()).collect()
}

fn describe<C: JsonSchema>(kind: OfferKind, name: &str) -> Value {
    let schema = SchemaGenerator::default().into_root_schema_for::<C>();
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    json!({ "kind": kind, "name": name, "description": description, "schema": schema, "diagnoses": true })
}

fn validate<C: DeserializeOwned + JsonSchema>(
    config: Value,
    local: &LocalNode,
    validate: fn(&C, &LocalNode) -> Vec<ConfigError>,
) -> Vec<ConfigError> {
    match config::parse::<C>(config) {
        Ok(config) => validate(&config, local),
        Err(errors) => errors,
    }
}

/// The config was valid a moment ago, on the thread of the host: a config need not be `Send`, so it is parsed anew.
fn parse<C: DeserializeOwned + JsonSchema>(config: Value) -> anyhow::Result<C> {
    config::parse(config).map_err(|errors| match errors.first() {
        Some(err) => anyhow!("config: {err}"),
        None => anyhow!("config is not valid"),
    })
}

/// Used by the macros: `s:NAME c:NAME`, for the handshake.
pub(crate) const fn offers_text<const N: usize>(offers: &[OfferDef]) -> [u8; N] {
    let mut text = [0_u8; N];
    let mut end = 0;
    let mut rest = offers;
    while let [offer, after @ ..] = rest {
        check_name(offer.name);
        if end > 0 {
            end = put(&mut text, end, b' ');
        }
        end = put(&mut text, end, offer.kind.letter());
        end = put(&mut text, end, b':');
        let mut name = offer.name.as_bytes();
        while let [letter, letters @ ..] = name {
            end = put(&mut text, end, *letter);
            name = letters;
        }
        let mut others = after;
        while let [other, more @ ..] = others {
            let same = other.kind.letter() == offer.kind.letter() && is_equal(other.name, offer.name);
            assert!(!same, "two strategies or two connectors of a plugin have the same NAME");
            others = more;
        }
        rest = after;
    }
    text
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; const code has no get_mut")]
const fn put<const N: usize>(text: &mut [u8; N], at: usize, byte: u8) -> usize {
    assert!(at < N, "the names of all offers of a plugin do not fit in its handshake");
    text[at] = byte;
    at + 1
}

const fn check_name(name: &str) {
    assert!(!name.is_empty(), "NAME is empty");
    let mut rest = name.as_bytes();
    while let [letter, after @ ..] = rest {
        let allowed =
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(*letter, b'-' | b'_');
        assert!(allowed, "NAME may have lower case letters, digits, '-' and '_' only");
        rest = after;
    }
}

const fn is_equal(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        if *first_a != *first_b {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.is_empty() && b.is_empty()
}
