//! All outcomes of a scenario: one run where nothing races, and otherwise the graph of the states that can be reached.

use super::outcomes::{MAX_TRACES, Outcomes};
use super::program::Program;
use super::simulation::run_to_end;
use super::state::State;
use super::state_graph::{MAX_WORK, explore};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::Scenario;
use crate::trace::{Allowed, Trace};
use std::collections::HashSet;

/// The capacities at which a racing scenario is compared with itself.
const OTHER_CAPACITIES: [u64; 7] =
    [CAPACITY_MAX, 64 << 10, 4 << 10, 32 << 10, 128 << 10, 256 << 10, 512 << 10];

/// Every correct trace, that of file order first.
pub(super) fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    let end = run_to_end(State::start(&small).with_race_detector(), &ReleaseOrder::File);
    let has_races = end.has_races();
    let first = end.into_trace();
    if !has_races {
        return Allowed::one(first);
    }
    let Some(outcomes) = outcomes_of_all(scenario, &small) else {
        return Allowed { complete: false, ..Allowed::one(first) };
    };
    match enumerated(&small, &outcomes) {
        Some(traces) => {
            Allowed { traces: first_of(first, traces), ..Allowed::one(Trace::default()) }
        }
        None => factored(&small, first, &outcomes),
    }
}

/// Whether the outcomes are the same for every capacity of pipes, as far as they can be enumerated.
pub(super) fn is_portable(scenario: &Scenario, choices: Choices) -> bool {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    if !small.depends_on_capacity() {
        return true;
    }
    let end = run_to_end(State::start(&small).with_race_detector(), &ReleaseOrder::File);
    if !end.has_races() {
        // Without races, more room never makes a scenario block, so the two ends of the range are enough.
        let large = Program::new(scenario, CAPACITY_MAX, choices);
        return end.into_trace() == super::simulation::trace(&large, &ReleaseOrder::File);
    }
    drop(end);
    let mut work = MAX_WORK;
    let Some(expected) = outcomes_of(&small, &mut work) else { return true };
    OTHER_CAPACITIES.into_iter().all(|capacity| {
        let program = Program::new(scenario, capacity, choices);
        let Some(outcomes) = outcomes_of(&program, &mut work) else { return true };
        outcomes == expected || {
            let traces = (outcomes.traces(&program), expected.traces(&program));
            // Two sets that cannot be enumerated may be equal although they were split differently.
            matches!(traces, (None, None)) || traces.0 == traces.1
        }
    })
}

/// The outcomes of a program; `None` if that takes more than this much work, which is used up.
fn outcomes_of(program: &Program<'_>, work: &mut usize) -> Option<Outcomes> {
    Outcomes::of(&explore(program, work)?)
}

/// The different outcomes of a program with small pipes and with large ones.
fn outcomes_of_all(scenario: &Scenario, small: &Program<'_>) -> Option<Vec<Outcomes>> {
    let mut work = MAX_WORK;
    let mut all = vec![outcomes_of(small, &mut work)?];
    if small.depends_on_capacity() {
        let large = Program::new(scenario, CAPACITY_MAX, small.choices);
        let outcomes = outcomes_of(&large, &mut work)?;
        if !all.contains(&outcomes) {
            all.push(outcomes);
        }
    }
    Some(all)
}

/// All traces of these sets together, if there are not too many.
fn enumerated(program: &Program<'_>, all: &[Outcomes]) -> Option<HashSet<Trace>> {
    let mut traces = HashSet::new();
    for outcomes in all {
        traces.extend(outcomes.traces(program)?);
    }
    (traces.len() <= MAX_TRACES).then_some(traces)
}

/// Traces that contain every outcome, with the races that they are combined from.
fn factored(program: &Program<'_>, first: Trace, all: &[Outcomes]) -> Allowed {
    let covering = all.iter().flat_map(|outcomes| outcomes.covering_traces(program));
    let traces = first_of(first, covering.collect());
    // The sets of several capacities cannot be combined from races if they differ.
    let races = match all {
        [outcomes] => outcomes.races(program),
        _ => Vec::new(),
    };
    Allowed { traces, complete: false, races }
}

/// The traces in a fixed order, after the first one.
fn first_of(first: Trace, mut traces: HashSet<Trace>) -> Vec<Trace> {
    traces.remove(&first);
    let mut traces: Vec<Trace> = traces.into_iter().collect();
    traces.sort_by(|a, b| (&a.steps, &a.exits).cmp(&(&b.steps, &b.exits)));
    traces.insert(0, first);
    traces
}
