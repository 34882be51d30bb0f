//! Who held which end of which pipe, and how it went: replayed from a trace.
//!
//! An end has one owner at a time, and goes from hand to hand by spawns, so its history is a line. What an
//! implementation leaks is not seen here: these are the owners there should be.

use super::{ProcessExit, StepState, Trace};
use crate::scenario::{Outcome, Scenario, Step, Verb};
use std::collections::BTreeMap;

/// One end of one direction: the pipe's number in the order of making, and whether it is the end that puts.
pub type PipeEnd = (usize, bool);

/// How the history of an end ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndState {
    /// The process holds it still.
    Held(String),
    /// A task_id closed it.
    Closed(String),
    /// It went with its process.
    Ended(String),
}

/// All pipes of a run, and where their ends are.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    handles: BTreeMap<String, Vec<PipeEnd>>,
    last: BTreeMap<PipeEnd, EndState>,
    names: BTreeMap<PipeEnd, String>,
}

impl Ownership {
    /// Follows the spawns, closes and ends of a trace.
    pub fn replay(scenario: &Scenario, trace: &Trace) -> Self {
        let mut owners = Self::default();
        let mut pipes = 0;
        for (step, taken) in scenario.steps.iter().zip(&trace.steps) {
            if !matches!(taken, StepState::Completed { outcome: Outcome::Ok, .. }) {
                continue;
            }
            let process = &step.task_id.process;
            match &step.verb {
                Verb::Pipe { reader, writer, .. } => {
                    owners.make(process, reader, &[((pipes, false), reader.clone())]);
                    owners.make(process, writer, &[((pipes, true), writer.clone())]);
                    pipes += 1;
                }
                Verb::Duplex { near, far } => {
                    for (name, out, back) in [(near, pipes, pipes + 1), (far, pipes + 1, pipes)] {
                        let (w, r) = (format!("{name}.w"), format!("{name}.r"));
                        let ends = [((out, true), w.clone()), ((back, false), r.clone())];
                        owners.make(process, name, &ends);
                        owners.handles.insert(w, vec![(out, true)]);
                        owners.handles.insert(r, vec![(back, false)]);
                    }
                    pipes += 2;
                }
                Verb::Spawn { child, handles, .. } => {
                    let given: Vec<PipeEnd> =
                        handles.iter().flat_map(|handle| owners.ends(handle).to_vec()).collect();
                    for end in given {
                        owners.last.insert(end, EndState::Held(child.clone()));
                    }
                }
                Verb::Close { handle } => owners.close(step, std::slice::from_ref(handle)),
                Verb::Leave { handles, .. } => owners.close(step, handles),
                _ => {}
            }
        }
        for last in owners.last.values_mut() {
            if let EndState::Held(process) = last {
                if !matches!(trace.ends.get(process), None | Some(ProcessExit::Running)) {
                    *last = EndState::Ended(process.clone());
                }
            }
        }
        owners
    }

    /// The ends that a handle stands for.
    pub fn ends(&self, handle: &str) -> &[PipeEnd] {
        self.handles.get(handle).map_or(&[], Vec::as_slice)
    }

    /// The one end of a handle that puts or gets.
    pub fn end(&self, handle: &str, writer: bool) -> Option<PipeEnd> {
        self.ends(handle).iter().copied().find(|end| end.1 == writer)
    }

    /// Where an end is, or how it went.
    pub fn last(&self, end: PipeEnd) -> Option<&EndState> {
        self.last.get(&end)
    }

    /// The name of an end, as a scenario would write it: `w`, `near.r`.
    pub fn name(&self, end: PipeEnd) -> &str {
        self.names.get(&end).map_or("?", String::as_str)
    }

    /// All ends, in the order of making.
    pub fn all(&self) -> impl Iterator<Item = (PipeEnd, &EndState)> {
        self.last.iter().map(|(end, last)| (*end, last))
    }

    fn close(&mut self, step: &Step, handles: &[String]) {
        for end in handles.iter().flat_map(|handle| self.ends(handle).to_vec()).collect::<Vec<_>>()
        {
            if self.last.get(&end) == Some(&EndState::Held(step.task_id.process.clone())) {
                self.last.insert(end, EndState::Closed(step.task_id.to_string()));
            }
        }
    }

    fn make(&mut self, process: &str, handle: &str, ends: &[(PipeEnd, String)]) {
        self.handles.insert(handle.to_owned(), ends.iter().map(|(end, _)| *end).collect());
        for (end, name) in ends {
            self.last.insert(*end, EndState::Held(process.to_owned()));
            self.names.insert(*end, name.clone());
        }
    }
}
