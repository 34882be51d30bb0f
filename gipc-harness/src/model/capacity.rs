//! Whether the capacity of pipes changes what a run in file order does.

use super::program::Program;
use super::state::State;
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder, simulation};
use crate::scenario::{Scenario, Verb};
use crate::trace::{Schedule, Trace};
use std::borrow::Cow;

fn has_untils(program: &Program<'_>) -> bool {
    let mut steps = program.scenario.steps.iter();
    steps.any(|step| matches!(step.verb, Verb::Until { .. }))
}

/// For each `until` that has completed, the step that its task was blocked in.
fn blocked_steps(program: &Program<'_>, schedule: &Schedule) -> Vec<Option<usize>> {
    let mut latest = vec![None; program.tasks.len()];
    let mut blocked = vec![None; program.step_count()];
    for release in &schedule.releases {
        latest[program.step(release.step).task] = Some(release.step);
        for step in &release.completes {
            if matches!(program.verb(*step), Verb::Until { .. }) {
                blocked[*step] = program.step(*step).target.and_then(|task| latest[task]);
            }
        }
    }
    blocked
}

/// What larger pipes change in a run in file order.
struct Dependence {
    /// The first step that has another outcome.
    outcome: Option<usize>,
    /// The first `until` whose task blocks in another step.
    ///
    /// A schedule is made for the smallest pipes. If the task of an `until` blocks only in a later step where pipes are
    /// larger, the schedule releases that step too late.
    wait: Option<usize>,
}

/// What the largest pipes change in a run with the smallest ones; `None` if they certainly change nothing.
fn dependence(small: Program<'_>, trace: Option<&Trace>) -> Option<Dependence> {
    if !small.depends_on_capacity() {
        return None;
    }
    // Only one of the two traces is kept: a trace has an outcome for each of up to 250,000 steps.
    let (own, blocked) = match (trace, has_untils(&small)) {
        (Some(trace), false) => (Cow::Borrowed(trace), Vec::new()),
        (None, false) => (Cow::Owned(simulation::trace(&small, &ReleaseOrder::File)), Vec::new()),
        (_, true) => {
            let (end, schedule) = simulation::run(State::start(&small), &ReleaseOrder::File);
            (Cow::Owned(end.into_trace()), blocked_steps(&small, &schedule))
        }
    };
    let large = small.with_capacity(CAPACITY_MAX);
    let start = State::start_comparison(&large, &own);
    if blocked.is_empty() {
        let end = simulation::run_to_end(start, &ReleaseOrder::File);
        return Some(Dependence { outcome: end.history.first_difference(&large), wait: None });
    }
    let (end, schedule) = simulation::run(start, &ReleaseOrder::File);
    let others = blocked_steps(&large, &schedule);
    let mut waits = blocked.iter().zip(&others);
    let wait = waits.position(|(one, other)| one.is_some() && other.is_some() && one != other);
    Some(Dependence { outcome: end.history.first_difference(&large), wait })
}

/// The first step whose outcome in file order depends on the capacity of pipes, or the first `until` whose task blocks in a
/// step that depends on it.
///
/// Without races, more room never makes a scenario block, so it is enough to compare the smallest and the largest capacity.
pub(super) fn first_dependent_step(scenario: &Scenario, choices: Choices) -> Option<usize> {
    let Dependence { outcome, wait } =
        dependence(Program::new(scenario, CAPACITY_MIN, choices), None)?;
    [outcome, wait].into_iter().flatten().min()
}

/// Whether there is such a step in a program with the smallest pipes, whose run in file order gave this trace.
pub(super) fn is_dependent(small: Program<'_>, trace: &Trace) -> bool {
    dependence(small, Some(trace))
        .is_some_and(|dependence| dependence.outcome.is_some() || dependence.wait.is_some())
}

/// The first `until` whose task blocks in a step that depends on the capacity of pipes.
pub(super) fn first_dependent_wait(scenario: &Scenario, choices: Choices) -> Option<usize> {
    dependence(Program::new(scenario, CAPACITY_MIN, choices), None)?.wait
}
