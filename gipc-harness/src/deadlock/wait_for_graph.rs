//! Where everything stood when a run stopped: who held which end, what was in each pipe, and so who waits for whom.
//!
//! Replays the trace until then; with the handles where the kernel showed them, or else where they should have been.

use super::WaitEdge;
use crate::scenario::{Outcome, PipeEnd, PipeId, Scenario, Side, Verb};
use crate::trace::{EndState, Ownership, ProcessExit, StallEvidence, StepState};
use std::collections::{BTreeMap, BTreeSet};

/// The sure room of a pipe in bytes: a put that needs more may wait.
const SURE_ROOM: u64 = 512;
/// No frame is longer than its message by more bytes.
const FRAME: u64 = 8;
/// What stands in the place of a call where a process is stopped.
const STOPPED: &str = "stopped";

/// So many are named, and the others counted.
const NAMED: usize = 4;

/// `one and two`, or `one and two and three and four and 7 others`.
pub(super) fn some(names: &[String]) -> String {
    let named = &names[..names.len().min(NAMED)];
    match names.len() - named.len() {
        0 => named.join(" and "),
        others => format!("{} and {others} others", named.join(" and ")),
    }
}

/// Where everything stood when the run stopped.
pub(super) struct WaitForGraph<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) stop: &'a StallEvidence,
    pub(super) owners: Ownership<'a>,
    /// Who holds which end: as the kernel shows it, or else as it should be.
    holders: BTreeMap<PipeEnd, BTreeSet<String>>,
    /// Bytes and messages put into each pipe and not yet got.
    inside: BTreeMap<PipeId, (u64, i64)>,
    /// The pipes where a put was given up, and its line: nobody can say what is inside.
    given_up: BTreeMap<PipeId, usize>,
}

impl<'a> WaitForGraph<'a> {
    pub(super) fn new(scenario: &'a Scenario, stop: &'a StallEvidence) -> Self {
        let owners = Ownership::replay(scenario, &stop.then);
        let mut holders: BTreeMap<PipeEnd, BTreeSet<String>> = BTreeMap::new();
        for (end, last) in owners.all() {
            let here = holders.entry(end).or_default();
            let name = owners.name(end);
            if stop.known.contains(name) {
                let held = stop.held.iter().filter(|held| held.end == name);
                here.extend(held.map(|held| held.process.clone()));
            } else if let EndState::Held(process) = last {
                here.insert(process.clone());
            }
        }
        let mut inside: BTreeMap<PipeId, (u64, i64)> = BTreeMap::new();
        let mut given_up = BTreeMap::new();
        for (step, taken) in scenario.steps.iter().zip(&stop.then.steps) {
            let StepState::Completed { outcome, .. } = taken else { continue };
            match (&step.verb, outcome) {
                (Verb::Put { handle, payload }, Outcome::Ok) => {
                    if let Some(pipe) = scenario.handles.pipe(handle, Side::Writer) {
                        let inside = inside.entry(pipe).or_default();
                        *inside = (inside.0 + payload.len(), inside.1 + 1);
                    }
                }
                (Verb::Put { handle, .. }, Outcome::Cancelled | Outcome::Timeout) => {
                    let pipe = scenario.handles.pipe(handle, Side::Writer);
                    given_up.extend(pipe.map(|pipe| (pipe, step.position.line)));
                }
                (Verb::Get { handle }, Outcome::Message(payload)) => {
                    if let Some(pipe) = scenario.handles.pipe(handle, Side::Reader) {
                        let inside = inside.entry(pipe).or_default();
                        *inside = (inside.0.saturating_sub(payload.len()), inside.1 - 1);
                    }
                }
                _ => {}
            }
        }
        Self { scenario, stop, owners, holders, inside, given_up }
    }

    /// Whether the kernel showed of every end who holds it.
    pub(super) fn is_all_known(&self) -> bool {
        !self.stop.known.is_empty()
            && self.owners.all().all(|(end, _)| self.stop.known.contains(self.owners.name(end)))
    }

    pub(super) fn runs(&self, process: &str) -> bool {
        matches!(self.stop.then.exits.get(process), None | Some(ProcessExit::Running))
    }

    pub(super) fn is_waiting(&self, step: usize) -> bool {
        let late = self.stop.late.contains(&step);
        let open = self.stop.then.steps[step] == StepState::Pending;
        late || (open && self.runs(&self.scenario.steps[step].task_id.process))
    }

    fn holders(&self, end: PipeEnd) -> Vec<String> {
        self.holders.get(&end).into_iter().flatten().cloned().collect()
    }

    fn is_stopped(&self, process: &str) -> bool {
        self.stop.calls.get(process).is_some_and(|call| call == STOPPED)
    }

    pub(super) fn wait(&self, step: usize) -> WaitEdge {
        let spec = &self.scenario.steps[step];
        let process = &spec.task_id.process;
        let (on, why) = match &spec.verb {
            _ if self.is_stopped(process) => (Vec::new(), format!("{process} is stopped")),
            Verb::Get { handle } => self.at_pipe(handle, None),
            Verb::Put { handle, payload } => self.at_pipe(handle, Some((step, payload.len()))),
            Verb::Join { child } | Verb::Child { child, .. } if self.runs(child) => {
                (vec![child.clone()], format!("{child} still runs"))
            }
            Verb::Join { child } | Verb::Child { child, .. } => {
                (Vec::new(), format!("{child} has ended"))
            }
            Verb::Until { task_id } => {
                (vec![task_id.process.clone()], format!("{task_id} is in no step that blocks"))
            }
            _ => (Vec::new(), "nothing holds it".into()),
        };
        WaitEdge { step, on, why }
    }

    /// A get waits for those who can write, a put, of so many bytes, for those who can read.
    fn at_pipe(&self, handle: &str, put: Option<(usize, u64)>) -> (Vec<String>, String) {
        let get = put.is_none();
        let side = if get { Side::Reader } else { Side::Writer };
        let own = self.scenario.handles.end(handle, side);
        let Some(own) = own.filter(|end| self.owners.state(*end).is_some()) else {
            return (Vec::new(), format!("{handle} is no pipe that was made"));
        };
        let pipe = own.pipe;
        let (bytes, messages) = self.inside.get(&pipe).copied().unwrap_or_default();
        let others = self.holders(own.opposite());
        let other = self.owners.name(own.opposite()).to_owned();
        let given_up = self.given_up.get(&pipe).filter(|_| get && !others.is_empty());
        if let Some(line) = given_up {
            let why = format!(
                "what {handle} has may be half of the message that was given up (line {line})"
            );
            return (others, why);
        }
        if get && messages > 0 {
            let many = if messages == 1 {
                "a whole message is".into()
            } else {
                format!("{messages} messages are")
            };
            return (Vec::new(), format!("{many} in the pipe of {handle}"));
        }
        if others.is_empty() {
            let due = if get { "eof" } else { "broken" };
            return (Vec::new(), format!("nobody holds {other} any more, so {due} is due"));
        }
        let who = some(&others);
        if get {
            return (others, format!("{handle} is empty, and {who} can still write it"));
        }
        let reading =
            self.stop.then.steps.iter().zip(self.scenario.steps.iter()).any(|(taken, step)| {
                let gets = match &step.verb {
                    Verb::Get { handle } => {
                        self.scenario.handles.pipe(handle, Side::Reader) == Some(pipe)
                    }
                    _ => false,
                };
                *taken == StepState::Pending && gets && self.runs(&step.task_id.process)
            });
        if reading {
            return (Vec::new(), format!("{who} is reading {other}"));
        }
        let (step, len) = put.unwrap_or_default();
        if self.is_first_at(pipe, step) && bytes + len + FRAME <= SURE_ROOM {
            return (Vec::new(), format!("there is room for {len} bytes in the pipe of {handle}"));
        }
        (others, format!("{handle} is full, and only {who} can read it"))
    }

    /// Whether no other put waits at the pipe.
    fn is_first_at(&self, pipe: PipeId, step: usize) -> bool {
        let steps = self.scenario.steps.iter().zip(&self.stop.then.steps).enumerate();
        steps.into_iter().all(|(other, (spec, taken))| match &spec.verb {
            Verb::Put { handle, .. } if other != step && *taken == StepState::Pending => {
                self.scenario.handles.pipe(handle, Side::Writer) != Some(pipe)
            }
            _ => true,
        })
    }

    /// The end on which it depends whether the step can end: for a get the one that puts, for a put the one that gets.
    pub(super) fn awaited(&self, step: usize) -> Option<PipeEnd> {
        let (handle, side) = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => (handle, Side::Reader),
            Verb::Put { handle, .. } => (handle, Side::Writer),
            _ => return None,
        };
        self.scenario.handles.end(handle, side).map(PipeEnd::opposite)
    }

    /// Whether the kernel shows the end that a step uses in the hand of its process.
    pub(super) fn is_in_own_hand(&self, step: usize) -> bool {
        let spec = &self.scenario.steps[step];
        let own = self.awaited(step).map(PipeEnd::opposite);
        own.is_some_and(|end| self.holders(end).contains(&spec.task_id.process))
    }

    /// Whether only whole messages go through the pipe of this step, so that what is in it is known.
    pub(super) fn is_plain(&self, step: usize) -> bool {
        let Some(PipeEnd { pipe, .. }) = self.awaited(step) else { return true };
        let by_hand = self.scenario.steps.iter().any(|step| match &step.verb {
            Verb::Cut { handle, .. } | Verb::Rest { handle } | Verb::Announce { handle, .. } => {
                self.scenario.handles.pipe(handle, Side::Writer) == Some(pipe)
            }
            _ => false,
        });
        !by_hand && !self.given_up.contains_key(&pipe)
    }

    /// Those who have nothing more to do and do not leave, or who are stopped between two steps.
    pub(super) fn stays(&self) -> Vec<String> {
        let waits = |process: &str| {
            let steps = 0..self.scenario.steps.len();
            steps.into_iter().any(|step| {
                self.scenario.steps[step].task_id.process == process && self.is_waiting(step)
            })
        };
        let is_done = |process: &str| {
            let steps = self.scenario.steps.iter().zip(&self.stop.then.steps);
            steps.into_iter().all(|(step, taken)| {
                step.task_id.process != process || matches!(taken, StepState::Completed { .. })
            })
        };
        let here = self.stop.calls.iter().filter(|(process, _)| self.runs(process));
        here.filter(|(process, _)| !waits(process))
            .filter_map(|(process, call)| match self.is_stopped(process) {
                true => Some(format!("{process} was stopped by a signal, and nobody continues it")),
                false if is_done(process) => Some(format!(
                    "{process} has nothing more to do, and does not end: it sleeps in {call}"
                )),
                false => None,
            })
            .collect()
    }

    /// What a process does instead of moving.
    pub(super) fn idle(&self, wait: &WaitEdge) -> String {
        let step = &self.scenario.steps[wait.step];
        let process = &step.task_id.process;
        if self.is_stopped(process) {
            return format!("{process} was stopped by a signal, and nobody continues it");
        }
        let call = self.stop.calls.get(process).map_or(String::new(), |call| format!(" in {call}"));
        match self.stop.turns.get(process) {
            Some(false) if !self.stop.calls.contains_key(process) => {
                format!("{process}'s loop does not turn, and it was not seen to sleep: it is busy")
            }
            Some(false) => format!(
                "{process}'s loop does not turn: it sleeps{call}, and its neighbours with it"
            ),
            Some(true) if self.stop.cured.contains(&wait.step) => {
                format!("{process} went on when its loop was asked: its wake-up had been lost")
            }
            Some(true) => format!(
                "{process}'s loop turns, and {} does not end: a wake-up was lost",
                step.what()
            ),
            None => format!("{process} sleeps{call}"),
        }
    }
}
