//! What handles stand for in a state: which ends exist, which process holds them, and whether they are in use.

use super::Mutation;
use super::state::State;
use crate::scenario::{PipeEnd, PipeId, Side, Verb};

impl<'p> State<'p> {
    /// Whether a put or a get is in progress at an end.
    pub(super) fn is_busy(&self, end: PipeEnd) -> bool {
        let uses_end = |step: &usize| match self.program.verb(*step) {
            Verb::Put { handle, .. } if end.is_writer() => {
                self.program.pipe(handle, Side::Writer) == Some(end.pipe)
            }
            Verb::Get { handle } if !end.is_writer() => {
                self.program.pipe(handle, Side::Reader) == Some(end.pipe)
            }
            _ => false,
        };
        self.pipes[end.pipe].is_busy(end.side) || self.finishing.keys().any(uses_end)
    }

    /// The pipe ends that a handle stands for; none before its step has made it.
    pub(super) fn ends(&self, handle: &str) -> &'p [PipeEnd] {
        let ends = self.program.scenario.handles.ends(handle);
        match ends.first() {
            Some(end) if self.pipes[end.pipe].is_made() => ends,
            _ => &[],
        }
    }

    /// The end of this side that a handle stands for; none before its step has made it.
    pub(super) fn end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        self.ends(handle).iter().copied().find(|end| end.side == side)
    }

    /// The ends of a handle that a process holds open.
    pub(super) fn held_ends(&self, process: usize, handle: &str) -> Vec<PipeEnd> {
        let held = &self.processes[process].ends;
        self.ends(handle).iter().copied().filter(|end| held.contains(end)).collect()
    }

    /// The pipe that a process can get from or put to through a handle.
    pub(super) fn usable_pipe(&self, process: usize, handle: &str, side: Side) -> Option<PipeId> {
        let end = self.end(handle, side)?;
        let is_held = self.processes[process].ends.contains(&end);
        let is_mutated =
            self.is(Mutation::ClosedIsOk) || (self.is(Mutation::ChildHasAll) && process > 0);
        (is_held || is_mutated).then_some(end.pipe)
    }
}
