//! What is probably not meant in a scenario, although the model agrees with it.

use crate::model::{self, Choices};
use crate::scenario::{Outcome, ParseError, Scenario, Severity, Verb};

/// How long a slow machine may take for what follows a pause, in milliseconds.
const LATE_MS: u64 = 60_000;

/// Warnings for the steps whose time limit would pass if the pauses of other tasks took longer: such a step depends on
/// the speed of the machine.
pub(super) fn pauses_that_race_with_a_limit(scenario: &Scenario) -> Vec<ParseError> {
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
