//! Writes a trace as text: the scenario with the outcome of each step and its cause.
//!
//! The text contains only what no scheduler can change, so one scenario has the same snapshot for every implementation
//! and on every platform.

use super::cause::Causes;
use super::{ProcessExit, StepState, Trace};
use crate::scenario::{Indices, Item, Line, Outcome, Scenario, Verb};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The snapshot text of a trace.
pub fn snapshot_text(scenario: &Scenario, trace: &Trace) -> String {
    snapshot_class_text(scenario, std::slice::from_ref(trace))
}

/// The single snapshot text of all correct traces of a scenario. Where they differ, the text has the allowed outcomes of the
/// line and no cause. The traces must belong to the same scenario; without any trace the text is empty.
pub fn snapshot_class_text(scenario: &Scenario, traces: &[Trace]) -> String {
    let Some(trace) = traces.first() else { return String::new() };
    let causes: Vec<Causes<'_>> = traces.iter().map(|trace| Causes::new(scenario, trace)).collect();
    let mut repetitions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        repetitions.entry(step.position.line).or_default().push(index);
    }
    let mut out = String::new();
    let mut is_after_gap = false;
    for (number, item) in (1..).zip(&scenario.script.items) {
        let Item::Line(line) = item else {
            is_after_gap |= matches!(item, Item::Blank | Item::Each(_)) && !out.is_empty();
            continue;
        };
        if std::mem::take(&mut is_after_gap) {
            out.push('\n');
        }
        let rows = repetitions.get(&number).into_iter().flatten();
        let rows = rows.map(|index| Row::of_step(scenario, trace, &causes, *index)).collect();
        for row in fold(rows) {
            row.write(&mut out, &line.task_id.to_string(), &line.what());
        }
    }
    out.push('\n');
    write_exits(&mut out, scenario, traces);
    for violation in &trace.violations {
        let _ = writeln!(out, "VIOLATION   {violation}");
    }
    out
}

/// The outcome of a step as a snapshot prints it: all allowed outcomes if the scenario allows several and the step has
/// one of them, otherwise its own.
pub fn outcome_text(expected: &[Outcome], state: &StepState) -> String {
    if is_one_of_several(expected, state) {
        return expected.iter().map(Outcome::to_string).collect::<Vec<_>>().join(" or ");
    }
    state.as_outcome().to_string()
}

/// Whether the scenario allows several outcomes and the step has one of them.
fn is_one_of_several(expected: &[Outcome], state: &StepState) -> bool {
    expected.len() > 1 && expected.iter().any(|outcome| state.satisfies(outcome))
}

/// One row of a snapshot: one repetition of a line, or several that have the same pattern.
struct Row {
    indices: Indices,
    outcome: String,
    cause: String,
    /// The number of repetitions.
    times: usize,
    /// The task and the action with concrete names, if the row stands for one repetition of several.
    own_names: Option<(String, String)>,
}

impl Row {
    fn of_step(scenario: &Scenario, trace: &Trace, causes: &[Causes<'_>], index: usize) -> Self {
        let step = &scenario.steps[index];
        let state = &trace.steps[index];
        // Each of several outcomes would have a cause of its own.
        let cause = if is_one_of_several(&step.expected, state) {
            String::new()
        } else {
            common_cause(causes, index)
        };
        Self {
            indices: step.indices.clone(),
            outcome: outcome_text(&step.expected, state),
            cause,
            times: 1,
            own_names: (!step.indices.is_empty()).then(|| (step.task_id.to_string(), step.what())),
        }
    }

    /// The outcome and the cause, with the values of the indices replaced by the indices.
    fn pattern(&self) -> (String, String) {
        (generalize(&self.outcome, &self.indices), generalize(&self.cause, &self.indices))
    }

    /// Whether the pattern, filled with the values of this row, gives its outcome and its cause.
    fn fits(&self, (outcome, cause): &(String, String)) -> bool {
        instantiate(outcome, &self.indices) == self.outcome
            && instantiate(cause, &self.indices) == self.cause
    }

    /// Writes the row. A repetition that differs from the others has its own names, so that it can be found.
    fn write(&self, out: &mut String, task: &str, action: &str) {
        let own_names = self.own_names.as_ref();
        let (task, action) =
            own_names.map_or((task, action), |(task, action)| (task.as_str(), action.as_str()));
        let mut line = format!("{task:<11} {action}");
        if self.times > 1 {
            let times = format!("x{}", self.times);
            line = format!("{line:<33} {times:>5}");
        }
        let line = format!("{line:<39} {:<8} {}", self.outcome, self.cause);
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// The cause of a step if it is the same in all traces, otherwise an empty text.
fn common_cause(causes: &[Causes<'_>], step: usize) -> String {
    let mut causes = causes.iter().map(|causes| causes.of(step));
    let first = causes.next().unwrap_or_default();
    if causes.all(|cause| cause == first) { first } else { String::new() }
}

/// Combines the repetitions of a line that have the same pattern into one row. The others follow it.
fn fold(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() < 2 {
        if let Some(only) = rows.first_mut() {
            only.own_names = None;
        }
        return rows;
    }
    // A pattern comes from one repetition. Of three candidates, the one that fits the most repetitions is used.
    let candidates: BTreeSet<(String, String)> = [rows.len() - 1, rows.len() / 2, 0]
        .into_iter()
        .map(|index| rows[index].pattern())
        .collect();
    let (times, fits, (outcome, cause)) = candidates
        .into_iter()
        .map(|pattern| {
            let fits: Vec<bool> = rows.iter().map(|row| row.fits(&pattern)).collect();
            (fits.iter().filter(|fits| **fits).count(), fits, pattern)
        })
        .max_by_key(|(count, ..)| *count)
        .expect("there is a candidate");
    if times < 2 {
        return rows;
    }
    let others: Vec<Row> =
        rows.into_iter().zip(fits).filter(|(_, fits)| !fits).map(|(row, _)| row).collect();
    let common = Row { indices: Indices::default(), outcome, cause, times, own_names: None };
    std::iter::once(common).chain(others).collect()
}

/// Replaces the values of the indices in a text by the indices.
fn generalize(text: &str, indices: &Indices) -> String {
    let mut text = text.to_owned();
    for (name, value) in indices.iter() {
        text = text.replace(&format!("[{value}]"), &format!("[{name}]"));
        text = text.replace(&format!("[{}]", value + 1), &format!("[{name}+1]"));
        if value > 0 {
            text = text.replace(&format!("[{}]", value - 1), &format!("[{name}-1]"));
        }
        text = text.replace(&format!("\"{value}\""), &format!("\"{{{name}}}\""));
    }
    text
}

/// Replaces the indices in a text by their values.
fn instantiate<'t>(text: &'t str, indices: &Indices) -> Cow<'t, str> {
    if !text.contains(['[', '{']) {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_owned();
    for (name, value) in indices.iter() {
        text = text.replace(&format!("[{name}]"), &format!("[{value}]"));
        text = text.replace(&format!("[{name}+1]"), &format!("[{}]", value + 1));
        text = text.replace(&format!("[{name}-1]"), &format!("[{}]", value.saturating_sub(1)));
        text = text.replace(&format!("\"{{{name}}}\""), &format!("\"{value}\""));
    }
    Cow::Owned(text)
}

/// Writes one row for each process: how it ended. Processes of the same spawn line are combined.
fn write_exits(out: &mut String, scenario: &Scenario, traces: &[Trace]) {
    // The processes of each spawn line, with `main` last.
    let mut spawned: BTreeMap<usize, Vec<(Indices, &str)>> = BTreeMap::new();
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for step in scenario.steps.iter() {
        if let Verb::Spawn { child, .. } = &step.verb {
            spawned.entry(step.position.line).or_default().push((step.indices.clone(), child));
        }
    }
    for (number, item) in (1..).zip(&scenario.script.items) {
        if let Item::Line(Line { verb: Verb::Spawn { child, .. }, .. }) = item {
            names.insert(number, child);
        }
    }
    spawned.insert(usize::MAX, vec![(Indices::default(), "main")]);
    names.insert(usize::MAX, "main");
    for (line, processes) in spawned {
        let rows = processes
            .into_iter()
            .filter_map(|(indices, process)| {
                let exits = traces.iter().filter_map(|trace| trace.exits.get(process));
                let exits: BTreeSet<String> = exits.map(ProcessExit::to_string).collect();
                let outcome = exits.into_iter().collect::<Vec<_>>().join(" or ");
                let own_names =
                    (!indices.is_empty()).then(|| (process.to_owned(), "ends".to_owned()));
                let row = Row { indices, outcome, cause: String::new(), times: 1, own_names };
                (!row.outcome.is_empty()).then_some(row)
            })
            .collect();
        for row in fold(rows) {
            row.write(out, names[&line], "ends");
        }
    }
}
