//! The matrix as Markdown: themes, requirements, every known failure with its reason, and the environment.

use super::table::{counts, of_theme, parts};
use super::{Cell, Change, Column, Matrix, Sum};
use crate::requirements::Requirement;
use crate::verdict::Status;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The page, with the changes if the matrix is compared with an earlier one.
#[must_use]
pub fn markdown(matrix: &Matrix, changes: Option<&[Change]>) -> String {
    let mut out = format!("# The matrix\n\nSuite {}, made {}.", matrix.suite, matrix.made);
    out.push_str(
        " A number is how many scenarios pass, and of how many that could be asked; `known` fails and says why below, \
         `–` has no such thing. A requirement is `not asked` of an implementation that skips all its scenarios, and *asked \
         of none* if that holds for all. `pass` is every scenario of a requirement, `1 of 4` passes the one that could be asked. \
         `matrix --from` with the folder of this file makes pages for a browser.\n",
    );
    for reason in matrix.partial() {
        let _ = writeln!(out, "\n**PARTIAL**: {}", escaped(&reason));
    }
    if let Some(changes) = changes {
        let _ = writeln!(
            out,
            "\n## Changes\n\n| | implementation | scenario | was | is |\n|---|---|---|---|---|"
        );
        for change in changes {
            let Change { way, adapter, scenario, was, is } = change;
            let _ = writeln!(
                out,
                "| {} | {adapter} | {scenario} | {} | {} |",
                way.name(),
                escaped(was),
                escaped(is)
            );
        }
    }
    out.push_str("\n## Themes\n\n");
    themes(matrix, &mut out);
    out.push_str("\n## Requirements\n\n");
    requirements(matrix, &mut out);
    out.push_str("\n## Known failures\n");
    for column in ran(matrix) {
        known_failures(column, &mut out);
    }
    out.push_str("\n## Where it ran\n");
    for column in ran(matrix) {
        let _ = writeln!(
            out,
            "\n- **{}**: {}. {}",
            column.adapter,
            escaped(&column.implementation),
            escaped(&column.about)
        );
    }
    if let Some(column) = ran(matrix).next() {
        out.push_str("\n| the system | |\n|---|---|\n");
        for (name, found) in facts(column) {
            let _ = writeln!(out, "| {} | {} |", escaped(&name), escaped(&found));
        }
    }
    out
}

/// The known failures of an implementation by reason, each with its first wrong step.
fn known_failures(column: &Column, out: &mut String) {
    let mut by_reason: BTreeMap<_, Vec<(&String, &Cell)>> = BTreeMap::new();
    for (id, cell) in column.cells.iter().filter(|(_, cell)| cell.verdict == Status::Known) {
        by_reason.entry((cell.sort, cell.reason())).or_default().push((id, cell));
    }
    if by_reason.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### {}\n\n{}\n", column.adapter, column.sorts());
    for ((sort, reason), failures) in by_reason {
        let sort = sort.map(|sort| format!("**{sort}** ")).unwrap_or_default();
        let _ = writeln!(out, "- {sort}{}", escaped(reason));
        for (id, failure) in failures {
            let sometimes = if failure.sometimes { ", in some runs" } else { "" };
            let _ = write!(out, "  - {id}{sometimes}");
            let _ = match &failure.first {
                Some(first) => writeln!(out, ": `{}` gives {}", first.step, escaped(&first.got)),
                None => writeln!(out),
            };
        }
    }
}

/// The columns of the implementations that ran.
fn ran(matrix: &Matrix) -> impl Iterator<Item = &Column> {
    matrix.columns.iter().filter(|column| column.absent.is_none())
}

fn themes(matrix: &Matrix, out: &mut String) {
    let themes = matrix.themes();
    let head: Vec<&str> = themes.iter().copied().collect();
    let _ = writeln!(out, "| | {} | passed | known | failed | skipped |", head.join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(themes.len() + 4));
    for column in ran(matrix) {
        let cells: Vec<String> =
            themes.iter().map(|theme| parts(&of_theme(matrix, column, theme))).collect();
        let counts = counts(&column.sum(matrix.scenarios.keys().map(String::as_str)));
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            column.adapter,
            cells.join(" | "),
            counts.map(|count| count.to_string()).join(" | ")
        );
    }
}

fn requirements(matrix: &Matrix, out: &mut String) {
    let names: Vec<&str> = ran(matrix).map(|column| column.adapter.as_str()).collect();
    let _ = writeln!(out, "| | what it asks | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|---|{}", "---|".repeat(names.len()));
    for (requirement, scenarios) in matrix.requirements() {
        let cells: Vec<String> =
            ran(matrix).map(|column| worst(&column.sum(scenarios.iter().copied()))).collect();
        let Requirement { id, level, what, .. } = requirement;
        let _ = writeln!(out, "| {id} | {level} {} | {} |", escaped(what), cells.join(" | "));
    }
    let unasked: Vec<&str> = matrix.asked_of_none().iter().map(|one| one.id.as_str()).collect();
    if !unasked.is_empty() {
        let _ = writeln!(out, "\nAsked of none: {}.", unasked.join(", "));
    }
}

/// The worst status of several scenarios, how many passed if not all did, and how many were asked if not all were:
/// `known 2/3 of 5`, or `1 of 4` if one was asked and passed.
fn worst(sum: &Sum) -> String {
    match &sum.worst {
        None => "–".into(),
        Some((Status::Skip, _)) => "not asked".into(),
        Some((Status::Pass | Status::Fixed, _)) if sum.asked() == sum.all() => "pass".into(),
        Some((Status::Pass | Status::Fixed, _)) => format!("{} of {}", sum.asked(), sum.all()),
        Some((status, _)) => {
            let status = status.to_string().to_lowercase();
            let (passed, asked, all) = (sum.passed(), sum.asked(), sum.all());
            let of_all = if asked == all { String::new() } else { format!(" of {all}") };
            format!("{status} {passed}/{asked}{of_all}")
        }
    }
}

/// The facts about the system on which a column ran: name and value.
pub(super) fn facts(column: &Column) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let facts = column.environment["facts"].as_array();
    facts.into_iter().flatten().map(|fact| (text(&fact["name"]), text(&fact["found"]))).collect()
}

/// Escapes text for a table cell: on one line, and without characters that would end the cell or begin a tag.
fn escaped(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}
