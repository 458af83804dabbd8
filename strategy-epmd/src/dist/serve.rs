//! What a node without processes answers: that it is one, and that nothing else is there.

use super::{
    control::{self, Control},
    frame::Payload,
    term::Term,
};

/// The only name at which somebody answers: `net_adm:ping/1` asks there.
const NET_KERNEL: &str = "net_kernel";

/// The answer to a message: control message and payload.
pub(crate) fn answer(control: &Control, payload: Option<&Payload>) -> Option<(Term, Option<Term>)> {
    match control {
        Control::SendNamed { to, .. } if to.is_atom(NET_KERNEL) => {
            let (to, pong) = is_auth(&payload?.decode().ok()?)?;
            Some((control::send(to), Some(pong)))
        }
        // Who asks us something watches us meanwhile.
        Control::Monitor { to, .. } if to.is_atom(NET_KERNEL) => None,
        Control::Monitor { from, to, reference } => {
            Some((control::monitor_exit(to.clone(), from.clone(), reference.clone()), None))
        }
        Control::Link { from, to } => Some((control::exit(to.clone(), from.clone()), None)),
        Control::Unlink { id, from, to } => {
            Some((control::unlink_ack(id.clone(), to.clone(), from.clone()), None))
        }
        Control::Spawn { request, from } => {
            Some((control::spawn_refused(request.clone(), from.clone()), None))
        }
        Control::SendNamed { .. } | Control::Send { .. } | Control::Other => None,
    }
}

/// `{'$gen_call', {Pid, Tag}, {is_auth, Node}}` is answered with `{Tag, yes}` to the process.
fn is_auth(message: &Term) -> Option<(Term, Term)> {
    let [word, from, question] = message.as_tuple()? else {
        return None;
    };
    let [process, tag] = from.as_tuple()? else {
        return None;
    };
    let [asked, _node] = question.as_tuple()? else {
        return None;
    };
    let is_meant = word.is_atom("$gen_call") && asked.is_atom("is_auth");
    is_meant.then(|| (process.clone(), Term::Tuple(vec![tag.clone(), Term::atom("yes")])))
}
