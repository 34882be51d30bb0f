//! The state of each step of a run: not started, open, completed; and how many steps each process has left.

use crate::scenario::{ChildAct, Outcome, PipeId, Scenario, Side, Step, TaskId, Verb};
use crate::trace::{Occurrence, StepState};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct StepTable<'a> {
    scenario: &'a Scenario,
    states: Vec<StepState>,
    /// The steps that were sent to their agents ahead of time. A step opens when the agent reports its begin.
    handed_over: BTreeSet<usize>,
    /// The steps whose begin an agent has reported.
    begun: BTreeSet<usize>,
    /// The steps that are open: few, however many steps there are.
    open: BTreeSet<usize>,
    /// The number of steps of each process that have not completed.
    remaining: BTreeMap<&'a str, usize>,
    /// What happened, in order.
    history: Vec<Occurrence>,
}

impl<'a> StepTable<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut remaining: BTreeMap<&str, usize> = BTreeMap::new();
        for step in scenario.steps.iter() {
            *remaining.entry(&step.task_id.process).or_default() += 1;
        }
        Self {
            scenario,
            states: vec![StepState::NotStarted; scenario.steps.len()],
            handed_over: BTreeSet::new(),
            begun: BTreeSet::new(),
            open: BTreeSet::new(),
            remaining,
            history: Vec::new(),
        }
    }

    /// Adds an occurrence that is neither the start nor the end of a step.
    pub(super) fn note(&mut self, occurrence: Occurrence) {
        self.history.push(occurrence);
    }

    pub(super) fn into_history(self) -> Vec<Occurrence> {
        self.history
    }

    pub(super) fn states(&self) -> &[StepState] {
        &self.states
    }

    pub(super) fn is_open(&self, step: usize) -> bool {
        self.states[step] == StepState::Pending
    }

    pub(super) fn has_begun(&self, step: usize) -> bool {
        self.begun.contains(&step)
    }

    pub(super) fn has_completed(&self, step: usize) -> bool {
        matches!(self.states[step], StepState::Completed { .. })
    }

    /// Whether a step has completed with this outcome.
    pub(super) fn completed_with(&self, step: usize, outcome: &Outcome) -> bool {
        self.states[step].is(outcome)
    }

    /// Whether the agent of a step was told to perform it.
    pub(super) fn was_sent(&self, step: usize) -> bool {
        self.states[step] != StepState::NotStarted || self.handed_over.contains(&step)
    }

    /// The steps that an agent was told to perform and that have not completed.
    pub(super) fn sent_steps(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.iter().chain(&self.handed_over).copied()
    }

    /// The open steps, in the order of the scenario.
    pub(super) fn open_steps(&self) -> &BTreeSet<usize> {
        &self.open
    }

    /// The steps that have not completed.
    pub(super) fn uncompleted_steps(&self) -> impl Iterator<Item = usize> {
        (0..self.states.len()).filter(|step| !self.has_completed(*step))
    }

    /// The open step of a task.
    pub(super) fn open_step_of(&self, task: &TaskId) -> Option<usize> {
        self.open.iter().copied().find(|step| *self.scenario.steps[*step].task_id == *task)
    }

    /// Whether all steps of a process have completed.
    pub(super) fn has_completed_all_of(&self, process: &str) -> bool {
        self.remaining.get(process).is_none_or(|steps| *steps == 0)
    }

    /// The open steps in which a process ends itself. They complete when the process ends.
    pub(super) fn open_exits_of(&self, process: &str) -> Vec<usize> {
        let is_exit = |step: &usize| {
            let step = &self.scenario.steps[*step];
            step.task_id.process == process && matches!(step.verb, Verb::Exit { .. } | Verb::Raise)
        };
        self.open.iter().copied().filter(is_exit).collect()
    }

    /// Whether another task of the same process has an open `stall`, which keeps this step from completing.
    pub(super) fn is_held_up_by_stall(&self, step: usize) -> bool {
        let stalled = &self.scenario.steps[step].task_id.process;
        self.open.iter().any(|other| {
            let spec = &self.scenario.steps[*other];
            *other != step
                && spec.task_id.process == *stalled
                && matches!(spec.verb, Verb::Child { act: ChildAct::Stall, .. })
        })
    }

    /// Whether an open step will end by itself after some time.
    pub(super) fn has_open_time_limit(&self) -> bool {
        self.open.iter().any(|step| {
            let step = &self.scenario.steps[*step];
            step.within_ms.is_some() || matches!(step.verb, Verb::Pause { .. })
        })
    }

    /// An upper bound of the bytes that may still move through pipes while no step completes: for each pipe that an open
    /// step uses, those of the largest message that was put into it.
    pub(super) fn bytes_in_transit(&self) -> u64 {
        let handles = &self.scenario.handles;
        let in_use: BTreeSet<PipeId> = (self.open.iter())
            .filter_map(|step| match &self.scenario.steps[*step].verb {
                Verb::Put { handle, .. } => handles.pipe(handle, Side::Writer),
                Verb::Get { handle } => handles.pipe(handle, Side::Reader),
                _ => None,
            })
            .collect();
        let mut largest: BTreeMap<PipeId, u64> = BTreeMap::new();
        let begun = self.with_states().filter(|(_, state)| **state != StepState::NotStarted);
        for (step, _) in begun {
            let Verb::Put { handle, payload } = &step.verb else { continue };
            let pipe = handles.pipe(handle, Side::Writer).filter(|pipe| in_use.contains(pipe));
            if let Some(pipe) = pipe {
                let len = largest.entry(pipe).or_default();
                *len = payload.len().max(*len);
            }
        }
        largest.values().sum()
    }

    /// The children that were spawned successfully.
    pub(super) fn spawned_children(&self) -> impl Iterator<Item = &str> {
        self.with_states().filter_map(|(step, state)| match &step.verb {
            Verb::Spawn { child, .. } if state.is(&Outcome::Ok) => Some(child.as_str()),
            _ => None,
        })
    }

    /// Whether a step was started that kills, signals or terminates this process.
    pub(super) fn was_signalled(&self, child: &str) -> bool {
        self.with_states().any(|(step, state)| {
            *state != StepState::NotStarted
                && self.scenario.signalled_by(&step.verb).contains(child)
        })
    }

    fn with_states(&self) -> impl Iterator<Item = (&Step, &StepState)> {
        self.scenario.steps.iter().zip(&self.states)
    }

    /// Records that a step was sent to its agent ahead of time.
    pub(super) fn hand_over(&mut self, step: usize) {
        self.handed_over.insert(step);
    }

    /// Opens a step.
    pub(super) fn open(&mut self, step: usize) {
        self.states[step] = StepState::Pending;
        self.history.push(Occurrence::Started(step));
        self.open.insert(step);
    }

    /// Opens a step that was handed over, when its agent mentions it for the first time.
    pub(super) fn open_if_handed_over(&mut self, step: usize) {
        if self.handed_over.remove(&step) && self.states[step] == StepState::NotStarted {
            self.open(step);
        }
    }

    /// Records the begin of a step. Returns false if it was recorded before.
    pub(super) fn begin(&mut self, step: usize) -> bool {
        self.begun.insert(step)
    }

    /// Completes a step. `from` is the step that put the message; `detail` is the implementation's own description.
    pub(super) fn complete(
        &mut self,
        step: usize,
        outcome: Outcome,
        from: Option<usize>,
        detail: Option<String>,
    ) {
        let detail = detail.map(String::into_boxed_str);
        self.states[step] = StepState::Completed { outcome, from, detail };
        self.history.push(Occurrence::Completed(step));
        let process = self.scenario.steps[step].task_id.process.as_str();
        if let (true, Some(steps)) = (self.open.remove(&step), self.remaining.get_mut(process)) {
            *steps -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StepTable;
    use crate::scenario::{Outcome, parse};

    #[test]
    fn only_messages_in_pipes_at_which_a_step_is_open_may_still_move() {
        let text = "main        pipe r1 w1\nmain        pipe r2 w2\nmain        spawn child r1 r2\n\
                    main        put w1 10KiB\nmain        put w1 2KiB\nmain        put w2 1MiB\n\
                    child       get r1                      => 10KiB\n";
        let scenario = parse("transit", text).expect("the scenario is valid");
        let mut steps = StepTable::new(&scenario);
        [3, 4, 5].into_iter().for_each(|put| steps.open(put));
        assert_eq!(steps.bytes_in_transit(), (10 << 10) + (1 << 20));
        for put in [3, 4, 5] {
            steps.complete(put, Outcome::Ok, None, None);
        }
        assert_eq!(steps.bytes_in_transit(), 0, "no step is open");
        steps.open(6);
        assert_eq!(steps.bytes_in_transit(), 10 << 10, "the get may be in the first message");
    }
}
