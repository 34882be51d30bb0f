//! Which process held which pipe end, and what became of each end: replayed from a trace.
//!
//! An end has one owner at a time and moves by spawns, so its history is a line. These are the owners that should be:
//! what an implementation leaks is not visible here.

use super::{ProcessExit, Trace};
use crate::scenario::{HandleTable, Outcome, PipeEnd, Scenario, Step, Verb};
use std::collections::BTreeMap;

/// What became of a pipe end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndState {
    /// This process still holds it.
    Held(String),
    /// This process or task closed it.
    Closed(String),
    /// It was closed by the exit of this process.
    Exited(String),
}

/// The owners of all pipe ends at the end of a trace.
#[derive(Clone, Debug)]
pub struct Ownership<'a> {
    handles: &'a HandleTable,
    states: BTreeMap<PipeEnd, EndState>,
}

impl<'a> Ownership<'a> {
    /// Replays the spawns, closes and exits of a trace.
    #[must_use]
    pub fn replay(scenario: &'a Scenario, trace: &Trace) -> Self {
        let handles = &*scenario.handles;
        let mut ownership = Self { handles, states: BTreeMap::new() };
        for (index, (step, state)) in scenario.steps.iter().zip(&trace.steps).enumerate() {
            if !state.is(&Outcome::Ok) {
                continue;
            }
            match &step.verb {
                Verb::Pipe { .. } | Verb::Duplex { .. } => {
                    for end in handles.made_by(index, &step.verb) {
                        ownership.states.insert(end, EndState::Held(step.task_id.process.clone()));
                    }
                }
                Verb::Spawn { child, handles: given, .. } => {
                    for end in given.iter().flat_map(|handle| handles.ends(handle)) {
                        ownership.states.insert(*end, EndState::Held(child.clone()));
                    }
                }
                Verb::Close { handle } => ownership.close(step, std::slice::from_ref(handle)),
                Verb::Leave { handles, .. } => ownership.close(step, handles),
                _ => {}
            }
        }
        for state in ownership.states.values_mut() {
            if let EndState::Held(process) = state {
                if !matches!(trace.exits.get(process), None | Some(ProcessExit::Running)) {
                    *state = EndState::Exited(process.clone());
                }
            }
        }
        ownership
    }

    /// What became of an end; `None` if no step made it.
    #[must_use]
    pub fn state(&self, end: PipeEnd) -> Option<&EndState> {
        self.states.get(&end)
    }

    /// The name of an end, as a scenario writes it: `w`, `near.r`.
    #[must_use]
    pub fn name(&self, end: PipeEnd) -> &str {
        self.handles.name(end)
    }

    /// All ends that were made, by pipe.
    pub fn all(&self) -> impl Iterator<Item = (PipeEnd, &EndState)> {
        self.states.iter().map(|(end, state)| (*end, state))
    }

    fn close(&mut self, step: &Step, handles: &[String]) {
        let held = EndState::Held(step.task_id.process.clone());
        for end in handles.iter().flat_map(|handle| self.handles.ends(handle)) {
            if self.states.get(end) == Some(&held) {
                self.states.insert(*end, EndState::Closed(step.task_id.to_string()));
            }
        }
    }
}
