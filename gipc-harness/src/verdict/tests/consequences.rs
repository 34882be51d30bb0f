//! Tests the notes beside the first wrong step: the steps that stall after it, and the processes that a signal ended.

use super::*;
use crate::trace::EvidenceTier;

/// The get of line 5 has a wrong outcome, and the run stalls in line 6.
fn stalled_after_a_wrong_get(last: StepState, tier: EvidenceTier) -> Verdict {
    let job = job("main        pipe r w
main        pipe r2 w2
main        put w2 \"x\"
main        put w \"a\"
main        get r                       => \"a\"
main        get r2                      => \"x\"
main        close r
");
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[4] = completed(Outcome::Message(crate::scenario::Payload::Text("b".into())));
    (trace.steps[5], trace.steps[6]) = (StepState::Pending, last);
    trace.exits.insert("main".into(), ProcessExit::Running);
    let (reader, writer) = (PipeEnd::reader(1), PipeEnd::writer(1));
    let holder = |process: &str, end| FdHolder { end, process: process.into(), descriptor: 7 };
    let stall = StallEvidence {
        trace: trace.clone(),
        tier,
        holders: vec![holder("main", reader), holder("main", writer)],
        fully_known_ends: [reader, writer].into(),
        ..StallEvidence::default()
    };
    let history = vec![Occurrence::Completed(4), Occurrence::Started(5), Occurrence::Stalled];
    judge_alone(&job, &Observation { history, stall: Some(stall), ..Observation::of(trace) })
}

#[test]
fn a_stall_after_the_first_wrong_step_is_one_line() {
    let verdict = stalled_after_a_wrong_get(StepState::NotStarted, EvidenceTier::Kernel);
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(verdict.mismatch.map(|first| first.step), Some(4));
    assert!(verdict.stall.is_none(), "{:?}", verdict.stall);
    assert_eq!(
        verdict.notes,
        ["After that, main get r2 (line 6) did not return, and 1 step did not begin"]
    );
}

#[test]
fn an_interrupted_run_with_a_wrong_step_is_shown_as_it_stood() {
    let verdict = stalled_after_a_wrong_get(StepState::NotStarted, EvidenceTier::Interrupted);
    assert_eq!(verdict.status, Status::Fail);
    assert!(verdict.stall.is_some());
}

/// Main gives the only writer of `r2` away and closes `r`. Its put says `ok`, since the child holds `r`, and its get stalls.
#[test]
fn who_holds_an_end_that_should_be_closed_is_said_although_the_run_stalled_later() {
    let job = job("main        pipe r w
main        pipe r2 w2
main        spawn child
main        close r
main        put w \"a\"                   => broken
main        close w2
main        get r2                      => eof
");
    let mut trace = predict(&job.scenario, Choices::default());
    trace.steps[4] = completed(Outcome::Ok);
    trace.steps[6] = StepState::Pending;
    trace.exits.insert("main".into(), ProcessExit::Running);
    let held = FdHolder { end: PipeEnd::reader(0), process: "child".into(), descriptor: 7 };
    let stall =
        StallEvidence { trace: trace.clone(), holders: vec![held], ..StallEvidence::default() };
    let history = vec![Occurrence::Completed(4), Occurrence::Started(6), Occurrence::Stalled];
    let verdict =
        judge_alone(&job, &Observation { history, stall: Some(stall), ..Observation::of(trace) });
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(
        verdict.notes,
        [
            "After that, main get r2 (line 7) did not return",
            "child was never given r; it inherited it, as fd 7, when it was spawned (line 3)"
        ]
    );
}

fn ended_by_signal(disposition: &str, sender: &str) -> Verdict {
    let job = job(&format!(
        "main        pipe r w
main        spawn child r
child       {disposition}
child       get r                       => eof
{sender}main        close w
main        join child                  => exit 0
"
    ));
    let mut trace = predict(&job.scenario, Choices::default());
    let join = trace.steps.len() - 1;
    let signal = || "SIGUSR1".to_owned();
    trace.steps[3] = StepState::Pending;
    trace.steps[join] = completed(Outcome::Signal(signal().into()));
    trace.exits.insert("child".into(), ProcessExit::Signal(signal().into()));
    judged(&job, trace)
}

#[test]
fn a_process_that_a_signal_ended_although_it_had_disposed_of_it_is_named_with_the_sender() {
    let sender = "main        signal child SIGUSR1\n";
    let notes = |disposition, sender| ended_by_signal(disposition, sender).notes;
    assert_eq!(
        notes("trap SIGUSR1", sender),
        [
            "child had trapped SIGUSR1 (line 3), and the default action of SIGUSR1 ended it: no handler for it was there; it was sent by main (line 5)"
        ]
    );
    assert_eq!(
        notes("ignore SIGUSR1", sender),
        [
            "child ignored SIGUSR1 (line 3), and SIGUSR1 ended it all the same; it was sent by main (line 5)"
        ]
    );
    assert_eq!(
        notes("block SIGUSR1", ""),
        [
            "child had blocked SIGUSR1 (line 3), and SIGUSR1 ended it all the same; no step had sent it"
        ]
    );
    let of_another = notes("trap SIGUSR2", sender);
    assert!(of_another.iter().all(|note| !note.contains("trapped")), "{of_another:?}");
}

#[test]
fn a_signal_that_ended_another_process_than_it_was_sent_to_is_named() {
    let job = job("main        pipe r w
main        pipe r2 w2
main        spawn child r
main        spawn other r2
main        terminate child
main        join child                  => signal SIGTERM
main        put w2 \"still there?\"
other       get r2                      => \"still there?\"
main        join other                  => exit 0
");
    let mut trace = predict(&job.scenario, Choices::default());
    let signal = || "SIGTERM".to_owned();
    trace.steps[7] = StepState::Pending;
    trace.steps[8] = completed(Outcome::Signal(signal().into()));
    trace.exits.insert("other".into(), ProcessExit::Signal(signal().into()));
    assert_eq!(
        judged(&job, trace).notes,
        ["SIGTERM ended other, to which no step had sent it: main sent it to child (line 5)"]
    );
}
