//! Warns about what is probably unintended in a scenario although the model agrees with it.

use crate::model::{self, Choices, SAFE_LIMIT_MS};
use crate::scenario::{Outcome, ParseError, Scenario, Severity, Step, Verb};
use crate::trace::StepState;

/// How long what follows a pause may take on a slow machine, in milliseconds.
const LATE_MS: u64 = 60_000;

/// All warnings, at most one for each line, in the order of the lines.
pub(super) fn warnings(scenario: &Scenario) -> Vec<ParseError> {
    let mut warnings = pauses_that_race_with_a_limit(scenario);
    warnings.extend(limits_that_race_with_the_machine(scenario));
    warnings.sort_by_key(|warning| warning.line);
    warnings.dedup_by_key(|warning| warning.line);
    warnings
}

/// Warnings for the steps that have to complete within a short time limit.
fn limits_that_race_with_the_machine(scenario: &Scenario) -> Vec<ParseError> {
    let has_short_limit = |step: &Step| {
        step.within_ms.is_some_and(|limit| 0 < limit && u64::from(limit) < SAFE_LIMIT_MS)
    };
    if !scenario.steps.iter().any(has_short_limit) {
        return Vec::new();
    }
    let trace = model::predict(scenario, Choices::default());
    let may_expire = |outcome: &Outcome| matches!(outcome, Outcome::Timeout | Outcome::Running);
    let is_refusal = |state: &StepState| matches!(state, StepState::Completed { outcome, .. } if may_expire(outcome) || outcome.is_refusal());
    let steps = scenario.steps.iter().zip(&trace.steps);
    let late = steps.filter(|(step, state)| {
        has_short_limit(step)
            && matches!(state, StepState::Completed { .. })
            && !is_refusal(state)
            && !step.expected.iter().any(may_expire)
    });
    late.map(|(step, _)| {
        let message = "this step has to complete within a short limit";
        let hint = format!(
            "on a busy machine the limit expires first: write at least {SAFE_LIMIT_MS}ms, or let nothing complete the step"
        );
        let warning = ParseError::at_action(step, message, hint);
        ParseError { severity: Severity::Warning, ..warning }
    })
    .collect()
}

/// Warnings for the steps whose time limit would pass if the pauses of other tasks took longer: such a step depends on
/// the speed of the machine.
fn pauses_that_race_with_a_limit(scenario: &Scenario) -> Vec<ParseError> {
    let limited = |index: &usize| {
        let step = &scenario.steps[*index];
        step.within_ms.is_some() && !step.expected.contains(&Outcome::Timeout)
    };
    let limited: Vec<usize> = (0..scenario.steps.len()).filter(limited).collect();
    let mut warnings: Vec<ParseError> = Vec::new();
    for index in limited {
        let step = &scenario.steps[index];
        let mut steps = scenario.steps.to_vec();
        let mut pause = None;
        for other in steps.iter_mut().filter(|other| other.task_id != step.task_id) {
            if let Verb::Pause { ms } = &mut other.verb {
                *ms = LATE_MS;
                pause = pause.or(Some(other.position.line));
            }
        }
        let Some(line) = pause else { continue };
        let late = model::predict(&scenario.with_steps(steps), Choices::default());
        let is_reported = warnings.iter().any(|warning| warning.line == step.position.line);
        if !late.steps[index].is(&Outcome::Timeout) || is_reported {
            continue;
        }
        let message = format!("this time limit races with the pause in line {line}");
        let hint =
            "on a slow machine it passes first: let a message or `until WHO blocks` give the order";
        let warning = ParseError::at_action(step, message, hint);
        warnings.push(ParseError { severity: Severity::Warning, ..warning });
    }
    warnings
}
