//! What a correct implementation does: one pass over a scenario, or all that can come of it.
//!
//! Pure: no processes, clocks or adapters. Scripts are straight lines. Where no two steps race (each end of a pipe has one
//! owner: a Kahn network) any order of steps that the pipes allow comes to the same outcomes, and the story's is walked;
//! where they do, the states that can be reached are searched. Time limits run on a clock of the model's own, which
//! moves only when nothing else can.

mod state;
mod mutation;
mod transitions;
mod processes;
mod pipe;
mod race_detector;
mod state_space;
mod kill_points;
mod simulation;

pub use mutation::Mutation;
pub use state_space::Deadlock;

use crate::scenario::{Scenario, TaskId};
use crate::trace::{Allowed, InjectionPoint, Schedule, Trace};
use serde::{Deserialize, Serialize};
use state::State;

/// The least that a pipe is sure to hold, in bytes (POSIX's PIPE_BUF).
pub const CAPACITY_MIN: u64 = 512;
/// The most that a pipe is allowed to hold, in bytes.
pub const CAPACITY_MAX: u64 = 1 << 20;

/// Where an implementation may choose, what it chose. The default is what the suite's traces are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// The longest message, in bytes; a longer one is refused before anything is written.
    pub max_message: u64,
    /// Whether a get that has a part of a message waits for the rest, whatever its time limit says. Else it gives up,
    /// and the next get goes on with that message.
    pub late_get_waits: bool,
    /// How many free descriptors a start needs; with fewer it fails.
    pub start_needs: u64,
    /// What it does wrong, on purpose: a scenario is worth something only if some fault changes what it comes to.
    #[serde(skip)]
    pub mutation: Option<Mutation>,
}

impl Default for Choices {
    fn default() -> Self {
        Self { max_message: (1 << 31) - 1, late_get_waits: false, start_needs: 2, mutation: None }
    }
}

/// Which of the steps that may begin is released next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReleaseOrder {
    /// The one that stands first.
    #[default]
    File,
    /// By this seed: every task_id has a rank, which changes at a few places.
    Random(u64),
    /// That of these task_ids, one after the other; then as in the story.
    Given(Vec<TaskId>),
}

/// What a correct implementation makes of the scenario in story order.
#[must_use]
pub fn predict(scenario: &Scenario, choices: Choices) -> Trace {
    simulation::trace(State::start(scenario, CAPACITY_MIN, choices), &ReleaseOrder::File)
}

/// Everything that a correct implementation may make of it. Past a bound the set is not whole.
#[must_use]
pub fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    state_space::allowed(scenario, choices)
}

/// What it makes of it if the steps are released in this order, and the plan to do so. A step that a small pipe would
/// hold up may stay open until its reader comes.
#[must_use]
pub fn in_order(scenario: &Scenario, choices: Choices, order: &ReleaseOrder) -> (Trace, Schedule) {
    let (state, plan) = simulation::walk(State::start(scenario, CAPACITY_MIN, choices), order);
    (state.trace(), plan)
}

/// The story order of releases.
#[must_use]
pub fn schedule(scenario: &Scenario, choices: Choices) -> Schedule {
    in_order(scenario, choices, &ReleaseOrder::File).1
}

/// All orders of releases that do not only swap what commutes; none if there are too many to walk.
#[must_use]
pub fn orders(scenario: &Scenario, choices: Choices) -> Option<Vec<Vec<TaskId>>> {
    state_space::orders(scenario, choices)
}

/// Whether it stops before its end, and for which pipes.
#[must_use]
pub fn deadlock(scenario: &Scenario, choices: Choices) -> Deadlock {
    state_space::deadlock(scenario, choices)
}

/// Where its processes can be struck down from outside.
#[must_use]
pub fn injection_points(scenario: &Scenario, choices: Choices) -> Vec<InjectionPoint> {
    kill_points::injection_points(scenario, choices)
}

/// What may come of it if one is, and the plan.
#[must_use]
pub fn allowed_if_killed(
    scenario: &Scenario,
    choices: Choices,
    strike: InjectionPoint,
) -> (Allowed, Schedule) {
    kill_points::allowed_if_killed(scenario, choices, strike)
}

/// Whether so many random orders, with pipes that hold little and with pipes that hold much, all come to the same.
#[must_use]
pub fn is_steady(scenario: &Scenario, choices: Choices, orders: u64) -> bool {
    let story = predict(scenario, choices);
    let same = |capacity, seed| {
        simulation::trace(State::start(scenario, capacity, choices), &ReleaseOrder::Random(seed))
            == story
    };
    (0..orders).all(|seed| same(CAPACITY_MIN, seed) && same(CAPACITY_MAX, seed))
}

/// Whether the outcome depends on how much a pipe holds: such a scenario asks different things on different systems.
#[must_use]
pub fn depends_on_capacity(scenario: &Scenario) -> bool {
    !state_space::is_portable(scenario, Choices::default())
}

#[cfg(test)]
mod tests;
