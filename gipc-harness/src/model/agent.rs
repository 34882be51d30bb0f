//! What makes transitions: tasks, and processes that end.

use super::process::Phase;
use super::program::Program;
use super::state::{State, Transition};
use crate::scenario::PipeEnd;

/// Something that makes transitions, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agent {
    Task(usize),
    /// A process whose steps are done returns.
    Return(usize),
    /// An exiting process closes an end.
    CloseEnd(usize, PipeEnd),
    /// An exiting process that has closed its ends is gone.
    Exit(usize),
}

impl Agent {
    pub(super) fn of(transition: Transition, program: &Program<'_>) -> Self {
        match transition {
            Transition::Begin(step)
            | Transition::BeginReaped(step)
            | Transition::BeginExpired(step)
            | Transition::Complete(step) => Self::Task(program.step(step).task),
            Transition::Return(process) => Self::Return(process),
            Transition::CloseEnd(process, end) => Self::CloseEnd(process, end),
            Transition::Exit(process) => Self::Exit(process),
        }
    }

    /// The transition that the agent can make now, if there is one.
    pub(super) fn enabled_transition(self, state: &State<'_>) -> Option<Transition> {
        let is_exiting =
            |process: usize| matches!(state.processes[process].phase, Phase::Exiting(_));
        match self {
            Self::CloseEnd(process, end) => {
                let is_enabled =
                    is_exiting(process) && state.processes[process].ends.contains(&end);
                is_enabled.then_some(Transition::CloseEnd(process, end))
            }
            Self::Return(process) => {
                state.returning.contains(&process).then_some(Transition::Return(process))
            }
            Self::Exit(process) => {
                let is_enabled = is_exiting(process) && state.processes[process].ends.is_empty();
                is_enabled.then_some(Transition::Exit(process))
            }
            Self::Task(task) => match state.tasks.open_step(task) {
                Some(open) => {
                    state.finishing.contains_key(&open).then_some(Transition::Complete(open))
                }
                None => {
                    let next = state.tasks.next_step(task)?;
                    state.tasks.is_ready(next).then_some(Transition::Begin(next))
                }
            },
        }
    }
}
