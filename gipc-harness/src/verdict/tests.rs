//! The judge on traces that are made up.

use super::*;
use crate::adapter::skip_list::SkipList;
use crate::environment::Environment;
use crate::model::{Choices, predict};
use crate::scenario::{Outcome, PipeEnd, parse};
use crate::trace::{
    Census, FdHolder, HeldDescriptor, LimitTime, Observation, StallEvidence, StepState, Trace,
    Unsupported,
};
use crate::variant::{Job, Variant};
use std::path::Path;

fn job(text: &str) -> Job {
    let scenario = parse("close/twice", text).expect("the scenario is well-formed");
    Job::new(&scenario, Path::new("twice.scenario"), Choices::default(), Variant::default())
        .expect("the default variant fits every scenario")
}

fn judged(job: &Job, trace: Trace) -> Verdict {
    judge(job, &Observation::of(trace), &Baseline::default(), &Environment::default())
}

const CLOSES: &str =
    "main        pipe r w\nmain        close w\nmain        get r                       => eof\n";

#[test]
fn a_handle_that_remains_fails_a_run_that_is_right_otherwise() {
    let job = job(CLOSES);
    let with_handles = |count| {
        let mut trace = predict(&job.scenario, Choices::default());
        trace.remaining_handles.insert("main".into(), count);
        judged(&job, trace)
    };
    assert_eq!(with_handles(1).status, Status::Pass);
    let verdict = with_handles(2);
    assert_eq!(verdict.status, Status::Fail);
    let expected = "main had 2 handles when its lines were done, and should have had 1";
    assert_eq!(verdict.notes, [expected]);
}

#[test]
fn a_process_that_holds_a_closed_end_after_its_last_step_fails_the_run() {
    let job = job(CLOSES);
    let end = Some(PipeEnd::writer(0));
    let held = HeldDescriptor { number: 7, what: "pipe:[42]".into(), end };
    let mut observation = Observation::of(predict(&job.scenario, Choices::default()));
    let census = Census { descriptors: vec![held], ..Census::default() };
    observation.censuses.insert("main".into(), census);
    let verdict = judge(&job, &observation, &Baseline::default(), &Environment::default());
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(verdict.fingerprint(&job.scenario), ["main finish", "leaks", "FAIL"]);
    let expected = "main had done all its steps and still held fd 7, which is w (pipe:[42]); main does not own it";
    assert_eq!(verdict.notes, [expected]);
}

#[test]
fn a_limit_through_which_the_process_slept_fails_the_run_at_its_step() {
    let job = job("main        pipe r w\nmain        get r within 20ms           => timeout\n");
    let mut observation = Observation::of(predict(&job.scenario, Choices::default()));
    let time = LimitTime { step: 1, at_most_us: Some(300_000), asleep_us: 200_000 };
    observation.limit_times.push(time);
    let verdict = judge(&job, &observation, &Baseline::default(), &Environment::default());
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(verdict.fingerprint(&job.scenario), ["main get r within 20ms", "late", "FAIL"]);
}

#[test]
fn later_wrong_steps_are_listed_after_the_first() {
    let text =
        format!("{CLOSES}main        close r\nmain        close r                     => closed\n");
    let job = job(&text);
    let mut trace = predict(&job.scenario, Choices::default());
    for step in [2, 4] {
        trace.steps[step] = StepState::Completed { outcome: Outcome::Ok, from: None, detail: None };
    }
    let verdict = judged(&job, trace);
    assert_eq!(verdict.mismatch.map(|first| first.step), Some(2));
    let further = verdict.further_mismatches.iter();
    let further: Vec<_> =
        further.map(|it| (it.step, it.got.as_str(), it.expected.as_str())).collect();
    assert_eq!(further, [(4, "ok", "closed")]);
}

#[test]
fn a_child_that_is_killed_before_it_connects_passes() {
    let text = "main        spawn child\n\
                main        kill child\n\
                main        join child                  => signal SIGKILL or exit 0\n";
    let job = job(text);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.exits.remove("child");
    let killed = Outcome::Signal("SIGKILL".into());
    trace.steps[2] = StepState::Completed { outcome: killed, from: None, detail: None };
    assert_eq!(judged(&job, trace.clone()).status, Status::Pass);
    trace.steps[2] = StepState::Completed { outcome: Outcome::Exit(3), from: None, detail: None };
    assert_eq!(judged(&job, trace).status, Status::Fail);
}

#[test]
fn two_hundred_children_that_are_killed_have_a_known_outcome() {
    let text = "each i in 1..200\n\
                main        pipe r[i] w[i]\n\
                main        spawn child[i] r[i]\n\
                child[i]    get r[i]                    => blocks or never\n\
                main        kill child[i]\n\
                main        join child[i]               => signal SIGKILL\n";
    let job = job(text);
    let trace = predict(&job.scenario, Choices::default());
    assert_eq!(judged(&job, trace.clone()).status, Status::Pass);
    let mut wrong = trace;
    wrong.steps[4] = StepState::Completed { outcome: Outcome::Exit(0), from: None, detail: None };
    assert_eq!(judged(&job, wrong).status, Status::Fail);
}

/// A helper of the implementation holds the writer too, which the file does not say.
#[test]
fn a_step_that_blocks_on_another_process_than_the_file_says_is_wrong() {
    let text = "main        pipe r w\nmain        get r                       => blocks on main\n";
    let job = job(text);
    let trace = predict(&job.scenario, Choices::default());
    assert_eq!(judged(&job, trace.clone()).status, Status::Pass);
    let (reader, writer) = (PipeEnd::reader(0), PipeEnd::writer(0));
    let holder = |process: &str, end| FdHolder { end, process: process.into(), descriptor: 7 };
    let stall = StallEvidence {
        trace: trace.clone(),
        holders: vec![
            holder("main", reader),
            holder("main", writer),
            holder("pid 9 (helper)", writer),
        ],
        fully_known_ends: [reader, writer].into(),
        ..StallEvidence::default()
    };
    let observation = Observation { stall: Some(stall), ..Observation::of(trace) };
    let baseline = Baseline::default();
    let verdict = judge(&job, &observation, &baseline, &Environment::default());
    assert_eq!(verdict.status, Status::Deadlock, "{:?}", verdict.mismatch);
    let mismatch = verdict.mismatch.expect("the get is wrong");
    assert_eq!(mismatch.expected, "blocks on main");
    assert_eq!(mismatch.got, "blocks on main, pid 9 (helper)");
}

/// What an adapter cannot do is listed in its folder, for scenarios of the suite.
#[test]
fn a_scenario_outside_the_suite_that_an_adapter_cannot_do_is_skipped_and_not_an_error() {
    let mut job = job(CLOSES);
    let unsupported = Unsupported { step: Some(2), reason: "no pipes here".into() };
    let trace = predict(&job.scenario, Choices::default());
    let observation =
        Observation { unsupported: Some(unsupported), ..Observation::of(trace.clone()) };
    let skips = SkipList::parse("", &["default"], "skips.txt").expect("an empty list");
    let profiles = ["core".to_owned()];
    let baseline = Baseline {
        profiles: &profiles,
        skips: Some(&skips),
        variant: "default",
        ..Baseline::default()
    };
    let verdict = |job: &Job| judge(job, &observation, &baseline, &Environment::default());
    assert_eq!(verdict(&job).status, Status::Error);
    job.is_foreign = true;
    let skipped = verdict(&job);
    assert_eq!(skipped.status, Status::Skip);
    assert_eq!(skipped.reason.as_deref(), Some("get r: no pipes here"));
    assert_eq!(skipped.baseline_change, None);
    let mut failed = trace;
    failed.steps[2] = StepState::Completed { outcome: Outcome::Ok, from: None, detail: None };
    let failed = judge(&job, &Observation::of(failed), &baseline, &Environment::default());
    assert_eq!(failed.status, Status::Fail);
    assert_eq!(failed.baseline_change, None, "`--accept` must not write it into the manifest");
}
