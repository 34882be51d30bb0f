//! One process of the model: its phase, the pipe ends it holds, its signals and its descriptors.

use crate::scenario::{Disposition, PipeEnd};
use crate::trace::ProcessExit;
use std::collections::BTreeSet;

/// Signals whose default action does not end a process. Being stopped and continued changes no outcome.
const HARMLESS_SIGNALS: [&str; 6] =
    ["SIGSTOP", "SIGCONT", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGWINCH"];

/// The phase of a process between its start and its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    #[default]
    NotStarted,
    Running,
    /// It ends with this status as soon as its children have ended, and still holds its ends. The step is the `exit` that it
    /// is in, unless it has returned.
    Waiting(ProcessExit, Option<usize>),
    /// It executes no more steps, and still holds ends, which it closes one by one.
    Exiting(ProcessExit),
    Ended(ProcessExit),
    /// It has ended, and no step can ask any more how it ended.
    Forgotten,
}

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct ProcessState {
    pub(super) parent: Option<usize>,
    /// The first process of its process group.
    pub(super) group: usize,
    pub(super) phase: Phase,
    /// Whether its start was refused because the thread that called it had no event loop. Its parent has no object for it.
    pub(super) is_refused: bool,
    /// The pipe ends that it holds open.
    pub(super) ends: BTreeSet<PipeEnd>,
    /// The ends that the implementation believes to be open although their descriptors are closed.
    pub(super) closed_unseen: BTreeSet<PipeEnd>,
    /// The steps that wait for its end.
    pub(super) joins: Vec<usize>,
    /// Whether it has ended and is not even a zombie. Kept only while a step may still signal it.
    pub(super) is_reaped: bool,
    pub(super) signals: Signals,
    /// How many more descriptors it may open; `None` means no limit.
    pub(super) free_descriptors: Option<u64>,
}

/// What signals do to a process.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Signals {
    /// Signals that are counted.
    trapped: BTreeSet<String>,
    /// Signals that are ignored or blocked.
    ineffective: BTreeSet<String>,
    pub(super) caught: u64,
}

impl ProcessState {
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether the process exists: it has started and is not gone.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Waiting(..) | Phase::Exiting(_))
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_) | Phase::Forgotten)
    }

    /// Whether it has ended and may still be a zombie.
    pub(super) fn may_be_zombie(&self) -> bool {
        self.has_ended() && !self.is_reaped
    }

    pub(super) fn exit(&self) -> Option<&ProcessExit> {
        match &self.phase {
            Phase::Ended(exit) => Some(exit),
            _ => None,
        }
    }

    /// Uses up descriptors and returns true, or returns false and uses none if there are too few.
    pub(super) fn take_descriptors(&mut self, count: u64) -> bool {
        let Some(free) = &mut self.free_descriptors else { return true };
        let left = free.checked_sub(count);
        *free = left.unwrap_or(*free);
        left.is_some()
    }

    pub(super) fn return_descriptor(&mut self) {
        if let Some(free) = &mut self.free_descriptors {
            *free += 1;
        }
    }
}

impl Signals {
    pub(super) fn set(&mut self, signal: &str, disposition: Disposition) {
        let (added_to, removed_from) = match disposition {
            Disposition::Trap => (&mut self.trapped, &mut self.ineffective),
            Disposition::Ignore | Disposition::Block => (&mut self.ineffective, &mut self.trapped),
        };
        removed_from.remove(signal);
        added_to.insert(signal.to_owned());
    }

    pub(super) fn is_trapped(&self, signal: &str) -> bool {
        self.trapped.contains(signal)
    }

    /// Whether this signal ends the process.
    pub(super) fn is_fatal(&self, signal: &str) -> bool {
        !self.is_trapped(signal)
            && !self.ineffective.contains(signal)
            && !HARMLESS_SIGNALS.contains(&signal)
    }

    /// The dispositions that a child inherits, without the signals that were caught.
    pub(super) fn inherited(&self) -> Self {
        Self { caught: 0, ..self.clone() }
    }
}
