//! Calls of functions on a BEAM node, by its server `rex`, as `rpc:call/4` makes them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    control,
    exchange::Peer,
    frame::Payload,
    link::{NotTaken, Writer},
    term::{Pid, Reference, Term},
};

/// Calls under way at most.
const CALLS_MAX: usize = 4_096;
/// The number of our only process.
const OURS: u32 = 1;

/// The caller at one end of a link.
#[derive(Debug)]
pub(crate) struct Rpc {
    writer: Writer,
    pid: Pid,
    next: Cell<u64>,
    calls: RefCell<HashMap<u64, oneshot::Sender<Term>>>,
}

/// Why there is no answer. Whether the function ran is not known unless it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("the link to the BEAM node has ended")]
    Ended,
    #[error("the BEAM node does not answer within {0:?}")]
    NoAnswer(Duration),
    #[error("too many calls are under way")]
    TooMany,
    /// The node's word for it: `badrpc` and what follows.
    #[error("{function} failed on the BEAM node: {reason}")]
    Failed { function: String, reason: String },
}

impl From<NotTaken> for RpcError {
    fn from(NotTaken: NotTaken) -> Self {
        Self::Ended
    }
}

/// Forgets a call that is not waited for any more.
struct Forget<'a> {
    rpc: &'a Rpc,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.rpc.calls.borrow_mut().remove(&self.number);
    }
}

// === impl Rpc ===

impl Rpc {
    pub(crate) fn new(writer: Writer, peer: &Peer) -> Self {
        let pid = Pid { node: peer.own_name.clone(), id: OURS, serial: 0, creation: peer.own_creation };
        Self { writer, pid, next: Cell::new(1), calls: RefCell::default() }
    }

    /// Our process, which answers and messages go to.
    pub(crate) const fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Calls `module:function(arguments)` and waits for its value.
    ///
    /// # Errors
    /// [`RpcError`].
    pub(crate) async fn call(
        &self,
        module: &str,
        function: &str,
        arguments: Vec<Term>,
        within: Duration,
    ) -> Result<Term, RpcError> {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let (answer, answered) = oneshot::channel();
        if self.calls.borrow().len() >= CALLS_MAX {
            return Err(RpcError::TooMany);
        }
        self.calls.borrow_mut().insert(number, answer);
        let _forget = Forget { rpc: self, number };
        let what = Term::Tuple(vec![
            Term::atom("call"),
            Term::atom(module),
            Term::atom(function),
            Term::List(arguments),
            Term::atom("user"),
        ]);
        let from = Term::Tuple(vec![Term::Pid(self.pid.clone()), Term::Reference(self.reference(number))]);
        let call = Term::Tuple(vec![Term::atom("$gen_call"), from, what]);
        self.writer.send(&control::send_named(&self.pid, "rex"), Some(&call))?;
        match timeout(within, answered).await {
            Ok(Ok(value)) => match bad_rpc(&value) {
                Some(reason) => Err(RpcError::Failed { function: format!("{module}:{function}"), reason }),
                None => Ok(value),
            },
            Ok(Err(_ended)) => Err(RpcError::Ended),
            Err(_elapsed) => Err(RpcError::NoAnswer(within)),
        }
    }

    /// Sends a message to a process, without waiting.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn send(&self, to: &Pid, message: &Term) -> Result<(), NotTaken> {
        self.writer.send(&control::send(Term::Pid(to.clone())), Some(message))
    }

    /// Sends a control message, with its payload, without waiting.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn control(&self, control: &Term, payload: Option<&Term>) -> Result<(), NotTaken> {
        self.writer.send(control, payload)
    }

    /// Takes a message to our process. What is no answer to a call is given back.
    pub(crate) fn take(&self, payload: &Payload) -> Option<Term> {
        // What cannot be read is for nobody here.
        let message = payload.decode().ok()?;
        let number = match message.as_tuple() {
            Some([Term::Reference(reference), _]) => self.number(reference)?,
            _ => return Some(message),
        };
        let call = self.calls.borrow_mut().remove(&number)?;
        if let Term::Tuple(elements) = message
            && let Some(value) = elements.into_iter().nth(1)
        {
            // Who asked may have gone in this moment.
            let _gone = call.send(value);
        }
        None
    }

    /// The link has ended: nobody is to wait any longer.
    pub(crate) fn end(&self) {
        self.calls.borrow_mut().clear();
    }

    fn reference(&self, number: u64) -> Reference {
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        // The first word of a reference has 18 bits only.
        let words = vec![0, u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])];
        Reference { node: self.pid.node.clone(), creation: self.pid.creation, words }
    }

    fn number(&self, reference: &Reference) -> Option<u64> {
        match *reference.words {
            [0, high, low] if reference.creation == self.pid.creation => {
                Some(u64::from(high) << 32 | u64::from(low))
            }
            _ => None,
        }
    }
}

/// The reason in `{badrpc, Reason}`.
fn bad_rpc(value: &Term) -> Option<String> {
    match value.as_tuple()? {
        [word, reason] if word.is_atom("badrpc") => Some(reason.to_string()),
        _ => None,
    }
}
