//! Alternatives of a line (`=> ok or broken`): each must be an outcome that a correct implementation can have.

use crate::model::{self, AfterCancel, Choices, SAFE_LIMIT_MS, Unjoined};
use crate::scenario::{Outcome, ParseError, Scenario, Step, TaskId, Verb};
use crate::trace::{Allowed, StepState, Trace};
use std::collections::{BTreeMap, HashMap};

/// The errors for the alternatives that no correct implementation yields, whatever it chose where the specification leaves a
/// choice. There is at most one for each line.
pub(super) fn impossible_alternatives(scenario: &Scenario, allowed: &Allowed) -> Vec<ParseError> {
    let has_alternatives = scenario.steps.iter().any(|step| step.expected.len() > 1);
    if !has_alternatives || !allowed.complete {
        return Vec::new();
    }
    let mut traces = allowed.traces.clone();
    for (_, choices) in other_choices(scenario) {
        let other = model::allowed(scenario, choices);
        if !other.complete {
            return Vec::new();
        }
        traces.extend(other.traces);
    }
    // An alternative of a line that `each` repeats is possible if any repetition yields it.
    let mut impossible: BTreeMap<(usize, usize), (&Step, &Outcome, bool)> = BTreeMap::new();
    for (index, step) in
        scenario.steps.iter().enumerate().filter(|(_, step)| step.expected.len() > 1)
    {
        for (number, outcome) in step.expected.iter().enumerate() {
            let is_possible = traces
                .iter()
                .map(|trace: &Trace| &trace.steps[index])
                .any(|state| state.satisfies(outcome) || is_left_open(&step.verb, state, outcome));
            let entry = impossible.entry((step.position.line, number));
            entry.or_insert((step, outcome, false)).2 |= is_possible;
        }
    }
    let mut errors: Vec<ParseError> = Vec::new();
    for (step, outcome, is_possible) in impossible.into_values() {
        if !is_possible && errors.last().is_none_or(|error| error.line != step.position.line) {
            let (message, hint) = advice(step, outcome);
            errors.push(ParseError::at(position(scenario, step, outcome), message, hint));
        }
    }
    errors
}

/// What is wrong with an alternative that the model never yields, and what to do.
fn advice(step: &Step, outcome: &Outcome) -> (String, String) {
    let is_expiry = matches!(outcome, Outcome::Timeout | Outcome::Running);
    match step.within_ms.filter(|limit| *limit > 0 && is_expiry) {
        Some(limit) => (
            format!("whether {limit}ms expire first depends on the speed of the machine"),
            format!(
                "write a limit of at least {SAFE_LIMIT_MS}ms and leave out `{outcome}`, or let nothing complete the step"
            ),
        ),
        None => (
            format!("no correct implementation returns {outcome} here"),
            "leave out this alternative: the model never yields it".into(),
        ),
    }
}

/// The position of an alternative in its line, or of all alternatives if it is not written as it is displayed.
fn position(scenario: &Scenario, step: &Step, alternative: &Outcome) -> (usize, usize, usize) {
    let (column, width) = step.position.outcome.unwrap_or((step.position.what, 1));
    let line = scenario.text.lines().nth(step.position.line - 1).unwrap_or_default();
    let written: String = line.chars().skip(column - 1).take(width).collect();
    let word = alternative.to_string();
    match written.find(&word) {
        Some(at) => {
            let before = written[..at].chars().count();
            (step.position.line, column + before, word.chars().count())
        }
        None => (step.position.line, column, width),
    }
}

/// The choices that the specification leaves to an implementation, each with a value other than the suite's own. Only
/// choices that can matter for the scenario are listed, with their names in a manifest.
pub(super) fn other_choices(scenario: &Scenario) -> Vec<(&'static str, Choices)> {
    let suite = Choices::default();
    let any = |matters: fn(&Step) -> bool| scenario.steps.iter().any(matters);
    let withdraws = any(|step| {
        let is_limited = matches!(step.verb, Verb::Put { .. }) && step.within_ms.is_some();
        is_limited || matches!(step.verb, Verb::Cancel { .. })
    });
    let is_long = any(|step| match &step.verb {
        Verb::Announce { .. } => true,
        Verb::Put { payload, .. } => payload.len() > Choices::default().max_message,
        _ => false,
    });
    let is_child_left = may_end_before_a_child(scenario);
    let all = [
        (
            any(|step| matches!(step.verb, Verb::Get { .. }) && step.within_ms.is_some()),
            "late-get = \"waits\"",
            Choices { late_get_waits: !suite.late_get_waits, ..suite },
        ),
        (is_long, "max-message = 1TiB", Choices { max_message: 1 << 40, ..suite }),
        (
            any(|step| matches!(step.verb, Verb::Limit { .. })),
            "start-needs = 0",
            Choices { start_needs: 0, ..suite },
        ),
        (
            withdraws,
            "after-cancel = \"poison\"",
            Choices { after_cancel: AfterCancel::Poison, ..suite },
        ),
        (is_child_left, "unjoined = \"killed\"", Choices { unjoined: Unjoined::Killed, ..suite }),
        (is_child_left, "unjoined = \"joined\"", Choices { unjoined: Unjoined::Joined, ..suite }),
        (
            any(|step| matches!(step.verb, Verb::Spawn { from_thread: true, .. })),
            "from-thread = \"refused\"",
            Choices { refuses_threads: true, ..suite },
        ),
    ];
    let relevant = all.into_iter().filter(|(matters, ..)| *matters);
    relevant.map(|(_, name, choices)| (name, choices)).collect()
}

/// Whether a process may end by itself before a child that it has spawned. False if the task that spawns each child also
/// joins it and does not exit before that.
fn may_end_before_a_child(scenario: &Scenario) -> bool {
    // Steps are visited from the last to the first, so that at a spawn the next join of the child is known.
    let mut next_joins: HashMap<(&TaskId, &str), usize> = HashMap::new();
    let mut spawns = Vec::new();
    let mut first_exits: HashMap<&str, usize> = HashMap::new();
    for (index, step) in scenario.steps.iter().enumerate().rev() {
        match &step.verb {
            Verb::Join { child } if step.expected.iter().all(has_ended) => {
                next_joins.insert((&step.task_id, child), index);
            }
            Verb::Spawn { child, .. } => {
                spawns.push((step, next_joins.get(&(&step.task_id, child.as_str())).copied()));
            }
            Verb::Exit { .. } | Verb::Raise => {
                first_exits.insert(&step.task_id.process, index);
            }
            _ => {}
        }
    }
    spawns.iter().any(|(spawner, join)| {
        let exit = first_exits.get(spawner.task_id.process.as_str());
        join.is_none_or(|join| exit.is_some_and(|exit| *exit < join))
    })
}

/// Whether a join with this outcome shows that the child has ended.
fn has_ended(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Exit(_) | Outcome::Signal(_) | Outcome::Raised)
}

/// Whether the specification leaves open which of two outcomes a step has, although the model yields only one of them.
fn is_left_open(verb: &Verb, state: &StepState, alternative: &Outcome) -> bool {
    let StepState::Completed { outcome: yielded, .. } = state else { return false };
    let is_refusal =
        |outcome: &Outcome| matches!(outcome, Outcome::Closed | Outcome::Locked | Outcome::Misuse);
    let is_status = |outcome: &Outcome| matches!(outcome, Outcome::Exit(_) | Outcome::Signal(_));
    // A call that is refused for two reasons may name either.
    let is_other_refusal = is_refusal(yielded) && is_refusal(alternative);
    // If two calls reap one child, the second one finds no child. Each implementation decides how it reports that.
    let reaps = matches!(verb, Verb::Join { .. } | Verb::Child { .. });
    let is_second =
        |outcome: &Outcome| *outcome == Outcome::Os("ECHILD".into()) || *outcome == Outcome::Misuse;
    is_other_refusal || (reaps && is_status(yielded) && is_second(alternative))
}
