//! Deadlock analysis: which step waits for which process, and why nothing moves.
//!
//! The analysis uses only the scenario and the evidence of a stall. The runner's quiescence detector has already established
//! that the run stalled.

mod deadlocked_set;
mod explanation;
mod missing_bytes;
mod pipe_report;
mod release_graph;
mod signal_report;
#[cfg(test)]
mod sentence_tests;
mod wait_for_graph;
#[cfg(test)]
mod wait_for_graph_tests;

pub use deadlocked_set::deadlocked_steps;
pub(crate) use wait_for_graph::list_names;

use crate::scenario::Scenario;
use crate::trace::{EvidenceTier, Observation, StallEvidence, Trace};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wait_for_graph::WaitForGraph;

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallReport {
    /// The kind of stall.
    pub kind: StallKind,
    /// What proves that nothing moved.
    pub evidence: EvidenceTier,
    /// The proof as part of a sentence.
    pub proof: &'static str,
    /// Every step that waits, in the order of the scenario.
    pub waits: Vec<WaitEdge>,
    /// A shortest cycle of processes that wait for each other, with the first name repeated at the end. Empty if there is no
    /// cycle.
    pub cycle: Vec<String>,
    /// A sentence for each pipe at which a step waits, with its content and its holders.
    pub pipes: Vec<String>,
    /// A sentence for each pipe end that is held by a process that should not hold it.
    pub leaks: Vec<String>,
    /// Whether some process could move and does not.
    pub could_move: CouldMove,
    /// A sentence for each process that could move and does not, about what it does instead; then the signals that had no
    /// effect, and each SIGCHLD that a library may have missed.
    pub explanations: Vec<String>,
    /// The processes that still moved and that no step waits for, each with the observation that shows it.
    pub still_running: BTreeMap<String, String>,
}

impl StallReport {
    /// The heading of a deadlock: how many steps wait, and whether for each other or for one process. `subject` names the
    /// step if there is only one.
    #[must_use]
    pub(crate) fn deadlock_head(&self, subject: &str) -> String {
        match (self.waits.len(), &self.cycle[..]) {
            (1, [process, ..]) if self.waits[0].on.len() == 1 => format!(
                "{subject} waits for something that only its own process, {process}, could do"
            ),
            (1, _) => {
                let on = list_names(&self.waits[0].on);
                format!("{subject} waits for something that only {on} could do")
            }
            // The cycle of a process that waits for itself lists it twice.
            (count, [process, _]) => {
                format!("{count} steps wait for something that only {process} could do")
            }
            (count, _) => format!("{count} steps wait for each other"),
        }
    }
}

/// Whether some process could move and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CouldMove {
    /// Nothing prevents it.
    Yes,
    /// Nothing prevents it unless another process still holds the other end of a pipe, which the system does not show.
    UnlessHeld,
    /// Each step waits for a process.
    No,
}

/// The kind of a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallKind {
    /// Each process waits for another one of a cycle. With the pipe ends where they are, no step can ever complete.
    Deadlock,
    /// A step could complete and does not: the implementation lost a wake-up, or blocks its own event loop. If the system does
    /// not show who holds a pipe, the cause may also be a process that keeps its other end.
    Hang,
    /// The reason is unknown: a process still runs, or the system does not show enough.
    Slow,
}

/// One step that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitEdge {
    /// The step.
    pub step: usize,
    /// The processes any of which could release the step. Empty if nothing prevents the step from completing.
    pub on: Vec<String>,
    /// The reason, as part of a sentence.
    pub why: String,
}

/// Explains where an observed run stalled. `None` if no living process has an open step.
pub fn explain(scenario: &Scenario, observed: &Observation) -> Option<StallReport> {
    let evidence = observed.stall.as_ref()?;
    let graph = WaitForGraph::new(scenario, evidence);
    let steps: BTreeSet<usize> = match evidence.tier {
        // The processes that still run may wait as well, but not for the deadlocked ones.
        EvidenceTier::KernelPartial => deadlocked_steps(scenario, evidence),
        _ => (0..scenario.steps.len()).filter(|step| graph.is_waiting(*step)).collect(),
    };
    let waits: Vec<WaitEdge> = steps.into_iter().map(|step| graph.edge(step)).collect();
    let cycle = shortest_cycle(scenario, &waits);
    let mut unblocked: Vec<&WaitEdge> = waits.iter().filter(|wait| wait.on.is_empty()).collect();
    let may_all_be_held = unblocked.iter().all(|wait| graph.may_be_held_unseen(wait.step));
    unblocked.dedup_by_key(|wait| &scenario.steps[wait.step].task_id.process);
    let idle = explanation::idle_processes(&graph);
    let kind = match evidence.tier {
        EvidenceTier::Timeout | EvidenceTier::Interrupted => StallKind::Slow,
        _ if waits.is_empty() && idle.is_empty() => return None,
        _ if unblocked.is_empty() && !cycle.is_empty() => StallKind::Deadlock,
        _ => StallKind::Hang,
    };
    let could_move = match (unblocked.is_empty(), idle.is_empty()) {
        (true, true) => CouldMove::No,
        (false, true) if may_all_be_held => CouldMove::UnlessHeld,
        _ => CouldMove::Yes,
    };
    let explanations = unblocked
        .iter()
        .map(|wait| explanation::why_it_does_not_move(&graph, wait))
        .chain(idle)
        .chain(signal_report::undelivered(&graph))
        .chain(signal_report::missed_sigchld(&graph));
    Some(StallReport {
        kind,
        evidence: evidence.tier,
        proof: evidence.words(),
        could_move,
        explanations: explanations.collect(),
        pipes: pipe_report::awaited_pipes(&graph, &waits),
        leaks: pipe_report::leaks(&graph, &waits),
        cycle,
        waits,
        still_running: evidence.still_running.clone(),
    })
}

/// Explains where a trace of the model stalls. Each pipe end is where it should be, and no process moves.
#[must_use]
pub fn explain_model(scenario: &Scenario, trace: &Trace) -> Option<StallReport> {
    let evidence = StallEvidence { trace: trace.clone(), ..StallEvidence::default() };
    let observed = Observation { stall: Some(evidence), ..Observation::of(trace.clone()) };
    explain(scenario, &observed)
}

/// The shortest cycle through the first process that is on one. A process that waits for itself alone (it holds the other
/// end of the pipe it reads from) is a cycle of one. A cycle through other processes is preferred, since it says more.
fn shortest_cycle(scenario: &Scenario, waits: &[WaitEdge]) -> Vec<String> {
    let mut waiting: Vec<&str> = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for wait in waits {
        let process = scenario.steps[wait.step].task_id.process.as_str();
        waiting.push(process);
        edges.entry(process).or_default().extend(wait.on.iter().map(String::as_str));
    }
    let through_others = waiting.iter().find_map(|start| shortest_cycle_from(start, &edges));
    let of_one = waiting.iter().find(|process| edges[**process].contains(**process));
    let cycle = through_others.or_else(|| of_one.map(|process| vec![*process, *process]));
    cycle.unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// The shortest path from a process through others back to it.
fn shortest_cycle_from<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::from([start]);
    let mut paths = VecDeque::from([vec![start]]);
    while let Some(path) = paths.pop_front() {
        let last = path[path.len() - 1];
        for on in edges.get(last).into_iter().flatten().filter(|on| **on != last) {
            let longer: Vec<&str> = path.iter().chain([on]).copied().collect();
            if *on == start {
                return Some(longer);
            }
            if seen.insert(on) {
                paths.push_back(longer);
            }
        }
    }
    None
}
