//! All outcomes of a scenario: one run where nothing races, a search of the reachable states where something does.
//!
//! The search visits each state once, whatever order of transitions leads to it. When it reaches a bound, it says that
//! the result is incomplete.

use super::independence::IndependentSteps;
use super::program::Program;
use super::simulation::run;
use super::state::State;
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::Scenario;
use crate::trace::{Allowed, Trace};
use std::collections::HashSet;

/// The most states that are visited.
const MAX_STATES: usize = 4_000;
/// The most traces that are enumerated.
const MAX_TRACES: usize = 1_000;

/// The capacities at which a racing scenario is compared with itself.
const OTHER_CAPACITIES: [u64; 7] =
    [CAPACITY_MAX, 64 << 10, 4 << 10, 32 << 10, 128 << 10, 256 << 10, 512 << 10];

/// Every correct trace, that of file order first.
pub(super) fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let (end, _) = run(State::start(&program).with_race_detector(), &ReleaseOrder::File);
    let first = end.trace();
    if !end.has_races() {
        return Allowed::one(first);
    }
    let mut traces = HashSet::from([first.clone()]);
    let complete = [CAPACITY_MIN, CAPACITY_MAX].into_iter().all(|capacity| {
        let (more, complete) = traces_at(scenario, choices, capacity);
        traces.extend(more);
        complete && traces.len() <= MAX_TRACES
    });
    traces.remove(&first);
    let mut traces: Vec<Trace> = traces.into_iter().collect();
    traces.sort_by(|a, b| (&a.steps, &a.exits).cmp(&(&b.steps, &b.exits)));
    traces.insert(0, first);
    Allowed { traces, complete }
}

/// Whether the outcomes are the same for every capacity of pipes.
pub(super) fn is_portable(scenario: &Scenario, choices: Choices) -> bool {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    let (end, _) = run(State::start(&small).with_race_detector(), &ReleaseOrder::File);
    if !end.has_races() {
        // Without races, more room never makes a scenario block, so the two ends of the range are enough.
        let large = Program::new(scenario, CAPACITY_MAX, choices);
        return end.trace() == super::simulation::trace(&large, &ReleaseOrder::File);
    }
    let smallest = traces_at(scenario, choices, CAPACITY_MIN);
    OTHER_CAPACITIES.into_iter().all(|capacity| traces_at(scenario, choices, capacity) == smallest)
}

/// The traces with pipes of this capacity, and whether these are all.
fn traces_at(scenario: &Scenario, choices: Choices, capacity: u64) -> (HashSet<Trace>, bool) {
    let program = Program::new(scenario, capacity, choices);
    let mut state = State::start(&program);
    state.is_fine_grained = true;
    let mut search = Search::default();
    let complete = search.visit(state, &IndependentSteps::of(scenario));
    (search.traces, complete)
}

#[derive(Default)]
struct Search {
    visited: HashSet<u64>,
    traces: HashSet<Trace>,
}

impl Search {
    /// Visits every state that can be reached from this one. Returns `false` if a bound was reached.
    fn visit(&mut self, initial: State<'_>, independent: &IndependentSteps) -> bool {
        let mut pending = vec![initial];
        while let Some(mut state) = pending.pop() {
            if !self.visited.insert(state.fingerprint()) {
                continue;
            }
            if self.visited.len() > MAX_STATES || self.traces.len() > MAX_TRACES {
                return false;
            }
            let mut transitions = state.transitions();
            if let Some(step) = independent.first_of(&state, &transitions) {
                transitions = vec![step];
            }
            match transitions.pop() {
                None if state.settle().is_some() => pending.push(state),
                None => drop(self.traces.insert(state.trace())),
                Some(last) => {
                    for transition in transitions {
                        let mut next = state.clone();
                        next.advance(transition);
                        pending.push(next);
                    }
                    state.advance(last);
                    pending.push(state);
                }
            }
        }
        true
    }
}
