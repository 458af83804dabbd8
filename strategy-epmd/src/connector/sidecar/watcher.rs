//! A process on the BEAM node that tells us which nodes come and go, and which there are when it is asked. It is made of
//! an expression, so no code is loaded there; it ends with our link, and sends nothing that would make a new one.

use std::time::Duration;

use crate::dist::{
    rpc::{Rpc, RpcError},
    term::{Pid, Term},
};

/// `N` is our node, `P` our process. All answers come from one process, so that they come in their order.
const SOURCE: &str = "
process_flag(trap_exit, true),
erlang:monitor_node(N, true),
net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
T = fun(M) -> erlang:send(P, M, [noconnect]) end,
F = fun(G, W) ->
  case W of tell -> T({nodes, self(), erlang:nodes(visible), erlang:nodes(hidden)}); quiet -> ok end,
  receive
    {nodedown, N} -> bye;
    {nodedown, N, _} -> bye;
    {nodeup, X, I} -> T({nodeup, X, proplists:get_value(node_type, I)}), G(G, quiet);
    {nodedown, X, I} -> T({nodedown, X, proplists:get_value(nodedown_reason, I)}), G(G, quiet);
    tell -> G(G, tell);
    _ -> G(G, quiet)
  end
end,
F(F, tell).
";

/// What the watcher says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notice {
    /// All nodes there are.
    Nodes {
        watcher: Pid,
        visible: Vec<String>,
        hidden: Vec<String>,
    },
    Up {
        node: String,
        is_hidden: bool,
    },
    Down {
        node: String,
        reason: String,
    },
}

/// Starts a watcher. Its first [`Notice::Nodes`] follows.
pub(super) async fn start(rpc: &Rpc, within: Duration) -> Result<(), RpcError> {
    let misfit =
        |value: &Term| RpcError::Failed { function: "erl_eval".to_owned(), reason: value.to_string() };
    let scanned = rpc.call("erl_scan", "string", vec![Term::text(SOURCE)], within).await?;
    let Some([_, tokens, _]) = scanned.as_tuple() else {
        return Err(misfit(&scanned));
    };
    let parsed = rpc.call("erl_parse", "parse_exprs", vec![tokens.clone()], within).await?;
    let Some([_, expressions]) = parsed.as_tuple().filter(|parsed| parsed.first().is_some_and(is_ok)) else {
        return Err(misfit(&parsed));
    };
    let bindings = Term::List(vec![
        Term::Tuple(vec![Term::atom("N"), Term::atom(&rpc.pid().node)]),
        Term::Tuple(vec![Term::atom("P"), Term::Pid(rpc.pid().clone())]),
    ]);
    let arguments = Term::List(vec![expressions.clone(), bindings]);
    rpc.call("erlang", "spawn", vec![Term::atom("erl_eval"), Term::atom("exprs"), arguments], within).await?;
    Ok(())
}

/// Asks the watcher for all nodes.
pub(super) fn ask(rpc: &Rpc, watcher: &Pid) -> Result<(), RpcError> {
    rpc.send(watcher, &Term::atom("tell")).map_err(RpcError::from)
}

fn is_ok(term: &Term) -> bool {
    term.is_atom("ok")
}

// === impl Notice ===

impl Notice {
    /// `None` where the message is none of the watcher's.
    pub(super) fn from_term(term: &Term) -> Option<Self> {
        let elements = term.as_tuple()?;
        let (word, rest) = elements.split_first()?;
        match (word.as_atom()?, rest) {
            ("nodes", [Term::Pid(watcher), visible, hidden]) => {
                let (visible, hidden) = (names(visible)?, names(hidden)?);
                Some(Self::Nodes { watcher: watcher.clone(), visible, hidden })
            }
            ("nodeup", [node, kind]) => {
                Some(Self::Up { node: node.as_atom()?.to_owned(), is_hidden: kind.is_atom("hidden") })
            }
            ("nodedown", [node, reason]) => {
                Some(Self::Down { node: node.as_atom()?.to_owned(), reason: reason.to_string() })
            }
            _ => None,
        }
    }
}

fn names(list: &Term) -> Option<Vec<String>> {
    list.as_list()?.iter().map(|name| name.as_atom().map(str::to_owned)).collect()
}
