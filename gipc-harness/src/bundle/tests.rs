//! Tests of bundles: what is in the folder, what is removed, and what further runs mean.

use super::redact::Redaction;
use super::reproduction::{Conclusion, Runs, conclusion, report};
use super::{Bundle, issue};
use crate::environment::{Environment, SystemFact};
use crate::model::Choices;
use crate::record::Record;
use crate::runner::RunOutput;
use crate::scenario::{Outcome, parse};
use crate::trace::{Observation, StepState};
use crate::variant::{Job, Variant};
use crate::verdict::{Status, Verdict};
use rstest::rstest;
use std::path::Path;

const TEXT: &str =
    "# A message arrives.\nmain pipe r w\nmain put w \"/srv/me/x\"\nmain get r => \"/srv/me/x\"\n";

/// A record of a run in which the get returned another outcome than the message.
fn record(outcome: Option<Outcome>) -> Record {
    let scenario = parse("message/own", TEXT).expect("it parses");
    let path = Path::new("/srv/me/project/own.scenario");
    let job = Job::new(&scenario, path, Choices::default(), Variant::default()).expect("a job");
    let mut trace = job.allowed.in_file_order().clone();
    if let Some(outcome) = outcome {
        let detail = Some("open /srv/me/secret/file.rs failed".into());
        trace.steps[2] = StepState::Completed { outcome, from: None, detail };
    }
    let mut observation = Observation::of(trace);
    observation.printed = "at /srv/me/secret/lib.py, token=hunter2hunter2, /usr/lib/x.so\n".into();
    let fact = SystemFact {
        name: "scratch".into(),
        found: "/srv/me/tmp".into(),
        unmet: None,
        unmet_by_heavy: None,
    };
    let environment = Environment { facts: vec![fact], slow_factor: 1 };
    Record::new(&job, &RunOutput::from(observation), "own", None, &environment)
}

fn redaction() -> Redaction {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Redaction::new([pair("HOME", "/srv/me"), pair("TOKEN", "hunter2hunter2"), pair("A", "own")])
}

fn bundle() -> Bundle {
    let record = redaction().record(&record(Some(Outcome::Eof))).expect("a record");
    Bundle::new(Path::new("record.jsonl"), record, true).expect("a failure")
}

#[test]
fn a_bundle_that_was_written_is_read_as_the_same_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = bundle().write(folder.path()).expect("written");
    assert!(Bundle::is_one(folder.path()));
    let read = Bundle::read(folder.path()).expect("a bundle");
    assert_eq!(read.manifest, bundle().manifest);
    assert_eq!(read.manifest.fingerprint[1], "eof");
    for name in ["README.md", "failure.txt", "diagram.svg", "trace.json", "reproduce.scenario"] {
        assert!(written.contains(&name), "{name} is missing");
    }
    let readme = std::fs::read_to_string(folder.path().join("README.md")).expect("it is there");
    assert!(readme.lines().count() <= 16, "{readme}");
    assert!(readme.contains("cargo install --path gipc-harness"), "{readme}");
    assert!(readme.contains("--adapters DIR"), "{readme}");
}

#[test]
fn a_run_that_passed_cannot_be_packed() {
    let error = Bundle::new(Path::new("r.jsonl"), record(None), true).expect_err("no failure");
    assert!(error.to_string().contains("no failure to reproduce"), "{error}");
}

#[test]
fn values_of_variables_and_folders_are_removed_and_system_paths_are_kept() {
    let text = redaction()
        .text("at /srv/me/a/b.py, hunter2hunter2, /usr/lib/x.so, /opt/data/y.c, a/b, own");
    assert_eq!(text, "at $HOME/a/b.py, $TOKEN, /usr/lib/x.so, …/y.c, a/b, own");
}

#[test]
fn nothing_private_is_in_any_file_and_the_scenario_is_unchanged() {
    for (name, text) in bundle().files() {
        for private in ["hunter2", "/srv/me/secret", "/srv/me/tmp", "/srv/me/project"] {
            assert!(!text.contains(private), "{private} is in {name}:\n{text}");
        }
    }
    assert_eq!(bundle().record.case.text, TEXT);
}

#[test]
fn a_bug_report_has_the_scenario_the_diagram_and_the_environment() {
    let text = issue::issue(&bundle());
    for part in
        ["# FAIL in message/own", "```mermaid\nsequenceDiagram", "main put w", "## Environment"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

/// Runs of which this many failed in the same way, and this many could not be judged because of the machine.
fn runs(all: usize, same: usize, hindered: usize) -> Runs {
    Runs { all, same, hindered, ..Runs::default() }
}

#[rstest]
#[case::always(runs(10, 10, 0), None, Conclusion::Genuine)]
#[case::nine_of_ten(runs(10, 9, 0), None, Conclusion::Genuine)]
#[case::eight_of_ten(runs(10, 8, 0), Some(runs(10, 10, 0)), Conclusion::Sometimes)]
#[case::only_under_load(runs(10, 0, 0), Some(runs(10, 4, 0)), Conclusion::Contention)]
#[case::never(runs(10, 0, 0), Some(runs(10, 0, 0)), Conclusion::Gone)]
#[case::cannot_run(runs(10, 0, 10), None, Conclusion::Environment)]
fn further_runs_are_classified_by_the_fingerprint(
    #[case] alone: Runs,
    #[case] loaded: Option<Runs>,
    #[case] expected: Conclusion,
) {
    assert_eq!(conclusion(&alone, loaded.as_ref()), expected);
}

#[test]
fn another_failure_is_counted_by_its_words_and_not_as_the_same() {
    let mut runs = Runs::default();
    let mut verdict = Verdict::for_test(Status::Fail, "");
    let failed_as = |outcome: &str| ["main get r", outcome, "FAIL"].map(str::to_owned);
    verdict.failed_as = Some(failed_as("closed"));
    runs.add(&verdict, &failed_as("eof"));
    runs.add(&verdict, &failed_as("closed"));
    assert_eq!((runs.all, runs.same), (2, 1));
    let text = report(Conclusion::Sometimes, &runs, None);
    assert!(
        text.contains("alone: 1 of 2 runs") && text.contains("1 × FAIL: main get r gave closed"),
        "{text}"
    );
}
