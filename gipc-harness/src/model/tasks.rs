//! The tasks of a running scenario: how far each has got, and which steps are ready to be released.

use super::program::{Program, TaskInfo};
use super::table::Table;
use std::collections::BTreeSet;

/// The progress of all tasks.
#[derive(Clone)]
pub(super) struct Tasks<'p> {
    infos: &'p [TaskInfo<'p>],
    states: Table<TaskState>,
    ready: BTreeSet<usize>,
}

/// The progress of one task.
#[derive(Clone, Default, Hash)]
pub(super) struct TaskState {
    /// The index of its next step among its steps.
    next: usize,
    /// The step that has begun and has not completed.
    open: Option<usize>,
    started: bool,
}

impl<'p> Tasks<'p> {
    pub(super) fn new(program: &'p Program<'p>) -> Self {
        let states = Table::new(&TaskState::default(), program.tasks.len());
        Self { infos: &program.tasks, states, ready: BTreeSet::new() }
    }

    /// The steps that may be released, in file order.
    pub(super) fn ready(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.ready.iter().copied()
    }

    pub(super) fn is_ready(&self, step: usize) -> bool {
        self.ready.contains(&step)
    }

    /// Makes a step no longer ready, because it is released or because its process ends instead.
    pub(super) fn release(&mut self, step: usize) {
        self.ready.remove(&step);
    }

    pub(super) fn start(&mut self, task: usize) {
        self.states[task].started = true;
        self.ready.extend(self.infos[task].steps.first());
    }

    pub(super) fn has_started(&self, task: usize) -> bool {
        self.states[task].started
    }

    pub(super) fn begin(&mut self, task: usize, step: usize) {
        self.states[task].next += 1;
        self.states[task].open = Some(step);
    }

    /// Completes the open step of a task, which makes its next step ready.
    pub(super) fn complete(&mut self, task: usize) {
        let state = &mut self.states[task];
        state.open = None;
        self.ready.extend(self.infos[task].steps.get(state.next));
    }

    /// Ends a task with its process. Returns the step that stays open forever.
    pub(super) fn stop(&mut self, task: usize) -> Option<usize> {
        let state = &mut self.states[task];
        if let Some(next) = self.infos[task].steps.get(state.next) {
            self.ready.remove(next);
        }
        state.next = self.infos[task].steps.len();
        state.open.take()
    }

    pub(super) fn open_step(&self, task: usize) -> Option<usize> {
        self.states[task].open
    }

    /// The step that began last.
    pub(super) fn last_begun(&self, task: usize) -> Option<usize> {
        let last = self.states[task].next.checked_sub(1)?;
        self.infos[task].steps.get(last).copied()
    }

    /// Whether the task has not yet completed the step at this position.
    pub(super) fn reaches(&self, task: usize, position: usize) -> bool {
        let state = &self.states[task];
        position >= state.next || (state.open.is_some() && position + 1 == state.next)
    }

    /// Whether a step of the task has begun, or will never begin because its process has ended.
    pub(super) fn has_begun(&self, task: usize, step: usize) -> bool {
        self.next_step(task).is_none_or(|next| next > step)
    }

    /// The step that begins next.
    pub(super) fn next_step(&self, task: usize) -> Option<usize> {
        self.infos[task].steps.get(self.states[task].next).copied()
    }

    pub(super) fn completed_steps(&self, task: usize) -> usize {
        self.states[task].next - usize::from(self.states[task].open.is_some())
    }

    pub(super) fn is_done(&self, task: usize) -> bool {
        self.states[task].open.is_none() && self.states[task].next == self.infos[task].steps.len()
    }

    /// Whether the task is between two steps.
    pub(super) fn is_between_steps(&self, task: usize) -> bool {
        self.states[task].started && self.states[task].open.is_none() && !self.is_done(task)
    }

    pub(super) fn states(&self) -> &Table<TaskState> {
        &self.states
    }
}
