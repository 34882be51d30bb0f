//! Who waits for whom, and why nothing moves.
//!
//! Looks only at a trace and at what was seen when the run stopped. That it had gone quiet is `run::watch`'s
//! finding, and how long it took is nobody's business here.

mod deadlocked_set;
mod pipe_report;
mod wait_for_graph;

pub use deadlocked_set::deadlocked_steps;

use crate::scenario::Scenario;
use crate::trace::{EvidenceTier, Observation};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wait_for_graph::WaitForGraph;

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallReport {
    /// Which of the three it is.
    pub kind: StallKind,
    /// What proves that nothing moved.
    pub tier: EvidenceTier,
    /// Every step that waits, in story order.
    pub waits: Vec<WaitEdge>,
    /// The circle, its first name again at its end; empty if there is none.
    pub circle: Vec<String>,
    /// The pipes at which they wait, with what is in each and who holds it as which descriptor, a sentence each.
    pub pipes: Vec<String>,
    /// The ends of pipes that are where they should not be, a sentence each.
    pub leaks: Vec<String>,
    /// For a hang: what could move, and what it does instead.
    pub idle: Vec<String>,
    /// Who still moved, and how one knows; nobody waits for him.
    pub moving: BTreeMap<String, String>,
}

/// What a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallKind {
    /// Each waits for the next, and the last for the first: with the handles where they really are, none of
    /// them can ever move.
    Deadlock,
    /// A step could end, and does not: the implementation lost a wake-up, or blocks its own loop.
    Hang,
    /// Nobody can say: something still runs, or the system does not show enough.
    Slow,
}

/// One step that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitEdge {
    /// The step.
    pub step: usize,
    /// The processes, any of which could let it go on. Empty: nothing holds it.
    pub on: Vec<String>,
    /// The reason in words.
    pub why: String,
}

/// Explains where an observed run stopped. `None` if no step is open that belongs to a living process.
pub fn explain(scenario: &Scenario, observed: &Observation) -> Option<StallReport> {
    let stop = observed.stop.as_ref()?;
    let graph = WaitForGraph::new(scenario, stop);
    let all = (0..scenario.steps.len()).filter(|step| graph.is_waiting(*step));
    let steps: BTreeSet<usize> = match stop.tier {
        // Who moves may wait too, but for nobody of them.
        EvidenceTier::Part => deadlocked_steps(scenario, stop),
        _ => all.collect(),
    };
    let waits: Vec<WaitEdge> = steps.into_iter().map(|step| graph.wait(step)).collect();
    let circle = circle(scenario, &waits);
    let mut could: Vec<&WaitEdge> = waits.iter().filter(|wait| wait.on.is_empty()).collect();
    could.dedup_by_key(|wait| &scenario.steps[wait.step].task_id.process);
    let kind = match stop.tier {
        EvidenceTier::Patience => StallKind::Slow,
        _ if waits.is_empty() && graph.stays().is_empty() => return None,
        _ if could.is_empty() && !circle.is_empty() => StallKind::Deadlock,
        _ => StallKind::Hang,
    };
    let idle = could.iter().map(|wait| graph.idle(wait)).chain(graph.stays()).collect();
    let (pipes, leaks) = (graph.pipes(&waits), graph.leaks(&waits));
    let moving = stop.moving.clone();
    Some(StallReport { kind, tier: stop.tier, waits, circle, pipes, leaks, idle, moving })
}

/// The shortest way from the first who waits and can come back to himself. A process that waits for itself alone (it
/// holds the end it reads from) is a circle of one, but one through others says more.
fn circle(scenario: &Scenario, waits: &[WaitEdge]) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for wait in waits {
        let process = scenario.steps[wait.step].task_id.process.as_str();
        order.push(process);
        edges.entry(process).or_default().extend(wait.on.iter().map(String::as_str));
    }
    let through_others = order.iter().find_map(|start| way_back(start, &edges));
    let alone = order.iter().find(|start| edges[**start].contains(**start));
    let names = through_others.or_else(|| alone.map(|name| vec![*name, *name]));
    names.unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// The shortest way from a name over others back to it.
fn way_back<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::from([start]);
    let mut open = VecDeque::from([vec![start]]);
    while let Some(path) = open.pop_front() {
        let last = path[path.len() - 1];
        for on in edges.get(last).into_iter().flatten().filter(|on| **on != last) {
            let longer: Vec<&str> = path.iter().chain([on]).copied().collect();
            if *on == start {
                return Some(longer);
            }
            if seen.insert(on) {
                open.push_back(longer);
            }
        }
    }
    None
}
