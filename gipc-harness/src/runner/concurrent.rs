//! Batch mode: each task_id is told all its steps at once, and the agents run on their own.
//!
//! It finds what lock-step hides: nobody waits for anybody but by what the steps do. The conductor still notices when
//! nothing moves any more.

use super::executor::Execution;
use super::quiescence::QuiescenceDetector;
use crate::scenario::{Scenario, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// A task_id that has not been told its steps.
struct PendingTask<'a> {
    task_id: &'a TaskId,
    steps: Vec<usize>,
    /// A task: the lines of its process above its first one.
    after: Vec<usize>,
}

fn task_ids(scenario: &Scenario) -> Vec<PendingTask<'_>> {
    let mut task_ids: Vec<PendingTask<'_>> = Vec::new();
    let mut own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        match task_ids.iter_mut().find(|task_id| *task_id.task_id == step.task_id) {
            Some(task_id) => task_id.steps.push(index),
            None => {
                let after = match step.task_id.task {
                    Some(_) => own.get(step.task_id.process.as_str()).cloned().unwrap_or_default(),
                    None => Vec::new(),
                };
                task_ids.push(PendingTask { task_id: &step.task_id, steps: vec![index], after });
            }
        }
        if step.task_id.task.is_none() {
            own.entry(&step.task_id.process).or_default().push(index);
        }
    }
    task_ids
}

impl Execution<'_> {
    /// Tells all, and waits until all are gone or nothing moves.
    pub(super) async fn batch(&mut self) {
        let mut waiting = task_ids(self.scenario);
        let mut watch = QuiescenceDetector::new(self.settings);
        while !self.cast.is_over() {
            waiting.retain(|task_id| {
                let ready = self.cast.is_here(&task_id.task_id.process)
                    && task_id.after.iter().all(|step| self.cast.has_ended(*step));
                if ready {
                    task_id.steps.iter().for_each(|step| self.cast.hand_over(*step));
                }
                !ready
            });
            if self.cast.sessions.keys().all(|role| !self.cast.is_here(role)) {
                return;
            }
            if self.next(&mut watch).await {
                continue;
            }
            let quiet = watch.look(&mut self.cast, self.supervisor.pid());
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
            knot.iter().map(|step| steps[*step].task_id.process.as_str()).collect();
        let left = (0..steps.len()).filter(|step| !self.cast.has_ended(*step));
        !knot.is_empty()
            && left.into_iter().all(|step| match self.cast.is_open(step) {
                true => knot.contains(&step),
                false => stuck.contains(steps[step].task_id.process.as_str()),
            })
    }
}
