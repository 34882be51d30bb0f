//! Tests what happens to children that their parent has not joined, for each choice of the implementation.

use crate::model::{Choices, Unjoined, allowed, injection_points, predict};
use crate::scenario::parse;
use crate::trace::outcome_text;
use rstest::rstest;
use std::collections::BTreeSet;

const RETURNS: &str = "main        pipe r w\nmain        pipe s t\nmain        spawn child r\n\
                       child       get r                       => eof\n\
                       child       close r                     => ok\n";
const EXITS: &str = "main        pipe r w\nmain        spawn child r\n\
                     child       spawn grandchild r\n\
                     grandchild  get r                       => \"go\"\n\
                     child       exit 42\n\
                     main        join child                  => exit 42\n\
                     main        put w \"go\"\n";

/// The outcomes of the steps of a scenario in file order, without those of `main`'s pipes and spawns.
fn outcomes(text: &str, unjoined: Unjoined) -> Vec<String> {
    let scenario = parse("unjoined", text).expect("the scenario is valid");
    let trace = predict(&scenario, Choices { unjoined, ..Choices::default() });
    let steps = scenario.steps.iter().zip(&trace.steps);
    let asked = steps.filter(|(step, _)| !step.expected.iter().all(|it| it.to_string() == "ok"));
    asked.map(|(_, state)| outcome_text(&[], state)).collect()
}

#[rstest]
#[case::they_go_on(RETURNS, Unjoined::Left, &["eof"])]
#[case::they_are_killed(RETURNS, Unjoined::Killed, &["never"])]
#[case::their_parent_waits_for_them(RETURNS, Unjoined::Joined, &["blocks"])]
#[case::their_parent_waits_when_it_returns(RETURNS, Unjoined::JoinedOnReturn, &["blocks"])]
#[case::they_go_on_after_an_exit_that_is_no_return(EXITS, Unjoined::JoinedOnReturn, &["\"go\"", "exit 42"])]
#[case::they_go_on_after_an_exit(EXITS, Unjoined::Left, &["\"go\"", "exit 42"])]
#[case::an_exit_kills_no_child(EXITS, Unjoined::Killed, &["\"go\"", "exit 42"])]
#[case::an_exit_waits_for_them(EXITS, Unjoined::Joined, &["blocks", "blocks"])]
fn children_that_are_not_joined_fare_as_the_implementation_chose(
    #[case] text: &str,
    #[case] unjoined: Unjoined,
    #[case] expected: &[&str],
) {
    assert_eq!(outcomes(text, unjoined), expected);
}

/// A parent that kills its children when it returns may do so before or after anything that they do.
#[test]
fn a_child_that_is_killed_by_the_return_of_its_parent_races_with_it() {
    let text = "main        pipe r w\nmain        spawn child r\nmain        close w\n\
                child       get r                       => eof\n";
    let scenario = parse("unjoined", text).expect("the scenario is valid");
    let choices = Choices { unjoined: Unjoined::Killed, ..Choices::default() };
    let allowed = allowed(&scenario, choices);
    let outcomes: BTreeSet<String> =
        allowed.traces.iter().map(|trace| outcome_text(&[], &trace.steps[3])).collect();
    let expected = ["eof", "never"].map(str::to_owned);
    assert_eq!(outcomes, BTreeSet::from(expected));
}

/// Killing `two` lets `main` return while `one` may still put, whatever happens to `one` then.
#[rstest]
#[case::they_go_on(Unjoined::Left)]
#[case::they_are_killed(Unjoined::Killed)]
fn no_process_is_killed_where_its_parent_would_return_before_other_children(
    #[case] unjoined: Unjoined,
) {
    let text = "main        pipe r1 w1\nmain        pipe r2 w2\nmain        pipe r3 w3\n\
                main        spawn one r1 w2\nmain        spawn two r2 w3\n\
                one         get r1                      => blocks on main\n\
                two         get r2                      => blocks on one\n\
                main        get r3                      => blocks on two\n\
                main        put w1 \"go\"                 => never\n\
                one         put w2 \"go\"                 => never\n";
    let scenario = parse("ring", text).expect("the scenario is valid");
    let choices = Choices { unjoined, ..Choices::default() };
    let points = injection_points(&scenario, choices);
    let killed = points.iter().map(|point| scenario.steps[point.step].task_id.process.as_str());
    assert_eq!(killed.collect::<BTreeSet<_>>(), BTreeSet::from(["one"]));
}
