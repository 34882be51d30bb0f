//! The page of one implementation: its counts, its failures by sort and reason with the evidence, its requirements, what was
//! not asked, what passed, and the system on which it ran.

use super::source_links::with_source_links;
use super::trace_table::trace_table;
use super::{anchor, class, is_failure, of_requirement, prose, requirement_class};
use super::{requirements_of, scenario_address};
use crate::program;
use crate::report::matrix::markdown::facts;
use crate::report::matrix::table::{counts, of_theme, parts};
use crate::report::matrix::{Cell, Column, Matrix, ScenarioInfo};
use crate::requirements::Requirement;
use crate::scenario::{Item, parse};
use crate::verdict::Status;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The failures with one status, sort and reason.
struct Group<'a> {
    status: Status,
    reason: &'a str,
    cells: Vec<(&'a str, &'a Cell)>,
}

pub(super) fn body(matrix: &Matrix, column: &Column) -> Markup {
    html! {
        header {
            p { a href="index.html" { "All implementations" } }
            h1 { (column.adapter) }
            p { (column.about) }
            @if let Some(reason) = &column.absent { p.partial { "It did not run: " (reason) } } @else {
                p { "Its agent says that it is " (column.implementation) ". Suite " (matrix.suite) ", made " time { (matrix.made) } "." }
                (summary(matrix, column))
            }
        }
        main {
            @if column.absent.is_none() {
                (failures(matrix, column))
                h2 { "Requirements" }
                (by_requirement(matrix, column))
                (without_failure(column))
            }
            h2 #environment { "Environment" }
            dl { @for (name, found) in facts(column) { dt { (name) } dd { (found) } } }
        }
    }
}

/// The counts, in total and by theme.
fn summary(matrix: &Matrix, column: &Column) -> Markup {
    let sum = column.sum(matrix.scenarios.keys().map(String::as_str));
    let [passed, known, failed, skipped] = counts(&sum);
    html! {
        p.counts {
            span.pass { (passed) " of " (sum.asked()) " pass" }
            @if failed > 0 { ", " span.bad { (failed) " fail" } }
            @if known > 0 { ", " span.known { (known) " fail as known" } ": " (column.sorts()) }
            @if skipped > 0 { "; " (skipped) " were not asked" }
            "."
        }
        p.themes {
            @for theme in matrix.themes() {
                @let sum = of_theme(matrix, column, theme);
                span class=(super::worst(&sum)) { (theme) " " (parts(&sum)) } " "
            }
        }
    }
}

/// The failures: unexpected ones first, then by sort. Those with the same reason are together.
fn failures(matrix: &Matrix, column: &Column) -> Markup {
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for (id, cell) in column.cells.iter().filter(|(_, cell)| is_failure(cell.verdict)) {
        let is_known = cell.verdict == Status::Known;
        let key = (is_known, cell.sort, if is_known { cell.reason() } else { id });
        let group = groups.entry(key).or_insert_with(|| Group {
            status: cell.verdict,
            reason: if is_known { cell.reason() } else { "" },
            cells: Vec::new(),
        });
        group.cells.push((id, cell));
    }
    html! {
        h2 #failures { "Failures" }
        @if groups.is_empty() { p { "None." } }
        @for ((_, sort, _), group) in &groups {
            section.group {
                p.reason {
                    span class=(class(group.status)) { @if let Some(sort) = sort { (sort) } @else { (group.status) } } " "
                    (with_source_links(column, group.reason))
                }
                @if group.cells.len() > 3 {
                    p.names { @for (id, _) in &group.cells { a href=(format!("#{}", anchor(id))) { (id) } " " } }
                }
                @for (id, cell) in &group.cells { (evidence(id, matrix.scenarios.get(*id), column, cell)) }
            }
        }
    }
}

/// The evidence of a cell: the first mismatch, the explanations, both traces and the report of a stall.
fn evidence(id: &str, info: Option<&ScenarioInfo>, column: &Column, cell: &Cell) -> Markup {
    // The group already shows the reason of a known failure.
    let shown_by_group = usize::from(cell.verdict == Status::Known);
    html! {
        article.evidence id=(anchor(id)) {
            h3 {
                a href=(scenario_address(id)) { (id) } " "
                span class=(class(cell.verdict)) {
                    @if let Some(verdict) = &cell.failed_with { (verdict) ", known" } @else { (cell.verdict) }
                    @if cell.sometimes { ", in some runs" }
                }
            }
            @if let Some(first) = &cell.first {
                p.first {
                    code { (first.step) } " must give " code { (first.expected) }
                    @if !first.because.is_empty() { " (" (first.because) ")" }
                    ", and gives " code { (first.got) } "."
                    @if let Some(detail) = &first.detail { " In its own words: " q { (detail) } }
                }
            }
            @for note in cell.notes.iter().skip(shown_by_group) { p.note { (prose(note)) } }
            @if let Some(info) = info {
                (requirements_of(info))
                div.beside {
                    @match &cell.came {
                        Some(came) => (trace_table(&steps(id, info), cell.model.as_ref().unwrap_or(&info.model), came)),
                        None => p.how { "Its trace: " code { (program::command(&format!("show {id} --adapter {}", column.adapter))) } },
                    }
                    @if !info.text.is_empty() { details open { summary { "The scenario" } pre tabindex="0" { (info.text) } } }
                }
                @if let Some(stall) = &cell.stuck { details { summary { "Why nothing moves" } pre tabindex="0" { (stall) } } }
            }
        }
    }
}

/// The steps of a scenario in the forms that a snapshot may have: as in the file, and with the names of each repetition.
fn steps(id: &str, info: &ScenarioInfo) -> Vec<String> {
    let Ok(scenario) = parse(id, &info.text) else { return Vec::new() };
    let lines = scenario.script.items.iter().filter_map(|item| match item {
        Item::Line(line) => Some(format!("{} {}", line.task_id, line.what())),
        _ => None,
    });
    let expanded = scenario.steps.iter().map(|step| format!("{} {}", step.task_id, step.what()));
    lines.chain(expanded).collect()
}

fn by_requirement(matrix: &Matrix, column: &Column) -> Markup {
    html! {
        table.plain.requirements-of-one {
            thead { tr { th scope="col" { "requirement" } th scope="col" { "result" } } }
            tbody {
                @for (requirement, scenarios) in matrix.requirements() {
                    @let Requirement { id, level, what, .. } = requirement;
                    @let sum = column.sum(scenarios.iter().copied());
                    tr {
                        th scope="row" { a href=(format!("index.html#{id}")) { (id) } " " small { (level) } " " (prose(what)) }
                        td class=(requirement_class(&sum)) { (of_requirement(column, &scenarios, &sum)) }
                    }
                }
            }
        }
    }
}

/// What was not asked, by reason, and what passed.
fn without_failure(column: &Column) -> Markup {
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, cell) in column.cells.iter().filter(|(_, cell)| cell.verdict == Status::Skip) {
        skipped.entry(cell.reason()).or_default().push(id);
    }
    let passed =
        |(_, cell): &(&String, &Cell)| matches!(cell.verdict, Status::Pass | Status::Fixed);
    let passed: Vec<&str> = column.cells.iter().filter(passed).map(|(id, _)| id.as_str()).collect();
    html! {
        @if !skipped.is_empty() {
            h2 { "Not asked" }
            @for (reason, ids) in &skipped { p.reason { (prose(reason)) } (names(ids)) }
        }
        h2 { "Passed" }
        (names(&passed))
    }
}

/// Links to scenarios.
fn names(ids: &[&str]) -> Markup {
    html! { p.names { @for id in ids { a href=(scenario_address(id)) { (id) } " " } } }
}
