//! All outcomes of a scenario: those of one run if nothing races, otherwise those of the graph of reachable states.

use super::outcomes::{MAX_TRACES, Outcomes};
use super::program::Program;
use super::state::State;
use super::state_graph::{MAX_WORK, explore, explore_unreduced};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder, capacity, simulation};
use crate::scenario::Scenario;
use crate::trace::{Allowed, Trace};
use std::collections::HashSet;

/// The capacities between the extremes that are also tried for a scenario that races.
const OTHER_CAPACITIES: [u64; 6] = [64 << 10, 4 << 10, 32 << 10, 128 << 10, 256 << 10, 512 << 10];

/// The correct traces of a scenario, and whether they depend on the capacity of pipes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// The correct traces.
    pub allowed: Allowed,
    /// Whether an outcome depends on how many bytes a pipe holds, as far as the outcomes can be enumerated.
    pub depends_on_capacity: bool,
}

/// Every correct trace, beginning with that of file order.
pub(super) fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    let (first, has_races) = run_in_file_order(&small);
    if !has_races {
        return Allowed::one(first);
    }
    to_allowed(&small, first, outcomes_of_extremes(scenario, &small).as_deref())
}

pub(super) fn allowed_in_all_orders(scenario: &Scenario, choices: Choices) -> Option<Allowed> {
    let programs =
        [CAPACITY_MIN, CAPACITY_MAX].map(|capacity| Program::new(scenario, capacity, choices));
    let outcomes = programs.iter().map(|program| Outcomes::of(&explore_unreduced(program)?));
    let outcomes = outcomes.collect::<Option<Vec<_>>>()?;
    let traces = enumerated(&programs[0], &outcomes)?;
    let (first, _) = run_in_file_order(&programs[0]);
    Some(Allowed { traces: first_of(first, traces), complete: true, races: Vec::new() })
}

pub(super) fn analyze(scenario: &Scenario, choices: Choices) -> Analysis {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    let (first, has_races) = run_in_file_order(&small);
    if !has_races {
        let depends_on_capacity = capacity::is_dependent(small, &first);
        return Analysis { allowed: Allowed::one(first), depends_on_capacity };
    }
    let outcomes = outcomes_of_extremes(scenario, &small);
    let depends_on_capacity = match outcomes.as_deref() {
        Some([small_outcomes, others @ ..]) if small.depends_on_capacity() => {
            let is_same = |other: &Outcomes| is_same_set(&small, small_outcomes, other);
            !others.iter().all(is_same)
                || capacity::first_dependent_wait(scenario, choices).is_some()
                || !is_same_between(scenario, &small, small_outcomes)
        }
        _ => false,
    };
    Analysis { allowed: to_allowed(&small, first, outcomes.as_deref()), depends_on_capacity }
}

/// The trace in file order, and whether any steps race.
fn run_in_file_order(program: &Program<'_>) -> (Trace, bool) {
    let start = State::start(program).with_race_detector();
    let end = simulation::run_to_end(start, &ReleaseOrder::File);
    let has_races = end.has_races();
    (end.into_trace(), has_races)
}

/// The outcomes of a program; `None` if they take more than this much work. Subtracts the work that was done.
fn outcomes_of(program: &Program<'_>, work: &mut usize) -> Option<Outcomes> {
    Outcomes::of(&explore(program, work)?)
}

/// The different outcomes with small pipes and with large ones, those with small pipes first; `None` if they take too much
/// work.
fn outcomes_of_extremes(scenario: &Scenario, small: &Program<'_>) -> Option<Vec<Outcomes>> {
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

/// Whether capacities between the smallest and the largest also give these outcomes.
fn is_same_between(scenario: &Scenario, small: &Program<'_>, expected: &Outcomes) -> bool {
    let mut work = MAX_WORK;
    OTHER_CAPACITIES.into_iter().all(|capacity| {
        let program = Program::new(scenario, capacity, small.choices);
        let outcomes = outcomes_of(&program, &mut work);
        outcomes.is_none_or(|outcomes| is_same_set(&program, expected, &outcomes))
    })
}

/// Whether two sets are the same, possibly split into different races. Sets that are too large to enumerate count as the
/// same.
fn is_same_set(program: &Program<'_>, one: &Outcomes, other: &Outcomes) -> bool {
    one == other || one.traces(program) == other.traces(program)
}

fn to_allowed(program: &Program<'_>, first: Trace, outcomes: Option<&[Outcomes]>) -> Allowed {
    let Some(outcomes) = outcomes else {
        return Allowed { complete: false, ..Allowed::one(first) };
    };
    match enumerated(program, outcomes) {
        Some(traces) => {
            Allowed { traces: first_of(first, traces), complete: true, races: Vec::new() }
        }
        None => factored(program, first, outcomes),
    }
}

/// All traces of these sets together, unless there are too many.
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
    // If the sets of several capacities differ, no single list of races describes all of them.
    let races = match all {
        [outcomes] => outcomes.races(program),
        _ => Vec::new(),
    };
    Allowed { traces, complete: false, races }
}

/// All traces in a fixed order, this one first.
fn first_of(first: Trace, mut traces: HashSet<Trace>) -> Vec<Trace> {
    traces.remove(&first);
    let mut traces: Vec<Trace> = traces.into_iter().collect();
    traces.sort_by(|a, b| (&a.steps, &a.exits).cmp(&(&b.steps, &b.exits)));
    traces.insert(0, first);
    traces
}
