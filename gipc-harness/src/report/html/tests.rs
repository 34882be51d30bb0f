//! Tests of the page of a run.

use super::*;
use crate::diagram::{Run, svg};
use crate::model::Choices;
use crate::scenario::parse;
use crate::trace::{Observation, Trace};
use crate::variant::{Job, Variant};
use crate::verdict::{Baseline, judge};
use std::path::Path;

/// The report of a run of a scenario in which the get returned `eof` instead of a message.
fn failure() -> (Job, Observation) {
    let text =
        "# A <message> arrives.\nmain pipe r w\nmain put w \"a & b\"\nmain get r => \"a & b\"\n";
    let scenario = parse("message/own", text).expect("it parses");
    let path = Path::new("own.scenario");
    let job = Job::new(&scenario, path, Choices::default(), Variant::default()).expect("a job");
    let mut trace: Trace = job.allowed.in_file_order().clone();
    trace.steps[2] = crate::trace::StepState::completed(crate::scenario::Outcome::Eof);
    (job, Observation::of(trace))
}

fn page() -> String {
    let (job, observation) = failure();
    let environment = Environment { facts: Vec::new(), slow_factor: 1 };
    let verdict = judge(&job, &observation, &Baseline::default(), &environment);
    let mut tally = Tally { planned: 1, ..Tally::default() };
    tally.add("message/own", &verdict);
    let diagram = Run::observed(&job, &observation, &verdict, "own").diagram(false);
    let report = ScenarioReport {
        scenario: job.scenario.clone(),
        path: job.path.clone(),
        name: "message/own".into(),
        adapter: "own".into(),
        asked: "own".into(),
        flags: String::new(),
        verdict,
        time: Duration::ZERO,
        record: Some("records/record.jsonl".into()),
    };
    let mut html = HtmlReport::default();
    html.add(&report, || svg::inline(&diagram));
    html.page("own", &tally, &environment, Duration::from_millis(1500))
}

#[test]
fn a_failure_has_its_parts_and_its_diagram() {
    let page = page();
    let parts = [
        "1 of 1 ran in 1.5 s",
        "href=\"#failure-1\"",
        "id=\"failure-1\"",
        "own.scenario:4",
        "got eof",
        "<svg",
        "✗ expected",
        "run message/own --adapter own",
        "records/record.jsonl",
    ];
    for part in parts {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn the_page_needs_no_script_and_nothing_from_elsewhere() {
    let page = page();
    for part in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(part), "{part} is in the page");
    }
}

#[test]
fn the_words_of_a_scenario_are_escaped() {
    let page = page();
    assert!(page.contains("A &lt;message&gt; arrives.") && page.contains("a &amp; b"), "{page}");
    assert!(!page.contains("<message>"));
}

#[test]
fn colors_of_a_terminal_are_not_in_the_page() {
    assert!(!page().contains('\u{1b}'));
}
