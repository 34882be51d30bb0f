//! Draws a trace as text: one column for each task, one row for each step, and the cause beside the row.

use super::{Causes, StepState, Trace, outcome_text};
use crate::scenario::{Outcome, Scenario, TaskId};
use std::fmt::Write;

/// With more tasks than this, the diagram becomes a list.
const MAX_COLUMNS: usize = 8;

/// Draws what each task did, in file order, and then how each process ended.
#[must_use]
pub fn sequence_diagram(scenario: &Scenario, trace: &Trace) -> String {
    let mut task_ids: Vec<&TaskId> = Vec::new();
    for step in scenario.steps.iter() {
        if !task_ids.contains(&&step.task_id) {
            task_ids.push(&step.task_id);
        }
    }
    let column_of =
        |task_id: &TaskId| task_ids.iter().position(|known| *known == task_id).unwrap_or_default();
    let rows: Vec<(usize, String)> = scenario
        .steps
        .iter()
        .zip(&trace.steps)
        .map(|(step, state)| (column_of(&step.task_id), cell_text(&step.what(), state)))
        .collect();
    let is_list = task_ids.len() > MAX_COLUMNS;
    let widths: Vec<usize> = (0..task_ids.len())
        .map(|column| {
            let cells = rows.iter().filter(|(at, _)| *at == column).map(|(_, text)| text.as_str());
            let name = task_ids[column].to_string();
            cells.chain([name.as_str()]).map(|text| text.chars().count()).max().unwrap_or(0) + 3
        })
        .collect();
    let mut out = String::new();
    if !is_list {
        for (task_id, width) in task_ids.iter().zip(&widths) {
            let _ = write!(out, "{:<width$}", task_id.to_string());
        }
        out = format!("{}\n", out.trim_end());
    }
    let causes = Causes::new(scenario, trace);
    for (step, (step_column, text)) in rows.iter().enumerate() {
        let mut line = String::new();
        if is_list {
            let _ = write!(line, "{:<16} {text:<32} ", task_ids[*step_column].to_string());
        } else {
            for (column, width) in widths.iter().enumerate() {
                let cell = if column == *step_column { text.as_str() } else { "│" };
                let _ = write!(line, "{cell:<width$}");
            }
        }
        let cause = causes.of(step);
        if !cause.is_empty() {
            let _ = write!(line, "({cause})");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (process, exit) in &trace.exits {
        let _ = writeln!(out, "\n{process} ends: {exit}");
    }
    out
}

/// The action of a step, and its outcome unless that is `ok`.
fn cell_text(action: &str, state: &StepState) -> String {
    if state.is(&Outcome::Ok) {
        action.to_owned()
    } else {
        format!("{action} ▸ {}", outcome_text(&[], state))
    }
}
