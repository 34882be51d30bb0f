//! A process is hit from outside, where the plan says so.
//!
//! What then may come of the scenario, the model says.

use super::executor::Execution;
use super::quiescence::QuiescenceDetector;
use super::run_state::RunState;
use crate::scenario::{TaskId, Verb};
use crate::trace::{InjectionPoint, Moment, Release};
use nix::sys::signal::Signal;

/// What is done to a process from outside.
#[derive(Clone, Copy)]
pub(super) enum InjectedFault {
    Kill,
    Pause,
}

impl Execution<'_> {
    /// Waits until what other tasks of the process put is in the pipe as far as it can be: only then is it known what
    /// the blow cuts off.
    pub(super) async fn puts_rest(&mut self, strike: InjectionPoint) {
        let process = &self.scenario.steps[strike.step].task_id.process;
        let task_ids = self.scenario.steps.iter().enumerate().filter(|(step, it)| {
            let puts = matches!(it.verb, Verb::Put { .. } | Verb::Cut { .. });
            puts && it.task_id.process == *process && self.cast.is_open(*step)
        });
        let task_ids: Vec<TaskId> = task_ids.map(|(_, step)| step.task_id.clone()).collect();
        for task_id in task_ids {
            self.rests(&task_id).await;
        }
    }

    /// Waits for the moment, and hits the process that is in it. What ends at one moment in several of its tasks has
    /// ended in all of them, since which of them would be told of it is nobody's promise.
    pub(super) async fn strike(
        &mut self,
        strike: InjectionPoint,
        blow: InjectedFault,
        release: &Release,
    ) {
        let mut watch = QuiescenceDetector::new(self.settings);
        let role = &self.scenario.steps[strike.step].task_id.process;
        let own = |step: &&usize| {
            let it = &self.scenario.steps[**step];
            it.task_id.process == *role && !matches!(it.verb, Verb::Until { .. })
        };
        let ends: Vec<usize> = release.completes.iter().filter(own).copied().collect();
        let is_now = |cast: &RunState<'_>| match strike.moment {
            Moment::Begin => cast.has_begun(strike.step),
            Moment::End => ends.iter().all(|step| cast.has_ended(*step)),
        };
        while !self.cast.is_over() && !is_now(&self.cast) {
            if !self.next(&mut watch).await && watch.is_out_of_patience() {
                return;
            }
        }
        let signals = match blow {
            InjectedFault::Kill => &[Signal::SIGKILL][..],
            InjectedFault::Pause => &[Signal::SIGSTOP, Signal::SIGCONT],
        };
        for signal in signals {
            if self.cast.is_here(role) && !self.cast.signal(role, *signal) {
                self.cast.cannot("no process can be hit for sure here");
            }
        }
    }
}
