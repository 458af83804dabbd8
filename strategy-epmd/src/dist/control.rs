//! Control messages: what a link carries beside ticks. Numbers are those of the distribution protocol.

use super::term::{Pid, Term};

/// A control message that matters to a node without processes of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Control {
    /// A message to a process (with or without its sender): the answer to a call of ours.
    Send { to: Term },
    /// A message to a registered name.
    SendNamed { from: Term, to: Term },
    /// A process links itself to one here.
    Link { from: Term, to: Term },
    /// A process gives up a link; it waits for the answer.
    Unlink { id: Term, from: Term, to: Term },
    /// A process watches one here, by pid or name.
    Monitor { from: Term, to: Term, reference: Term },
    /// A process is to be started here.
    Spawn { request: Term, from: Term },
    /// Of no interest.
    Other,
}

mod op {
    pub(super) const LINK: i64 = 1;
    pub(super) const SEND: i64 = 2;
    pub(super) const EXIT: i64 = 3;
    pub(super) const REG_SEND: i64 = 6;
    pub(super) const MONITOR_P: i64 = 19;
    pub(super) const MONITOR_P_EXIT: i64 = 21;
    pub(super) const SEND_SENDER: i64 = 22;
    pub(super) const SPAWN_REQUEST: i64 = 29;
    pub(super) const SPAWN_REPLY: i64 = 31;
    pub(super) const UNLINK_ID: i64 = 35;
    pub(super) const UNLINK_ID_ACK: i64 = 36;
}

// === impl Control ===

impl Control {
    /// `None` where the term is no control message at all.
    pub(crate) fn from_term(term: &Term) -> Option<Self> {
        let (number, rest) = term.as_tuple()?.split_first()?;
        let number = number.as_integer()?;
        Some(match (number, rest) {
            (op::SEND | op::SEND_SENDER, [_, to, ..]) => Self::Send { to: to.clone() },
            (op::REG_SEND, [from, _, to, ..]) => Self::SendNamed { from: from.clone(), to: to.clone() },
            (op::LINK, [from, to]) => Self::Link { from: from.clone(), to: to.clone() },
            (op::UNLINK_ID, [id, from, to]) => {
                Self::Unlink { id: id.clone(), from: from.clone(), to: to.clone() }
            }
            (op::MONITOR_P, [from, to, reference]) => {
                Self::Monitor { from: from.clone(), to: to.clone(), reference: reference.clone() }
            }
            (op::SPAWN_REQUEST, [request, from, ..]) => {
                Self::Spawn { request: request.clone(), from: from.clone() }
            }
            _ => Self::Other,
        })
    }
}

/// A message to a registered name, from one of ours.
pub(crate) fn send_named(from: &Pid, to: &str) -> Term {
    let cookie = Term::Atom(String::new());
    Term::Tuple(vec![Term::Integer(op::REG_SEND), Term::Pid(from.clone()), cookie, Term::atom(to)])
}

/// A message to a process.
pub(crate) fn send(to: Term) -> Term {
    Term::Tuple(vec![Term::Integer(op::SEND), Term::Atom(String::new()), to])
}

/// A linked process is not there.
pub(crate) fn exit(from: Term, to: Term) -> Term {
    Term::Tuple(vec![Term::Integer(op::EXIT), from, to, Term::atom("noproc")])
}

/// A watched process is not there.
pub(crate) fn monitor_exit(from: Term, to: Term, reference: Term) -> Term {
    Term::Tuple(vec![Term::Integer(op::MONITOR_P_EXIT), from, to, reference, Term::atom("noproc")])
}

/// A process cannot be started.
pub(crate) fn spawn_refused(request: Term, to: Term) -> Term {
    Term::Tuple(vec![Term::Integer(op::SPAWN_REPLY), request, to, Term::Integer(0), Term::atom("notsup")])
}

/// A link has been given up.
pub(crate) fn unlink_ack(id: Term, from: Term, to: Term) -> Term {
    Term::Tuple(vec![Term::Integer(op::UNLINK_ID_ACK), id, from, to])
}
