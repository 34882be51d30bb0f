//! A process is hit from outside, where the plan says so.
//!
//! What then may come of the scenario, the model says.

use super::cast::Cast;
use super::conductor::Stage;
use super::watch::Watch;
use crate::scenario::{Lane, Verb};
use crate::trace::{Moment, Release, Strike};
use nix::sys::signal::Signal;

/// What is done to a process from outside.
#[derive(Clone, Copy)]
pub(super) enum Blow {
    Kill,
    Freeze,
}

impl Stage<'_> {
    /// Waits until what other tasks of the process put is in the pipe as far as it can be: only then is it known what
    /// the blow cuts off.
    pub(super) async fn puts_rest(&mut self, strike: Strike) {
        let process = &self.scenario.steps[strike.step].lane.process;
        let lanes = self.scenario.steps.iter().enumerate().filter(|(step, it)| {
            let puts = matches!(it.verb, Verb::Put { .. } | Verb::Cut { .. });
            puts && it.lane.process == *process && self.cast.is_open(*step)
        });
        let lanes: Vec<Lane> = lanes.map(|(_, step)| step.lane.clone()).collect();
        for lane in lanes {
            self.rests(&lane).await;
        }
    }

    /// Waits for the moment, and hits the process that is in it. What ends at one moment in several of its tasks has
    /// ended in all of them, since which of them would be told of it is nobody's promise.
    pub(super) async fn strike(&mut self, strike: Strike, blow: Blow, release: &Release) {
        let mut watch = Watch::new(self.settings);
        let role = &self.scenario.steps[strike.step].lane.process;
        let own = |step: &&usize| {
            let it = &self.scenario.steps[**step];
            it.lane.process == *role && !matches!(it.verb, Verb::Until { .. })
        };
        let ends: Vec<usize> = release.ends.iter().filter(own).copied().collect();
        let is_now = |cast: &Cast<'_>| match strike.moment {
            Moment::Begin => cast.has_begun(strike.step),
            Moment::End => ends.iter().all(|step| cast.has_ended(*step)),
        };
        while !self.cast.is_over() && !is_now(&self.cast) {
            if !self.next(&mut watch).await && watch.is_out_of_patience() {
                return;
            }
        }
        let signals = match blow {
            Blow::Kill => &[Signal::SIGKILL][..],
            Blow::Freeze => &[Signal::SIGSTOP, Signal::SIGCONT],
        };
        for signal in signals {
            if self.cast.is_here(role) && !self.cast.signal(role, *signal) {
                self.cast.cannot("no process can be hit for sure here");
            }
        }
    }
}
