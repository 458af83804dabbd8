//! The core of libcluster-rs: who should be in the cluster, who is linked, and who hears of it.
//!
//! Everything here is a value: reports, link events and time go in, effects and events come out. There is no
//! I/O, no clock, no thread and no `unsafe`, so a whole cluster runs in a simulation much faster than life.
//!
//! - [`Node`], [`View`], [`Report`]: what strategies say.
//! - [`membership::Membership`]: what becomes of it.
//! - [`EventLog`]: who is told, and how one resumes where one was.

mod attributes;
mod backoff;
mod event;
mod log;
mod member;
pub mod membership;
mod name;
mod node;
mod time;
mod view;

pub use attributes::Attributes;
pub use backoff::Backoff;
pub use event::{Cursor, CursorError, Epoch, Event, EventKind};
pub use log::{Batch, Delivery, EventLog, Log, LogOptions, Start, Subscription};
pub use member::{
    Health, LinkState, Member, MemberState, NAMES_SHOWN_MAX, Snapshot, TopologyStatus, Vouched,
};
pub use membership::Membership;
pub use name::{NODE_NAME_CHARS_MAX, NameError, NodeName, TopologyName};
pub use node::{NODE_BYTES_MAX, NODE_ENTRIES_MAX, Node, NodeError, NodeRef};
pub use time::Now;
pub use view::{Changes, Completeness, LIST_BYTES_MAX, NodeList, Report, View};
