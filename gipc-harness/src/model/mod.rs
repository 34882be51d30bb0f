//! What a correct implementation does: one pass over a scenario, in story order.
//!
//! Pure: no processes, clocks or adapters. Scripts are straight lines and each end of a pipe has one owner, so
//! any order of steps that the pipes allow comes to the same outcomes (a Kahn network); story order is the one
//! that is walked. Time limits run on a clock of the model's own, which moves only when nothing else can.

mod world;
mod fault;
mod act;
mod life;
mod pipe;

pub use fault::Fault;

use crate::scenario::Scenario;
use crate::trace::{Plan, Trace};
use world::World;

/// The least that a pipe is sure to hold, in bytes (POSIX's PIPE_BUF).
pub const CAPACITY_MIN: u64 = 512;
/// The most that a pipe is allowed to hold, in bytes.
pub const CAPACITY_MAX: u64 = 1 << 20;

/// Where an implementation may choose, what it chose. The default is what the suite's traces are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The longest message, in bytes; a longer one is refused before anything is written.
    pub max_message: u64,
    /// Whether a get that has a part of a message waits for the rest, whatever its time limit says. Else it gives up,
    /// and the next get goes on with that message.
    pub late_get_waits: bool,
    /// What it does wrong, on purpose: a scenario is worth something only if some fault changes what it comes to.
    pub fault: Option<Fault>,
}

impl Default for Choices {
    fn default() -> Self {
        Self { max_message: (1 << 31) - 1, late_get_waits: false, fault: None }
    }
}

/// Which of the steps that may begin is released next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that stands first.
    #[default]
    Story,
    /// Any, by this seed.
    Random(u64),
}

/// What a correct implementation makes of the scenario.
#[must_use]
pub fn predict(scenario: &Scenario, choices: Choices) -> Trace {
    World::run(scenario, CAPACITY_MIN, choices, Order::Story).0
}

/// What it makes of it if the steps are released in this order, and the order itself.
#[must_use]
pub fn in_order(scenario: &Scenario, choices: Choices, order: Order) -> (Trace, Plan) {
    World::run(scenario, CAPACITY_MIN, choices, order)
}

/// Whether so many random orders, with pipes that hold little and with pipes that hold much, all come to the same.
#[must_use]
pub fn is_steady(scenario: &Scenario, choices: Choices, orders: u64) -> bool {
    let story = predict(scenario, choices);
    let same =
        |capacity, seed| World::run(scenario, capacity, choices, Order::Random(seed)).0 == story;
    (0..orders).all(|seed| same(CAPACITY_MIN, seed) && same(CAPACITY_MAX, seed))
}

/// The story order of releases; a step that a small pipe would hold up may stay open until its reader comes.
#[must_use]
pub fn plan(scenario: &Scenario, choices: Choices) -> Plan {
    World::run(scenario, CAPACITY_MIN, choices, Order::Story).1
}

/// Whether the outcome depends on how much a pipe holds: such a scenario asks different things on different systems.
#[must_use]
pub fn depends_on_capacity(scenario: &Scenario) -> bool {
    let run = |capacity| World::run(scenario, capacity, Choices::default(), Order::Story).0;
    run(CAPACITY_MIN) != run(CAPACITY_MAX)
}

#[cfg(test)]
mod tests;
