//! Alternatives of a line (`=> ok or broken`): each must be an outcome that a correct implementation can have.

use crate::model::{self, AfterCancel, Choices};
use crate::scenario::{Outcome, ParseError, Scenario, Verb};
use crate::trace::{Allowed, StepState, Trace};

/// The error for the first alternative that no correct implementation yields, whatever it chose where the specification
/// leaves a choice.
pub(super) fn impossible_alternative(scenario: &Scenario, allowed: &Allowed) -> Option<ParseError> {
    let has_alternatives = scenario.steps.iter().any(|step| step.expected.len() > 1);
    if !has_alternatives || !allowed.complete {
        return None;
    }
    let mut traces = allowed.traces.clone();
    for (_, choices) in other_choices() {
        let other = model::allowed(scenario, choices);
        if !other.complete {
            return None;
        }
        traces.extend(other.traces);
    }
    scenario.steps.iter().enumerate().find_map(|(index, step)| {
        let yielded: Vec<&StepState> =
            traces.iter().map(|trace: &Trace| &trace.steps[index]).collect();
        let is_possible = |outcome: &&Outcome| {
            yielded
                .iter()
                .any(|state| state.satisfies(outcome) || is_left_open(&step.verb, state, outcome))
        };
        let alternatives = step.expected.iter().filter(|_| step.expected.len() > 1);
        let impossible = alternatives.into_iter().find(|outcome| !is_possible(outcome))?;
        let (column, width) = step.position.outcome.unwrap_or((step.position.what, 1));
        Some(ParseError {
            message: format!("no correct implementation comes to {impossible} here"),
            hint: "leave out this alternative: the model never yields it".into(),
            line: step.position.line,
            column,
            width,
        })
    })
}

/// Choices that the specification leaves to an implementation, each other than the suite's own, as in a manifest.
pub(super) fn other_choices() -> [(&'static str, Choices); 4] {
    let suite = Choices::default();
    [
        ("late-get = \"waits\"", Choices { late_get_waits: !suite.late_get_waits, ..suite }),
        ("max-message = 1TiB", Choices { max_message: 1 << 40, ..suite }),
        ("start-needs = 0", Choices { start_needs: 0, ..suite }),
        ("after-cancel = \"poison\"", Choices { after_cancel: AfterCancel::Poison, ..suite }),
    ]
}

/// Whether the specification leaves open which of two outcomes a step has, although the model yields only one of them.
fn is_left_open(verb: &Verb, state: &StepState, alternative: &Outcome) -> bool {
    let StepState::Completed { outcome: yielded, .. } = state else { return false };
    let is_refusal =
        |outcome: &Outcome| matches!(outcome, Outcome::Closed | Outcome::Locked | Outcome::Misuse);
    let is_status = |outcome: &Outcome| matches!(outcome, Outcome::Exit(_) | Outcome::Signal(_));
    // A call that is refused for two reasons may name either.
    let is_other_refusal = is_refusal(yielded) && is_refusal(alternative);
    // Two parties that reap one child: the one that comes second finds no child, and how it says so is its own choice.
    let reaps = matches!(verb, Verb::Join { .. } | Verb::Child { .. });
    let is_second =
        |outcome: &Outcome| *outcome == Outcome::Os("ECHILD".into()) || *outcome == Outcome::Misuse;
    is_other_refusal || (reaps && is_status(yielded) && is_second(alternative))
}
