//! A trace as a picture: a column a task, a row a step, and beside it what let it happen.

use super::{Causes, StepState, Trace, outcome_text};
use crate::scenario::{Scenario, TaskId};
use std::fmt::Write;

/// Beyond so many columns a list is easier to read.
const MOST: usize = 8;

/// Draws what each task did, in the order of the story.
#[must_use]
pub fn sequence_diagram(scenario: &Scenario, trace: &Trace) -> String {
    let mut names: Vec<&TaskId> = Vec::new();
    for step in scenario.steps.iter() {
        if !names.contains(&&step.task_id) {
            names.push(&step.task_id);
        }
    }
    let text = |step: usize| {
        let came = outcome_text(&[], &trace.steps[step]);
        match &trace.steps[step] {
            StepState::Completed { outcome: crate::scenario::Outcome::Ok, .. } => {
                scenario.steps[step].what()
            }
            _ => format!("{} ▸ {came}", scenario.steps[step].what()),
        }
    };
    let column = |step: usize| {
        names.iter().position(|name| **name == scenario.steps[step].task_id).unwrap_or(0)
    };
    let rows: Vec<(usize, String)> =
        (0..scenario.steps.len()).map(|step| (column(step), text(step))).collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells =
                rows.iter().filter(|(at, _)| *at == column).map(|(_, text)| text.chars().count());
            cells.max().unwrap_or(0).max(name.to_string().chars().count()) + 3
        })
        .collect();
    let causes = Causes::new(scenario, trace);
    let mut out = String::new();
    if names.len() <= MOST {
        for (name, width) in names.iter().zip(&widths) {
            let _ = write!(out, "{:<width$}", name.to_string());
        }
        out = format!("{}\n", out.trim_end());
    }
    for (step, (at, text)) in rows.iter().enumerate() {
        let cause = causes.of(step);
        let cause = if cause.is_empty() { cause } else { format!("({cause})") };
        let mut line = String::new();
        if names.len() <= MOST {
            for (column, width) in widths.iter().enumerate() {
                let cell = if column == *at { text.as_str() } else { "│" };
                let _ = write!(line, "{cell:<width$}");
            }
        } else {
            let _ = write!(line, "{:<16} {text:<32} ", names[*at].to_string());
        }
        line.push_str(&cause);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (process, end) in &trace.exits {
        let _ = writeln!(out, "\n{process} ends: {end}");
    }
    out
}
