//! Tests all outcomes of small scenarios that race, and whether they block.

use crate::model::{
    Choices, Deadlock, allowed, deadlock, first_capacity_dependent_step, injection_points, predict,
    racing_steps,
};
use crate::scenario::parse;
use crate::trace::{Moment, Trace, disagreement, outcome_text};
use rstest::rstest;
use std::collections::BTreeSet;

/// For each allowed trace, the outcomes of the steps that name alternatives.
fn outcomes(text: &str) -> BTreeSet<String> {
    let scenario = parse("race", text).unwrap();
    let allowed = allowed(&scenario, Choices::default());
    assert!(allowed.complete);
    let racing_outcomes = |trace: &Trace| {
        let steps = scenario.steps.iter().zip(&trace.steps);
        let racing = steps.filter(|(step, _)| step.expected.len() > 1);
        racing.map(|(_, state)| outcome_text(&[], state)).collect::<Vec<_>>().join(" ")
    };
    allowed.traces.iter().map(racing_outcomes).collect()
}

#[rstest]
#[case::a_close_against_a_put(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"                 => ok or broken\n\
     main        close r\n",
    &["ok", "broken"]
)]
#[case::two_writers_merge(
    "main        duplex a b\nmain        pipe r w\nmain/one    put w \"the first task's\"\n\
     main/two    put w \"the second task's\"\n\
     main        get r                       => \"the first task's\" or \"the second task's\"\n",
    &["\"the first task's\"", "\"the second task's\""]
)]
#[case::a_kill_against_a_put(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"                 => ok or never\n\
     main        kill child\nmain        get r                       => \"a\" or eof\n",
    &["ok \"a\"", "never eof"]
)]
#[case::a_message_orders_them(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"                 => ok or broken\n\
     main        get r                       => \"a\"\nmain        close r\n",
    &["ok"]
)]
#[case::a_signal_against_the_end_of_a_child(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"ready\"\n\
     main        get r                       => \"ready\"\n\
     main        signal child SIGUSR1        => ok or os:ESRCH\n\
     main        join child                  => exit 0 or signal SIGUSR1\n",
    &["ok exit 0", "ok signal SIGUSR1", "os:ESRCH exit 0"]
)]
#[case::a_kill_against_the_end_of_a_child(
    "main        spawn child\nmain        kill child\n\
     main        join child                  => exit 0 or signal SIGKILL\n",
    &["exit 0", "signal SIGKILL"]
)]
#[case::a_limit_against_a_message(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"\n\
     main        get r within 1ms            => \"a\" or timeout\n\
     main        get r                       => \"a\" or eof\n",
    &["\"a\" eof", "timeout \"a\""]
)]
#[case::a_limit_against_a_message_that_does_not_come(
    "main        pipe r w\nmain        get r within 1ms            => \"a\" or timeout\n",
    &["timeout"]
)]
#[case::a_limit_against_a_message_of_another_task_that_is_there(
    "main        pipe r w\nmain        put w \"a\"\nmain/other  pipe r2 w2\n\
     main        get r within 1ms            => \"a\" or timeout\nmain        close w\n\
     main        get r                       => \"a\" or eof\n",
    &["\"a\" eof", "timeout \"a\""]
)]
#[case::a_limit_inside_a_large_message(
    "main        pipe r w\nmain/writer put w 2MiB\nmain        until main/writer blocks\n\
     main        get r within 1ms            => 2MiB or timeout\nmain        close r\n",
    &["2MiB", "timeout"]
)]
#[case::a_limit_against_the_end_of_a_child(
    "main        spawn child\nchild       exit 3\n\
     main        join child within 1ms       => exit 3 or running\n",
    &["exit 3", "running"]
)]
#[case::a_signal_to_a_child_that_was_joined(
    "main        spawn child\nmain        join child                  => exit 0\n\
     main        signal child SIGUSR1        => ok or os:ESRCH\n",
    &["os:ESRCH"]
)]
#[case::a_signal_to_a_child_that_may_be_a_zombie(
    "main        spawn child\nmain        stall until child ends\n\
     main        signal child SIGUSR1        => ok or os:ESRCH\n\
     main        signal child SIGUSR1        => ok or os:ESRCH\n",
    &["ok ok", "ok os:ESRCH", "os:ESRCH os:ESRCH"]
)]
#[case::a_signal_to_a_group_that_may_be_a_zombie(
    "main        spawn child in-group\nmain        stall until child ends\n\
     main        signal group child SIGUSR1  => ok or os:ESRCH\n\
     main        signal group child SIGUSR1  => ok or os:ESRCH\n",
    &["ok ok", "ok os:ESRCH", "os:ESRCH os:ESRCH"]
)]
fn a_race_has_all_its_outcomes_and_no_others(#[case] text: &str, #[case] expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&outcomes| outcomes.to_owned()).collect();
    assert_eq!(outcomes(text), expected);
}

#[test]
fn the_steps_that_race_are_named() {
    let text = "main        pipe r w\nmain        spawn child w\n\
                child       put w \"a\"                 => ok or broken\nmain        close r\n";
    assert_eq!(racing_steps(&parse("race", text).unwrap(), Choices::default()), [2, 3]);
    let text = "main        pipe r w\nmain        close w\nmain        get r                       => eof\n";
    assert!(racing_steps(&parse("no-race", text).unwrap(), Choices::default()).is_empty());
}

#[rstest]
#[case::never(
    "main        pipe r w\nmain        put w \"a\"\nmain        get r                       => \"a\"\n",
    Deadlock::Cannot
)]
#[case::always(
    "main        pipe r w\nmain        get r                       => blocks\n",
    Deadlock::Must
)]
#[case::by_room(
    "main        pipe r w\nmain        put w 5000B\nmain        get r                       => 5000B\n",
    Deadlock::Below(5000)
)]
#[case::by_order(
    "main        pipe r w\nmain        spawn child w\nchild       put w \"a\"                 => ok or never\n\
     main        kill child\nmain        get r                       => \"a\" or eof\n\
     main        join child                  => signal SIGKILL or exit 0\n",
    Deadlock::Cannot
)]
fn the_model_tells_whether_and_for_which_capacities_a_scenario_blocks(
    #[case] text: &str,
    #[case] expected: Deadlock,
) {
    assert_eq!(deadlock(&parse("blocks", text).unwrap(), Choices::default()), expected);
}

#[test]
fn the_descriptor_of_an_end_that_was_given_away_is_free_again() {
    let text = "main        limit descriptors 4 free\n\n\
                each i in 1..40\n\
                main        pipe r[i] w[i]\n\
                main        spawn child[i] w[i]\n\
                main        get r[i]                    => eof\n\
                main        close r[i]\n\
                main        join child[i]               => exit 0\n";
    let scenario = parse("given", text).unwrap();
    assert_eq!(disagreement(&scenario, &predict(&scenario, Choices::default())), None);
}

#[test]
fn a_process_can_be_killed_when_a_step_begins_and_when_it_has_completed() {
    let text = "main        pipe r w\nmain        spawn child w\n\
                child       put w \"a\"\nchild       exit 3\n\
                main        get r                       => \"a\"\n\
                main        join child                  => exit 3\n";
    let scenario = parse("points", text).unwrap();
    let points = injection_points(&scenario, Choices::default());
    let points: Vec<(usize, Moment)> = points.iter().map(|it| (it.step, it.moment)).collect();
    assert_eq!(points, [(2, Moment::Begin), (2, Moment::End), (3, Moment::Begin)]);
}

/// The reader waits in the same step, however much the other pipe holds.
#[test]
fn an_until_that_waits_for_the_same_step_with_every_pipe_does_not_depend_on_the_capacity() {
    let text = "main        pipe r w\nmain        pipe r2 w2\nmain        spawn child r2\n\
                main/writer put w 600B\n\
                child       get r2                      => eof\n\
                main        until child blocks\n\
                main        get r                       => 600B\n\
                main        close w2\n\
                main        join child                  => exit 0\n";
    assert_eq!(first_capacity_dependent_step(&parse("until", text).unwrap()), None);
}

/// If the first completed alone, what follows it would end the wait that the second one is about.
#[test]
fn all_untils_for_one_task_complete_together() {
    let lines = ["c until b blocks", "main until b blocks"];
    for [first, second] in [[lines[0], lines[1]], [lines[1], lines[0]]] {
        let text = format!(
            "main spawn b\nb spawn c\n{first}\n{second}\nb join c => exit 0\nmain join b => exit 0\n"
        );
        let scenario = parse("untils", &text).unwrap();
        assert_eq!(
            disagreement(&scenario, &predict(&scenario, Choices::default())),
            None,
            "{text}"
        );
        assert!(racing_steps(&scenario, Choices::default()).is_empty(), "{text}");
    }
}
