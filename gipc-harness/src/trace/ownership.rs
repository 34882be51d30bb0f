//! Which process owned each pipe end, and what happened to each end: replayed from a trace.
//!
//! An end has one owner at a time and moves only by spawns. The replay gives the owners that should be; an end that an
//! implementation leaks to another process is not visible here.

use super::Trace;
use crate::scenario::{HandleTable, Outcome, PipeEnd, Scenario, Step, Verb};
use std::collections::BTreeMap;

/// What happened to a pipe end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndState {
    /// This process still holds it.
    Held(String),
    /// This process or task closed it.
    Closed(String),
    /// The exit of this process closed it.
    Exited(String),
}

/// The state of all pipe ends at the end of a trace.
#[derive(Clone, Debug)]
pub struct Ownership<'a> {
    handles: &'a HandleTable,
    states: BTreeMap<PipeEnd, EndState>,
}

impl<'a> Ownership<'a> {
    /// Replays the spawns, closes and exits of a trace.
    #[must_use]
    pub fn replay(scenario: &'a Scenario, trace: &Trace) -> Self {
        let has_succeeded =
            |step: usize| trace.steps.get(step).is_some_and(|state| state.is(&Outcome::Ok));
        let steps = (0..scenario.steps.len()).filter(|step| has_succeeded(*step));
        Self::replay_steps(scenario, steps, |process| trace.runs(process))
    }

    /// Replays steps that have succeeded, in the order of the file; `runs` says which processes have not ended.
    pub(crate) fn replay_steps(
        scenario: &'a Scenario,
        succeeded: impl Iterator<Item = usize>,
        runs: impl Fn(&str) -> bool,
    ) -> Self {
        let handles = &*scenario.handles;
        let mut ownership = Self { handles, states: BTreeMap::new() };
        for index in succeeded {
            let step = &scenario.steps[index];
            match &step.verb {
                Verb::Pipe { .. } | Verb::Duplex { .. } => {
                    for end in handles.made_by(index, &step.verb) {
                        ownership.states.insert(end, EndState::Held(step.task_id.process.clone()));
                    }
                }
                Verb::Spawn { child, handles: given, .. } => {
                    for end in handles.made_by(index, &step.verb) {
                        ownership.states.insert(end, EndState::Held(step.task_id.process.clone()));
                    }
                    for end in given.iter().flat_map(|handle| handles.ends(handle)) {
                        // What was closed before is not given.
                        if let Some(EndState::Held(owner)) = ownership.states.get_mut(end) {
                            owner.clone_from(child);
                        }
                    }
                }
                Verb::Close { handle } => ownership.close(step, std::slice::from_ref(handle)),
                Verb::Leave { handles, .. } => ownership.close(step, handles),
                _ => {}
            }
        }
        for state in ownership.states.values_mut() {
            if let EndState::Held(process) = state {
                if !runs(process) {
                    *state = EndState::Exited(process.clone());
                }
            }
        }
        ownership
    }

    /// What happened to an end. `None` if no step made it.
    #[must_use]
    pub fn state(&self, end: PipeEnd) -> Option<&EndState> {
        self.states.get(&end)
    }

    /// The process that still holds an end. `None` if the end was closed or never made.
    #[must_use]
    pub fn holder(&self, end: PipeEnd) -> Option<&str> {
        match self.states.get(&end) {
            Some(EndState::Held(process)) => Some(process),
            _ => None,
        }
    }

    /// The name of an end as it is written in a scenario: `w`, `near.r`.
    #[must_use]
    pub fn name(&self, end: PipeEnd) -> &str {
        self.handles.name(end)
    }

    /// All ends that were made, ordered by pipe.
    pub fn all(&self) -> impl Iterator<Item = (PipeEnd, &EndState)> {
        self.states.iter().map(|(end, state)| (*end, state))
    }

    /// Closes the ends of these handles that the process of a step holds.
    fn close(&mut self, step: &Step, handles: &[String]) {
        let held = EndState::Held(step.task_id.process.clone());
        for end in handles.iter().flat_map(|handle| self.handles.ends(handle)) {
            if self.states.get(end) == Some(&held) {
                self.states.insert(*end, EndState::Closed(step.task_id.to_string()));
            }
        }
    }
}
