//! Finds the allowed trace that a run agrees with, or agrees with for the most steps.

use super::comparison::fill_unobservable;
use crate::scenario::{Scenario, Verb};
use crate::trace::{Allowed, ProcessExit, StepState, Trace, is_unexpected};

/// Finds the allowed trace that is closest to the observed one. Returns the trace that agrees with it, and true; or else the
/// trace whose first difference is in the latest step, and false.
pub(super) fn closest_trace<'a>(
    scenario: &Scenario,
    allowed: &'a Allowed,
    observed: &Trace,
) -> (&'a Trace, bool) {
    let (mut closest, mut most_equal_steps) = (allowed.in_file_order(), 0);
    for predicted in &allowed.traces {
        let trace = fill_unobservable(scenario, observed, predicted);
        let steps = 0..scenario.steps.len();
        let first_difference =
            steps.clone().find(|step| !same(scenario, allowed, predicted, &trace, *step));
        let equal_steps = match first_difference {
            None if trace.exits == predicted.exits => return (predicted, true),
            difference => difference.unwrap_or(steps.end),
        };
        if equal_steps > most_equal_steps {
            (closest, most_equal_steps) = (predicted, equal_steps);
        }
    }
    (closest, false)
}

/// Whether the outcome of a step is the predicted one.
///
/// If the file allows several outcomes, the specification leaves the outcome open: any of them is accepted if the
/// model predicts the same one in all its traces, or if the actual one is in none of its traces. A step that is pending
/// because its process was killed is accepted, since it is unknown how far it got. If another task ends the process, a pending
/// step may have done nothing: an agent says that a step begins before it does anything.
pub(super) fn same(
    scenario: &Scenario,
    allowed: &Allowed,
    predicted: &Trace,
    trace: &Trace,
    step: usize,
) -> bool {
    let task_id = &scenario.steps[step].task_id;
    let is_killed = |trace: &Trace| {
        matches!(trace.exits.get(task_id.process.as_str()), Some(ProcessExit::Signal(_)))
    };
    let exits_meanwhile = || {
        scenario.steps.iter().any(|other| {
            matches!(other.verb, Verb::Exit { .. } | Verb::Raise)
                && other.task_id.process == task_id.process
                && other.task_id != *task_id
        })
    };
    let (expected, actual) = (&predicted.steps[step], &trace.steps[step]);
    let is_alike = |one: &StepState, other: &StepState| match (one, other) {
        (
            StepState::Completed { outcome: one, .. },
            StepState::Completed { outcome: other, .. },
        ) => one == other,
        (one, other) => one == other,
    };
    let mut predictions = allowed.traces.iter().map(|trace| &trace.steps[step]);
    let is_open = scenario.steps[step].expected.len() > 1
        && !is_unexpected(scenario, trace, step)
        && (predictions.clone().all(|prediction| is_alike(prediction, expected))
            || !predictions.any(|prediction| is_alike(prediction, actual)));
    match (expected, actual) {
        (StepState::NotStarted, StepState::Pending) if exits_meanwhile() => true,
        (expected, StepState::Pending) if *expected != StepState::Pending => is_killed(predicted),
        _ => is_open || is_alike(expected, actual),
    }
}
