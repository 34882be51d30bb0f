//! What has happened in a run, as facts from which its trace is put together.
//!
//! The state of the model contains no history, so that runs that differ only in their past lead to the same state.

use super::program::Program;
use crate::trace::{ProcessExit, StepState, Trace};

/// One part of a trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    /// The state of a step.
    Step(usize, StepState),
    /// How a process ended; `Running` when it has started.
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
pub(super) struct History {
    /// In a run: the state of each step. In a search: empty, and the states of steps are facts as well.
    steps: Vec<StepState>,
    facts: Vec<Fact>,
}

impl History {
    /// The history of a run of a program with this many steps, which becomes one trace.
    pub(super) fn of_run(steps: usize) -> Self {
        Self { steps: vec![StepState::NotStarted; steps], facts: Vec::new() }
    }

    /// The history of a search, which is taken at every node.
    pub(super) fn of_search() -> Self {
        Self { steps: Vec::new(), facts: Vec::new() }
    }

    pub(super) fn record(&mut self, fact: Fact) {
        match fact {
            Fact::Step(step, state) if step < self.steps.len() => self.steps[step] = state,
            fact => match self.facts.last_mut() {
                Some(last) if last.subject() == fact.subject() => *last = fact,
                _ => self.facts.push(fact),
            },
        }
    }

    /// The final fact about each subject, sorted. The history is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<Fact> {
        let mut facts = std::mem::take(&mut self.facts);
        normalize(&mut facts);
        facts
    }

    /// The trace of a run from its beginning.
    pub(super) fn into_trace(self, program: &Program<'_>) -> Trace {
        let mut trace = Trace { steps: self.steps, ..Trace::default() };
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

/// The trace in which these facts hold.
pub(super) fn trace<'f>(program: &Program<'_>, facts: impl IntoIterator<Item = &'f Fact>) -> Trace {
    let steps = vec![StepState::NotStarted; program.steps.len()];
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
