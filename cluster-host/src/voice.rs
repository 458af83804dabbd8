//! How a running instance is heard: its calls, on its own thread, become what waits in the inbox and what stands on
//! the board.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use cluster_core::{
    NodeName, Report, TopologyName,
    membership::{LinkInput, OperationId, Outcome},
};
use cluster_sdk::abi::host::{
    Exit as InstanceExit, ExitKind, HostInterface, InstanceStatus, LinkChange, LocalReport, LogRecord,
    OperationOutcome, Refused,
};

use crate::{
    board::Board,
    inbox::{Inbox, Speaker, UnitId, Word},
    supervision::Exit,
    unit::{Surroundings, UnitSpec},
};

/// One start of one unit, as it speaks.
#[derive(Debug)]
pub(crate) struct Voice {
    speaker: Speaker,
    label: String,
    topologies: Mutex<Vec<TopologyName>>,
    members_max: usize,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    /// The question for all links that is not answered yet; 0 for none.
    list_asked: AtomicU64,
}

// === impl Voice ===

impl Voice {
    pub(crate) fn new(spec: &UnitSpec, start: u64, around: &Surroundings) -> Self {
        Self {
            speaker: Speaker { unit: spec.id.clone(), start },
            label: spec.label(),
            topologies: Mutex::new(spec.topologies.clone()),
            members_max: spec.members_max,
            inbox: Arc::clone(&around.inbox),
            board: Arc::clone(&around.board),
            list_asked: AtomicU64::new(0),
        }
    }

    /// The next list that comes is the answer to this question.
    pub(crate) fn ask_list(&self, operation: OperationId) {
        self.list_asked.store(operation.0, Ordering::SeqCst);
    }

    /// From now on it speaks for these topologies.
    pub(crate) fn serve(&self, topologies: &[TopologyName]) {
        topologies.clone_into(&mut self.topologies.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, word: Word) {
        self.inbox.say(self.speaker.clone(), word);
    }
}

impl HostInterface for Voice {
    fn log(&self, record: &LogRecord<'_>) {
        record.emit(&self.label);
    }

    fn report(&self, report: Report) -> Result<(), Refused> {
        let UnitId::Strategy(topology) = &self.speaker.unit else {
            return Err(Refused::HostFailed);
        };
        self.inbox
            .report(topology, self.speaker.start, report, self.members_max)
            .map_err(|_full| Refused::TooMany)?;
        self.board.reported(topology);
        Ok(())
    }

    fn status(&self, status: InstanceStatus) {
        for topology in self.topologies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.board.count(topology, &status.counters);
        }
        self.say(Word::Health(status.health, status.reason));
    }

    fn completed(&self, op: u64, outcome: OperationOutcome) {
        let outcome = match outcome {
            // Nothing to list: the owner of the membership hears that the question has ended without an answer.
            OperationOutcome::Done | OperationOutcome::Unsupported => Outcome::Done,
            OperationOutcome::Unreachable(reason) | OperationOutcome::NotPartOfNetwork(reason) => {
                Outcome::Failed(reason.into())
            }
            OperationOutcome::Kept(reason) => Outcome::Kept(reason.into()),
        };
        self.say(Word::Link(LinkInput::Completed { operation: OperationId(op), outcome }));
    }

    fn link(&self, change: LinkChange) {
        let LinkChange { generation, node, up, reason } = change;
        let reason = || reason.map_or_else(|| "the connector says that it is gone".into(), Into::into);
        let state = if up { Ok(()) } else { Err(reason()) };
        self.say(Word::Link(LinkInput::Changed { generation, node, state }));
    }

    fn links(&self, generation: u64, nodes: Vec<NodeName>) {
        let asked = self.list_asked.swap(0, Ordering::SeqCst);
        let operation = (asked != 0).then_some(OperationId(asked));
        let nodes = nodes.into_iter().collect();
        self.say(Word::Link(LinkInput::Listed { generation, operation, nodes }));
    }

    fn availability(&self, unavailable: Option<&str>) {
        let state = unavailable.map_or(Ok(()), |reason| Err(reason.into()));
        self.say(Word::Link(LinkInput::Availability(state)));
    }

    fn local(&self, report: LocalReport) {
        self.say(Word::Local(report));
    }

    fn exited(&self, exit: InstanceExit) {
        self.say(Word::Exited(match exit.kind {
            ExitKind::Finished | ExitKind::Stopped => Exit::Finished,
            ExitKind::Failed | ExitKind::Panicked => Exit::Failed(exit.to_string()),
        }));
    }
}
