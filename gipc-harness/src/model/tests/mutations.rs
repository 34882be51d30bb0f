//! Tests what single mutations of the model change.

use crate::model::{Choices, Mutation, predict};
use crate::scenario::parse;
use crate::trace::outcome_text;
use rstest::rstest;

/// The outcome of the step in this line, counted from 1, under a mutation or without one.
fn outcome(text: &str, line: usize, mutation: Option<Mutation>) -> String {
    let scenario = parse("mutation", text).expect("the scenario is valid");
    let trace = predict(&scenario, Choices { mutation, ..Choices::default() });
    outcome_text(&[], &trace.steps[line - 1])
}

#[rstest]
#[case::a_put_without_a_reader(
    "main pipe r w\nmain close r\nmain put w \"a\" => broken\n",
    3,
    Mutation::BrokenIsOk,
    "ok"
)]
#[case::the_oldest_message(
    "main pipe r w\nmain put w \"a\"\nmain put w \"b\"\nmain get r => \"a\"\n",
    4,
    Mutation::LastMessageFirst,
    "\"b\""
)]
#[case::a_join_that_waits_for_the_end_of_its_child(
    "main pipe r w\nmain spawn child r\nchild get r => eof\nmain/joiner join child => exit 0\n\
     main until main/joiner blocks\nmain close w\n",
    4,
    Mutation::JoinIsLost,
    "blocks"
)]
#[case::the_number_of_handles(
    "main pipe r w\nmain count handles => 2\n",
    2,
    Mutation::CountIsZero,
    "99"
)]
#[case::the_number_of_handles_of_a_child(
    "main spawn child\nchild count handles => 0\nmain join child => exit 0\n",
    2,
    Mutation::ChildHasAll,
    "99"
)]
#[case::an_ignored_signal(
    "main ignore SIGTERM\nmain pipe r w\nmain spawn child r\nchild get r => never\n\
     main until child blocks\nmain signal child SIGTERM\nmain close w\nmain join child => signal SIGTERM\n",
    8,
    Mutation::SignalsAreInherited,
    "exit 0"
)]
fn a_mutation_changes_an_outcome(
    #[case] text: &str,
    #[case] line: usize,
    #[case] mutation: Mutation,
    #[case] expected: &str,
) {
    let scenario = parse("mutation", text).expect("the scenario is valid");
    let right = outcome(text, line, None);
    assert!(scenario.steps[line - 1].expected.iter().any(|it| it.to_string() == right), "{right}");
    assert_eq!(outcome(text, line, Some(mutation)), expected);
}

/// Under `ChildHasAll`, only the number of a child is wrong.
#[test]
fn main_counts_its_handles_rightly_where_children_have_too_many() {
    let text = "main pipe r w\nmain count handles => 2\n";
    assert_eq!(outcome(text, 2, Some(Mutation::ChildHasAll)), "2");
}
