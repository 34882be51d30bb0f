//! Tests that the texts about stored runs, and about stalls that the model predicts, are those that were reviewed. No
//! process runs, so these tests cover only the judge, the analysis of stalls and the texts. `cargo insta review` shows what
//! has changed.

use super::{ScenarioReport, terminal};
use crate::deadlock::{explain, explain_model};
use crate::model::{Choices, predict};
use crate::record::Record;
use crate::scenario::{Outcome, PipeEnd, Scenario, parse};
use crate::trace::{
    BlockedIn, EvidenceTier, FdHolder, FillLevel, Observation, ProcessExit, SignalView,
    StallEvidence, StepState, Trace, sequence_diagram, sequence_diagram_of,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files with this extension in the folders of a folder, by folder and name.
fn files(folder: &str, extension: &str) -> BTreeMap<String, PathBuf> {
    let folders = fs::read_dir(root().join(folder)).unwrap().flatten().map(|entry| entry.path());
    let mut found = BTreeMap::new();
    for folder in folders.filter(|path| path.is_dir()) {
        for path in fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|it| it == extension) {
                let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
                found.insert(format!("{}/{}", name(&folder), name(&path)), path);
            }
        }
    }
    found
}

/// The scenarios of the suite that a person can read, by id.
fn scenarios() -> BTreeMap<String, Scenario> {
    let parsed = files("scenarios", "scenario").into_iter().map(|(id, path)| {
        let scenario = parse(&id, &fs::read_to_string(path).unwrap()).unwrap();
        (id, scenario)
    });
    parsed.filter(|(_, scenario)| scenario.steps.len() < 60).collect()
}

fn compare(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A stored run, judged without a baseline.
fn judged(path: &Path) -> (Record, ScenarioReport) {
    let record = Record::read(path).unwrap();
    let (job, verdict) = record.judge(None).unwrap();
    let report = ScenarioReport {
        scenario: job.scenario.clone(),
        path: job.path.clone(),
        name: job.scenario.id.clone(),
        adapter: record.case.adapter.clone(),
        asked: record.case.adapter.clone(),
        flags: String::new(),
        verdict,
        time: Duration::ZERO,
        record: None,
    };
    (record, report)
}

#[test]
fn what_is_said_of_each_recorded_bug_is_what_was_reviewed() {
    for (id, path) in files("bugs", "jsonl") {
        let (record, report) = judged(&path);
        let (scenario, verdict) = (&report.scenario, &report.verdict);
        let trace = &record.case.observation.trace;
        let mut text = terminal::plain_evidence(&report);
        let _ = writeln!(text, "\n--- fingerprint\n\n{:?}", verdict.fingerprint(scenario));
        let _ = writeln!(text, "\n--- columns\n\n{}", sequence_diagram(scenario, trace));
        let _ = writeln!(text, "\n--- trace\n\n{}", verdict.trace_text);
        let _ = writeln!(text, "\n--- the nearest allowed trace\n\n{}", verdict.model_text);
        let (project, name) = id.split_once('/').unwrap();
        compare(&format!("judged/{project}"), name, &text);
    }
}

/// The scenarios of `tests/reported` on the implementations that do not pass them, and on those with a fault that each of
/// them was written for. `.ci/reported` records the runs.
#[test]
fn what_is_said_of_each_recorded_run_of_a_reported_scenario_is_what_was_reviewed() {
    for (id, path) in files("tests/reported/records", "jsonl") {
        let (_, report) = judged(&path);
        let (adapter, name) = id.split_once('/').unwrap();
        compare(&format!("reported/{adapter}"), name, &terminal::plain_evidence(&report));
    }
}

#[test]
fn why_the_model_blocks_is_explained_as_was_reviewed() {
    let mut text = String::new();
    for (id, scenario) in scenarios() {
        if let Some(stall) = explain_model(&scenario, &predict(&scenario, Choices::default())) {
            let _ = writeln!(text, "=== {id}\n{}", terminal::stall(&scenario, &stall));
        }
    }
    compare("unit", "stalls-of-the-model", &text);
}

/// A made-up stall: what it shows, its lines, the open steps, and what else the system showed.
type Case = (&'static str, &'static str, &'static [usize], fn(&mut StallEvidence));

fn held(evidence: &mut StallEvidence, end: PipeEnd, by: &[&str]) {
    evidence.fully_known_ends.insert(end);
    let holders = (7..).zip(by);
    evidence.holders.extend(holders.map(|(descriptor, process)| FdHolder {
        end,
        process: (*process).into(),
        descriptor,
    }));
}

fn sleeps(evidence: &mut StallEvidence, process: &str, turning: Option<bool>) {
    let call = BlockedIn::Call { name: "epoll".into(), fd: Some(3), far_timer: None };
    evidence.blocked_in.insert(process.into(), call);
    if let Some(turning) = turning {
        evidence.loops_turning.insert(process.into(), turning);
    }
}

const GIVEN: &str = "main pipe r w\nmain spawn child r\nmain put w 100B\nmain put w 20B\n\
    child get r => 100B\nchild get r => 20B\nmain join child => exit 0\n";
const CHAIN: &str = "main pipe r w\nmain exec tool\nmain spawn a\nmain spawn b\nmain spawn c\nmain spawn d\n\
    main spawn e\nmain spawn f r\nmain close w\nf get r => eof\nmain join f => exit 0\n";
const SIGNALS: &str = "main pipe r w\nmain block SIGUSR1\nmain spawn child r\nchild trap SIGUSR2\n\
    main signal child SIGUSR1\nmain signal child SIGUSR2\nmain signal child SIGTERM\nchild get r => blocks\n";
const LIMITED: &str = "main pipe r w\nmain spawn child r\nmain put w 3000B\n\
    child get r within 50ms => timeout\nchild get r => 3000B\nmain join child => exit 0\n";

const CASES: [Case; 15] = [
    ("a whole message is there, and the loop does not turn", GIVEN, &[5, 6], |it| {
        sleeps(it, "child", Some(false));
    }),
    ("two messages are there, and the loop turns", GIVEN, &[4, 5, 6], |it| {
        sleeps(it, "child", Some(true));
    }),
    ("a wake-up was lost and made good by a ping", GIVEN, &[5, 6], |it| {
        sleeps(it, "child", Some(true));
        it.woken_by_ping.push(5);
        it.overdue.push(5);
    }),
    ("bytes of messages are missing", GIVEN, &[4, 5, 6], |it| {
        sleeps(it, "child", Some(true));
        it.fill_levels.push(FillLevel { pipe: 0, bytes: 100 });
    }),
    ("as many bytes are there as were put", GIVEN, &[4, 5, 6], |it| {
        it.fill_levels.push(FillLevel { pipe: 0, bytes: 120 });
        held(it, PipeEnd::reader(0), &["child"]);
        held(it, PipeEnd::writer(0), &["main", "child"]);
    }),
    ("a child is stopped", GIVEN, &[5, 6], |it| {
        it.blocked_in.insert("child".into(), BlockedIn::Stopped);
    }),
    ("a put has room", GIVEN, &[3, 6], |it| {
        held(it, PipeEnd::reader(0), &["child"]);
        held(it, PipeEnd::writer(0), &["main"]);
        it.fill_levels.push(FillLevel { pipe: 0, bytes: 1 });
        it.tier = EvidenceTier::LoopTurns;
    }),
    ("no process can read any more", GIVEN, &[3], |it| {
        held(it, PipeEnd::reader(0), &[]);
        it.trace.exits.insert("child".into(), ProcessExit::Code(0));
    }),
    ("siblings and a program inherited the writer", CHAIN, &[9, 10], |it| {
        held(it, PipeEnd::reader(0), &["f"]);
        held(it, PipeEnd::writer(0), &["a", "b", "c", "d", "e", "f", "tool, pid 7 (sh)"]);
        for process in ["a", "b", "c", "d", "e", "f", "main"] {
            sleeps(it, process, None);
        }
    }),
    ("one sibling inherited it, and main kept it", CHAIN, &[9, 10], |it| {
        held(it, PipeEnd::writer(0), &["a", "main", "helper, pid 8"]);
        it.tier = EvidenceTier::KernelPartial;
        it.still_running.insert("b".into(), "it computes".into());
    }),
    ("the end is due, and its holders are not known", CHAIN, &[9, 10], |it| {
        sleeps(it, "f", Some(true));
        it.tier = EvidenceTier::Timeout;
    }),
    ("signals did nothing", SIGNALS, &[7], |it| {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let view = SignalView {
            pending: set(&["SIGUSR1"]),
            blocked: set(&["SIGUSR1"]),
            caught: set(&["SIGTERM"]),
            ..SignalView::default()
        };
        it.signals.insert("child".into(), view);
    }),
    ("a signal is pending and not blocked", SIGNALS, &[7], |it| {
        let view = SignalView {
            pending: ["SIGUSR1".to_owned()].into(),
            caught: ["SIGUSR2".to_owned()].into(),
            ..SignalView::default()
        };
        it.signals.insert("child".into(), view);
        it.tier = EvidenceTier::Interrupted;
    }),
    ("a get was given up inside a message", LIMITED, &[4, 5], |it| {
        it.fill_levels.push(FillLevel { pipe: 0, bytes: 2000 });
        sleeps(it, "child", Some(true));
    }),
    ("a child has nothing more to do", LIMITED, &[5], |it| {
        it.trace.exits.insert("child".into(), ProcessExit::Running);
        sleeps(it, "child", None);
        sleeps(it, "main", None);
    }),
];

/// The other steps of each case have the outcomes in its lines.
#[test]
fn stalls_that_are_made_up_are_explained_as_was_reviewed() {
    let mut text = String::new();
    for (what, lines, open, change) in CASES {
        let scenario = parse("it", lines).unwrap();
        let states =
            scenario.steps.iter().enumerate().map(|(step, spec)| match &spec.expected[..] {
                _ if open.contains(&step) => StepState::Pending,
                [outcome, ..] => StepState::completed(outcome.clone()),
                [] => StepState::completed(Outcome::Ok),
            });
        let trace = Trace { steps: states.collect(), ..Trace::default() };
        let mut evidence = StallEvidence { trace: trace.clone(), ..StallEvidence::default() };
        change(&mut evidence);
        let observed = Observation { stall: Some(evidence), ..Observation::of(trace) };
        let said = explain(&scenario, &observed).map(|stall| terminal::stall(&scenario, &stall));
        let _ = writeln!(text, "=== {what}\n{}", said.unwrap_or_else(|| "no stall\n".into()));
    }
    compare("unit", "stalls-that-are-made-up", &text);
}

/// Columns of tasks, a list because there are too many tasks, pipes that are given, messages, and ends.
#[test]
fn columns_show_what_was_reviewed() {
    let shown = [
        "process/started-from-tasks",
        "close/sibling-does-not-inherit",
        "deadlock/both-write-first",
        "duplex/half-closed-and-given",
        "process/kill",
        "task/cancelled-get-loses-nothing",
    ];
    let (scenarios, mut text) = (scenarios(), String::new());
    for id in shown {
        let scenario = &scenarios[id];
        let trace = predict(scenario, Choices::default());
        let some = |step: usize| step % 3 != 1;
        let _ = writeln!(text, "=== {id}\n\n{}", sequence_diagram(scenario, &trace));
        let _ = writeln!(text, "--- some\n\n{}", sequence_diagram_of(scenario, &trace, &some));
    }
    compare("unit", "columns", &text);
}
