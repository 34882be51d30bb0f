//! What is decided before a process starts: the handles that it gets, its streams, and whether its start is refused.

use super::Mutation;
use super::state::State;
use crate::scenario::{Executable, Outcome, PipeEnd, ProgramStart, Verb};
use ecow::EcoString;
use std::collections::BTreeSet;

impl State<'_> {
    /// Whether a start is refused because it is called from a thread without an event loop.
    pub(super) fn refuses_thread(&self, step: usize) -> bool {
        let expected = &self.program.scenario.steps[step].expected;
        self.program.choices.refuses_threads
            && matches!(self.program.verb(step), Verb::Spawn { from_thread: true, .. })
            && (!self.is_ok_by_file(step) || expected.contains(&Outcome::Misuse))
    }

    /// Whether a step names a child whose start was refused because of its thread. Its parent has no object for such a
    /// child.
    pub(super) fn names_refused_child(&self, step: usize) -> bool {
        let child = self.program.step(step).child;
        !matches!(self.program.verb(step), Verb::Spawn { .. })
            && child.is_some_and(|child| self.processes[child].is_refused)
    }

    /// Whether the end of a child that was started from a thread is never noticed. Only under a mutation.
    pub(super) fn is_lost_child(&self, child: usize) -> bool {
        let starts = |step: &usize| {
            self.program.step(*step).child == Some(child)
                && matches!(self.program.verb(*step), Verb::Spawn { from_thread: true, .. })
        };
        self.is(Mutation::ThreadChildIsLost) && (0..self.program.step_count()).any(|it| starts(&it))
    }

    /// Makes the pipes that are streams of a program. Completes the step and returns false if the program cannot be
    /// started.
    pub(super) fn make_streams(&mut self, step: usize, program: &ProgramStart) -> bool {
        let error = match program.executable {
            Executable::Script => None,
            _ if self.is(Mutation::MissingProgramStarts) => None,
            Executable::Missing => Some("ENOENT"),
            Executable::NotExecutable => Some("EACCES"),
        };
        if let Some(name) = error.filter(|_| !self.is_ok_by_file(step)) {
            self.complete(step, Outcome::Os(name.into()));
            return false;
        }
        let process = self.program.step(step).process;
        let ends = self.program.scenario.handles.made_by(step, self.program.verb(step));
        if !self.processes[process].take_descriptors(ends.len() as u64) && !self.is_ok_by_file(step)
        {
            self.complete(step, Outcome::Os("EMFILE".into()));
            return false;
        }
        for end in ends {
            self.pipes[end.pipe].make();
            self.processes[process].ends.insert(end);
        }
        true
    }

    /// The ends that a process keeps when it gives them to a child.
    pub(super) fn shared_ends(&self, step: usize) -> Vec<PipeEnd> {
        match self.program.verb(step) {
            Verb::Spawn { shared, .. } if !self.is(Mutation::SharedMoves) => {
                shared.iter().flat_map(|handle| self.ends(handle)).copied().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The ends that these handles give to a child. The error is why they cannot be given, and the ends that are held.
    pub(super) fn ends_to_give(
        &self,
        process: usize,
        handles: &[EcoString],
    ) -> Result<Vec<PipeEnd>, (Outcome, Vec<PipeEnd>)> {
        let given: Vec<_> = handles.iter().map(|handle| self.held_ends(process, handle)).collect();
        let ends: BTreeSet<PipeEnd> = given.iter().flatten().copied().collect();
        let is_half = |handle: &EcoString| self.program.is_half(handle);
        let refusal = if self.is(Mutation::DuplexIsOne) && handles.iter().any(is_half) {
            Some(Outcome::Misuse)
        } else if given.iter().any(Vec::is_empty) {
            Some(Outcome::Closed)
        } else if ends.len() < given.iter().map(Vec::len).sum() {
            Some(Outcome::Misuse)
        } else if ends.iter().any(|end| self.is_busy(process, *end)) {
            Some(Outcome::Locked)
        } else {
            None
        };
        let ends = ends.into_iter().collect();
        match refusal {
            Some(outcome) => Err((outcome, ends)),
            None => Ok(ends),
        }
    }

    pub(super) fn refuse_spawn(&mut self, step: usize, outcome: Outcome, ends: &[PipeEnd]) {
        let process = self.program.step(step).process;
        let made = self.program.scenario.handles.made_by(step, self.program.verb(step));
        self.close_ends(process, &made);
        self.complete(step, outcome);
        if self.is(Mutation::RefusedTakes) {
            self.close_ends(process, ends);
        }
    }
}
