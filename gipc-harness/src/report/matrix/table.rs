//! The matrix as text for a terminal: a row for each implementation and a column for each theme, then the unexpected
//! results, each with its reason, then the changes.

use super::{Cell, Change, Column, Matrix, Sum, theme};
use crate::verdict::Status;
use std::fmt::Write;

/// The table, the unexpected results, the reasons why the matrix is partial, and the changes if it is compared with an
/// earlier one.
#[must_use]
pub fn table(matrix: &Matrix, changes: Option<&[Change]>) -> String {
    let themes = matrix.themes();
    let name = matrix.columns.iter().map(|column| column.adapter.len()).max().unwrap_or(0);
    let width = |theme: &str| theme.len().max(5) + 2;
    let mut out = format!("  {:<name$}", "");
    for theme in &themes {
        let _ = write!(out, "{theme:>width$}", width = width(theme));
    }
    out.push_str("    passed  known  failed  skipped\n");
    for column in &matrix.columns {
        let _ = write!(out, "  {:<name$}", column.adapter);
        if column.absent.is_some() {
            out.push_str("  did not run\n");
            continue;
        }
        for theme in &themes {
            let sum = of_theme(matrix, column, theme);
            let _ = write!(out, "{:>width$}", parts(&sum), width = width(theme));
        }
        let sum = column.sum(matrix.scenarios.keys().map(String::as_str));
        let [passed, known, failed, skipped] = counts(&sum);
        let _ = writeln!(out, "    {passed:>6}  {known:>5}  {failed:>6}  {skipped:>7}");
    }
    for (adapter, scenario, cell) in unexpected(matrix) {
        let _ = writeln!(out, "\n  {} {scenario} on {adapter}", cell.verdict);
        reasons(cell).iter().flat_map(|reason| reason.lines()).for_each(|line| {
            let _ = writeln!(out, "    {line}");
        });
    }
    for reason in matrix.partial() {
        let _ = writeln!(out, "\n  PARTIAL: {reason}");
    }
    if let Some(changes) = changes {
        let _ = writeln!(out, "\n  {} changes against the earlier run", changes.len());
        for change in changes {
            let Change { way, adapter, scenario, was, is } = change;
            let _ = writeln!(out, "  {:<6} {adapter:<name$}  {scenario}: {was} → {is}", way.name());
        }
    }
    out
}

/// The results that are neither a pass nor declared, each with its adapter and scenario.
fn unexpected(matrix: &Matrix) -> impl Iterator<Item = (&str, &str, &Cell)> {
    matrix.columns.iter().flat_map(|column| {
        let cells = column.cells.iter().filter(|(_, cell)| !cell.verdict.is_expected());
        cells.map(|(id, cell)| (column.adapter.as_str(), id.as_str(), cell))
    })
}

/// What is known about an unexpected result: the first mismatch, the explanations, and the report of a stall.
fn reasons(cell: &Cell) -> Vec<String> {
    let first = cell.first.iter().flat_map(|first| {
        let mismatch = format!("{}: expected {}, got {}", first.step, first.expected, first.got);
        [Some(mismatch), first.detail.clone()].into_iter().flatten()
    });
    first.chain(cell.notes.iter().cloned()).chain(cell.stuck.clone()).collect()
}

/// The combined results of a column in one theme.
pub(super) fn of_theme(matrix: &Matrix, column: &Column, wanted: &str) -> Sum {
    column.sum(matrix.scenarios.keys().map(String::as_str).filter(|id| theme(id) == wanted))
}

/// How many scenarios passed: `12` if all did, `9/12` if only nine of twelve did, `–` if all were skipped.
pub(super) fn parts(sum: &Sum) -> String {
    match (sum.passed(), sum.asked()) {
        (_, 0) => "–".into(),
        (passed, asked) if passed == asked => passed.to_string(),
        (passed, asked) => format!("{passed}/{asked}"),
    }
}

/// The numbers of scenarios that passed, are known to fail, failed, and were skipped.
pub(super) fn counts(sum: &Sum) -> [usize; 4] {
    let count = |status: Status| sum.statuses.get(&status).copied().unwrap_or(0);
    let (known, skipped) = (count(Status::Known), count(Status::Skip));
    let total: usize = sum.statuses.values().sum();
    [sum.passed(), known, total - sum.passed() - known - skipped, skipped]
}
