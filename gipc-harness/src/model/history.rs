//! Records what has happened in a run, as facts from which its trace is built.
//!
//! The state of the model contains no history, so that runs that differ only in their past lead to the same state.

use super::program::Program;
use crate::trace::{ProcessExit, StepState, Trace};

/// One part of a trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    /// The state of a step.
    Step(usize, StepState),
    /// How a process ended, or `Running` once it has started.
    Exit(usize, ProcessExit),
    /// How many handles a process had when its steps were done.
    RemainingHandles(usize, u64),
}

/// What a fact is about. A later fact with the same subject replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Step(usize),
    Exit(usize),
    RemainingHandles(usize),
}

impl Fact {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Step(step, _) => Subject::Step(*step),
            Self::Exit(process, _) => Subject::Exit(*process),
            Self::RemainingHandles(process, _) => Subject::RemainingHandles(*process),
        }
    }
}

/// What has happened since the beginning of a run, or since the last node of a search.
#[derive(Clone, Debug)]
pub(super) struct History<'t> {
    steps: Steps<'t>,
    facts: Vec<Fact>,
}

/// How the states of steps are recorded.
#[derive(Clone, Debug)]
enum Steps<'t> {
    /// In a run: the state of each step.
    All(Vec<StepState>),
    /// In a run that is compared with another one: whether each step has a different state than there.
    Different(&'t Trace, Vec<bool>),
    /// In a search: nothing, since the states of steps are recorded as facts.
    Facts,
}

impl<'t> History<'t> {
    /// Starts the history of a run of a program with this many steps, which becomes one trace.
    pub(super) fn of_run(steps: usize) -> Self {
        Self { steps: Steps::All(vec![StepState::NotStarted; steps]), facts: Vec::new() }
    }

    /// Starts the history of a run that is compared with another one.
    pub(super) fn of_comparison(trace: &'t Trace) -> Self {
        let has_begun = |state: &StepState| *state != StepState::NotStarted;
        let different = trace.steps.iter().map(has_begun).collect();
        Self { steps: Steps::Different(trace, different), facts: Vec::new() }
    }

    /// Starts the history of a search, which takes the facts at every node.
    pub(super) fn of_search() -> Self {
        Self { steps: Steps::Facts, facts: Vec::new() }
    }

    pub(super) fn record(&mut self, fact: Fact) {
        match (fact, &mut self.steps) {
            (Fact::Step(step, state), Steps::All(states)) if step < states.len() => {
                states[step] = state;
            }
            (Fact::Step(step, state), Steps::Different(other, different))
                if step < different.len() =>
            {
                different[step] = other.steps[step] != state;
            }
            (fact, _) => match self.facts.last_mut() {
                Some(last) if last.subject() == fact.subject() => *last = fact,
                _ => self.facts.push(fact),
            },
        }
    }

    /// The first step whose state differs from the run that this one is compared with; step 0 if only something else
    /// differs.
    pub(super) fn first_difference(self, program: &Program<'_>) -> Option<usize> {
        let Steps::Different(other, different) = self.steps else { return None };
        let first = different.iter().position(|is_different| *is_different);
        let mut trace = Trace::default();
        apply(&mut trace, program, &self.facts);
        let is_same = trace.exits == other.exits
            && trace.remaining_handles == other.remaining_handles
            && trace.violations == other.violations;
        first.or_else(|| (!is_same).then_some(0))
    }

    /// Returns the final fact about each subject, sorted, and empties the history.
    pub(super) fn take(&mut self) -> Vec<Fact> {
        let mut facts = std::mem::take(&mut self.facts);
        normalize(&mut facts);
        facts
    }

    /// The trace of a run from its beginning.
    pub(super) fn into_trace(self, program: &Program<'_>) -> Trace {
        let steps = match self.steps {
            Steps::All(steps) => steps,
            Steps::Different(..) | Steps::Facts => Vec::new(),
        };
        let mut trace = Trace { steps, ..Trace::default() };
        apply(&mut trace, program, &self.facts);
        trace
    }
}

/// Sorts facts by subject, and keeps only the last one about each.
pub(super) fn normalize(facts: &mut Vec<Fact>) {
    facts.reverse();
    facts.sort_by_key(Fact::subject);
    facts.dedup_by_key(|fact| fact.subject());
}

/// The trace that these facts describe.
pub(super) fn trace<'f>(program: &Program<'_>, facts: impl IntoIterator<Item = &'f Fact>) -> Trace {
    let steps = vec![StepState::NotStarted; program.step_count()];
    let mut trace = Trace { steps, ..Trace::default() };
    apply(&mut trace, program, facts);
    trace
}

fn apply<'f>(trace: &mut Trace, program: &Program<'_>, facts: impl IntoIterator<Item = &'f Fact>) {
    for fact in facts {
        match fact {
            Fact::Step(step, state) => trace.steps[*step] = state.clone(),
            Fact::Exit(process, exit) => {
                trace.exits.insert(program.processes[*process].name.to_owned(), exit.clone());
            }
            Fact::RemainingHandles(process, count) => {
                let name = program.processes[*process].name.to_owned();
                trace.remaining_handles.insert(name, *count);
            }
        }
    }
}
