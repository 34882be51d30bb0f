//! Happens-before in words: says what made a step return, or what it still waits for.
//!
//! A cause names only what another task did. The order of the steps of one task needs no explanation.

use super::ownership::{EndState, Ownership};
use super::{StepState, Trace};
use crate::scenario::{ChildAct, Outcome, PipeEnd, Scenario, Side, Step, Verb};
use ecow::EcoString;

/// Names separated by commas. Of more than eight, four are named and the `others` counted: `a, b, c, d and 5 others`.
pub(super) fn shortened(names: &[&str], others: &str) -> String {
    const LISTED: usize = 8;
    const NAMED: usize = 4;
    match names.len() {
        count if count > LISTED => {
            format!("{} and {} {others}", names[..NAMED].join(", "), count - NAMED)
        }
        _ => names.join(", "),
    }
}

/// The causes of all steps of a trace.
pub struct Causes<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    ownership: Ownership<'a>,
    /// Whether long lists of handles are shortened.
    is_brief: bool,
}

impl<'a> Causes<'a> {
    /// Replays a trace.
    pub fn new(scenario: &'a Scenario, trace: &'a Trace) -> Self {
        Self { scenario, trace, ownership: Ownership::replay(scenario, trace), is_brief: false }
    }

    /// The same causes for a sentence, in which a long list of handles is shortened.
    pub fn brief(self) -> Self {
        Self { is_brief: true, ..self }
    }

    fn list(&self, handles: &[&str]) -> String {
        if self.is_brief { shortened(handles, "others") } else { handles.join(", ") }
    }

    /// Why a step has its state. Empty if no other task played a part in it.
    pub fn of(&self, index: usize) -> String {
        let step = &self.scenario.steps[index];
        match &self.trace.steps[index] {
            StepState::NotStarted => String::new(),
            StepState::Pending => self.of_pending(step),
            StepState::Completed { outcome, from, .. } => self.of_completed(step, outcome, *from),
        }
    }

    fn of_completed(&self, step: &Step, outcome: &Outcome, from: Option<usize>) -> String {
        match (&step.verb, outcome) {
            (_, Outcome::Message(_)) => match from {
                Some(put) => format!("from {}", self.scenario.steps[put].task_id),
                None => "from an unknown sender".into(),
            },
            (Verb::Spawn { child, handles, shared, .. }, Outcome::Ok) if !handles.is_empty() => {
                let is_shared = |handle: &&str| shared.iter().any(|name| name == *handle);
                let names = handles.iter().map(EcoString::as_str);
                let (shared, moved): (Vec<&str>, Vec<&str>) = names.partition(is_shared);
                let verb = if moved.len() == 1 { "moves" } else { "move" };
                let moves =
                    (!moved.is_empty()).then(|| format!("{} {verb} to {child}", self.list(&moved)));
                let shares =
                    (!shared.is_empty()).then(|| format!("{child} shares {}", self.list(&shared)));
                moves.into_iter().chain(shares).collect::<Vec<_>>().join("; ")
            }
            (Verb::Get { handle }, Outcome::Eof | Outcome::Truncated) => {
                self.fate_of_opposite_end(handle, Side::Reader)
            }
            (Verb::Put { handle, .. }, Outcome::Broken) => {
                self.fate_of_opposite_end(handle, Side::Writer)
            }
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

    /// What happened to the end opposite to the one that a step uses, which is the `side` of its handle.
    fn fate_of_opposite_end(&self, handle: &str, side: Side) -> String {
        let Some(end) = self.opposite_end(handle, side) else { return String::new() };
        let name = self.ownership.name(end);
        match self.ownership.state(end) {
            Some(EndState::Closed(task_id)) => format!("{task_id} closed {name}"),
            Some(EndState::Exited(process)) => format!("{process} ended"),
            Some(EndState::Held(owners)) if owners.len() > 1 => {
                format!("{} hold {name}", owners.join(" and "))
            }
            Some(EndState::Held(owners)) => format!("{} holds {name}", owners.concat()),
            None => String::new(),
        }
    }

    fn of_pending(&self, step: &Step) -> String {
        let process = &step.task_id.process;
        if !self.trace.runs(process) {
            return format!("{process} ended first");
        }
        match &step.verb {
            Verb::Put { handle, .. } => match self.opposite_holders(handle, Side::Writer) {
                [] => String::new(),
                readers => {
                    format!("{handle} is full, and only {} can read it", readers.join(" and "))
                }
            },
            Verb::Get { handle } => match self.opposite_holders(handle, Side::Reader) {
                [] => String::new(),
                writers => format!("{handle} is empty, and {} can write it", writers.join(" and ")),
            },
            Verb::Join { child } | Verb::Child { child, .. } => format!("{child} still runs"),
            Verb::Until { task_id } => format!("{task_id} does not wait"),
            _ => String::new(),
        }
    }

    fn opposite_end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        self.scenario.handles.end(handle, side).map(PipeEnd::opposite)
    }

    fn opposite_holders(&self, handle: &str, side: Side) -> &[String] {
        self.opposite_end(handle, side).map_or(&[], |end| self.ownership.holders(end))
    }
}
