//! What a variant changes in a scenario, as data: inserted steps, and other expected outcomes.

use crate::scenario::{Outcome, Scenario, Step};
use crate::trace::Allowed;

/// The changes of one variant. The scenario of the file stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Steps to insert before the step with this index.
    pub inserted: Option<(usize, Vec<Step>)>,
    /// The expected outcomes of each step, if they differ from those of the file.
    pub expected: Option<Vec<Vec<Outcome>>>,
}

impl Edits {
    /// Inserts steps before a step.
    #[must_use]
    pub fn insert(before: usize, steps: Vec<Step>) -> Self {
        Self { inserted: Some((before, steps)), expected: None }
    }

    /// Expects what the model allows. A line that allows several outcomes keeps them, since the specification leaves them
    /// open.
    #[must_use]
    pub fn expect(scenario: &Scenario, allowed: &Allowed) -> Self {
        let outcomes = |(index, step): (usize, &Step)| {
            let mut outcomes =
                if step.expected.len() > 1 { step.expected.to_vec() } else { Vec::new() };
            for trace in &allowed.traces {
                let outcome = trace.steps[index].as_outcome();
                if !outcomes.contains(&outcome) {
                    outcomes.push(outcome);
                }
            }
            outcomes
        };
        let expected = scenario.steps.iter().enumerate().map(outcomes).collect();
        Self { inserted: None, expected: Some(expected) }
    }

    /// Returns the scenario with these changes.
    #[must_use]
    pub fn apply(&self, scenario: &Scenario) -> Scenario {
        let mut steps = scenario.steps.to_vec();
        if let Some(expected) = &self.expected {
            for (step, expected) in steps.iter_mut().zip(expected) {
                step.expected = expected.clone().into();
            }
        }
        if let Some((before, inserted)) = &self.inserted {
            steps.splice(*before..*before, inserted.iter().cloned());
        }
        scenario.with_steps(steps)
    }
}
