//! Fault injection: kills or pauses a process at a given point of the schedule.
//!
//! The model decides which outcomes are then allowed.

use super::execution::Execution;
use super::run_state::RunState;
use crate::scenario::{Outcome, TaskId, Verb};
use crate::trace::{InjectionPoint, Moment, Release};
use nix::sys::signal::Signal;

/// A fault, and when it is due.
#[derive(Clone, Copy)]
pub(super) struct InjectedFault {
    pub(super) point: InjectionPoint,
    pub(super) kind: FaultKind,
}

/// What is done to the process of a step from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    Kill,
    Pause,
}

impl InjectedFault {
    /// Whether the fault is due while a release takes effect.
    pub(super) fn is_due_at(&self, release: &Release) -> bool {
        match self.point.moment {
            Moment::Begin => release.step == self.point.step,
            Moment::End => release.completes.contains(&self.point.step),
        }
    }

    /// Waits, before a kill, until the open puts of the process have written as much as the pipes hold. Before that, it is
    /// not determined what the kill cuts off.
    pub(super) async fn await_puts_blocked(&self, execution: &mut Execution<'_>) {
        if self.kind != FaultKind::Kill {
            return;
        }
        let steps = &execution.state.scenario.steps;
        let process = &steps[self.point.step].task_id.process;
        let is_open_put = |step: usize| {
            matches!(steps[step].verb, Verb::Put { .. } | Verb::Cut { .. })
                && steps[step].task_id.process == *process
        };
        let open = execution.state.steps.open_steps().iter().copied();
        let tasks: Vec<&TaskId> =
            open.filter(|step| is_open_put(*step)).map(|step| &*steps[step].task_id).collect();
        for task in tasks {
            execution.await_blocked(task).await;
        }
    }

    /// Waits for the moment of the fault, and sends the signals to the process.
    ///
    /// If steps of several tasks of the process complete at that moment, it waits for all of them, since the order in which
    /// the agent reports their ends is not specified. If nothing moves any more, the moment does not come in this run: where
    /// steps race, a step may complete later than the schedule says, or not at all. Then no signal is sent: see [`Self::miss`].
    pub(super) async fn inject(&self, execution: &mut Execution<'_>, release: &Release) {
        let scenario = execution.state.scenario;
        let process = &scenario.steps[self.point.step].task_id.process;
        let is_of_process = |step: &&usize| {
            let step = &scenario.steps[**step];
            step.task_id.process == *process && !matches!(step.verb, Verb::Until { .. })
        };
        let ends: Vec<usize> = release.completes.iter().filter(is_of_process).copied().collect();
        let is_due = |state: &RunState<'_>| match self.point.moment {
            Moment::Begin => state.steps.has_begun(self.point.step),
            Moment::End => ends.iter().all(|step| state.steps.has_completed(*step)),
        };
        let mut detector = execution.new_detector();
        while !execution.state.is_over() && !is_due(&execution.state) {
            if execution.next_or_stall(&mut detector, |_, _| false).await.is_some() {
                self.miss(&mut execution.state);
                return;
            }
        }
        let signals = match self.kind {
            FaultKind::Kill => &[Signal::SIGKILL][..],
            FaultKind::Pause => &[Signal::SIGSTOP, Signal::SIGCONT],
        };
        for signal in signals {
            let state = &mut execution.state;
            if state.sessions.is_alive(process) && !state.signal(process, *signal) {
                state.stop_as_unsupported(None, "no process can be hit for sure here");
            }
        }
    }

    /// Ends a run in which a process was not killed because a limit expired first: the model knows only what is right after
    /// the kill. A pause changes no outcome, so a run without it goes on.
    fn miss(&self, state: &mut RunState<'_>) {
        let mut steps = state.scenario.steps.iter().enumerate();
        let has_expired = steps.any(|(index, step)| {
            step.within_ms.is_some()
                && [Outcome::Timeout, Outcome::Running]
                    .iter()
                    .any(|outcome| state.steps.completed_with(index, outcome))
        });
        if has_expired && self.kind == FaultKind::Kill {
            state.stop_as_unsupported(None, "a limit expired before the moment of the kill came");
        }
    }
}
