//! Happens-before, in words: what let a step end as it did, or what it still waits for.
//!
//! Program order is not repeated here: only what came from another task_id.

use super::ownership::{EndState, Ownership};
use super::{ProcessExit, StepState, Trace};
use crate::scenario::{ChildAct, Outcome, PipeEnd, Scenario, Side, Step, Verb};

/// The causes of all steps of a trace.
pub struct Causes<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    owners: Ownership<'a>,
}

impl<'a> Causes<'a> {
    /// Prepares the answers for one trace.
    pub fn new(scenario: &'a Scenario, trace: &'a Trace) -> Self {
        Self { scenario, trace, owners: Ownership::replay(scenario, trace) }
    }

    /// Why the step came to what it did; empty where its own task_id is all there is to say.
    pub fn of(&self, index: usize) -> String {
        let step = &self.scenario.steps[index];
        match &self.trace.steps[index] {
            StepState::NotStarted => String::new(),
            StepState::Pending => self.waits(step),
            StepState::Completed { outcome, from, .. } => self.ended(step, outcome, *from),
        }
    }

    fn ended(&self, step: &Step, outcome: &Outcome, from: Option<usize>) -> String {
        match (&step.verb, outcome) {
            (_, Outcome::Message(_)) => match from {
                Some(put) => format!("from {}", self.scenario.steps[put].task_id),
                None => "from nobody".into(),
            },
            (Verb::Spawn { child, handles, .. }, Outcome::Ok) if !handles.is_empty() => {
                let verb = if handles.len() == 1 { "moves" } else { "move" };
                format!("{} {verb} to {child}", handles.join(", "))
            }
            (Verb::Get { handle }, Outcome::Eof | Outcome::Truncated) => {
                self.went(handle, Side::Writer)
            }
            (Verb::Put { handle, .. }, Outcome::Broken) => self.went(handle, Side::Reader),
            (
                Verb::Join { child } | Verb::Child { child, .. },
                Outcome::Exit(_) | Outcome::Signal(_) | Outcome::Raised | Outcome::No,
            ) => format!("{child} ended"),
            (Verb::Child { act: ChildAct::Stall | ChildAct::Reaped, child }, Outcome::Ok) => {
                format!("{child} ended")
            }
            (Verb::Until { task_id }, Outcome::Ok) => format!("{task_id} waits"),
            _ => String::new(),
        }
    }

    /// What became of the end at the other side of the pipe behind `handle`; `other` is that side.
    fn went(&self, handle: &str, other: Side) -> String {
        let Some(end) = self.other_end(handle, other) else { return String::new() };
        match self.owners.state(end) {
            Some(EndState::Closed(task_id)) => {
                format!("{task_id} closed {}", self.owners.name(end))
            }
            Some(EndState::Exited(process)) => format!("{process} ended"),
            Some(EndState::Held(process)) => format!("{process} holds {}", self.owners.name(end)),
            None => String::new(),
        }
    }

    fn other_end(&self, handle: &str, other: Side) -> Option<PipeEnd> {
        self.scenario.handles.end(handle, other.opposite()).map(PipeEnd::opposite)
    }

    fn waits(&self, step: &Step) -> String {
        match self.trace.exits.get(&step.task_id.process) {
            None | Some(ProcessExit::Running) => {}
            Some(_) => return format!("{} ended first", step.task_id.process),
        }
        match &step.verb {
            Verb::Put { handle, .. } => {
                self.needs(handle, Side::Reader, "is full, and only", "can read it")
            }
            Verb::Get { handle } => {
                self.needs(handle, Side::Writer, "is empty, and", "can write it")
            }
            Verb::Join { child } | Verb::Child { child, .. } => format!("{child} still runs"),
            Verb::Until { task_id } => format!("{task_id} does not wait"),
            _ => String::new(),
        }
    }

    fn needs(&self, handle: &str, other: Side, state: &str, can: &str) -> String {
        match self.other_end(handle, other).and_then(|end| self.owners.state(end)) {
            Some(EndState::Held(process)) => format!("{handle} {state} {process} {can}"),
            _ => String::new(),
        }
    }
}
