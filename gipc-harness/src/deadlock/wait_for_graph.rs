//! The wait-for graph of a stall: for each open step, the processes that could release it.
//!
//! The content of the pipes is replayed from the trace. The holders of their ends are those that the kernel showed. If the
//! kernel did not show them, they are those that should hold the ends according to the trace.

use super::WaitEdge;
use crate::scenario::{Outcome, PipeEnd, PipeId, Scenario, Side, Step, Verb};
use crate::trace::{BlockedIn, EndState, Ownership, ProcessExit, StallEvidence, StepState};
use std::collections::{BTreeMap, BTreeSet};

/// The number of bytes that every pipe can hold. A put of more may have to wait for a reader.
const GUARANTEED_CAPACITY: u64 = 512;

/// The maximum number of bytes by which a frame is longer than its message.
const FRAME_OVERHEAD: u64 = 8;

/// Lists names: `a, b and c`. If there are more than four, the rest are counted: `a, b, c, d and 7 others`.
pub(crate) fn list_names(names: &[String]) -> String {
    const NAMED: usize = 4;
    let mut listed = names[..names.len().min(NAMED)].to_vec();
    if names.len() > NAMED {
        listed.push(format!("{} others", names.len() - NAMED));
    }
    match listed.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// The state of all processes and pipes at a stall.
pub(super) struct WaitForGraph<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) evidence: &'a StallEvidence,
    pub(super) ownership: Ownership<'a>,
    /// The processes that hold each end.
    holders: BTreeMap<PipeEnd, BTreeSet<String>>,
    contents: BTreeMap<PipeId, Content>,
    /// The pipes in which a put was given up, so that their content is unknown, with the line of the put.
    given_up: BTreeMap<PipeId, usize>,
    /// The pipes at which a get was given up, with the line of the get.
    pub(super) given_up_gets: BTreeMap<PipeId, usize>,
}

/// What was put into a pipe and has not been got. Steps are counted in file order, in which a get may come before its put.
#[derive(Clone, Copy, Default)]
pub(super) struct Content {
    bytes: i64,
    messages: i64,
}

impl Content {
    /// Adds this number of messages of the same length; a negative number removes them.
    fn add(&mut self, messages: i64, len: u64) {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_add(len.saturating_mul(messages));
        self.messages += messages;
    }

    /// The bytes of whole messages that should be in the pipe, without their headers.
    pub(super) fn bytes(self) -> u64 {
        u64::try_from(self.bytes).unwrap_or_default()
    }
}

impl<'a> WaitForGraph<'a> {
    pub(super) fn new(scenario: &'a Scenario, evidence: &'a StallEvidence) -> Self {
        let ownership = Ownership::replay(scenario, &evidence.trace);
        let holders = holders(&ownership, evidence);
        let mut graph = Self {
            scenario,
            evidence,
            ownership,
            holders,
            contents: BTreeMap::new(),
            given_up: BTreeMap::new(),
            given_up_gets: BTreeMap::new(),
        };
        graph.replay_contents();
        graph
    }

    fn replay_contents(&mut self) {
        // For each pipe, the length of the message whose first part `cut` wrote.
        let mut begun: BTreeMap<PipeId, u64> = BTreeMap::new();
        for (step, state) in self.scenario.steps.iter().zip(&self.evidence.trace.steps) {
            let StepState::Completed { outcome, .. } = state else { continue };
            let pipe = match &step.verb {
                Verb::Put { handle, .. } | Verb::Cut { handle, .. } | Verb::Rest { handle } => {
                    self.scenario.handles.pipe(handle, Side::Writer)
                }
                Verb::Get { handle } => self.scenario.handles.pipe(handle, Side::Reader),
                _ => None,
            };
            let Some(pipe) = pipe else { continue };
            match (&step.verb, outcome) {
                (Verb::Put { payload, .. }, Outcome::Ok) => {
                    self.contents.entry(pipe).or_default().add(1, payload.len());
                }
                (Verb::Cut { payload, .. }, Outcome::Ok) => {
                    begun.insert(pipe, payload.len());
                }
                (Verb::Rest { .. }, Outcome::Ok) => {
                    if let Some(len) = begun.remove(&pipe) {
                        self.contents.entry(pipe).or_default().add(1, len);
                    }
                }
                (Verb::Put { .. }, Outcome::Cancelled | Outcome::Timeout) => {
                    self.given_up.insert(pipe, step.position.line);
                }
                // A get that was given up before anything came has read nothing.
                (Verb::Get { .. }, Outcome::Cancelled | Outcome::Timeout)
                    if begun.contains_key(&pipe) || self.content(pipe).messages > 0 =>
                {
                    self.given_up_gets.insert(pipe, step.position.line);
                }
                (Verb::Get { .. }, Outcome::Message(payload)) => {
                    self.contents.entry(pipe).or_default().add(-1, payload.len());
                }
                _ => {}
            }
        }
    }

    /// Whether the kernel showed all holders of every end.
    pub(super) fn are_all_holders_known(&self) -> bool {
        let known = &self.evidence.fully_known_ends;
        !known.is_empty() && self.ownership.all().all(|(end, _)| known.contains(&end))
    }

    /// Whether a process has not exited.
    pub(super) fn is_running(&self, process: &str) -> bool {
        matches!(self.evidence.trace.exits.get(process), None | Some(ProcessExit::Running))
    }

    /// `main` and the processes that some step spawns, whether or not they were started.
    pub(super) fn processes(&self) -> impl Iterator<Item = &'a str> {
        let spawned = self.scenario.steps.iter().filter_map(|step| match &step.verb {
            Verb::Spawn { child, .. } => Some(child.as_str()),
            _ => None,
        });
        std::iter::once("main").chain(spawned)
    }

    /// The process that spawns this process; `None` for `main` and for processes that are not part of the scenario.
    pub(super) fn parent(&self, process: &str) -> Option<&'a str> {
        Some(&self.spawn_of(process)?.task_id.process)
    }

    /// The step that spawns a process.
    pub(super) fn spawn_of(&self, process: &str) -> Option<&'a Step> {
        let mut steps = self.scenario.steps.iter();
        steps.find(|step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process))
    }

    /// The processes that hold an end, including the process that should hold it: a descriptor that is being handed over is
    /// shown in no process.
    pub(super) fn possible_holders(&self, end: PipeEnd) -> BTreeSet<String> {
        let mut holders = self.holders.get(&end).cloned().unwrap_or_default();
        holders.extend(self.ownership.holders(end).iter().cloned());
        holders
    }

    /// Whether a signal has stopped a process.
    pub(super) fn is_stopped(&self, process: &str) -> bool {
        self.evidence.blocked_in.get(process) == Some(&BlockedIn::Stopped)
    }

    /// Whether a step is overdue, or is open in a process that has not exited.
    pub(super) fn is_waiting(&self, step: usize) -> bool {
        let is_open = self.evidence.trace.steps[step] == StepState::Pending;
        self.evidence.overdue.contains(&step)
            || (is_open && self.is_running(&self.scenario.steps[step].task_id.process))
    }

    /// Whether some open step waits for this child.
    pub(super) fn is_waited_for(&self, process: &str) -> bool {
        let mut steps = self.scenario.steps.iter().enumerate();
        steps.any(|(index, step)| match &step.verb {
            Verb::Join { child } | Verb::Child { child, .. } => {
                child == process && self.is_waiting(index)
            }
            _ => false,
        })
    }

    /// The open steps of a process.
    pub(super) fn waiting_steps(&self, process: &str) -> Vec<usize> {
        let steps = self.scenario.steps.iter().enumerate();
        steps
            .filter(|(index, step)| step.task_id.process == process && self.is_waiting(*index))
            .map(|(index, _)| index)
            .collect()
    }

    /// What a step waits for.
    pub(super) fn edge(&self, step: usize) -> WaitEdge {
        let spec = &self.scenario.steps[step];
        let process = &spec.task_id.process;
        let (on, why) = match &spec.verb {
            _ if self.is_stopped(process) => (Vec::new(), format!("{process} is stopped")),
            Verb::Get { handle } => self.get_edge(handle),
            Verb::Put { handle, payload } => self.put_edge(step, handle, payload.len()),
            Verb::Child { child, .. } if !self.ghost_input_holders(child).is_empty() => {
                let holders = self.ghost_input_holders(child);
                let why = format!(
                    "{child} still runs: {} can still write to its input",
                    list_names(&holders)
                );
                (holders, why)
            }
            Verb::Join { child } | Verb::Child { child, .. } if self.is_running(child) => {
                (vec![child.to_string()], format!("{child} still runs"))
            }
            Verb::Join { child } | Verb::Child { child, .. } => {
                (Vec::new(), format!("{child} has ended"))
            }
            Verb::Exit { .. } | Verb::Raise if !self.running_children(process).is_empty() => {
                let children = self.running_children(process);
                let (still, run) =
                    (list_names(&children), if children.len() == 1 { "runs" } else { "run" });
                let why = format!(
                    "{process} waits for its children before it ends, and {still} still {run}"
                );
                (children, why)
            }
            Verb::Until { task_id } => {
                (vec![task_id.process.to_string()], format!("{task_id} is in no step that blocks"))
            }
            _ => (Vec::new(), "nothing holds it".into()),
        };
        WaitEdge { step, on, why }
    }

    /// The processes that keep the input of a program beside the library open.
    fn ghost_input_holders(&self, ghost: &str) -> Vec<String> {
        let inputs = self.evidence.ghost_inputs.iter().filter(|input| input.ghost == ghost);
        inputs.map(|input| input.process.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The children of a process that were started and have not ended.
    pub(super) fn running_children(&self, process: &str) -> Vec<String> {
        let steps = self.scenario.steps.iter().zip(&self.evidence.trace.steps);
        let started = steps.filter_map(|(step, state)| match &step.verb {
            Verb::Spawn { child, .. }
                if step.task_id.process == process && state.is(&Outcome::Ok) =>
            {
                Some(child.to_string())
            }
            _ => None,
        });
        started.filter(|child| self.is_running(child)).collect()
    }

    /// What a get waits for: the processes that can write.
    fn get_edge(&self, handle: &str) -> (Vec<String>, String) {
        let Some(reader) = self.made_end(handle, Side::Reader) else { return not_made(handle) };
        let writers = self.holders_of(reader.opposite());
        if let Some(line) = self.given_up.get(&reader.pipe).filter(|_| !writers.is_empty()) {
            let why = format!(
                "what {handle} has may be half of the message that was given up (line {line})"
            );
            return (writers, why);
        }
        match self.content(reader.pipe).messages {
            ..=0 => {}
            _ if self.lacks_bytes(reader.pipe) => {
                return (Vec::new(), self.why_bytes_are_missing(reader));
            }
            _ if self.hides_what_is_left(reader.pipe) => {
                let w = self.ownership.name(reader.opposite());
                let why = format!(
                    "not all that was put to {w} was got; no process holds {w} any more, and the system does not show \
                     whether the rest is in the pipe"
                );
                return (Vec::new(), why);
            }
            1 => return (Vec::new(), format!("a whole message is in the pipe of {handle}")),
            many => return (Vec::new(), format!("{many} messages are in the pipe of {handle}")),
        }
        if writers.is_empty() {
            return (Vec::new(), self.why_end_is_due(reader.opposite(), "eof"));
        }
        let why = format!("{handle} is empty, and {} can still write to it", list_names(&writers));
        (writers, why)
    }

    /// What a put of `len` bytes waits for: the processes that can read.
    fn put_edge(&self, step: usize, handle: &str, len: u64) -> (Vec<String>, String) {
        let Some(writer) = self.made_end(handle, Side::Writer) else { return not_made(handle) };
        let pipe = writer.pipe;
        let readers = self.holders_of(writer.opposite());
        let reader = self.ownership.name(writer.opposite());
        if readers.is_empty() {
            return (Vec::new(), self.why_end_is_due(writer.opposite(), "broken"));
        }
        let reader_names = list_names(&readers);
        if self.is_being_read(pipe) {
            return (Vec::new(), format!("{reader_names} is reading {reader}"));
        }
        let needed = self.content(pipe).bytes() + len + FRAME_OVERHEAD;
        if self.is_only_put(pipe, step) && needed <= GUARANTEED_CAPACITY {
            return (Vec::new(), format!("there is room for {len} bytes in the pipe of {handle}"));
        }
        (readers, format!("{handle} is full, and only {reader_names} can read it"))
    }

    /// Why a step has nothing to wait for once this end has no holder. If the kernel does not show the holders, the trace
    /// says only which process should hold the end, and an inherited descriptor would go unnoticed.
    fn why_end_is_due(&self, end: PipeEnd, outcome: &str) -> String {
        let name = self.ownership.name(end);
        match self.evidence.fully_known_ends.contains(&end) {
            true => format!("no process holds {name} any more, so {outcome} is due"),
            false => format!(
                "no process should hold {name} any more; the system does not show whether one does"
            ),
        }
    }

    /// The end that a handle stands for, if its pipe was made.
    fn made_end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        let end = self.scenario.handles.end(handle, side);
        end.filter(|end| self.ownership.state(*end).is_some())
    }

    pub(super) fn content(&self, pipe: PipeId) -> Content {
        self.contents.get(&pipe).copied().unwrap_or_default()
    }

    pub(super) fn holders_of(&self, end: PipeEnd) -> Vec<String> {
        self.holders.get(&end).into_iter().flatten().cloned().collect()
    }

    /// Whether a get at the pipe is open in a process that has not exited.
    fn is_being_read(&self, pipe: PipeId) -> bool {
        let mut steps = self.scenario.steps.iter().zip(&self.evidence.trace.steps);
        steps.any(|(step, state)| match &step.verb {
            Verb::Get { handle } if *state == StepState::Pending => {
                self.scenario.handles.pipe(handle, Side::Reader) == Some(pipe)
                    && self.is_running(&step.task_id.process)
            }
            _ => false,
        })
    }

    /// Whether no other put is open at the pipe.
    fn is_only_put(&self, pipe: PipeId, step: usize) -> bool {
        let mut steps = self.scenario.steps.iter().zip(&self.evidence.trace.steps).enumerate();
        steps.all(|(other, (spec, state))| match &spec.verb {
            Verb::Put { handle, .. } if other != step && *state == StepState::Pending => {
                self.scenario.handles.pipe(handle, Side::Writer) != Some(pipe)
            }
            _ => true,
        })
    }

    /// The end whose holders can release a step: the writer for a get, the reader for a put.
    pub(super) fn awaited_end(&self, step: usize) -> Option<PipeEnd> {
        let (handle, side) = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => (handle, Side::Reader),
            Verb::Put { handle, .. } => (handle, Side::Writer),
            _ => return None,
        };
        self.scenario.handles.end(handle, side).map(PipeEnd::opposite)
    }

    /// Whether a get or put for which no holder of the other end is known may wait for one that the system does not show.
    pub(super) fn may_be_held_unseen(&self, step: usize) -> bool {
        let is_stopped = self.is_stopped(&self.scenario.steps[step].task_id.process);
        self.awaited_end(step).filter(|_| !is_stopped).is_some_and(|end| {
            let is_message_there = end.side == Side::Writer && self.content(end.pipe).messages > 0;
            !self.evidence.fully_known_ends.contains(&end)
                && self.holders_of(end).is_empty()
                && !is_message_there
        })
    }

    /// Whether the process of a get or put holds the end that the step uses.
    pub(super) fn holds_own_end(&self, step: usize) -> bool {
        let process = &self.scenario.steps[step].task_id.process;
        let own = self.awaited_end(step).map(PipeEnd::opposite);
        own.and_then(|end| self.holders.get(&end))
            .is_some_and(|held| held.iter().any(|holder| holder == process))
    }

    /// Whether only whole messages go through the pipe of a step, so that its content is known. True for a step that uses no
    /// pipe.
    pub(super) fn carries_only_whole_messages(&self, step: usize) -> bool {
        let Some(PipeEnd { pipe, .. }) = self.awaited_end(step) else { return true };
        let carries_parts = self.scenario.steps.iter().any(|step| match &step.verb {
            Verb::Cut { handle, .. } | Verb::Rest { handle } | Verb::Announce { handle, .. } => {
                self.scenario.handles.pipe(handle, Side::Writer) == Some(pipe)
            }
            _ => false,
        });
        !carries_parts && !self.given_up.contains_key(&pipe)
    }
}

fn holders(
    ownership: &Ownership<'_>,
    evidence: &StallEvidence,
) -> BTreeMap<PipeEnd, BTreeSet<String>> {
    let of_end = |(end, _): (PipeEnd, &EndState)| {
        let holders = if evidence.fully_known_ends.contains(&end) {
            evidence.holders_of(end).map(|holder| holder.process.clone()).collect()
        } else {
            ownership.holders(end).iter().cloned().collect()
        };
        (end, holders)
    };
    ownership.all().map(of_end).collect()
}

fn not_made(handle: &str) -> (Vec<String>, String) {
    (Vec::new(), format!("{handle} is no pipe that was made"))
}
