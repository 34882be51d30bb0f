//! What `check` says about a scenario in addition to errors in its lines: that the model cannot find all outcomes, that a
//! child is never joined, that the file does not apply to implementations with other choices.

use super::ScenarioFile;
use super::alternatives::other_choices;
use crate::model::{self, Choices};
use crate::scenario::{ChildAct, Outcome, ParseError, Scenario, Verb};
use crate::trace::disagreement;
use ecow::EcoString;
use std::collections::BTreeSet;

/// How many lines or children a message names.
const MAX_NAMED: usize = 3;

impl ScenarioFile {
    /// What may be a mistake in a scenario that the model agrees with, one sentence each.
    #[must_use]
    pub fn notes(&self, scenario: &Scenario) -> Vec<String> {
        let path = self.path.display();
        let unjoined = never_joined(scenario);
        let is_or_are = if unjoined.len() == 1 { "is" } else { "are" };
        let unjoined = (!unjoined.is_empty())
            .then(|| format!("note: {path}: {} {is_or_are} never joined", some_of(&unjoined)));
        let others = other_choices(scenario).into_iter().filter_map(|(name, choices)| {
            let mismatch = disagreement(scenario, &model::predict(scenario, choices))?;
            let line = scenario.steps[mismatch.step].position.line;
            Some(format!(
                "note: {path}:{line}: with {name} in a manifest it is {}, not {}",
                mismatch.got, mismatch.expected
            ))
        });
        unjoined.into_iter().chain(others).collect()
    }
}

/// The children that no step waits for, in the order in which they are spawned.
fn never_joined(scenario: &Scenario) -> Vec<String> {
    let waited_for = scenario.steps.iter().filter_map(|step| match &step.verb {
        Verb::Join { child }
        | Verb::Child { child, act: ChildAct::Reap | ChildAct::Reaped | ChildAct::Stall } => {
            Some(child)
        }
        _ => None,
    });
    let waited_for: BTreeSet<&EcoString> = waited_for.collect();
    let spawned = scenario.steps.iter().filter_map(|step| match &step.verb {
        Verb::Spawn { child, .. }
            if !waited_for.contains(child)
                && !scenario.outlives().any(|name| name == child)
                && step.expected.contains(&Outcome::Ok) =>
        {
            Some(child.to_string())
        }
        _ => None,
    });
    spawned.collect()
}

/// The error for a scenario with more outcomes than the model can find, at the first step that races.
pub(super) fn unknown_outcomes(scenario: &Scenario, choices: Choices) -> ParseError {
    let racing = model::racing_steps(scenario, choices);
    let lines: BTreeSet<usize> =
        racing.iter().map(|step| scenario.steps[*step].position.line).collect();
    let lines: Vec<String> = lines.iter().map(|line| format!("line {line}")).collect();
    let message = format!("the model cannot find all outcomes: {} race", some_of(&lines));
    let hint = "let the steps wait for each other, or make the scenario smaller";
    match racing.first() {
        Some(step) => ParseError::at_action(&scenario.steps[*step], message, hint),
        None => ParseError::at_action(&scenario.steps[0], message, hint),
    }
}

fn some_of(names: &[String]) -> String {
    match names.len().saturating_sub(MAX_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..MAX_NAMED].join(", ")),
    }
}
