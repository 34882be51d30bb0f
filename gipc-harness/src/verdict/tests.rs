//! Tests the judge on made-up traces.

use super::*;
use crate::adapter::skip_list::SkipList;
use crate::environment::{Environment, SystemFact, UnmetAssumption};
use crate::model::{self, Choices, predict};
use crate::scenario::{Outcome, PipeEnd, parse};
use crate::trace::{
    Census, FdHolder, HeldDescriptor, Leftover, LimitTime, Observation, Occurrence, ProcessExit,
    StallEvidence, StepState, Trace, Unsupported, snapshot_text,
};
use crate::variant::{Job, Variant};
use std::collections::BTreeMap;
use std::path::Path;

mod consequences;
mod declared;

pub(super) fn job(text: &str) -> Job {
    let scenario = parse("close/twice", text).expect("the scenario is well-formed");
    Job::new(&scenario, Path::new("twice.scenario"), Choices::default(), Variant::default())
        .expect("the default variant fits every scenario")
}

pub(super) fn judged(job: &Job, trace: Trace) -> Verdict {
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

/// A failed spawn leaves nothing to join, and some agents then refuse the join.
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
    let expected = "main had done all its steps and still held fd 7, which is w (pipe:[42]): main made it in line 1 and closed it in line 2";
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
    let expected = "main slept for 200 ms in this step, and the limit of 20 ms did not wake it";
    assert_eq!(verdict.notes, [expected]);
}

#[test]
fn later_wrong_steps_are_listed_after_the_first() {
    let text =
        format!("{CLOSES}main        close r\nmain        close r                     => closed\n");
    let job = job(&text);
    let mut trace = predict(&job.scenario, Choices::default());
    for step in [2, 4] {
        trace.steps[step] = StepState::completed(Outcome::Ok);
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
fn a_step_that_was_begun_when_its_process_exited_may_have_done_nothing() {
    let text = "main        pipe r w\n\
                main        spawn child w\n\
                child/task  put w 1MiB                  => blocks or never or ok\n\
                child       exit 2\n\
                main        get r                       => 1MiB or truncated or eof\n\
                main        join child                  => exit 2\n";
    let job = job(text);
    let allowed = model::allowed(&job.scenario, Choices::default());
    let without_put = |trace: &&Trace| trace.steps[2] == StepState::NotStarted;
    let mut trace = allowed.traces.iter().find(without_put).unwrap().clone();
    trace.steps[2] = StepState::Pending;
    assert_eq!(judged(&job, trace.clone()).status, Status::Pass);
    trace.exits.insert("child".into(), ProcessExit::Running);
    assert_ne!(judged(&job, trace).status, Status::Pass);
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

/// A helper of the implementation also holds the writer, which the file does not say.
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

/// What an adapter cannot do is listed in its folder, but only for scenarios of the suite.
fn completed(outcome: Outcome) -> StepState {
    StepState::Completed { outcome, from: None, detail: None }
}

fn judge_alone(job: &Job, observation: &Observation) -> Verdict {
    judge(job, observation, &Baseline::default(), &Environment::default())
}

const TWO_READERS: &str = "main        pipe r w
main        pipe r2 w2
main        spawn child r w2
child       get r                       => eof
child       close w2
main        close w
main        get r2                      => eof
main        join child                  => exit 0
";

/// The child's get in line 4 returns after main's get in line 7, and both are wrong.
#[test]
fn what_went_wrong_first_is_the_head_although_it_stands_later_in_the_file() {
    let job = job(TWO_READERS);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[3] = completed(Outcome::Truncated);
    trace.steps[6] = completed(Outcome::Broken);
    let history = vec![Occurrence::Completed(6), Occurrence::Completed(3)];
    let verdict = judge_alone(&job, &Observation { history, ..Observation::of(trace) });
    assert_eq!(verdict.mismatch.as_ref().map(|first| first.step), Some(6));
    let further: Vec<usize> = verdict.further_mismatches.iter().map(|it| it.step).collect();
    assert_eq!(further, [3]);
    let fingerprint = verdict.fingerprint(&job.scenario);
    assert_eq!(
        fingerprint,
        ["child get r", "truncated", "FAIL"],
        "it does not depend on the order"
    );
}

/// The child is killed in its get. Main learns that first, by its join.
#[test]
fn the_step_in_which_a_process_died_is_before_what_others_learn_of_it() {
    let job = job(TWO_READERS);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[3] = StepState::Pending;
    trace.steps[4] = StepState::NotStarted;
    trace.steps[7] = completed(Outcome::Signal("SIGSEGV".into()));
    trace.exits.insert("child".into(), ProcessExit::Signal("SIGSEGV".into()));
    let history = vec![
        Occurrence::Started(3),
        Occurrence::Started(7),
        Occurrence::Completed(7),
        Occurrence::Exited("child".into()),
    ];
    let verdict = judge_alone(&job, &Observation { history, ..Observation::of(trace) });
    let first = verdict.mismatch.expect("two steps are wrong");
    assert_eq!((first.step, first.got.as_str()), (3, "child ended: signal SIGSEGV"));
    assert_eq!(verdict.further_mismatches[0].step, 7);
}

#[test]
fn a_right_outcome_that_came_too_late_names_the_step_that_released_it() {
    let job = job(TWO_READERS);
    let trace = predict(&job.scenario, Choices::default());
    let mut stalled = trace.clone();
    stalled.steps[3] = StepState::Pending;
    stalled.steps[4..].fill(StepState::NotStarted);
    stalled.exits.clear();
    let stall = StallEvidence { trace: stalled, overdue: vec![3], ..StallEvidence::default() };
    let history = vec![
        Occurrence::Started(3),
        Occurrence::Stalled,
        Occurrence::Started(5),
        Occurrence::Completed(5),
        Occurrence::Completed(3),
    ];
    let verdict =
        judge_alone(&job, &Observation { history, stall: Some(stall), ..Observation::of(trace) });
    let first = verdict.mismatch.expect("it came too late");
    assert_eq!((first.step, first.got.as_str()), (3, "eof"));
    assert_eq!(first.late.as_deref(), Some("only after line 6, main close w, had begun"));
}

#[test]
fn a_process_whose_spawn_was_refused_is_named_with_its_pid_and_its_end() {
    let job = job("main        pipe r w
main        close w
main        spawn child w               => closed
main        get r                       => eof
");
    let mut trace = predict(&job.scenario, Choices::default());
    trace.exits.insert("child".into(), ProcessExit::Code(1));
    let pids = [("child".to_owned(), 4242)].into();
    let verdict = judge_alone(&job, &Observation { pids, ..Observation::of(trace) });
    assert_eq!(verdict.status, Status::Fail);
    let refused = "line 3, main spawn child w, returned closed as it should, but child";
    assert_eq!(verdict.notes, [format!("{refused} began, and ended: exit 1")]);
    let detail = format!("{refused} (pid 4242) began, and ended: exit 1");
    assert_eq!(verdict.differences[0].detail, detail);
}

#[test]
fn a_process_that_was_left_behind_has_its_line_pid_parent_and_requirement() {
    let job = job("main        spawn child
child       spawn grandchild
main        join child                  => exit 0
");
    let mut trace = predict(&job.scenario, Choices::default());
    trace.violations.push("grandchild was left behind (agent)".into());
    let leftover = Leftover {
        process: "grandchild".into(),
        pid: 77,
        parent: None,
        is_zombie: false,
        command: "agent".into(),
    };
    let verdict =
        judge_alone(&job, &Observation { leftovers: vec![leftover], ..Observation::of(trace) });
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(
        verdict.differences[0].detail,
        "grandchild (pid 77, spawned by child in line 2: agent) was left behind: it still ran when main had ended; \
         its parent, which had ended before it, did not end it (LEAK-7: when all is done, no process is left)"
    );
}

/// The agent refuses the join because the spawn before it failed.
#[test]
fn what_is_refused_after_a_wrong_step_does_not_hide_that_step() {
    let job = job("main        spawn child\nmain        join child                  => exit 0\n");
    let steps = vec![completed(Outcome::Os("EMFILE".into())), StepState::Pending];
    let reason = "there is no such child".to_owned();
    let observation = Observation {
        unsupported: Some(Unsupported { step: Some(1), reason }),
        ..Observation::of(Trace { steps, ..Trace::default() })
    };
    let verdict = judge_alone(&job, &observation);
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(
        verdict.mismatch.map(|first| (first.step, first.got)),
        Some((0, "os:EMFILE".into()))
    );
    assert_eq!(verdict.further_mismatches, []);
    assert!(verdict.notes[0].ends_with("refused line 2, main join child: there is no such child"));
    let skips = SkipList::parse("close/twice\n", &[], "skips.txt").expect("a list");
    let baseline = Baseline { skips: Some(&skips), ..Baseline::default() };
    let listed = judge(&job, &observation, &baseline, &Environment::default());
    assert_eq!(listed.status, Status::Skip, "the adapter says that it cannot be asked");
}

/// An agent whose library starts a child that it should have refused may later break the protocol.
#[test]
fn a_wrong_outcome_stands_before_the_fault_of_the_agent_that_followed() {
    let job = job(CLOSES);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[2] = StepState::Pending;
    let fault = || Some("child said hello twice".to_owned());
    let judged = |trace: &Trace| {
        let observation = Observation { fault: fault(), ..Observation::of(trace.clone()) };
        judge_alone(&job, &observation)
    };
    let verdict = judged(&trace);
    assert_eq!((verdict.status, verdict.reason, verdict.mismatch), (Status::Error, fault(), None));
    trace.steps[1] = completed(Outcome::Locked);
    let verdict = judged(&trace);
    assert_eq!(verdict.status, Status::Error);
    assert_eq!(verdict.mismatch.map(|wrong| (wrong.step, wrong.got)), Some((1, "locked".into())));
    assert_eq!(verdict.reason.as_deref(), Some("After that: child said hello twice"));
}

#[test]
fn the_cause_of_a_signal_is_its_sender() {
    let job = job("main        pipe r w
main        spawn child r
child       get r                       => blocks or never
main        kill child
main        join child                  => signal SIGKILL
");
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[4] = completed(Outcome::Exit(0));
    let verdict = judged(&job, trace);
    let first = verdict.mismatch.expect("the join is wrong");
    assert_eq!(first.because, "main sent child SIGKILL (line 4)");
}

#[test]
fn a_known_deadlock_is_also_a_known_hang_of_the_same_step() {
    let known: crate::adapter::KnownFailure = toml::from_str(
        "scenario = \"close/twice\"\nstep = \"main get r\"\noutcome = \"blocks\"\n\
         verdict = \"DEADLOCK\"\nsort = \"defect\"\nreason = \"a test\"\n",
    )
    .expect("an entry");
    assert!(known.is(["main get r", "blocks", "HANG"]));
    assert!(known.is(["main get r", "blocks", "DEADLOCK"]));
    assert!(!known.is(["main get r", "blocks", "FAIL"]));
}

/// The child never began its get in line 4, and main's get in line 7 returned something wrong.
#[test]
fn what_went_wrong_first_in_a_run_without_a_history_is_the_first_line_of_the_file() {
    let job = job(TWO_READERS);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[3] = StepState::NotStarted;
    trace.steps[6] = completed(Outcome::Broken);
    let verdict = judged(&job, trace);
    assert_eq!(verdict.mismatch.map(|first| first.step), Some(3));
}

/// The second writer's message came first, as in one of the two allowed traces, and the close after it is wrong.
#[test]
fn a_wrong_run_is_compared_with_the_allowed_trace_that_it_leaves_last() {
    let job = job("main        pipe r w
main/one    put w \"a\"
main/two    put w \"b\"
main        get r                       => \"a\" or \"b\"
main        get r                       => \"a\" or \"b\"
main        close r
");
    let [first, second] = job.allowed.traces.as_slice() else { panic!("{:?}", job.allowed) };
    let wrong = |trace: &Trace| {
        let mut trace = trace.clone();
        trace.steps[5] = completed(Outcome::Locked);
        trace
    };
    for allowed in [first, second] {
        let verdict = judged(&job, wrong(allowed));
        assert_eq!(verdict.model_text, snapshot_text(&job.scenario, allowed));
        assert_eq!(verdict.mismatch.map(|first| first.step), Some(5));
    }
}

#[test]
fn a_process_that_was_left_behind_without_a_spawn_is_named_if_it_is_known() {
    let job = job(CLOSES);
    let mut trace = predict(&job.scenario, Choices::default());
    trace.violations.push("main was left behind (agent)".into());
    let detail = |pids: BTreeMap<String, i32>| {
        let leftover = Leftover {
            process: "main".into(),
            pid: 77,
            parent: None,
            is_zombie: false,
            command: "agent".into(),
        };
        let leftovers = vec![leftover];
        let observation = Observation { pids, leftovers, ..Observation::of(trace.clone()) };
        judge_alone(&job, &observation).differences[0].detail.clone()
    };
    let known = detail([("main".to_owned(), 77)].into());
    assert!(known.starts_with("main (pid 77: agent) was left behind: "), "{known}");
    let unknown = detail(BTreeMap::new());
    let expected = "a process that no step spawned (pid 77: agent) was left behind: ";
    assert!(unknown.starts_with(expected), "{unknown}");
}
