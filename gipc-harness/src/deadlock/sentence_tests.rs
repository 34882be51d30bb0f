//! Tests the exact sentences of a stall report that name the process at fault: signals without effect, missing bytes, ends
//! that other processes hold, and processes that do not end.

use super::{CouldMove, StallReport, explain};
use crate::scenario::{Outcome, PipeEnd, Scenario, Side, parse};
use crate::trace::{
    BlockedIn, FdHolder, FillLevel, GhostInput, Observation, ProcessExit, SignalView,
    StallEvidence, StepState, Trace,
};
use rstest::rstest;
use std::collections::BTreeSet;

/// A stall of these lines: the last one is open, and all others have returned `ok` or what they expect. All holders of every
/// end that has any are known.
fn stalled(lines: &[&str], evidence: impl FnOnce(&Scenario, &mut StallEvidence)) -> StallReport {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let scenario = parse("it", &text).unwrap_or_else(|error| panic!("{error:?}"));
    let returned = |step: &crate::scenario::Step| {
        StepState::completed(step.expected.first().cloned().unwrap_or(Outcome::Ok))
    };
    let mut steps: Vec<StepState> = scenario.steps.iter().map(returned).collect();
    *steps.last_mut().expect("there is a line") = StepState::Pending;
    let trace = Trace { steps, ..Trace::default() };
    let mut stall = StallEvidence { trace: trace.clone(), ..StallEvidence::default() };
    evidence(&scenario, &mut stall);
    let observation = Observation { stall: Some(stall), ..Observation::of(trace) };
    explain(&scenario, &observation).expect("a step is open")
}

fn names(signals: &[&str]) -> BTreeSet<String> {
    signals.iter().map(|signal| (*signal).to_owned()).collect()
}

fn sleeps() -> BlockedIn {
    BlockedIn::Call { name: "poll".into(), fd: None, far_timer: None }
}

#[rstest]
#[case::is_pending_and_not_blocked(
    &["main spawn child"], &["SIGTERM"], &[], &[], &[],
    "SIGTERM, which main sent child (line 2), is pending there, and child has not got to it"
)]
#[case::is_blocked_by_the_child(
    &["main spawn child", "child block SIGTERM"], &["SIGTERM"], &["SIGTERM"], &[], &[],
    "SIGTERM, which main sent child (line 3), is pending there: child blocks it"
)]
#[case::is_blocked_as_by_the_parent(
    &["main block SIGTERM", "main spawn child"], &["SIGTERM"], &["SIGTERM"], &[], &[],
    "SIGTERM, which main sent child (line 3), is pending there: child blocks it, as main does since line 1"
)]
#[case::was_trapped_without_a_handler(
    &["main spawn child", "child trap SIGTERM"], &[], &[], &[], &[],
    "child trapped SIGTERM (line 2), and the system shows no handler for it there: SIGTERM, which main sent child (line 3), met none"
)]
#[case::has_a_handler_that_no_step_asked_for(
    &["main spawn child"], &[], &[], &["SIGTERM"], &[],
    "SIGTERM, which main sent child (line 2), did not end it: child has a handler for it, which no step of child has asked for"
)]
#[case::is_ignored_as_by_the_parent(
    &["main ignore SIGTERM", "main spawn child"], &[], &[], &[], &["SIGTERM"],
    "SIGTERM, which main sent child (line 3), did not end it: child ignores it, as main does since line 1"
)]
#[case::has_vanished(
    &["main spawn child"], &[], &[], &[], &[],
    "SIGTERM, which main sent child (line 2), has not ended it and is not pending there, and child has no handler for it: what \
     took it is there no more, or it was never sent"
)]
#[case::has_vanished_below_a_handler_of_the_parent(
    &["main trap SIGTERM", "main spawn child"], &[], &[], &[], &[],
    "SIGTERM, which main sent child (line 3), has not ended it and is not pending there, and child has no handler for it: what \
     took it is there no more, or it was never sent; main trapped SIGTERM (line 1), and a process that is forked begins with the \
     handlers of its parent"
)]
fn a_signal_that_did_nothing_has_its_sender_and_what_the_kernel_shows(
    #[case] before: &[&str],
    #[case] pending: &[&str],
    #[case] blocked: &[&str],
    #[case] caught: &[&str],
    #[case] ignored: &[&str],
    #[case] sentence: &str,
) {
    let lines = [before, &["main signal child SIGTERM", "main join child => exit 0"]].concat();
    let report = stalled(&lines, |_, stall| {
        let [pending, blocked, caught, ignored] = [pending, blocked, caught, ignored].map(names);
        let view = SignalView { pending, blocked, caught, ignored };
        stall.signals.insert("child".into(), view);
    });
    assert_eq!(report.explanations, [sentence]);
}

#[rstest]
#[case::with_a_handler(&["main spawn child", "child trap SIGUSR1"], "SIGUSR1", &["SIGUSR1"])]
#[case::that_it_ignores(&["main spawn child", "child ignore SIGUSR1"], "SIGUSR1", &[])]
#[case::that_ends_no_process(&["main spawn child"], "SIGCHLD", &[])]
fn nothing_is_said_of_a_signal(
    #[case] before: &[&str],
    #[case] signal: &str,
    #[case] caught: &[&str],
) {
    let sent = format!("main signal child {signal}");
    let lines = [before, &[sent.as_str(), "main join child => exit 0"]].concat();
    let report = stalled(&lines, |_, stall| {
        let view = SignalView { caught: names(caught), ..SignalView::default() };
        stall.signals.insert("child".into(), view);
    });
    assert_eq!(report.explanations, [""; 0]);
}

#[rstest]
#[case::is_joined("main join child => exit 0", &["SIGTERM, which main sent child (line 2), was sent to a process that has not connected, so what became of it is not known"])]
#[case::is_not_joined("main get r => blocks", &[])]
fn a_signal_to_a_child_that_has_not_connected_is_named_if_the_child(
    #[case] last: &str,
    #[case] sentences: &[&str],
) {
    let lines = ["main spawn child", "main signal child SIGTERM", "main pipe r w", last];
    let report = stalled(&lines, |_, stall| {
        stall.unconnected.insert("child".into());
        stall.blocked_in.insert("main".into(), sleeps());
    });
    let of_signals = report.explanations.iter().filter(|one| one.contains("SIGTERM"));
    assert_eq!(of_signals.collect::<Vec<_>>(), sentences);
}

#[rstest]
#[case::is_blocked(
    &["main block SIGCHLD", "main spawn child"], &["SIGCHLD"], &["SIGCHLD"], &[], &[],
    Some("SIGCHLD, which says that child has ended, is pending: main blocks it (line 1)")
)]
#[case::is_ignored(
    &["main ignore SIGCHLD", "main spawn child"], &[], &[], &[], &["SIGCHLD"],
    Some("main ignores SIGCHLD, which would say that child has ended")
)]
#[case::was_trapped(
    &["main trap SIGCHLD", "main spawn child"], &[], &[], &["SIGCHLD"], &[],
    Some("main trapped SIGCHLD (line 1): that handler may have replaced the one from which the library of main learns that \
          child has ended")
)]
#[case::was_trapped_and_has_no_handler(
    &["main trap SIGCHLD", "main spawn child"], &[], &[], &[], &[],
    Some("main trapped SIGCHLD (line 1), and main has no handler for it, from which its library could learn that child has ended")
)]
#[case::is_caught_by_the_library(&["main spawn child"], &[], &[], &["SIGCHLD"], &[], None)]
#[case::is_not_needed(&["main spawn child"], &[], &[], &[], &[], None)]
fn a_join_of_a_child_that_has_ended_names_the_signal_that_may_not_be_heard(
    #[case] before: &[&str],
    #[case] pending: &[&str],
    #[case] blocked: &[&str],
    #[case] caught: &[&str],
    #[case] ignored: &[&str],
    #[case] sentence: Option<&str>,
) {
    let lines = [before, &["main join child => exit 0"]].concat();
    let report = stalled(&lines, |_, stall| {
        let [pending, blocked, caught, ignored] = [pending, blocked, caught, ignored].map(names);
        let view = SignalView { pending, blocked, caught, ignored };
        stall.signals.insert("main".into(), view);
        stall.blocked_in.insert("main".into(), sleeps());
        stall.trace.exits.insert("child".into(), ProcessExit::Code(0));
    });
    let of_signals = report.explanations.iter().find(|one| one.contains("SIGCHLD"));
    assert_eq!(of_signals.map(String::as_str), sentence);
}

/// A stall in which the last line waits at the pipe with `r` and `w`. The kernel shows this number of bytes in it.
fn waits_at_pipe(lines: &[&str], bytes: Option<u64>, holders: &[(&str, PipeEnd)]) -> String {
    let report = stalled(lines, |_, stall| {
        let level = bytes.map(|bytes| FillLevel { pipe: 0, bytes });
        stall.fill_levels = level.into_iter().collect();
        stall.fully_known_ends = [PipeEnd::reader(0), PipeEnd::writer(0)].into();
        let holder = |(process, end): &(&str, PipeEnd)| FdHolder {
            end: *end,
            process: (*process).into(),
            descriptor: 7,
        };
        stall.holders = holders.iter().map(holder).collect();
    });
    report.waits[0].why.clone()
}

#[test]
fn the_parties_that_may_have_missing_bytes_are_named() {
    let ends = [("main", PipeEnd::reader(0)), ("child", PipeEnd::writer(0))];
    let lines = |puts: &'static [&'static str]| {
        [&["main pipe r w", "main spawn child w"], puts, &["main get r => \"abc\""]].concat()
    };
    let one = waits_at_pipe(&lines(&["child put w \"abc\""]), Some(0), &ends);
    assert_eq!(
        one,
        "3 bytes of messages that were put are not in the pipe: either a put to w returned (line 3) and child kept them, or the \
         reader of r has taken them and returned no message"
    );
    let two =
        waits_at_pipe(&lines(&["child put w \"abc\"", "child put w \"def\""]), Some(4), &ends);
    assert_eq!(
        two,
        "2 bytes of messages that were put are not in the pipe: either a put to w returned and child kept them, or the reader of r \
         has taken them and returned no message"
    );
}

#[test]
fn a_message_in_a_pipe_without_a_writer_is_not_said_to_be_there() {
    let lines = ["main pipe r w", "main put w \"abc\"", "main close w", "main get r => \"abc\""];
    let why = waits_at_pipe(&lines, None, &[("main", PipeEnd::reader(0))]);
    assert_eq!(
        why,
        "not all that was put to w was got; no process holds w any more, and the system does not show whether the rest is in the pipe"
    );
}

#[rstest]
#[case::kernel_shows_it(true, "no process holds w any more, so eof is due")]
#[case::kernel_does_not(
    false,
    "no process should hold w any more; the system does not show whether one does"
)]
fn the_end_is_due_only_where_the(#[case] is_known: bool, #[case] why: &str) {
    let report = stalled(&["main pipe r w", "main close w", "main get r => eof"], |_, stall| {
        if is_known {
            stall.fully_known_ends = [PipeEnd::reader(0), PipeEnd::writer(0)].into();
        }
    });
    assert_eq!(report.waits[0].why, why);
}

#[test]
fn an_exit_waits_for_the_children_that_still_run() {
    let lines = [
        "main spawn child",
        "child spawn one",
        "child spawn two",
        "main count handles => 0",
        "child exit 0",
    ];
    let report = stalled(&lines, |_, _| {});
    assert_eq!(
        report.waits[0].why,
        "child waits for its children before it ends, and one and two still run"
    );
    assert_eq!(report.waits[0].on, ["one", "two"]);
}

#[test]
fn a_process_that_does_not_end_has_its_children_and_its_call() {
    let lines = ["main spawn child", "child spawn one", "main join child => exit 0"];
    let report = stalled(&lines, |_, stall| {
        stall.blocked_in.insert("child".into(), sleeps());
    });
    let expected = "child has nothing more to do, and does not end while its children still run: one: it sleeps in poll";
    assert_eq!(report.explanations, [expected]);
}

#[test]
fn the_input_of_a_program_that_another_process_keeps_open_is_named() {
    let lines = ["main spawn child", "main exec ghost", "main reap ghost => exit 7"];
    let report = stalled(&lines, |_, stall| {
        let (ghost, process) = ("ghost".into(), "child".into());
        stall.ghost_inputs.push(GhostInput { ghost, process, descriptor: 9 });
    });
    assert_eq!(report.waits[0].why, "ghost still runs: child can still write to its input");
    assert_eq!(
        report.leaks,
        [
            "child holds the other end of ghost's input as fd 9, so ghost sees no end of it; child inherited it when it was spawned (line 1)"
        ]
    );
}

#[rstest]
#[case::child(
    "child",
    "child was never given w; it inherited it, as fd 7, when it was spawned (line 2)"
)]
#[case::one_that_gave_it("main", "main gave w away or closed it, and still holds it as fd 7")]
#[case::program_beside_the_library(
    "ghost, pid 9 (sh -c x)",
    "ghost, pid 9 (sh -c x), a program that main started beside the library (line 3), inherited w and holds it as fd 7"
)]
#[case::helper(
    "pid 9 (helper)",
    "pid 9 (helper), a process of the implementation's own, holds w as fd 7"
)]
fn a_writer_that_should_be_closed_is_held_by_a(#[case] process: &str, #[case] leak: &str) {
    let lines = [
        "main pipe r w",
        "main spawn child",
        "main exec ghost",
        "main close w",
        "main get r => eof",
    ];
    let report = stalled(&lines, |_, stall| {
        stall.fully_known_ends = [PipeEnd::reader(0), PipeEnd::writer(0)].into();
        let holder = |process: &str, end| FdHolder { end, process: process.into(), descriptor: 7 };
        stall.holders =
            vec![holder("main", PipeEnd::reader(0)), holder(process, PipeEnd::writer(0))];
    });
    assert_eq!(report.leaks, [leak]);
}

#[rstest]
#[case::had_to_break("broken", &["child was never given r; it inherited it, as fd 7, when it was spawned (line 2)"])]
#[case::was_right("ok", &[])]
fn a_reader_that_another_process_holds_is_a_leak_that_counts_only_if_a_put(
    #[case] expected: &str,
    #[case] leaks: &[&str],
) {
    let put = format!("main put w \"a\" => {expected}");
    let closed = if expected == "broken" { "main close r" } else { "main pipe r3 w3" };
    let lines = [
        "main pipe r w",
        "main spawn child",
        closed,
        &put,
        "main pipe r2 w2",
        "main get r2 => \"b\"",
    ];
    let report = stalled(&lines, |_, stall| {
        stall.trace.steps[3] = StepState::completed(Outcome::Ok);
        stall.fully_known_ends = [PipeEnd::reader(0), PipeEnd::writer(0)].into();
        let end = PipeEnd::reader(0);
        stall.holders = vec![FdHolder { end, process: "child".into(), descriptor: 7 }];
    });
    assert_eq!(report.leaks, leaks);
}

#[rstest]
#[case::does_not_turn(
    Some(false),
    false,
    "main's loop does not turn: it sleeps in poll, and its other tasks wait with it"
)]
#[case::turns(Some(true), false, "main's loop turns, and get r does not end: a wake-up was lost")]
#[case::was_woken(
    Some(true),
    true,
    "main went on when its loop was asked: its wake-up had been lost"
)]
#[case::is_none(None, false, "main sleeps in poll")]
fn a_step_that_could_complete_has_the_loop_that(
    #[case] turns: Option<bool>,
    #[case] is_woken: bool,
    #[case] sentence: &str,
) {
    let lines = ["main pipe r w", "main put w \"abc\"", "main get r => \"abc\""];
    let report = stalled(&lines, |_, stall| {
        stall.blocked_in.insert("main".into(), sleeps());
        stall.loops_turning.extend(turns.map(|turns| ("main".to_owned(), turns)));
        stall.woken_by_ping.extend(is_woken.then_some(2));
    });
    assert_eq!(report.explanations, [sentence]);
}

#[test]
fn a_reader_that_lost_its_place_waits_for_more_bytes_than_there_are() {
    let lines = ["main pipe r w", "main put w \"abc\"", "main get r => \"abc\""];
    let report = stalled(&lines, |_, stall| {
        stall.fill_levels.push(FillLevel { pipe: 0, bytes: 0 });
        stall.blocked_in.insert("main".into(), sleeps());
        stall.loops_turning.insert("main".into(), true);
    });
    let expected = "main's loop turns, and get r waits for more bytes than there are";
    assert_eq!(report.explanations, [expected]);
}

#[test]
fn a_stopped_process_is_neither_deadlocked_nor_blamed_on_another() {
    let lines = ["main pipe r w", "main get r => blocks"];
    let report = stalled(&lines, |_, stall| {
        stall.blocked_in.insert("main".into(), BlockedIn::Stopped);
    });
    assert_eq!(
        (report.waits[0].why.as_str(), &report.waits[0].on[..]),
        ("main is stopped", &[][..])
    );
    assert_eq!(report.explanations, ["main was stopped by a signal, and nothing continues it"]);
}

#[rstest]
#[case::an_end_without_a_holder_lets_the_step_move(&["close w", "get r => eof"], true, CouldMove::Yes)]
#[case::an_end_may_be_held_unseen(&["close w", "get r => eof"], false, CouldMove::UnlessHeld)]
#[case::the_end_of_a_put_may_be_held_unseen(&["close r", "put w 2MiB => broken"], false, CouldMove::UnlessHeld)]
#[case::a_message_that_is_there_needs_no_holder(
    &["put w \"there\"", "close w", "get r => \"there\""], false, CouldMove::Yes
)]
fn a_step_could_move_only_if_no_process_holds_the_other_end(
    #[case] lines: &[&str],
    #[case] are_known: bool,
    #[case] could_move: CouldMove,
) {
    let lines: Vec<String> =
        ["pipe r w"].iter().chain(lines).map(|line| format!("main {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let report = stalled(&lines, |scenario, stall| {
        if are_known {
            let ends = [("r", Side::Reader), ("w", Side::Writer)];
            stall.fully_known_ends =
                ends.iter().filter_map(|(name, side)| scenario.handles.end(name, *side)).collect();
        }
    });
    assert_eq!(report.could_move, could_move, "{:?}", report.waits);
}
