//! The matrix as one self-contained HTML file: tables that work without scripts, and the evidence for each cell.
//!
//! Each cell is a link to its evidence, which is at the end of the page and hidden until it is the target of a link.
//! With scripts, the evidence opens in a dialog, and the rows can be searched and filtered (`page.js`).

use super::markdown::facts;
use super::table::{of_theme, parts};
use super::{Cell, Change, Column, Matrix, ScenarioInfo, Sum, theme};
use crate::requirements::{self, Requirement};
use crate::verdict::Status;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The page, with the changes if the matrix is compared with an earlier one.
#[must_use]
pub fn page(matrix: &Matrix, changes: Option<&[Change]>) -> String {
    let partial = matrix.partial();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "gipc-harness: the matrix" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "Who keeps which promise" }
                    p {
                        "Child processes that talk through pipes: " (matrix.columns.len()) " implementations, "
                        (matrix.scenarios.len()) " scenarios. Suite " (matrix.suite) ", made "
                        time { (matrix.made) } "."
                    }
                    @for reason in &partial { p.partial { strong { "PARTIAL" } " " (reason) } }
                    p.legend {
                        @for status in [Status::Pass, Status::Known, Status::Fail, Status::Skip] {
                            span class=(class(status)) { (mark(status)) } " " (meaning(status)) " "
                        }
                        span.part { "1 of 4" } " kept as far as it could be asked "
                        span.none { "·" } " not run, since it is heavy "
                        span.known { "~" } " fails in some runs only "
                    }
                    (controls(matrix))
                }
                main {
                    @if let Some(changes) = changes { (changes_table(changes)) }
                    (by_theme(matrix))
                    (by_requirement(matrix))
                    (by_scenario(matrix))
                    (environments(matrix))
                    section #evidence aria-label="Evidence" {
                        @for (id, info) in &matrix.scenarios {
                            (scenario(id, info))
                            @for column in &matrix.columns {
                                @if let Some(cell) = column.cells.get(id).filter(|cell| has_evidence(cell)) {
                                    (evidence(id, info, column, cell))
                                }
                            }
                        }
                    }
                }
                dialog { form method="dialog" { button aria-label="Close" { "×" } } div {} }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string()
}

/// The search field and the filters. They are hidden until the script, which they need, shows them.
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
                    option value="bad" { "a failure nobody knew" }
                    option value="skip" { "something not asked" }
                }
            }
            output {}
        }
    }
}

/// The header row of a table: `first` and the names of the adapters.
fn head(matrix: &Matrix, first: &str) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { (first) }
                @for column in &matrix.columns {
                    @let (name, variant) = column.adapter.split_once('@').unwrap_or((&column.adapter, ""));
                    th scope="col" title=(column.about) {
                        a href=(format!("#{}", anchor("", &column.adapter))) { (name) @if !variant.is_empty() { br; "@" (variant) } }
                    }
                }
            }
        }
    }
}

fn by_theme(matrix: &Matrix) -> Markup {
    html! {
        h2 { "Themes" }
        div.wide tabindex="0" {
            table {
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
                    tr.all {
                        th scope="row" { "all" }
                        @for column in &matrix.columns {
                            td { (parts(&column.sum(matrix.scenarios.keys().map(String::as_str)))) }
                        }
                    }
                    tr.sorts {
                        th scope="row" { "known failures, by sort" }
                        @for column in &matrix.columns { td { (column.sorts().replace(", ", "\n")) } }
                    }
                }
            }
        }
    }
}

fn by_requirement(matrix: &Matrix) -> Markup {
    html! {
        h2 { "Requirements" }
        div.wide tabindex="0" {
            table.rows {
                (head(matrix, "what a library owes"))
                tbody {
                    @for (requirement, scenarios) in matrix.requirements() {
                        tr data-themes=(scenarios.iter().map(|id| theme(id)).collect::<Vec<_>>().join(" ")) {
                            @let Requirement { id, level, what, .. } = requirement;
                            th scope="row" { b id=(id) { (id) } " " small { (level) } span { (what) } }
                            @for column in &matrix.columns {
                                @let sum = column.sum(scenarios.iter().copied());
                                td class=(of_requirement(&sum)) { (link_to_worst(column, &scenarios, &sum)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn by_scenario(matrix: &Matrix) -> Markup {
    html! {
        h2 { "Scenarios" }
        div.wide tabindex="0" {
            table.rows {
                (head(matrix, "what was tried"))
                @for theme_ in matrix.themes() {
                    tbody id=(format!("theme-{theme_}")) {
                        @for (id, info) in matrix.scenarios.iter().filter(|(id, _)| theme(id) == theme_) {
                            tr data-themes=(theme_) {
                                th scope="row" {
                                    a href=(format!("#{}", anchor(id, ""))) { (id) }
                                    @if info.heavy { " " small { "heavy" } }
                                    span { (info.about) }
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

/// The class of a requirement: that of the worst of its scenarios; `part` if all pass that could be asked, and others
/// could not.
fn of_requirement(sum: &Sum) -> &'static str {
    match worst(sum) {
        "pass" if sum.asked() < sum.all() => "part",
        class => class,
    }
}

/// A link to the worst of several scenarios, and how many of them passed and could be asked. A check mark stands for all
/// scenarios.
fn link_to_worst(column: &Column, scenarios: &[&str], sum: &Sum) -> Markup {
    let Some((status, id)) = &sum.worst else { return html! { "·" } };
    let is_skipped =
        |id: &&&str| column.cells.get(**id).is_some_and(|cell| cell.verdict == Status::Skip);
    let skipped: Vec<&str> = scenarios.iter().filter(is_skipped).copied().collect();
    let (passed, asked, all) = (sum.passed(), sum.asked(), sum.all());
    let not_asked =
        (asked > 0 && asked < all).then(|| format!("not asked: {}", skipped.join(", ")));
    html! {
        @if of_requirement(sum) == "part" {
            a href=(format!("#{}", anchor(id, ""))) title=[not_asked] { (asked) " of " (all) }
        } @else {
            (link(id, column, *status))
            @if asked > 1 || (asked > 0 && asked < all) {
                small title=[not_asked] { " " (passed) "/" (asked) @if asked < all { " of " (all) } }
            }
        }
    }
}

/// A link from a cell to its evidence, or to the scenario if the cell passes and needs none.
fn link(id: &str, column: &Column, status: Status) -> Markup {
    let passes = matches!(status, Status::Pass | Status::Fixed);
    let target = anchor(id, if passes { "" } else { &column.adapter });
    let sometimes = column.cells.get(id).is_some_and(|cell| cell.sometimes);
    html! {
        a href=(format!("#{target}")) aria-label=(format!("{status}: {id} on {}", column.adapter)) title=(format!("{status}: {id}")) { (mark(status)) @if sometimes { " ~" } }
    }
}

/// A scenario: its requirements, its text and the snapshot that the model allows.
fn scenario(id: &str, info: &ScenarioInfo) -> Markup {
    html! {
        article id=(anchor(id, "")) {
            h3 { (id) }
            (requirements_of(info))
            h4 { "The scenario" }
            pre { (info.text) }
            h4 { "The trace that the model predicts; an implementation that passes gives the same" }
            pre { (info.model) }
        }
    }
}

fn has_evidence(cell: &Cell) -> bool {
    !matches!(cell.verdict, Status::Pass | Status::Fixed)
}

/// The evidence of a cell: the first mismatch, the explanations, both traces and the report of a stall.
fn evidence(id: &str, info: &ScenarioInfo, column: &Column, cell: &Cell) -> Markup {
    html! {
        article id=(anchor(id, &column.adapter)) {
            h3 {
                span class=(class(cell.verdict)) { (cell.verdict) }
                @if let Some(verdict) = &cell.failed_with { " (" (verdict) ")" }
                " " (id) " on " (column.adapter)
            }
            p.ran { (column.implementation) ". " a href=(format!("#{}", anchor("", &column.adapter))) { "Where it ran" } ". "
                a href=(format!("#{}", anchor(id, ""))) { "The scenario" } "." }
            @if let Some(first) = &cell.first {
                p.first {
                    code { (first.step) } " must give " code { (first.expected) }
                    @if !first.because.is_empty() { " (" (first.because) ")" }
                    ", and gives " code { (first.got) } "."
                    @if let Some(detail) = &first.detail { " In its own words: " q { (detail) } }
                }
            }
            @for note in &cell.notes { p.note { (note) } }
            (requirements_of(info))
            @if let Some(actual) = &cell.came { (traces(cell.model.as_ref().unwrap_or(&info.model), actual)) }
            @if let Some(stall) = &cell.stuck { h4 { "Why nothing moves" } pre { (stall) } }
        }
    }
}

/// The allowed and the actual snapshot side by side, line by line, with the first difference marked. A step that both
/// have in the same line is shown once.
fn traces(allowed: &str, actual: &str) -> Markup {
    let (left, right): (Vec<&str>, Vec<&str>) =
        (allowed.lines().collect(), actual.lines().collect());
    let column = outcome_column(&[&left[..], &right[..]].concat());
    let split = |line: &str| {
        let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        (line[..at].to_owned(), line[at..].to_owned())
    };
    let rows: Vec<_> = (0..left.len().max(right.len()))
        .map(|at| {
            let line = |side: &[&str]| side.get(at).copied().unwrap_or_default().to_owned();
            let (left, right) = (line(&left), line(&right));
            let ((step, allowed), (other, actual)) = (split(&left), split(&right));
            match step == other {
                true => (step, allowed, actual),
                false => (String::new(), left, right),
            }
        })
        .collect();
    let first = rows.iter().position(|(_, left, right)| left != right);
    html! {
        div.wide tabindex="0" {
            table.traces {
                thead { tr { th scope="col" { "step" } th scope="col" { "what the model allows" } th scope="col" { "what came" } } }
                tbody {
                    @for (at, (step, left, right)) in rows.iter().enumerate() {
                        tr.first-difference[first == Some(at)].differs[left != right] {
                            td { @if first == Some(at) { span.mark aria-label="the first difference" { "▶" } } (step) }
                            td { (left) }
                            td { (right) }
                        }
                    }
                }
            }
        }
    }
}

/// The column in which the outcomes begin: the last one in which a word begins in every line.
fn outcome_column(lines: &[&str]) -> usize {
    let lines: Vec<Vec<char>> = lines
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with("VIOLATION"))
        .map(|line| line.chars().collect())
        .collect();
    let begins = |line: &Vec<char>, at: usize| {
        line.get(at - 1) == Some(&' ') && line.get(at).is_some_and(|c| *c != ' ')
    };
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0);
    (1..longest).rev().find(|at| lines.iter().all(|line| begins(line, *at))).unwrap_or(0)
}

/// The requirements that a scenario covers, as links to their rows.
fn requirements_of(info: &ScenarioInfo) -> Markup {
    html! {
        ul.promises {
            @for Requirement { id, level, what, .. } in info.covers.iter().filter_map(|id| requirements::requirement(id)) {
                li { a href=(format!("#{id}")) { (id) } " " small { (level) } " " (what) }
            }
        }
    }
}

fn changes_table(changes: &[Change]) -> Markup {
    html! {
        h2 { "What changed" }
        @if changes.is_empty() { p { "Nothing." } } @else {
            div.wide tabindex="0" {
                table.rows {
                    thead { tr { th scope="col" { "scenario" } th scope="col" { "on" } th scope="col" { "" } th scope="col" { "was" } th scope="col" { "is" } } }
                    tbody {
                        @for change in changes {
                            tr {
                                th scope="row" { a href=(format!("#{}", anchor(&change.scenario, ""))) { (change.scenario) } }
                                td { (change.adapter) } td { (change.way.name()) } td { (change.was) } td { (change.is) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn environments(matrix: &Matrix) -> Markup {
    html! {
        h2 { "Where it ran" }
        @for column in &matrix.columns {
            details id=(anchor("", &column.adapter)) {
                summary { b { (column.adapter) } " " (column.about) }
                @if let Some(reason) = &column.absent { p { "It did not run: " (reason) } } @else {
                    p { "Its agent says that it is " (column.implementation) "." }
                    dl { @for (name, found) in facts(column) { dt { (name) } dd { (found) } } }
                }
            }
        }
    }
}

/// The anchor of a scenario, of an implementation (with an empty scenario), or of a cell. Ids contain neither `!` nor
/// `+`.
fn anchor(scenario: &str, adapter: &str) -> String {
    format!("{scenario}!{adapter}").replace('/', "+")
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

/// The explanation of a status in the legend.
fn meaning(status: Status) -> &'static str {
    match status {
        Status::Pass => "kept",
        Status::Known => "broken, and explained",
        Status::Skip => "it has no such thing",
        _ => "and other words: broken, and nobody knew",
    }
}
