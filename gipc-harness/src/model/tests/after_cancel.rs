//! Tests a put that is cancelled, or times out, inside its message: an implementation completes it or poisons the end.

use super::suite;
use crate::model::{AfterCancel, Choices, allowed, predict};
use crate::scenario::{Scenario, parse};
use crate::trace::disagreement;
use crate::trace::outcome_text;
use rstest::rstest;

fn choices(after_cancel: AfterCancel) -> Choices {
    Choices { after_cancel, ..Choices::default() }
}

/// A scenario with these lines, each with outcomes that the parser accepts.
fn scenario(lines: &[&str]) -> Scenario {
    let lines = lines.iter().map(|line| format!("{line:<39} => ok or eof\n"));
    parse("after-cancel", &lines.collect::<String>()).expect("the lines are well-formed")
}

fn outcomes(lines: &[&str], after_cancel: AfterCancel) -> Vec<String> {
    let trace = predict(&scenario(lines), choices(after_cancel));
    trace.steps.iter().map(|step| outcome_text(&[], step)).collect()
}

/// Cancels a put of main/put inside its message.
const CANCELLED: [&str; 4] = [
    "main        pipe r w",
    "main/put    put w 2MiB",
    "main        until main/put blocks",
    "main        cancel main/put",
];

/// The outcomes of the lines that follow a put that was cancelled inside its message.
fn outcomes_after_cancel(lines: &[&str], after_cancel: AfterCancel) -> Vec<String> {
    let all = [&CANCELLED, lines].concat();
    outcomes(&all, after_cancel).split_off(CANCELLED.len())
}

#[rstest]
#[case::a_later_put_is_refused(&["main        put w \"a\""], &["poisoned"])]
#[case::every_later_put_is_refused(
    &["main        put w \"a\"", "main        put w \"b\""],
    &["poisoned", "poisoned"]
)]
#[case::the_end_can_be_closed_and_the_reader_sees_a_truncated_message(
    &["main        close w", "main        get r"],
    &["ok", "truncated"]
)]
#[case::the_end_can_be_given_and_stays_poisoned(
    &["main        spawn child w", "child       put w \"a\"", "main        get r"],
    &["ok", "poisoned", "truncated"]
)]
#[case::a_get_waits_while_the_writer_is_open(&["main        get r"], &["blocks"])]
fn a_put_that_is_cancelled_inside_its_message_poisons_the_end(
    #[case] lines: &[&str],
    #[case] expected: &[&str],
) {
    assert_eq!(outcomes_after_cancel(lines, AfterCancel::Poison), expected);
}

#[test]
fn a_put_that_is_cancelled_inside_its_message_is_completed_by_default() {
    let lines = ["main        close w", "main        get r", "main        put w \"a\""];
    assert_eq!(Choices::default(), choices(AfterCancel::Complete));
    assert_eq!(outcomes_after_cancel(&lines, AfterCancel::Complete), ["locked", "2MiB", "ok"]);
}

#[test]
fn a_put_that_times_out_inside_its_message_poisons_the_end() {
    let lines =
        ["main        pipe r w", "main        put w 2MiB within 50ms", "main        put w \"a\""];
    assert_eq!(outcomes(&lines, AfterCancel::Poison), ["ok", "timeout", "poisoned"]);
}

#[test]
fn messages_before_the_cancelled_one_still_arrive() {
    let lines = [
        "main        pipe r w",
        "main        put w \"before\"",
        "main/put    put w 2MiB",
        "main        until main/put blocks",
        "main        cancel main/put",
        "main        get r",
        "main        close w",
        "main        get r",
    ];
    let expected = ["ok", "ok", "cancelled", "ok", "ok", "\"before\"", "ok", "truncated"];
    assert_eq!(outcomes(&lines, AfterCancel::Poison), expected);
}

#[test]
fn puts_that_wait_behind_the_cancelled_one_are_refused() {
    let lines = [
        "main        pipe r w",
        "main/first  put w 2MiB",
        "main        until main/first blocks",
        "main/second put w \"behind\"",
        "main        until main/second blocks",
        "main        cancel main/first",
    ];
    let expected = ["ok", "cancelled", "ok", "poisoned", "ok", "ok"];
    assert_eq!(outcomes(&lines, AfterCancel::Poison), expected);
}

#[rstest]
#[case(AfterCancel::Complete)]
#[case(AfterCancel::Poison)]
fn a_put_that_is_withdrawn_before_its_first_byte_has_no_effect(#[case] after_cancel: AfterCancel) {
    let lines = [
        "main        pipe r w",
        "main/first  put w 2MiB",
        "main        until main/first blocks",
        "main/second put w \"behind\"",
        "main        until main/second blocks",
        "main        cancel main/second",
        "main        get r",
        "main        put w \"later\"",
        "main        get r",
    ];
    let expected = ["ok", "ok", "ok", "cancelled", "ok", "ok", "2MiB", "ok", "\"later\""];
    assert_eq!(outcomes(&lines, after_cancel), expected);
}

#[test]
fn a_cancelled_get_poisons_nothing() {
    let lines = [
        "main        pipe r w",
        "main/get    get r",
        "main        until main/get blocks",
        "main        cancel main/get",
        "main        put w \"a\"",
        "main        get r",
    ];
    let expected = ["ok", "cancelled", "ok", "ok", "ok", "\"a\""];
    assert_eq!(outcomes(&lines, AfterCancel::Poison), expected);
}

/// This fails if the choice stops having an effect, or if the suite stops testing it.
#[test]
fn the_suite_distinguishes_an_implementation_that_completes_from_one_that_poisons() {
    let differs = |scenario: &Scenario| {
        let traces = allowed(scenario, choices(AfterCancel::Poison)).traces;
        traces.iter().any(|trace| disagreement(scenario, trace).is_some())
    };
    assert!(suite().iter().filter(|scenario| scenario.steps.len() < 300).any(differs));
}
