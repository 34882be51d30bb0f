//! The matrix on a terminal: a row an implementation, a column a theme; then what changed.

use super::{Change, Column, Matrix, Sum, theme};
use crate::verdict::Status;
use std::fmt::Write;

/// All of it, as text.
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
    for reason in matrix.partial() {
        let _ = writeln!(out, "\n  PARTIAL: {reason}");
    }
    if let Some(changes) = changes {
        let _ = writeln!(out, "\n  {} changes against the earlier run", changes.len());
        for change in changes {
            let Change { way, adapter, scenario, was, is } = change;
            let _ = writeln!(out, "  {:<6} {adapter:<name$}  {scenario}: {was} → {is}", way.word());
        }
    }
    out
}

/// What a column's scenarios of one theme come to.
pub(super) fn of_theme(matrix: &Matrix, column: &Column, wanted: &str) -> Sum {
    column.sum(matrix.scenarios.keys().map(String::as_str).filter(|id| theme(id) == wanted))
}

/// `12` of twelve, `9/12` of twelve that were asked; `–` if none was.
pub(super) fn parts(sum: &Sum) -> String {
    match (sum.passed(), sum.asked()) {
        (_, 0) => "–".into(),
        (passed, asked) if passed == asked => passed.to_string(),
        (passed, asked) => format!("{passed}/{asked}"),
    }
}

/// Passed, known, failed, skipped.
pub(super) fn counts(sum: &Sum) -> [usize; 4] {
    let of = |word: Status| sum.words.get(&word).copied().unwrap_or(0);
    let (known, skipped) = (of(Status::Known), of(Status::Skip));
    let all: usize = sum.words.values().sum();
    [sum.passed(), known, all - sum.passed() - known - skipped, skipped]
}
