//! Partial-order reduction: which steps need not be tried in several orders.

use super::state::{State, Transition};
use crate::scenario::{ChildAct, Scenario, Verb};
use std::collections::BTreeSet;

/// Knows the steps that are independent of every step of another task, now and later. Such a step alone is a persistent
/// set.
pub(super) struct IndependentSteps {
    /// Processes with a single task that no other process signals.
    processes: BTreeSet<String>,
    /// Whether any step observes or ends the waiting of another.
    observes_waits: bool,
}

impl IndependentSteps {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let mut processes: BTreeSet<String> =
            scenario.steps.iter().map(|step| step.task_id.process.clone()).collect();
        let mut observes_waits = false;
        for step in scenario.steps.iter() {
            match &step.verb {
                Verb::Kill { child }
                | Verb::Signal { child, .. }
                | Verb::Child { act: ChildAct::Terminate, child } => {
                    processes.remove(child);
                    observes_waits = true;
                }
                Verb::Until { .. } | Verb::Cancel { .. } | Verb::Limit { .. } => {
                    observes_waits = true;
                }
                _ => {}
            }
            observes_waits |= step.within_ms.is_some();
            if step.task_id.task.is_some() {
                processes.remove(&step.task_id.process);
            }
        }
        Self { processes, observes_waits }
    }

    /// The first of these transitions that is such a step.
    pub(super) fn first_of(
        &self,
        state: &State<'_>,
        transitions: &[Transition],
    ) -> Option<Transition> {
        transitions.iter().copied().find(|transition| match transition {
            Transition::Begin(step) => self.contains(state, *step),
            _ => false,
        })
    }

    fn contains(&self, state: &State<'_>, step: usize) -> bool {
        self.processes.contains(&state.program.task_id(step).process)
            && match state.program.verb(step) {
                Verb::Pipe { .. } | Verb::Duplex { .. } => true,
                Verb::Get { .. } | Verb::Join { .. } | Verb::Spawn { .. } => !self.observes_waits,
                _ => false,
            }
    }
}
