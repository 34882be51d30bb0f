//! The judge on traces that are made up.

use super::*;
use crate::environment::Environment;
use crate::model::{Choices, predict};
use crate::scenario::{Outcome, PipeEnd, parse};
use crate::trace::{FdHolder, Observation, StallEvidence, StepState, Trace, Unsupported};
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

/// A spawn that fails leaves nothing to join, and some agents then refuse the join.
#[test]
fn a_refused_step_does_not_outrank_an_earlier_step_that_failed() {
    let job = job(CLOSES);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[2] = StepState::Pending;
    let refused = Unsupported { step: Some(2), reason: "there is no such handle".into() };
    let observation = |trace: &Trace| Observation {
        unsupported: Some(refused.clone()),
        ..Observation::of(trace.clone())
    };
    let judged = |trace: &Trace, environment: &Environment| {
        judge(&job, &observation(trace), &Baseline::default(), environment)
    };
    assert_eq!(judged(&trace, &Environment::default()).status, Status::Skip);
    let outcome = Outcome::Os("EMFILE".into());
    trace.steps[1] = StepState::Completed { outcome, from: None, detail: None };
    let verdict = judged(&trace, &Environment::default());
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(verdict.mismatch.map(|first| first.step), Some(1));
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
