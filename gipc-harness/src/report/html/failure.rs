//! One failure on the page of a run, with the five parts of the terminal report: status and id; the excerpt of the file;
//! what happened and why another outcome was expected; the commands to type next; where the record is.

use super::class;
use crate::report::document::prose;
use crate::report::{ScenarioReport, terminal};
use crate::requirements::{self, Requirement};
use crate::verdict::Status;
use maud::{Markup, html};

/// The parts of a failure that the page shows.
#[derive(Debug)]
pub(super) struct Failure {
    /// The id of the element.
    pub(super) anchor: String,
    status: Status,
    id: String,
    flags: String,
    markup: Markup,
}

impl Failure {
    /// The failure of a run. Without a diagram, it consists of the text of the terminal.
    pub(super) fn new(report: &ScenarioReport, number: usize, diagram: Option<Markup>) -> Self {
        let id = report.scenario.id.clone();
        let anchor = format!("failure-{}", number + 1);
        let markup = match diagram {
            Some(diagram) => detailed(report, &diagram),
            None => html! { pre tabindex="0" { (terminal::plain_failure(report)) } },
        };
        Self { anchor, status: report.verdict.status, id, flags: report.flags.clone(), markup }
    }

    /// Whether it belongs to a group of failures with this status and these scenarios.
    pub(super) fn is(&self, status: Status, ids: &[&str]) -> bool {
        self.status == status && ids.contains(&self.id.as_str())
    }

    /// The id of the scenario, with the flags of the variant.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.id, self.flags).trim().to_owned()
    }

    pub(super) fn markup(&self) -> Markup {
        html! {
            article.failure id=(self.anchor) {
                h3 { span class=(class(self.status)) { (self.status) } " " (self.name()) }
                (self.markup)
            }
        }
    }
}

fn detailed(report: &ScenarioReport, diagram: &Markup) -> Markup {
    let ScenarioReport { scenario, verdict, .. } = report;
    let mismatch = verdict.mismatch.as_ref();
    let line = mismatch.map(|one| scenario.steps[one.step].position.line);
    html! {
        @if !scenario.about().is_empty() { p { (scenario.about()) } }
        @if let (Some(mismatch), Some(line)) = (mismatch, line) {
            p {
                @let step = &scenario.steps[mismatch.step];
                code { (step.task_id) " " (step.what()) } " gave " code { (mismatch.got) } ", and should give " code { (mismatch.expected) } "."
            }
            p.place { (report.path.display()) ":" (line) }
            pre tabindex="0" { (terminal::excerpt(scenario, mismatch, false)) }
            @for paragraph in paragraphs(&terminal::explanation(mismatch)) { p.note { (paragraph) } }
        }
        @for paragraph in paragraphs(&terminal::further(report)) { p.note { (paragraph) } }
        @let covered: Vec<&Requirement> = scenario.covers().into_iter().filter_map(requirements::requirement).collect();
        @if !covered.is_empty() {
            ul.requirements {
                @for Requirement { id, level, what, .. } in covered { li { b { (id) } " " (level) ": " (prose(what)) } }
            }
        }
        h4 { "What happened" }
        figure tabindex="0" { (diagram) }
        @if let Some(stall) = &verdict.stall {
            h4 { "Why nothing moves" }
            pre tabindex="0" { (terminal::stall(scenario, stall).trim_matches('\n')) }
        }
        div.beside {
            div {
                h4 { "The scenario" }
                (lines(&scenario.text, |number, _| Some(number) == line))
            }
            div {
                h4 { "The trace; marked lines differ from what the model allows" }
                @let allowed: Vec<&str> = verdict.model_text.lines().collect();
                (lines(&verdict.trace_text, |_, text| !allowed.is_empty() && !allowed.contains(&text)))
            }
        }
        h4 { "What to type next" }
        pre.commands tabindex="0" { (terminal::next_commands(report).trim_matches('\n')) }
    }
}

/// Lines of text, some of them marked. `is_hit` gets the number of a line, from 1, and its text.
fn lines(text: &str, is_hit: impl Fn(usize, &str) -> bool) -> Markup {
    html! {
        div.lines tabindex="0" {
            @for (number, line) in (1..).zip(text.trim_end().lines()) { code.hit[is_hit(number, line)] { (line) } }
        }
    }
}

/// The paragraphs of a text for the terminal, without their indentation.
fn paragraphs(text: &str) -> Vec<String> {
    let trimmed = |paragraph: &str| {
        paragraph.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    };
    text.split("\n\n").map(trimmed).filter(|paragraph| !paragraph.is_empty()).collect()
}
