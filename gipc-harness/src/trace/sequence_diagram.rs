//! Draws a trace as text: one column for each task, one row for each step, and the cause beside the row.

use super::{Causes, StepState, Trace, outcome_text};
use crate::scenario::{Outcome, Scenario, TaskId};
use std::collections::BTreeMap;
use std::fmt::Write;

/// With more tasks than this, a list is written instead of the diagram.
const MAX_COLUMNS: usize = 8;

/// Draws what each task did, in file order, and then how each process ended.
#[must_use]
pub fn sequence_diagram(scenario: &Scenario, trace: &Trace) -> String {
    sequence_diagram_of(scenario, trace, &|_| true)
}

/// Draws some of the steps, with one line for each group of consecutive steps that are left out, and the ends of their
/// processes.
#[must_use]
pub fn sequence_diagram_of(
    scenario: &Scenario,
    trace: &Trace,
    is_shown: &dyn Fn(usize) -> bool,
) -> String {
    let mut task_ids: Vec<&TaskId> = Vec::new();
    let mut columns: BTreeMap<&TaskId, usize> = BTreeMap::new();
    let shown = (0..scenario.steps.len()).filter(|step| is_shown(*step));
    let rows: Vec<(usize, usize, String)> = shown
        .map(|index| {
            let step = &scenario.steps[index];
            let column = *columns.entry(&step.task_id).or_insert_with(|| {
                task_ids.push(&step.task_id);
                task_ids.len() - 1
            });
            (index, column, cell_text(&step.what(), &trace.steps[index]))
        })
        .collect();
    let is_list = task_ids.len() > MAX_COLUMNS;
    let widths: Vec<usize> = (0..task_ids.len())
        .map(|column| {
            let cells =
                rows.iter().filter(|(_, at, _)| *at == column).map(|(_, _, text)| text.as_str());
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
    let mut next = 0;
    for (step, step_column, text) in &rows {
        if *step > next {
            let _ = writeln!(out, "⋮ {} steps", step - next);
        }
        next = step + 1;
        let mut line = String::new();
        if is_list {
            let _ = write!(line, "{:<16} {text:<32} ", task_ids[*step_column].to_string());
        } else {
            for (column, width) in widths.iter().enumerate() {
                let cell = if column == *step_column { text.as_str() } else { "│" };
                let _ = write!(line, "{cell:<width$}");
            }
        }
        let cause = causes.of(*step);
        if !cause.is_empty() {
            let _ = write!(line, "({cause})");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if scenario.steps.len() > next {
        let _ = writeln!(out, "⋮ {} steps", scenario.steps.len() - next);
    }
    let is_process_shown = |process: &String| {
        rows.len() == scenario.steps.len()
            || task_ids.iter().any(|task_id| task_id.process == *process)
    };
    for (process, exit) in trace.exits.iter().filter(|(process, _)| is_process_shown(process)) {
        let _ = writeln!(out, "\n{process} ends: {exit}");
    }
    out
}

/// The action of a step, and its outcome unless the outcome is `ok`.
fn cell_text(action: &str, state: &StepState) -> String {
    if state.is(&Outcome::Ok) {
        action.to_owned()
    } else {
        format!("{action} ▸ {}", outcome_text(&[], state))
    }
}
