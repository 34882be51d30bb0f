//! A run of the suite as one self-contained HTML page, which needs no script: the summary, the failures in groups, and
//! each failure with its diagram, the scenario beside the trace, and the commands to type next.

mod failure;

use super::document::document;
use super::summary::{self, Group};
use super::terminal::participle;
use super::{ScenarioReport, Tally};
use crate::diagram::svg::STYLE;
use crate::environment::Environment;
use crate::verdict::Status;
use failure::Failure;
use maud::{Markup, html};
use std::time::Duration;

/// The maximum number of failures for which the page has a diagram and the trace. Further ones have only the text of the
/// terminal.
const MAX_DETAILED: usize = 100;

/// The parts of the page from the runs so far.
#[derive(Debug, Default)]
pub struct HtmlReport {
    failures: Vec<Failure>,
    implementation: Option<String>,
}

impl HtmlReport {
    /// Adds a run, with its diagram if it is a failure. `diagram` is called only if the page has room for it.
    pub fn add(&mut self, report: &ScenarioReport, diagram: impl FnOnce() -> Markup) {
        if report.verdict.status.is_expected() {
            return;
        }
        let diagram = (self.failures.len() < MAX_DETAILED).then(diagram);
        self.failures.push(Failure::new(report, self.failures.len(), diagram));
    }

    /// Sets the implementation that ran.
    pub fn set_implementation(&mut self, implementation: String) {
        self.implementation.get_or_insert(implementation);
    }

    /// The page of a finished run.
    #[must_use]
    pub fn page(
        &self,
        adapter: &str,
        tally: &Tally,
        environment: &Environment,
        time: Duration,
    ) -> String {
        let body = html! {
            (self.header(adapter, tally, time))
            main {
                @if !self.failures.is_empty() { (self.groups(tally)) }
                (themes(tally))
                @if !self.failures.is_empty() {
                    section aria-labelledby="failures" {
                        h2 #failures { "Failures" }
                        @for failure in &self.failures { (failure.markup()) }
                    }
                }
                (baseline(tally))
                (environment_list(environment))
            }
        };
        document(&format!("gipc-harness: {adapter}"), &[include_str!("page.css"), STYLE], &body)
    }

    fn header(&self, adapter: &str, tally: &Tally, time: Duration) -> Markup {
        let seconds = time.as_secs_f64();
        html! {
            header {
                h1 { "Run of " (adapter) }
                p.counts {
                    (tally.done()) " of " (tally.planned) " ran in " (format!("{seconds:.1} s")) ": "
                    @for (place, (status, count)) in tally.statuses.iter().enumerate() {
                        @if place > 0 { ", " }
                        span class=(class(*status)) { (count) " " (participle(*status)) }
                    }
                    "."
                    @if tally.heavy > 0 { " Left out: " (tally.heavy) " heavy; " code { "--heavy" } " adds them." }
                }
                @if let Some(implementation) = &self.implementation { p { "The implementation, as its agent reports it: " (implementation) "." } }
                @if let Some((part, parts)) = tally.shard { p { "This is part " (part) " of " (parts) "." } }
                @if tally.interrupted || tally.done() < tally.planned {
                    p.partial { strong { "PARTIAL" } ": the run was interrupted, and says nothing about what is missing." }
                }
            }
        }
    }

    /// The failures, grouped by the actual outcome, each with links to its evidence.
    fn groups(&self, tally: &Tally) -> Markup {
        html! {
            h2 { "What is not as expected" }
            ul.groups {
                @for Group { status, ids, reason } in summary::failures(tally, usize::MAX) {
                    li {
                        span class=(class(status)) { (status) } " "
                        @if ids.len() > 1 { (ids.len()) " scenarios: " }
                        (reason)
                        span.names {
                            @for (place, failure) in self.failures.iter().filter(|it| it.is(status, &ids)).enumerate() {
                                @if place > 0 { ", " }
                                a href=(format!("#{}", failure.anchor)) { (failure.name()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn themes(tally: &Tally) -> Markup {
    let statuses: Vec<Status> = tally.statuses.keys().copied().collect();
    html! {
        h2 { "Themes" }
        div.scroll {
            table {
                thead { tr { th scope="col" { "theme" } @for status in &statuses { th scope="col" { (participle(*status)) } } } }
                tbody {
                    @for (theme, counts) in &tally.themes {
                        tr {
                            th scope="row" { (theme) }
                            @for status in &statuses {
                                td.number {
                                    @match counts.get(status) {
                                        Some(count) => span class=(class(*status)) { (count) },
                                        None => "",
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

/// What is known to fail, and what was skipped, with the reasons.
fn baseline(tally: &Tally) -> Markup {
    let groups = summary::baseline(tally);
    html! {
        @if !groups.is_empty() {
            h2 { "Known failures and skips" }
            @for Group { status, ids, reason } in &groups {
                details {
                    summary {
                        span class=(class(*status)) { (status) } " "
                        @match ids[..] { [id] => (id), _ => { (ids.len()) " scenarios" } }
                        ": " (reason)
                    }
                    p { (ids.join(", ")) }
                }
            }
        }
    }
}

fn environment_list(environment: &Environment) -> Markup {
    html! {
        h2 { "Environment" }
        @for (fact, unmet) in environment.unmet() { p.partial { "Here, " (fact.name) ": " (unmet.means) } }
        dl {
            dt { "suite" } dd { (env!("CARGO_PKG_VERSION")) }
            @for fact in &environment.facts { dt { (fact.name) } dd { (fact.found) } }
        }
    }
}

/// The style class of a status.
fn class(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Known => "known",
        Status::Skip => "skip",
        _ => "bad",
    }
}

#[cfg(test)]
mod tests;
