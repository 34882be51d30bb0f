//! Whether the capacity of pipes decides what a run in file order does.

use super::program::Program;
use super::state::State;
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder, simulation};
use crate::scenario::{Scenario, Verb};
use crate::trace::{Schedule, Trace};

/// A run in file order: its outcomes, and which step each `until` has seen blocked.
struct FileOrderRun {
    trace: Trace,
    /// By step; `None` for a step that is no `until`, or that has not completed.
    blocked: Vec<Option<usize>>,
}

impl FileOrderRun {
    fn new(program: &Program<'_>) -> Self {
        let (end, schedule) = simulation::run(State::start(program), &ReleaseOrder::File);
        Self { trace: end.into_trace(), blocked: blocked_steps(program, &schedule) }
    }

    /// The first step that has another outcome in the other run, or that waits there for another step to block.
    ///
    /// A schedule is made for the smallest pipes. If an `until` waits for a later step where pipes are larger, the schedule
    /// releases that step too late.
    fn first_difference(&self, other: &Self) -> Option<usize> {
        let differs = |step: &usize| {
            self.trace.steps[*step] != other.trace.steps[*step]
                || self.blocked[*step] != other.blocked[*step]
        };
        let first = (0..self.blocked.len()).find(differs);
        first.or_else(|| (self.trace != other.trace).then_some(0))
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

/// The first step whose outcome in file order depends on the capacity of pipes, or that waits for a step to block that
/// depends on it.
///
/// Without races, more room never makes a scenario block, so the two ends of the range are enough.
pub(super) fn first_dependent_step(scenario: &Scenario, choices: Choices) -> Option<usize> {
    let small = Program::new(scenario, CAPACITY_MIN, choices);
    if !small.depends_on_capacity() {
        return None;
    }
    let large = Program::new(scenario, CAPACITY_MAX, choices);
    FileOrderRun::new(&small).first_difference(&FileOrderRun::new(&large))
}
