//! What of all that can be made at random is worth to be performed: it must mean something, and the same everywhere.

use super::jobs::expecting;
use crate::model::{self, Choices};
use crate::scenario::{ChildAct, Item, Outcome, Scenario, Script, Step, Verb, parse};
use crate::trace::{Allowed, StepState, Trace};
use std::collections::BTreeSet;

/// A scenario of which more can come asks little.
const MOST: usize = 40;

/// The script with the outcomes that the model gives it, and all that is allowed; none if it cannot be meant, if what
/// comes of it depends on how much a pipe holds, or if nobody can say what may come of it.
pub(super) fn meant(script: &Script, choices: Choices) -> Option<(Scenario, Allowed)> {
    let open = parse("explored", &script.to_string()).ok()?;
    // What the generator wrote there only stands for anything.
    let mut steps = open.steps.to_vec();
    steps.iter_mut().for_each(|step| step.expected.truncate(1));
    let open = open.with_steps(steps);
    // The cheapest first: most are no good.
    if !is_orderly(&open, &model::predict(&open, choices)) {
        return None;
    }
    let allowed = model::allowed(&open, choices);
    if !allowed.complete || allowed.traces.len() > MOST || model::depends_on_capacity(&open) {
        return None;
    }
    let filled = expecting(&open, &allowed);
    // Whether a child comes must be sure, or nobody could say what to do with it.
    let unsure = |step: &Step| matches!(step.verb, Verb::Spawn { .. }) && step.expected.len() > 1;
    if filled.steps.iter().any(unsure) {
        return None;
    }
    let mut steps = filled.steps.iter();
    let mut filled = script.clone();
    for item in &mut filled.items {
        let Item::Line(line) = item else { continue };
        line.expected = steps.next()?.expected.clone();
        if line.expected == [Outcome::Ok] {
            line.expected.clear();
        }
    }
    let scenario = parse("explored", &filled.to_string()).ok()?;
    let orderly = allowed.traces.iter().all(|trace| is_orderly(&scenario, trace));
    orderly.then_some((scenario, allowed))
}

/// What becomes of children whose parent is gone is each suite's own affair, so every child is joined, and nobody
/// with children is ended from outside.
fn is_orderly(scenario: &Scenario, predicted: &Trace) -> bool {
    let mut parents = BTreeSet::from(["main"]);
    let mut alone: BTreeSet<&str> = BTreeSet::new();
    for (step, taken) in scenario.steps.iter().zip(&predicted.steps) {
        match &step.verb {
            Verb::Spawn { child, .. } if taken.is(&Outcome::Ok) => {
                parents.insert(&step.task_id.process);
                alone.insert(child);
            }
            Verb::Join { child }
                if step.task_id.task.is_none() && *taken != StepState::NotStarted =>
            {
                alone.remove(child.as_str());
            }
            _ => {}
        }
    }
    let ends = |verb: &Verb, process: &str| match verb {
        Verb::Exit { .. } => parents.contains(process),
        Verb::Kill { child } | Verb::Signal { child, .. } => parents.contains(child.as_str()),
        Verb::Child { act: ChildAct::Terminate, child } => parents.contains(child.as_str()),
        _ => false,
    };
    alone.is_empty() && !scenario.steps.iter().any(|step| ends(&step.verb, &step.task_id.process))
}
