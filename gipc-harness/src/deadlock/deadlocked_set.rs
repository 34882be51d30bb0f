//! The deadlocked set: the steps that can never complete although some processes still move.
//!
//! Translates scenario and evidence into a [`ReleaseGraph`], which has the rule. Waiting follows the OR model (Holt 1972): a
//! step at a pipe is released by any one of the processes that hold the other end. For a process that sleeps, the content of
//! the pipe does not matter: if it could go on and does not, only the same processes can wake it again.
//!
//! A process about which something is not known counts as moving, so the set may be too small, but never too large.
//! `docs/decisions/007-deadlocked-set.md` has the argument.

use super::release_graph::{Process, ReleaseGraph, Wait};
use super::wait_for_graph::WaitForGraph;
use crate::scenario::{ChildAct, Outcome, PipeEnd, Scenario, Verb};
use crate::trace::{StallEvidence, StepState};
use std::collections::{BTreeMap, BTreeSet};

/// The largest number of bytes in a pipe, unless a privileged process enlarged it. A put of more must wait for a reader.
const LARGEST_PIPE: u64 = 1 << 20;

/// The open steps that no process can ever release.
///
/// The processes of [`StallEvidence::still_running`] move, and all others sleep without a timer. The result contains either
/// all open steps of a process or none.
#[must_use]
pub fn deadlocked_steps(scenario: &Scenario, evidence: &StallEvidence) -> BTreeSet<usize> {
    let graph = WaitForGraph::new(scenario, evidence);
    if !graph.are_all_holders_known() {
        return BTreeSet::new();
    }
    let translation = Translation::new(&graph);
    let deadlocked = translation.release_graph().deadlocked_processes().into_iter();
    deadlocked.flat_map(|process| graph.waiting_steps(&translation.names[process])).collect()
}

/// The processes and ends of a stall, in the order of their indexes in the release graph.
struct Translation<'g, 'a> {
    graph: &'g WaitForGraph<'a>,
    names: Vec<String>,
    indexes: BTreeMap<String, usize>,
    ends: Vec<PipeEnd>,
}

impl<'g, 'a> Translation<'g, 'a> {
    fn new(graph: &'g WaitForGraph<'a>) -> Self {
        // A helper process of the implementation is known only by the ends that it holds.
        let holders = graph.evidence.holders.iter().map(|holder| holder.process.as_str());
        let names: BTreeSet<&str> =
            graph.processes().filter(|name| graph.is_running(name)).chain(holders).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let indexes = names.iter().cloned().zip(0..).collect();
        let ends = graph.ownership.all().map(|(end, _)| end).collect();
        Self { graph, names, indexes, ends }
    }

    fn release_graph(&self) -> ReleaseGraph {
        let indexes = |processes: BTreeSet<String>| {
            processes.iter().filter_map(|process| self.indexes.get(process).copied()).collect()
        };
        let holders = self.ends.iter().map(|end| indexes(self.graph.possible_holders(*end)));
        ReleaseGraph {
            holders: holders.collect(),
            processes: self.names.iter().map(|name| self.process(name)).collect(),
        }
    }

    fn process(&self, name: &str) -> Process {
        let evidence = self.graph.evidence;
        let own = self.graph.scenario.steps.iter().zip(&evidence.trace.steps);
        let own: Vec<&StepState> =
            own.filter(|(step, _)| step.task_id.process == name).map(|(_, state)| state).collect();
        let is_asleep =
            evidence.blocked_in.contains_key(name) && !evidence.still_running.contains_key(name);
        // A process without a further step is about to end. It is not known what its end waits for.
        let is_ending = own.iter().all(|state| matches!(state, StepState::Completed { .. }));
        let steps = self.graph.waiting_steps(name).into_iter();
        Process {
            is_moving: !is_asleep || is_ending,
            is_last_step: !own.contains(&&StepState::NotStarted),
            parent: self.running_ancestor(name),
            steps: steps.map(|step| self.wait(step, is_asleep)).collect(),
        }
    }

    /// The nearest process above a process that has not ended.
    fn running_ancestor(&self, name: &str) -> Option<usize> {
        let parent = |name: &&str| self.graph.parent(name);
        let mut ancestors = std::iter::successors(self.graph.parent(name), parent);
        ancestors.find_map(|ancestor| self.indexes.get(ancestor).copied())
    }

    /// What can release a step, for a process that sleeps or for one that moves.
    fn wait(&self, step: usize, is_asleep: bool) -> Wait {
        let spec = &self.graph.scenario.steps[step];
        let process = |name: &str| match self.indexes.get(name) {
            Some(index) if self.graph.is_running(name) => Wait::Process(*index),
            // Only the implementation knows what a step about an ended child still waits for.
            _ => Wait::Itself,
        };
        let wait = match &spec.verb {
            Verb::Get { .. } | Verb::Put { .. } => {
                let awaited = self.graph.awaited_end(step).filter(|_| {
                    self.graph.holds_own_end(step) && (is_asleep || self.must_wait(step))
                });
                let end = awaited.and_then(|end| self.ends.iter().position(|one| *one == end));
                end.map_or(Wait::Itself, Wait::Holders)
            }
            Verb::Join { child }
            | Verb::Child { act: ChildAct::Stall | ChildAct::Reaped | ChildAct::Reap, child } => {
                process(child)
            }
            Verb::Until { task_id } => process(&task_id.process),
            Verb::Pause { .. } => Wait::Itself,
            _ => Wait::Act,
        };
        if spec.within_ms.is_some() && wait != Wait::Act { Wait::Itself } else { wait }
    }

    /// Whether a get or put of a process that moves can't complete before another process does something: a get from an
    /// empty pipe, or a put of more than any pipe holds. A put whose first byte is not in the pipe may still be refused.
    fn must_wait(&self, step: usize) -> bool {
        let Some(PipeEnd { pipe, .. }) = self.graph.awaited_end(step) else { return false };
        let bytes = self.graph.evidence.bytes_in(pipe);
        let spec = &self.graph.scenario.steps[step];
        self.graph.carries_only_whole_messages(step)
            && !self.graph.edge(step).on.is_empty()
            && match &spec.verb {
                Verb::Put { payload, .. } => {
                    payload.len() > LARGEST_PIPE
                        && bytes.is_some_and(|bytes| bytes > 0)
                        && !spec.expected.contains(&Outcome::TooLarge)
                }
                _ => bytes == Some(0),
            }
    }
}

#[cfg(test)]
#[path = "deadlocked_set_tests.rs"]
mod tests;
