//! Whether a scenario waits forever, and for which capacities of pipes.

use super::program::Program;
use super::simulation;
use super::state_space::allowed;
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::Scenario;
use crate::trace::{ProcessExit, StepState, Trace};

/// Whether a scenario blocks before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlock {
    /// In no order of steps.
    Cannot,
    /// In some orders.
    Can,
    /// In every order.
    Must,
    /// Only if a pipe holds fewer than this many bytes.
    Below(u64),
    /// Unknown, because there are too many outcomes.
    Unknown,
}

pub(super) fn deadlock(scenario: &Scenario, choices: Choices) -> Deadlock {
    let allowed = allowed(scenario, choices);
    let blocking = allowed.traces.iter().filter(|trace| blocks(trace)).count();
    // If races are not enumerated, the traces contain every outcome, but not every combination.
    if !allowed.complete && (allowed.races.is_empty() || blocking > 0) {
        return Deadlock::Unknown;
    }
    if blocking > 0 && blocking < allowed.traces.len() {
        return Deadlock::Can;
    }
    let blocks_at = |capacity| {
        let program = Program::new(scenario, capacity, choices);
        blocks(&simulation::trace(&program, &ReleaseOrder::File))
    };
    match (blocks_at(CAPACITY_MIN), blocks_at(CAPACITY_MAX)) {
        (true, false) => Deadlock::Below(least_capacity(blocks_at)),
        (true, true) => Deadlock::Must,
        (false, _) => Deadlock::Cannot,
    }
}

/// The smallest capacity at which the scenario does not block. More room never makes a scenario without races block.
fn least_capacity(blocks_at: impl Fn(u64) -> bool) -> u64 {
    let (mut blocking, mut sufficient) = (CAPACITY_MIN, CAPACITY_MAX);
    while blocking + 1 < sufficient {
        let middle = blocking.midpoint(sufficient);
        if blocks_at(middle) {
            blocking = middle;
        } else {
            sufficient = middle;
        }
    }
    sufficient
}

/// Whether a process that has not ended waits.
fn blocks(trace: &Trace) -> bool {
    trace.exits.values().any(|exit| *exit == ProcessExit::Running)
        && trace.steps.contains(&StepState::Pending)
}
