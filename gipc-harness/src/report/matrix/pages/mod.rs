//! The matrix as HTML pages, which need no script and load nothing from elsewhere: `index.html` with a column for each
//! implementation, a page for each implementation with the evidence of its failures, and a page with the scenarios.

mod adapter_page;
mod index_page;
mod scenario_page;
mod source_links;
mod trace_table;

use super::{Change, Column, Matrix, ScenarioInfo, Sum};
use crate::report::document::{document, prose};
use crate::requirements::{self, Requirement};
use crate::verdict::Status;
use maud::{Markup, html};

const STYLES: [&str; 1] = [include_str!("matrix.css")];

/// The pages, each with the name of its file. `changes` are shown if the matrix is compared with an earlier one.
#[must_use]
pub fn pages(matrix: &Matrix, changes: Option<&[Change]>) -> Vec<(String, String)> {
    let page = |name: String, title: &str, body: Markup| (name, document(title, &STYLES, &body));
    let index = page("index.html".into(), "The matrix", index_page::body(matrix, changes));
    let scenarios = page("scenarios.html".into(), "The scenarios", scenario_page::body(matrix));
    let adapters = matrix
        .columns
        .iter()
        .map(|column| page(file_of(column), &column.adapter, adapter_page::body(matrix, column)));
    [index, scenarios].into_iter().chain(adapters).collect()
}

/// The file of the page about an implementation.
fn file_of(column: &Column) -> String {
    format!("{}.html", column.adapter)
}

/// The address of the evidence of a cell, or of the scenario if the cell has no evidence.
fn address(id: &str, column: &Column) -> String {
    match column.cells.get(id).is_some_and(|cell| is_failure(cell.verdict)) {
        true => format!("{}#{}", file_of(column), anchor(id)),
        false => scenario_address(id),
    }
}

/// The address of a scenario.
fn scenario_address(id: &str) -> String {
    format!("scenarios.html#{}", anchor(id))
}

/// The anchor of a scenario, or of its result on the page of an implementation. Ids contain no `+`.
fn anchor(id: &str) -> String {
    id.replace('/', "+")
}

/// Whether the page of the implementation has evidence for a result.
fn is_failure(status: Status) -> bool {
    !matches!(status, Status::Pass | Status::Fixed | Status::Skip)
}

/// A link from a cell to its evidence.
fn link(id: &str, column: &Column, status: Status) -> Markup {
    let sometimes = column.cells.get(id).is_some_and(|cell| cell.sometimes);
    html! {
        a href=(address(id, column)) title=(format!("{status}: {id}")) { (mark(status)) @if sometimes { "~" } }
    }
}

/// The requirements that a scenario covers, as links to their rows.
fn requirements_of(info: &ScenarioInfo) -> Markup {
    html! {
        ul.requirements {
            @for Requirement { id, level, what, .. } in info.covers.iter().filter_map(|id| requirements::requirement(id)) {
                li { a href=(format!("index.html#{id}")) { (id) } " " small { (level) } " " (prose(what)) }
            }
        }
    }
}

/// The result of a requirement. A check mark stands for all of its scenarios; `1 of 4` means that one of four passed. The
/// numbers beside another mark say how many of those that could be asked passed.
fn of_requirement(column: &Column, scenarios: &[&str], sum: &Sum) -> Markup {
    let Some((status, id)) = &sum.worst else { return html! { "·" } };
    let is_skipped =
        |id: &&&str| column.cells.get(**id).is_some_and(|cell| cell.verdict == Status::Skip);
    let (passed, asked, all) = (sum.passed(), sum.asked(), sum.all());
    let not_asked = (asked > 0 && asked < all).then(|| {
        let skipped: Vec<&str> = scenarios.iter().filter(is_skipped).copied().collect();
        format!("not asked: {}", skipped.join(", "))
    });
    html! {
        @if requirement_class(sum) == "part" {
            a href=(scenario_address(id)) title=[not_asked] { (asked) " of " (all) }
        } @else {
            (link(id, column, *status))
            @if asked > 1 || (asked > 0 && asked < all) {
                small title=[not_asked] { " " (passed) "/" (asked) @if asked < all { " of " (all) } }
            }
        }
    }
}

/// The class of a requirement: that of its worst scenario, or `part` if all scenarios that could be asked pass and others
/// could not be asked.
fn requirement_class(sum: &Sum) -> &'static str {
    match worst(sum) {
        "pass" if sum.asked() < sum.all() => "part",
        class => class,
    }
}

/// The style class of the worst status.
fn worst(sum: &Sum) -> &'static str {
    sum.worst.as_ref().map_or("none", |(status, _)| class(*status))
}

/// The style class of a status.
fn class(status: Status) -> &'static str {
    match status {
        Status::Pass | Status::Fixed => "pass",
        Status::Known => "known",
        Status::Skip => "skip",
        _ => "bad",
    }
}

/// The status as a cell shows it.
fn mark(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓",
        Status::Known => "✗",
        Status::Skip => "–",
        Status::Fixed => "✓ FIXED",
        Status::Fail => "FAIL",
        Status::Deadlock => "DEADLOCK",
        Status::Hang => "HANG",
        Status::Slow => "SLOW",
        Status::Unknown => "UNKNOWN",
        Status::Error => "ERROR",
        Status::Environment => "ENVIRONMENT",
    }
}

/// The explanation of the marks.
fn legend() -> Markup {
    html! {
        dl.legend {
            dt.pass { "✓" } dd { "passes" }
            dt.known { "✗" } dd { "fails as the manifest of its adapter says, with the reason" }
            dt.known { "~" } dd { "fails in some runs only" }
            dt.bad { "FAIL, HANG, …" } dd { "fails, and the manifest does not say so" }
            dt.pass { "✓ FIXED" } dd { "passes, and the manifest says that it fails" }
            dt.skip { "–" } dd { "not asked, since the implementation has no such feature" }
            dt.none { "·" } dd { "not run, since it is heavy or another part ran it" }
            dt { "3/4" } dd { "three passed of the four that could be asked; one number alone: all passed" }
            dt.part { "1 of 4" } dd { "the one that could be asked of four passed" }
        }
    }
}
