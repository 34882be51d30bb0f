//! A scenario in which something cannot be made for want of descriptors, and is then made after all.
//!
//! Whoever is refused has lost nothing and left nothing behind: all that follows must come out as if it had not been.

use super::jobs::{InjectionSelector, Job};
use crate::model::{self, Choices};
use crate::scenario::{Outcome, Scenario, Step, Verb};
use crate::trace::ExecutionMode;
use std::collections::BTreeMap;
use std::path::Path;

/// So many of a process fail in turn; where it makes more, the rest are more of the same.
const MOST: usize = 20;
/// Nor are all of a very long scenario asked: what may come of a hundred tasks that race takes the model seconds each.
const LONGEST: usize = 300;

/// One job for each pipe, duplex and child that is made, in turn; of the one that is asked for alone, if one is.
///
/// None for a scenario that limits descriptors itself, or where nobody can say what may come of it.
pub(super) fn starved(
    scenario: &Scenario,
    path: &Path,
    choices: Choices,
    point: &InjectionSelector,
) -> (Vec<Job>, Option<&'static str>) {
    if scenario.steps.iter().any(|step| matches!(step.verb, Verb::Limit { .. })) {
        return (Vec::new(), None);
    }
    if *point == InjectionSelector::All && scenario.steps.len() > LONGEST {
        return (Vec::new(), Some("are so long that nobody is starved in them unless it is named"));
    }
    let mut reason = None;
    let mut counts = BTreeMap::new();
    let mut jobs = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let Some(attempt) = attempt(&step.verb).filter(|_| step.expected == [Outcome::Ok]) else {
            continue;
        };
        let role = step.task_id.process.clone();
        let count = counts.entry(role.clone()).or_insert(0);
        *count += 1;
        if *point == InjectionSelector::All && *count > MOST {
            reason = Some("have a process that makes more than 20: the first 20 failed");
            continue;
        }
        if *point != InjectionSelector::All
            && *point != InjectionSelector::One(role.clone(), *count)
        {
            continue;
        }
        let like = |verb, outcome| Step { verb, expected: vec![outcome], ..step.clone() };
        let mut steps = scenario.steps.to_vec();
        steps.splice(
            index..index,
            [
                like(Verb::Limit { free: Some(0) }, Outcome::Ok),
                like(attempt, Outcome::Os("EMFILE".into())),
                like(Verb::Limit { free: None }, Outcome::Ok),
            ],
        );
        let scenario = scenario.with_steps(steps);
        let allowed = model::allowed(&scenario, choices);
        if allowed.complete {
            let course = ExecutionMode::Stepwise(model::schedule(&scenario, choices));
            let (path, how) = (path.to_owned(), format!("--starve {role}@{count}"));
            jobs.push(Job { scenario, path, allowed, course, how, line: None, chosen: None });
        }
    }
    (jobs, reason)
}

/// The same under names of its own: nobody speaks of what was not made.
fn attempt(verb: &Verb) -> Option<Verb> {
    let other = |name: &String| format!("{name}-starved");
    let mut verb = verb.clone();
    match &mut verb {
        Verb::Pipe { reader: one, writer: two, .. } | Verb::Duplex { near: one, far: two } => {
            (*one, *two) = (other(one), other(two));
        }
        Verb::Spawn { child, .. } => *child = other(child),
        _ => return None,
    }
    Some(verb)
}
