//! `scenarios.html`: each scenario with its text, the trace that the model predicts, and its results.

use super::{anchor, class, is_failure, link, prose, requirements_of};
use crate::report::matrix::{Matrix, ScenarioInfo};
use maud::{Markup, html};

pub(super) fn body(matrix: &Matrix) -> Markup {
    html! {
        header {
            h1 { "The scenarios" }
            p { a href="index.html" { "All implementations" } }
        }
        main { @for (id, info) in &matrix.scenarios { (scenario(matrix, id, info)) } }
    }
}

fn scenario(matrix: &Matrix, id: &str, info: &ScenarioInfo) -> Markup {
    let failures = || {
        let results =
            matrix.columns.iter().filter_map(|column| Some((column, column.cells.get(id)?)));
        results.filter(|(_, cell)| is_failure(cell.verdict))
    };
    html! {
        article.scenario id=(anchor(id)) {
            h3 { (id) @if info.heavy { " " small { "heavy" } } }
            p { (prose(&info.about)) }
            (requirements_of(info))
            @if failures().next().is_some() {
                p.fails {
                    "Fails on "
                    @for (place, (column, cell)) in failures().enumerate() {
                        @if place > 0 { ", " }
                        span class=(class(cell.verdict)) { (column.adapter) " " (link(id, column, cell.verdict)) }
                    }
                }
            }
            @if info.text.is_empty() {
                p { "The suite has another text of this scenario than when it ran, or has it no longer." }
            } @else {
                div.beside {
                    div { h4 { "The scenario" } pre tabindex="0" { (info.text) } }
                    div { h4 { "The trace that the model predicts" } pre tabindex="0" { (info.model) } }
                }
            }
        }
    }
}
