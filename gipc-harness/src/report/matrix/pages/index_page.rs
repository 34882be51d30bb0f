//! `index.html`: the implementations with their counts, and tables of themes, requirements and scenarios with a column for
//! each implementation. If scripts are enabled, the rows can be searched and filtered (`matrix.js`).

use super::{class, file_of, legend, link, of_requirement, prose, requirement_class};
use super::{scenario_address, worst};
use crate::adapter::FailureSort;
use crate::report::matrix::table::{counts, of_theme, parts};
use crate::report::matrix::{Change, Matrix, theme};
use crate::requirements::Requirement;
use maud::{Markup, PreEscaped, html};

pub(super) fn body(matrix: &Matrix, changes: Option<&[Change]>) -> Markup {
    html! {
        header {
            h1 { "Which implementation meets which requirement" }
            p {
                "Child processes that exchange messages through pipes: " (matrix.columns.len()) " implementations, "
                (matrix.scenarios.len()) " scenarios. Suite " (matrix.suite) ", made " time { (matrix.made) } "."
            }
            @for reason in matrix.partial() { p.partial { strong { "PARTIAL" } " " (reason) } }
        }
        main {
            @if let Some(changes) = changes { (changes_table(changes)) }
            h2 { "Implementations" }
            (implementations(matrix))
            details.key open { summary { "What the marks mean" } (legend()) }
            h2 { "Themes" }
            (by_theme(matrix))
            (controls(matrix))
            h2 { "Requirements" }
            (by_requirement(matrix))
            (asked_of_none(matrix))
            h2 { "Scenarios" }
            (by_scenario(matrix))
        }
        script { (PreEscaped(include_str!("matrix.js"))) }
    }
}

/// A row for each implementation, with links to their pages.
fn implementations(matrix: &Matrix) -> Markup {
    let sorts =
        [FailureSort::Defect, FailureSort::Choice, FailureSort::Adapter, FailureSort::Suite];
    let has = |sort: &FailureSort| matrix.columns.iter().any(|column| column.of_sort(*sort).0 > 0);
    let sorts: Vec<FailureSort> = sorts.into_iter().filter(has).collect();
    html! {
        div.wide tabindex="0" {
            table.implementations {
                thead {
                    tr {
                        th scope="col" { "implementation" }
                        th.bar scope="col" { "passed of asked" }
                        th scope="col" { "passed" }
                        @for sort in &sorts { th scope="col" title="known failures" { (sort) "s" } }
                        th scope="col" { "failed" }
                        th scope="col" { "not asked" }
                    }
                }
                tbody {
                    @for column in &matrix.columns {
                        tr {
                            th scope="row" { a href=(file_of(column)) { (column.adapter) } small { (column.implementation) } }
                            @if let Some(reason) = &column.absent {
                                td.absent colspan=(4 + sorts.len()) { "did not run: " (reason) }
                            } @else {
                                @let sum = column.sum(matrix.scenarios.keys().map(String::as_str));
                                @let [passed, _, failed, skipped] = counts(&sum);
                                td.bar { meter min="0" max=(sum.asked().max(1)) value=(passed) { (passed) " of " (sum.asked()) } }
                                td.pass { (passed) }
                                @for sort in &sorts {
                                    @let (count, causes) = column.of_sort(*sort);
                                    td.known { @if count > 0 { (count) @if causes < count { small { " (" (causes) " causes)" } } } }
                                }
                                td.bad { @if failed > 0 { (failed) } }
                                td.skip { @if skipped > 0 { (skipped) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The search field and the filters. They need the script, and stay hidden until it shows them.
fn controls(matrix: &Matrix) -> Markup {
    html! {
        form.controls hidden role="search" {
            label { "Search " input type="search" name="text" placeholder="EOF-4, truncated, close/…"; }
            label {
                "Theme "
                select name="theme" {
                    option value="" { "all" }
                    @for theme in matrix.themes() { option { (theme) } }
                }
            }
            label {
                "Rows with "
                select name="verdict" {
                    option value="" { "anything" }
                    option value="differ" { "differences" }
                    option value="known" { "a failure" }
                    option value="bad" { "an unexpected failure" }
                    option value="skip" { "something not asked" }
                }
            }
            label {
                "Columns "
                select name="column" {
                    option value="" { "all" }
                    @for (place, column) in (2..).zip(&matrix.columns) { option value=(place) { (column.adapter) } }
                }
            }
            output {}
        }
    }
}

/// The header row of a table: `first` and the names of the adapters, which link to their pages.
fn head(matrix: &Matrix, first: &str) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { (first) }
                @for column in &matrix.columns {
                    th.name scope="col" title=(column.about) { a href=(file_of(column)) { (column.adapter) } }
                }
            }
        }
    }
}

fn by_theme(matrix: &Matrix) -> Markup {
    html! {
        div.wide tabindex="0" {
            table.grid {
                (head(matrix, "scenarios that pass"))
                tbody {
                    @for theme in matrix.themes() {
                        tr {
                            th scope="row" { a href=(format!("#theme-{theme}")) { (theme) } }
                            @for column in &matrix.columns {
                                @let sum = of_theme(matrix, column, theme);
                                td class=(worst(&sum)) { (parts(&sum)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn by_requirement(matrix: &Matrix) -> Markup {
    html! {
        div.wide tabindex="0" {
            table.grid.rows {
                (head(matrix, "requirement"))
                tbody {
                    @for (requirement, scenarios) in matrix.requirements() {
                        tr data-themes=(scenarios.iter().map(|id| theme(id)).collect::<Vec<_>>().join(" ")) {
                            @let Requirement { id, level, what, .. } = requirement;
                            th scope="row" { b id=(id) { (id) } " " small { (level) } span { (prose(what)) } }
                            @for column in &matrix.columns {
                                @let sum = column.sum(scenarios.iter().copied());
                                td class=(requirement_class(&sum)) { (of_requirement(column, &scenarios, &sum)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The requirements that no implementation was asked for.
fn asked_of_none(matrix: &Matrix) -> Markup {
    let unasked: Vec<&str> = matrix.asked_of_none().iter().map(|one| one.id.as_str()).collect();
    html! {
        @if !unasked.is_empty() {
            p { strong { "Asked of none" } ": " (unasked.join(", ")) "." }
        }
    }
}

fn by_scenario(matrix: &Matrix) -> Markup {
    html! {
        div.wide tabindex="0" {
            table.grid.rows {
                (head(matrix, "scenario"))
                @for theme_ in matrix.themes() {
                    tbody id=(format!("theme-{theme_}")) {
                        @for (id, info) in matrix.scenarios.iter().filter(|(id, _)| theme(id) == theme_) {
                            tr data-themes=(theme_) {
                                th scope="row" {
                                    a href=(scenario_address(id)) { (id) }
                                    @if info.heavy { " " small { "heavy" } }
                                    span { (prose(&info.about)) }
                                }
                                @for column in &matrix.columns {
                                    @match column.cells.get(id) {
                                        Some(cell) => td class=(class(cell.verdict)) { (link(id, column, cell.verdict)) },
                                        None => td.none { "·" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changes_table(changes: &[Change]) -> Markup {
    html! {
        h2 { "What changed" }
        @if changes.is_empty() { p { "Nothing." } } @else {
            div.wide tabindex="0" {
                table.plain {
                    thead { tr { th scope="col" { "scenario" } th scope="col" { "on" } th scope="col" { "" } th scope="col" { "was" } th scope="col" { "is" } } }
                    tbody {
                        @for Change { way, adapter, scenario, was, is } in changes {
                            tr {
                                th scope="row" { a href=(scenario_address(scenario)) { (scenario) } }
                                td { (adapter) } td { (way.name()) } td { (was) } td { (is) }
                            }
                        }
                    }
                }
            }
        }
    }
}
