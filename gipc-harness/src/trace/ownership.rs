//! Replays from a trace which process owned each pipe end, and what happened to each end.
//!
//! An end moves only by spawns, and has one owner at a time unless a spawn shares it. The replay gives the intended owners.
//! It does not show an end that an implementation leaks to another process.

use super::Trace;
use crate::scenario::{HandleTable, Outcome, PipeEnd, Scenario, Step, Verb};
use ecow::EcoString;
use std::collections::BTreeMap;

/// What happened to a pipe end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndState {
    /// These processes still hold it. There is more than one if it is shared.
    Held(Vec<String>),
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

    /// Replays the steps that succeeded, in file order. `runs` says which processes have not ended.
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
                        let owners = vec![step.task_id.process.to_string()];
                        ownership.states.insert(end, EndState::Held(owners));
                    }
                }
                Verb::Spawn { child, handles: given, shared, .. } => {
                    for end in handles.made_by(index, &step.verb) {
                        let owners = vec![step.task_id.process.to_string()];
                        ownership.states.insert(end, EndState::Held(owners));
                    }
                    for handle in given {
                        let is_kept = shared.contains(handle);
                        for end in handles.ends(handle) {
                            ownership.give(*end, step, child, is_kept);
                        }
                    }
                }
                Verb::Close { handle, .. } => ownership.close(step, std::slice::from_ref(handle)),
                Verb::Leave { handles, .. } => ownership.close(step, handles),
                _ => {}
            }
        }
        for state in ownership.states.values_mut() {
            if let EndState::Held(owners) = state {
                let last = owners.last().cloned().unwrap_or_default();
                owners.retain(|owner| runs(owner));
                if owners.is_empty() {
                    *state = EndState::Exited(last);
                }
            }
        }
        ownership
    }

    /// Gives an end to a child of the process of this step, which keeps it if it shares it.
    fn give(&mut self, end: PipeEnd, step: &Step, child: &str, is_kept: bool) {
        // An end that was already closed is not given.
        let Some(EndState::Held(owners)) = self.states.get_mut(&end) else { return };
        if !self.handles.is_shared(end) {
            owners.clear();
        } else if !is_kept {
            owners.retain(|owner| *owner != step.task_id.process);
        }
        owners.push(child.to_owned());
    }

    /// What happened to an end. `None` if no step made it.
    #[must_use]
    pub fn state(&self, end: PipeEnd) -> Option<&EndState> {
        self.states.get(&end)
    }

    /// The processes that still hold an end: one, or several if it is shared; none if it was closed or never made.
    #[must_use]
    pub fn holders(&self, end: PipeEnd) -> &[String] {
        match self.states.get(&end) {
            Some(EndState::Held(owners)) => owners,
            _ => &[],
        }
    }

    /// Whether this process still holds an end.
    #[must_use]
    pub fn is_held_by(&self, end: PipeEnd, process: &str) -> bool {
        self.holders(end).iter().any(|owner| owner == process)
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
    fn close(&mut self, step: &Step, handles: &[EcoString]) {
        let process = &step.task_id.process;
        for end in handles.iter().flat_map(|handle| self.handles.ends(handle)) {
            let Some(EndState::Held(owners)) = self.states.get_mut(end) else { continue };
            let is_own = owners.iter().any(|owner| owner == process);
            owners.retain(|owner| owner != process);
            if is_own && owners.is_empty() {
                self.states.insert(*end, EndState::Closed(step.task_id.to_string()));
            }
        }
    }
}
