//! Filters random scripts: a viable one is well-formed, has few outcomes, and asks the same question on every system.

use crate::model::{self, Choices};
use crate::scenario::{Item, Outcome, Scenario, Script, Step, Verb, parse};
use crate::trace::{Allowed, StepState, Trace};
use crate::variant::Edits;
use std::collections::BTreeSet;

/// A scenario with more allowed traces than this tests too little.
const MAX_TRACES: usize = 40;

/// The script with the outcomes that the model gives, and all allowed traces. `None` if it is not well-formed, if its
/// outcomes depend on how much a pipe holds, or if the model cannot enumerate them.
pub(super) fn viable(script: &Script, choices: Choices) -> Option<(Scenario, Allowed)> {
    let open = parse("explored", &script.to_string()).ok()?;
    // The outcomes from the generator are placeholders. Those of a limit that races are kept: they say that it races.
    let mut steps = open.steps.to_vec();
    for step in steps.iter_mut().filter(|step| !step.races_with_its_limit()) {
        step.expected.truncate(1);
    }
    let open = open.with_steps(steps);
    // The cheapest checks first: most scripts fail them.
    if model::first_limit_dependent_step(&open).is_some()
        || has_start_refused_for_two_reasons(&open, choices)
        || !is_orderly(&open, &model::predict(&open, choices))
    {
        return None;
    }
    let allowed = model::allowed(&open, choices);
    if !allowed.complete || allowed.traces.len() > MAX_TRACES || model::depends_on_capacity(&open) {
        return None;
    }
    let filled = Edits::expect(&open, &allowed).apply(&open);
    // A spawn must have one outcome, or the later lines of the child would have no meaning.
    let unsure = |step: &Step| matches!(step.verb, Verb::Spawn { .. }) && step.expected.len() > 1;
    if filled.steps.iter().any(unsure) {
        return None;
    }
    let mut steps = filled.steps.iter().enumerate();
    let mut filled = script.clone();
    for item in &mut filled.items {
        let Item::Line(line) = item else { continue };
        let (index, step) = steps.next()?;
        // The placeholders of a limit that races are still in the list.
        let is_allowed = |outcome: &&Outcome| {
            allowed.traces.iter().any(|trace| trace.steps[index].as_outcome() == **outcome)
        };
        line.expected = step.expected.iter().filter(is_allowed).cloned().collect();
        if line.expected == [Outcome::Ok] {
            line.expected.clear();
        }
    }
    let scenario = parse("explored", &filled.to_string()).ok()?;
    let orderly = allowed.traces.iter().all(|trace| is_orderly(&scenario, trace));
    orderly.then_some((scenario, allowed))
}

/// The script with the outcomes that the model gives; `None` if it is not viable.
#[must_use]
pub fn with_outcomes(script: &Script, choices: Choices) -> Option<Script> {
    viable(script, choices).map(|(scenario, _)| scenario.script.as_ref().clone())
}

/// Whether a start from a thread would be refused even by an implementation that allows such starts. An implementation that
/// does not allow them may then name either reason.
fn has_start_refused_for_two_reasons(scenario: &Scenario, choices: Choices) -> bool {
    let is_from_thread = |step: &&Step| matches!(step.verb, Verb::Spawn { from_thread: true, .. });
    if !choices.refuses_threads || !scenario.steps.iter().any(|step| is_from_thread(&step)) {
        return false;
    }
    let allowed = model::predict(scenario, Choices { refuses_threads: false, ..choices });
    let mut starts = scenario.steps.iter().zip(&allowed.steps);
    starts.any(|(step, state)| is_from_thread(&step) && !state.is(&Outcome::Ok))
}

/// Whether every child is joined and no process with children is killed: each implementation decides what happens to
/// children without a parent.
fn is_orderly(scenario: &Scenario, predicted: &Trace) -> bool {
    let mut parents = BTreeSet::from(["main"]);
    let mut unjoined: BTreeSet<&str> = BTreeSet::new();
    for (step, taken) in scenario.steps.iter().zip(&predicted.steps) {
        match &step.verb {
            Verb::Spawn { child, .. } if taken.is(&Outcome::Ok) => {
                parents.insert(&step.task_id.process);
                unjoined.insert(child);
            }
            Verb::Join { child }
                if step.task_id.task.is_none()
                    && step.within_ms.is_none()
                    && *taken != StepState::NotStarted =>
            {
                unjoined.remove(child.as_str());
            }
            _ => {}
        }
    }
    let ends = |verb: &Verb, process: &str| match verb {
        Verb::Exit { .. } => parents.contains(process),
        // Each child of the group ends with its parent.
        Verb::SignalGroup { child, .. } => {
            let group = scenario.process_group(child);
            let mut steps = scenario.steps.iter();
            steps.any(|step| match &step.verb {
                Verb::Spawn { child, .. } => {
                    group.contains(step.task_id.process.as_str()) && !group.contains(child.as_str())
                }
                _ => false,
            })
        }
        _ => scenario.signalled_by(verb).iter().any(|process| parents.contains(process)),
    };
    unjoined.is_empty()
        && !scenario.steps.iter().any(|step| ends(&step.verb, &step.task_id.process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::script;

    fn profiles() -> BTreeSet<String> {
        let names = ["core", "tasks", "process", "signals", "stdio", "groups", "share"];
        names.map(str::to_owned).into()
    }

    #[test]
    fn viable_scripts_start_and_signal_groups_share_writers_and_race_with_limits() {
        let wanted = [" in-group", " signal group ", " share(w", " or timeout", " or running"];
        let mut missing = BTreeSet::from(wanted);
        for seed in 0..20_000 {
            let script = script(&mut fastrand::Rng::with_seed(seed), &profiles());
            let text = script.to_string();
            if !missing.iter().any(|words| text.contains(words)) {
                continue;
            }
            if let Some((scenario, _)) = viable(&script, Choices::default()) {
                missing.retain(|words| !scenario.text.contains(words));
            }
            if missing.is_empty() {
                return;
            }
        }
        panic!("no viable script of 20,000 has {missing:?}");
    }
}
