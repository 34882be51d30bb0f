//! A trace as text: the scenario with the answers filled in and a *because*. Holds only what no scheduler can
//! change, so that one scenario has one text on every implementation and platform.

use super::cause::Causes;
use super::{ProcessExit, StepState, Trace};
use crate::scenario::{Item, Outcome, Scenario, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The snapshot text of a trace.
pub fn snapshot_text(scenario: &Scenario, trace: &Trace) -> String {
    snapshot_class_text(scenario, std::slice::from_ref(trace))
}

/// The one text for all the traces that are right where steps race: what they have in common, and classes.
pub fn snapshot_class_text(scenario: &Scenario, traces: &[Trace]) -> String {
    let Some(trace) = traces.first() else { return String::new() };
    let causes: Vec<Causes<'_>> = traces.iter().map(|trace| Causes::new(scenario, trace)).collect();
    let mut replicas: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        replicas.entry(step.position.line).or_default().push(index);
    }
    let mut out = String::new();
    let mut gap = false;
    for (number, item) in (1..).zip(&scenario.script.items) {
        let Item::Line(line) = item else {
            gap |= matches!(item, Item::Blank | Item::Each(_)) && !out.is_empty();
            continue;
        };
        if std::mem::take(&mut gap) {
            out.push('\n');
        }
        let all: Vec<Answer> = replicas
            .get(&number)
            .into_iter()
            .flatten()
            .map(|index| Answer::of(scenario, trace, &causes, *index))
            .collect();
        let what = line.what();
        let who = line.task_id.to_string();
        for answer in fold(all) {
            // A replica that is odd stands under its own name, so that it can be found.
            let (who, what) = answer.own.clone().unwrap_or_else(|| (who.clone(), what.clone()));
            row(&mut out, &who, &what, answer.times, &answer.outcome, &answer.cause);
        }
    }
    out.push('\n');
    ends(&mut out, scenario, traces);
    for violation in &trace.violations {
        let _ = writeln!(out, "VIOLATION   {violation}");
    }
    out
}

/// How a step came out, as the trace prints it: the class where the scenario allows several outcomes and one of
/// them came.
pub fn outcome_text(expected: &[Outcome], taken: &StepState) -> String {
    if is_class(expected, taken) {
        return expected.iter().map(Outcome::to_string).collect::<Vec<_>>().join(" or ");
    }
    match taken {
        StepState::NotStarted => "never".into(),
        StepState::Pending => "blocks".into(),
        StepState::Completed { outcome, .. } => outcome.to_string(),
    }
}

/// Whether the scenario allows several outcomes and one of them came.
fn is_class(expected: &[Outcome], taken: &StepState) -> bool {
    let came = |outcome: &Outcome| match (taken, outcome) {
        (StepState::NotStarted, Outcome::Never) | (StepState::Pending, Outcome::Blocks(_)) => true,
        (StepState::Completed { outcome, .. }, allowed) => outcome == allowed,
        _ => false,
    };
    expected.len() > 1 && expected.iter().any(came)
}

/// Which repetition of an `each` something is.
type Indices = Vec<(String, u64)>;

struct Answer {
    indices: Indices,
    outcome: String,
    cause: String,
    times: usize,
    own: Option<(String, String)>,
}

impl Answer {
    fn of(scenario: &Scenario, trace: &Trace, causes: &[Causes<'_>], index: usize) -> Self {
        let step = &scenario.steps[index];
        Self {
            indices: step.indices.clone(),
            outcome: outcome_text(&step.expected, &trace.steps[index]),
            // Each outcome of a class would have a cause of its own.
            cause: if is_class(&step.expected, &trace.steps[index]) {
                String::new()
            } else {
                let mut all = causes.iter().map(|causes| causes.of(index));
                let first = all.next().unwrap_or_default();
                if all.all(|cause| cause == first) { first } else { String::new() }
            },
            times: 1,
            own: (!step.indices.is_empty()).then(|| (step.task_id.to_string(), step.what())),
        }
    }
}

/// Replicas that agree become one; the odd ones follow it.
fn fold(mut all: Vec<Answer>) -> Vec<Answer> {
    if all.len() < 2 {
        if let Some(only) = all.first_mut() {
            only.own = None;
        }
        return all;
    }
    // A pattern read off one replica counts only if it gives all the others back; the one that fits most wins.
    let pattern = |answer: &Answer| {
        (general(&answer.outcome, &answer.indices), general(&answer.cause, &answer.indices))
    };
    let fits = |(outcome, cause): &(String, String), answer: &Answer| {
        concrete(outcome, &answer.indices) == answer.outcome
            && concrete(cause, &answer.indices) == answer.cause
    };
    let best = [all.len() - 1, all.len() / 2, 0]
        .into_iter()
        .map(|index| pattern(&all[index]))
        .map(|pattern| (all.iter().filter(|answer| fits(&pattern, answer)).count(), pattern))
        .max_by_key(|(count, _)| *count)
        .expect("three were looked at");
    let (times, pattern) = best;
    if times < 2 {
        return all;
    }
    let odd: Vec<Answer> = all.into_iter().filter(|answer| !fits(&pattern, answer)).collect();
    let common =
        Answer { indices: Vec::new(), outcome: pattern.0, cause: pattern.1, times, own: None };
    std::iter::once(common).chain(odd).collect()
}

/// Writes the numbers of the indices as indices again.
fn general(text: &str, indices: &[(String, u64)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in indices {
        text = text.replace(&format!("[{value}]"), &format!("[{name}]"));
        text = text.replace(&format!("[{}]", value + 1), &format!("[{name}+1]"));
        if *value > 0 {
            text = text.replace(&format!("[{}]", value - 1), &format!("[{name}-1]"));
        }
        text = text.replace(&format!("\"{value}\""), &format!("\"{{{name}}}\""));
    }
    text
}

/// The opposite of `general`.
fn concrete(text: &str, indices: &[(String, u64)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in indices {
        text = text.replace(&format!("[{name}]"), &format!("[{value}]"));
        text = text.replace(&format!("[{name}+1]"), &format!("[{}]", value + 1));
        text = text.replace(&format!("[{name}-1]"), &format!("[{}]", value.saturating_sub(1)));
        text = text.replace(&format!("\"{{{name}}}\""), &format!("\"{value}\""));
    }
    text
}

/// One line a process: how it ended. Processes of one spawn line fold.
fn ends(out: &mut String, scenario: &Scenario, traces: &[Trace]) {
    let mut spawned: BTreeMap<usize, Vec<(Indices, &str)>> = BTreeMap::new();
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for step in scenario.steps.iter() {
        if let Verb::Spawn { child, .. } = &step.verb {
            spawned.entry(step.position.line).or_default().push((step.indices.clone(), child));
        }
    }
    for (number, item) in (1..).zip(&scenario.script.items) {
        if let Item::Line(line) = item {
            if let Verb::Spawn { child, .. } = &line.verb {
                names.insert(number, child.clone());
            }
        }
    }
    spawned.insert(usize::MAX, vec![(Vec::new(), "main")]);
    names.insert(usize::MAX, "main".into());
    for (line, children) in spawned {
        let answers = children
            .into_iter()
            .filter_map(|(indices, child)| {
                let own = (!indices.is_empty()).then(|| (child.to_owned(), "ends".to_owned()));
                let ways = traces.iter().filter_map(|trace| trace.exits.get(child));
                let ways: BTreeSet<String> = ways.map(ProcessExit::to_string).collect();
                let outcome = ways.into_iter().collect::<Vec<_>>().join(" or ");
                if outcome.is_empty() {
                    return None;
                }
                Some(Answer { indices, outcome, cause: String::new(), times: 1, own })
            })
            .collect();
        for answer in fold(answers) {
            let (who, what) =
                answer.own.clone().unwrap_or_else(|| (names[&line].clone(), "ends".into()));
            row(out, &who, &what, answer.times, &answer.outcome, "");
        }
    }
}

fn row(out: &mut String, who: &str, what: &str, times: usize, outcome: &str, cause: &str) {
    let mut line = format!("{who:<11} {what}");
    if times > 1 {
        let times = format!("x{times}");
        line = format!("{line:<33} {times:>5}");
    }
    let line = format!("{line:<39} {outcome:<8} {cause}");
    out.push_str(line.trim_end());
    out.push('\n');
}

impl std::fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Failed => f.write_str("raised"),
            Self::Unseen => f.write_str("ended, status unseen"),
            Self::Running => f.write_str("blocked"),
        }
    }
}
