//! Of all allowed traces, the one that a run is, or that it follows longest.

use super::comparison::fill_unobservable;
use crate::scenario::Scenario;
use crate::trace::{Allowed, ProcessExit, StepState, Trace, is_unexpected};

/// The allowed trace that agrees with what happened, and true; or the one that it differs from last, and false.
pub(super) fn closest_trace<'a>(
    scenario: &Scenario,
    allowed: &'a Allowed,
    observed: &Trace,
) -> (&'a Trace, bool) {
    let mut best = (allowed.in_file_order(), 0);
    for predicted in &allowed.traces {
        let trace = fill_unobservable(scenario, observed, predicted);
        let steps = 0..scenario.steps.len();
        let first = steps.clone().find(|step| !same(scenario, allowed, predicted, &trace, *step));
        let until = match first {
            None if trace.exits == predicted.exits => return (predicted, true),
            first => first.unwrap_or(steps.end),
        };
        if until > best.1 {
            best = (predicted, until);
        }
    }
    (best.0, false)
}

/// Whether the outcome of a step is the predicted one.
///
/// Where the line allows several outcomes, any of them is accepted if the model has only one answer, or if none of its
/// answers came: the specification leaves it open. How far a step got whose process was killed is unknown.
pub(super) fn same(
    scenario: &Scenario,
    allowed: &Allowed,
    predicted: &Trace,
    trace: &Trace,
    step: usize,
) -> bool {
    let killed = |trace: &Trace| {
        matches!(
            trace.exits.get(&scenario.steps[step].task_id.process),
            Some(ProcessExit::Signal(_))
        )
    };
    let (must, came) = (&predicted.steps[step], &trace.steps[step]);
    let alike = |one: &StepState, other: &StepState| match (one, other) {
        (
            StepState::Completed { outcome: one, .. },
            StepState::Completed { outcome: other, .. },
        ) => one == other,
        (one, other) => one == other,
    };
    let mut answers = allowed.traces.iter().map(|trace| &trace.steps[step]);
    let is_open = scenario.steps[step].expected.len() > 1
        && !is_unexpected(scenario, trace, step)
        && (answers.clone().all(|answer| alike(answer, must))
            || !answers.any(|answer| alike(answer, came)));
    match (must, came) {
        (must, StepState::Pending) if *must != StepState::Pending => killed(predicted),
        _ => is_open || alike(must, came),
    }
}
