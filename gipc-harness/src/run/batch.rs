//! Batch mode: each lane is told all its steps at once, and the agents run on their own.
//!
//! It finds what lock-step hides: nobody waits for anybody but by what the steps do. The conductor still notices when
//! nothing moves any more.

use super::conductor::Stage;
use super::watch::Watch;
use crate::scenario::{Lane, Scenario};
use std::collections::{BTreeMap, BTreeSet};

/// A lane that has not been told its steps.
struct Waiting<'a> {
    lane: &'a Lane,
    steps: Vec<usize>,
    /// A task: the lines of its process above its first one.
    after: Vec<usize>,
}

fn lanes(scenario: &Scenario) -> Vec<Waiting<'_>> {
    let mut lanes: Vec<Waiting<'_>> = Vec::new();
    let mut own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        match lanes.iter_mut().find(|lane| *lane.lane == step.lane) {
            Some(lane) => lane.steps.push(index),
            None => {
                let after = match step.lane.task {
                    Some(_) => own.get(step.lane.process.as_str()).cloned().unwrap_or_default(),
                    None => Vec::new(),
                };
                lanes.push(Waiting { lane: &step.lane, steps: vec![index], after });
            }
        }
        if step.lane.task.is_none() {
            own.entry(&step.lane.process).or_default().push(index);
        }
    }
    lanes
}

impl Stage<'_> {
    /// Tells all, and waits until all are gone or nothing moves.
    pub(super) async fn batch(&mut self) {
        let mut waiting = lanes(self.scenario);
        let mut watch = Watch::new(self.settings);
        while !self.cast.is_over() {
            waiting.retain(|lane| {
                let ready = self.cast.is_here(&lane.lane.process)
                    && lane.after.iter().all(|step| self.cast.has_ended(*step));
                if ready {
                    lane.steps.iter().for_each(|step| self.cast.hand_over(*step));
                }
                !ready
            });
            if self.cast.actors.keys().all(|role| !self.cast.is_here(role)) {
                return;
            }
            if self.next(&mut watch).await {
                continue;
            }
            let quiet = watch.look(&mut self.cast, self.keeper.pid());
            let all = |stage: &Self, knot: &BTreeSet<usize>| stage.is_all_told(knot);
            if let Some(stop) = self.stop(quiet, all).await {
                if self.cast.is_here("main") {
                    self.note_stop(stop).await;
                }
                return;
            }
        }
    }

    /// Whether all that is left to do is in processes that have one of these steps, which are stuck.
    fn is_all_told(&self, knot: &BTreeSet<usize>) -> bool {
        let steps = &self.scenario.steps;
        let stuck: BTreeSet<&str> =
            knot.iter().map(|step| steps[*step].lane.process.as_str()).collect();
        let left = (0..steps.len()).filter(|step| !self.cast.has_ended(*step));
        !knot.is_empty()
            && left.into_iter().all(|step| match self.cast.is_open(step) {
                true => knot.contains(&step),
                false => stuck.contains(steps[step].lane.process.as_str()),
            })
    }
}
