//! What handles stand for in a state: which ends exist, which process holds them, and whether they are in use.

use super::Mutation;
use super::state::State;
use crate::scenario::{PipeEnd, PipeId, Side, Verb};

impl<'p> State<'p> {
    /// Whether a put or a get of a process is in progress at an end. Puts and gets of other processes that share the end do
    /// not count.
    pub(super) fn is_busy(&self, process: usize, end: PipeEnd) -> bool {
        let uses_end = |step: &usize| match self.program.verb(*step) {
            Verb::Put { .. } => end.is_writer() && self.program.step(*step).ends.contains(&end),
            Verb::Get { .. } => !end.is_writer() && self.program.step(*step).ends.contains(&end),
            _ => false,
        };
        let mut finishing = self.finishing.keys();
        self.pipes[end.pipe].is_busy(end.side, |step| self.program.is_of(step, process))
            || finishing.any(|step| uses_end(step) && self.program.is_of(*step, process))
    }

    /// Whether some process still holds an end that another process has just closed.
    pub(super) fn is_still_shared(&self, end: PipeEnd) -> bool {
        self.program.scenario.handles.is_shared(end)
            && !self.is(Mutation::SharedIsClosed)
            && self.processes.iter().any(|process| process.ends.contains(&end))
    }

    /// The pipe ends that a handle stands for; empty before its step has made it.
    pub(super) fn ends(&self, handle: &str) -> &'p [PipeEnd] {
        self.made(self.program.scenario.handles.ends(handle))
    }

    /// The ends that a step reads from, writes to or closes; empty before another step has made them.
    pub(super) fn ends_of_step(&self, step: usize) -> &'p [PipeEnd] {
        self.made(self.program.step(step).ends)
    }

    fn made(&self, ends: &'p [PipeEnd]) -> &'p [PipeEnd] {
        match ends.first() {
            Some(end) if self.pipes[end.pipe].is_made() => ends,
            _ => &[],
        }
    }

    /// The end of this side that a step uses; `None` before another step has made it.
    pub(super) fn end_of_step(&self, step: usize, side: Side) -> Option<PipeEnd> {
        self.ends_of_step(step).iter().copied().find(|end| end.side == side)
    }

    /// The ends of a handle that a process holds open.
    pub(super) fn held_ends(&self, process: usize, handle: &str) -> Vec<PipeEnd> {
        let held = &self.processes[process].ends;
        self.ends(handle).iter().copied().filter(|end| held.contains(end)).collect()
    }

    /// The pipe that a step can get from or put to, because its process holds the end.
    pub(super) fn usable_pipe(&self, step: usize, side: Side) -> Option<PipeId> {
        let process = self.program.step(step).process;
        let end = self.end_of_step(step, side)?;
        let is_held = self.processes[process].ends.contains(&end);
        let is_mutated =
            self.is(Mutation::ClosedIsOk) || (self.is(Mutation::ChildHasAll) && process > 0);
        (is_held || is_mutated).then_some(end.pipe)
    }
}
