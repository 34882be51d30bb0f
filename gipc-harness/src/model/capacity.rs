//! Whether the capacity of pipes decides what a run in file order does.

use super::program::Program;
use super::state::State;
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder, simulation};
use crate::scenario::{Scenario, Verb};
use crate::trace::{Schedule, Trace};

/// A run in file order: its outcomes, and which step each `until` has seen blocked.
struct FileOrderRun {
    trace: Trace,
    /// By step; `None` for a step that is no `until`, or that has not completed. Empty if no step is one.
    blocked: Vec<Option<usize>>,
}

impl FileOrderRun {
    fn new(program: &Program<'_>) -> Self {
        let is_until = |step| matches!(program.verb(step), Verb::Until { .. });
        if !(0..program.steps.len()).any(is_until) {
            return Self {
                trace: simulation::trace(program, &ReleaseOrder::File),
                blocked: Vec::new(),
            };
        }
        let (end, schedule) = simulation::run(State::start(program), &ReleaseOrder::File);
        Self { trace: end.into_trace(), blocked: blocked_steps(program, &schedule) }
    }

    /// The first step that has another outcome in the other run.
    fn first_other_outcome(&self, other: &Self) -> Option<usize> {
        let first = (0..self.trace.steps.len())
            .find(|step| self.trace.steps[*step] != other.trace.steps[*step]);
        first.or_else(|| (self.trace != other.trace).then_some(0))
    }

    /// The first `until` that waits for another step to block in the other run.
    ///
    /// A schedule is made for the smallest pipes. If an `until` waits for a later step where pipes are larger, the schedule
    /// releases that step too late.
    fn first_other_wait(&self, other: &Self) -> Option<usize> {
        let waits = self.blocked.iter().zip(&other.blocked);
        let mut waits = waits.map(|(one, other)| one.is_some() && other.is_some() && one != other);
        waits.position(|is_other| is_other)
    }
}

/// For each `until` that has completed, the step in which its task was then.
fn blocked_steps(program: &Program<'_>, schedule: &Schedule) -> Vec<Option<usize>> {
    let mut latest = vec![None; program.tasks.len()];
    let mut blocked = vec![None; program.steps.len()];
    for release in &schedule.releases {
        latest[program.steps[release.step].task] = Some(release.step);
        for step in &release.completes {
            if matches!(program.verb(*step), Verb::Until { .. }) {
                blocked[*step] = program.steps[*step].target.and_then(|task| latest[task]);
            }
        }
    }
    blocked
}

/// The runs with the smallest and with the largest pipes, unless they are the same for certain.
fn extremes(scenario: &Scenario, choices: Choices) -> Option<[FileOrderRun; 2]> {
    // One program after the other: each has as many entries as the scenario has steps.
    let run = |capacity| {
        let program = Program::new(scenario, capacity, choices);
        program.depends_on_capacity().then(|| FileOrderRun::new(&program))
    };
    Some([run(CAPACITY_MIN)?, run(CAPACITY_MAX)?])
}

/// The first step whose outcome in file order depends on the capacity of pipes, or that waits for a step to block that
/// depends on it.
///
/// Without races, more room never makes a scenario block, so the two ends of the range are enough.
pub(super) fn first_dependent_step(scenario: &Scenario, choices: Choices) -> Option<usize> {
    let [small, large] = extremes(scenario, choices)?;
    let outcome = small.first_other_outcome(&large);
    let wait = small.first_other_wait(&large);
    [outcome, wait].into_iter().flatten().min()
}

/// The first `until` that waits for a step to block that depends on the capacity of pipes.
pub(super) fn first_dependent_wait(scenario: &Scenario, choices: Choices) -> Option<usize> {
    let [small, large] = extremes(scenario, choices)?;
    small.first_other_wait(&large)
}
