//! The oracle: predicts what a correct implementation does with a scenario.
//!
//! The model is a state-transition system without processes, clocks or adapters. Scenarios are straight-line programs. If no
//! two steps race (each end of a pipe has one owner, as in a Kahn process network), every order of steps that the pipes
//! allow gives the same outcomes, and one run in file order is enough. If steps race, the model searches the reachable
//! states. Time limits use the model's own clock, which advances only when nothing else can happen.

mod choices;
mod mutation;
mod program;
mod table;
mod tasks;
mod process;
mod buffer;
mod pipe;
mod timers;
mod start;
mod state;
mod handles;
mod transitions;
mod lifecycle;
mod signals;
mod file_outcomes;
mod vector_clock;
mod access;
mod race_detector;
mod simulation;
mod history;
mod footprint;
mod agent;
mod dependencies;
mod stubborn_set;
mod state_graph;
mod outcomes;
mod capacity;
mod state_space;
mod orders;
mod blocking;
mod kill_points;
mod limit_races;

pub use blocking::Deadlock;
pub use choices::{AfterCancel, Choices, ReleaseOrder, Unjoined};
pub use limit_races::first_limit_dependent_step;
pub use mutation::Mutation;
pub use state_space::Analysis;

use crate::scenario::{Scenario, TaskId};
use crate::trace::{Allowed, InjectionPoint, Schedule, Trace};
use program::Program;

/// The minimum number of bytes that every pipe can hold (`PIPE_BUF` of POSIX).
pub const CAPACITY_MIN: u64 = 512;
/// The maximum number of bytes that a pipe can hold.
pub const CAPACITY_MAX: u64 = 1 << 20;

/// Predicts the trace of a correct implementation when steps are released in file order.
#[must_use]
pub fn predict(scenario: &Scenario, choices: Choices) -> Trace {
    simulation::trace(&Program::new(scenario, CAPACITY_MIN, choices), &ReleaseOrder::File)
}

/// Returns every trace that a correct implementation may produce. If there are too many, the set is incomplete.
///
/// Time and memory are bounded: about half a second, and a few tens of megabytes besides the scenario.
#[must_use]
pub fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    state_space::allowed(scenario, choices)
}

/// Returns the same as [`allowed`], found by trying every order of transitions, or `None` unless the scenario is small.
///
/// Neither the race detector nor partial-order reduction is used, so tests can compare both with it.
#[must_use]
pub fn allowed_in_all_orders(scenario: &Scenario, choices: Choices) -> Option<Allowed> {
    state_space::allowed_in_all_orders(scenario, choices)
}

/// Returns the same as [`allowed`] and [`depends_on_capacity`] together, in less time than both.
#[must_use]
pub fn analyze(scenario: &Scenario, choices: Choices) -> Analysis {
    state_space::analyze(scenario, choices)
}

/// Predicts the trace, and the schedule that leads to it, when steps are released in this order. A step that waits only
/// because a pipe is small stays open in the schedule until its reader continues.
#[must_use]
pub fn in_order(scenario: &Scenario, choices: Choices, order: &ReleaseOrder) -> (Trace, Schedule) {
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let (end, schedule) = simulation::run(state::State::start(&program), order);
    (end.into_trace(), schedule)
}

/// Predicts the trace and the schedule in file order if every outcome in the file is right, even where the model contradicts
/// it.
#[must_use]
pub fn follow_file(scenario: &Scenario, choices: Choices) -> (Trace, Schedule) {
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let start = state::State { follows_file: true, ..state::State::start(&program) };
    let (end, schedule) = simulation::run(start, &ReleaseOrder::File);
    (end.into_trace(), schedule)
}

/// The shortest time limit, in milliseconds, that a step which can complete is sure to meet. On a busy machine a shorter
/// limit may expire first.
pub const SAFE_LIMIT_MS: u64 = 10_000;

/// Predicts the trace in file order if the time limits of these steps expire before the steps have done anything, as on a
/// machine that gives their process no processor time.
#[must_use]
pub fn predict_expired(
    scenario: &Scenario,
    choices: Choices,
    steps: impl IntoIterator<Item = usize>,
) -> Trace {
    let expired = steps.into_iter().collect();
    let program = Program::new(scenario, CAPACITY_MIN, choices).with_expired(expired);
    simulation::trace(&program, &ReleaseOrder::File)
}

/// Returns the schedule that releases the steps in file order.
#[must_use]
pub fn schedule(scenario: &Scenario, choices: Choices) -> Schedule {
    in_order(scenario, choices, &ReleaseOrder::File).1
}

/// Returns all orders of releases that differ in more than the sequence of independent steps, or `None` if there are too
/// many.
#[must_use]
pub fn orders(scenario: &Scenario, choices: Choices) -> Option<Vec<Vec<TaskId>>> {
    orders::orders(scenario, choices)
}

/// Returns the indices of some of the steps that race, in file order; empty if none do.
#[must_use]
pub fn racing_steps(scenario: &Scenario, choices: Choices) -> Vec<usize> {
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let start = state::State::start(&program).with_race_detector();
    let end = simulation::run_to_end(start, &ReleaseOrder::File);
    end.races.map_or_else(Vec::new, |races| races.racing_steps().collect())
}

/// Tells whether a scenario blocks before its end, and for which capacities of pipes.
#[must_use]
pub fn deadlock(scenario: &Scenario, choices: Choices) -> Deadlock {
    blocking::deadlock(scenario, choices)
}

/// Returns the points at which a process of the scenario can be killed from outside.
#[must_use]
pub fn injection_points(scenario: &Scenario, choices: Choices) -> Vec<InjectionPoint> {
    kill_points::injection_points(scenario, choices)
}

/// Returns every trace that may result if a process is killed at this point, and the schedule that leads there.
#[must_use]
pub fn allowed_if_killed(
    scenario: &Scenario,
    choices: Choices,
    point: InjectionPoint,
) -> (Allowed, Schedule) {
    kill_points::allowed_if_killed(scenario, choices, point)
}

/// Returns whether this many random orders of releases all give the trace of file order, with pipes of the smallest and
/// of the largest capacity.
#[must_use]
pub fn is_steady(scenario: &Scenario, choices: Choices, orders: u64) -> bool {
    let expected = predict(scenario, choices);
    [CAPACITY_MIN, CAPACITY_MAX].into_iter().all(|capacity| {
        let program = Program::new(scenario, capacity, choices);
        (0..orders).all(|seed| simulation::trace(&program, &ReleaseOrder::Random(seed)) == expected)
    })
}

/// Returns whether an outcome depends on how many bytes a pipe holds. Such a scenario asks different questions on
/// different systems.
#[must_use]
pub fn depends_on_capacity(scenario: &Scenario) -> bool {
    analyze(scenario, Choices::default()).depends_on_capacity
}

/// Returns the first step whose outcome in file order differs between the smallest and the largest pipe, or the first
/// `until` that waits for another step to block there.
#[must_use]
pub fn first_capacity_dependent_step(scenario: &Scenario) -> Option<usize> {
    capacity::first_dependent_step(scenario, Choices::default())
}

#[cfg(test)]
mod tests;
