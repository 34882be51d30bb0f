//! The model against the suite: every author is right, nothing depends on how much a pipe holds.

use super::{
    Choices, Deadlock, Mutation, allowed, deadlock, depends_on_capacity, is_steady, predict,
    schedule,
};
use crate::scenario::{Outcome, Scenario, Verb, parse};
use crate::trace::{StepState, Trace, disagreement, outcome_text};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn suite() -> Vec<Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut scenarios = Vec::new();
    for theme in std::fs::read_dir(&root).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(theme.path()).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            let id = file.path().display().to_string();
            match parse(&id, &text) {
                Ok(scenario) => scenarios.push(scenario),
                Err(error) => panic!("{}", error.render(&id, &text)),
            }
        }
    }
    assert!(scenarios.len() >= 24, "the suite has shrunk to {}", scenarios.len());
    scenarios
}

#[test]
fn the_model_agrees_with_every_author() {
    for scenario in suite() {
        let predicted = predict(&scenario, Choices::default());
        if let Some(finding) = disagreement(&scenario, &predicted) {
            let step = &scenario.steps[finding.step];
            panic!("{}:{} {}: {finding:?}", scenario.id, step.position.line, step.what());
        }
    }
}

#[test]
fn no_outcome_depends_on_how_much_a_pipe_holds() {
    for scenario in suite() {
        assert!(
            !depends_on_capacity(&scenario),
            "{} depends on the capacity of a pipe",
            scenario.id
        );
    }
}

/// The faults under which a scenario comes to something else than its author wrote; of a very long one the first, since
/// each of its steps is asked by a short one too.
fn catches(scenario: &Scenario) -> Vec<Mutation> {
    let wrong = |fault: &Mutation| {
        let choices = Choices { mutation: Some(*fault), ..Choices::default() };
        disagreement(scenario, &predict(scenario, choices)).is_some()
    };
    let enough = if scenario.steps.len() > 10_000 { 1 } else { usize::MAX };
    Mutation::ALL.into_iter().filter(wrong).take(enough).collect()
}

#[test]
fn each_scenario_catches_a_fault_and_each_fault_is_caught() {
    let mut caught: BTreeMap<Mutation, usize> = BTreeMap::new();
    let mut idle = Vec::new();
    for scenario in suite() {
        let faults = catches(&scenario);
        if faults.is_empty() {
            idle.push(scenario.id.clone());
        }
        for fault in faults {
            *caught.entry(fault).or_default() += 1;
        }
    }
    assert!(idle.is_empty(), "these catch nothing: {idle:#?}");
    let missed: Vec<_> = Mutation::ALL.iter().filter(|fault| !caught.contains_key(fault)).collect();
    assert!(missed.is_empty(), "nothing catches {missed:?}");
}

/// Where a scenario races on purpose, its lines name classes; time limits race with everything.
#[test]
fn no_outcome_depends_on_the_order_of_releases() {
    let mut racy = Vec::new();
    for scenario in suite() {
        let timed =
            scenario.steps.iter().any(|step| step.within_ms.is_some() || step.expected.len() > 1);
        if scenario.steps.len() < 300 && !timed && !is_steady(&scenario, Choices::default(), 20) {
            racy.push(scenario.id.clone());
        }
    }
    assert!(racy.is_empty(), "these depend on the order: {racy:#?}");
}

#[test]
fn a_plan_releases_each_step_at_most_once_and_what_ends_was_released() {
    for scenario in suite() {
        let mut released = vec![false; scenario.steps.len()];
        for release in schedule(&scenario, Choices::default()).releases {
            assert!(!std::mem::replace(&mut released[release.step], true), "{}", scenario.id);
            assert!(release.completes.iter().all(|step| released[*step]), "{}", scenario.id);
        }
    }
}

#[test]
fn a_scenario_prints_as_it_is_written() {
    for scenario in suite() {
        assert_eq!(scenario.script.to_string(), scenario.text, "{}", scenario.id);
    }
}

#[test]
fn a_message_beyond_the_limit_that_was_declared_is_refused() {
    let text = "main        pipe r w\nmain        put w 9B                    => ok or too-large\n";
    let scenario = parse("limit", text).unwrap();
    let put = |max_message| {
        predict(&scenario, Choices { max_message, ..Choices::default() }).steps[1].clone()
    };
    assert!(put(9).is(&Outcome::Ok));
    assert!(put(8).is(&Outcome::TooLarge));
}

#[test]
fn a_start_that_needs_no_descriptor_succeeds_without_one() {
    let text = "main        pipe r w\nmain        limit descriptors 0 free\nmain        spawn child w               => os:EMFILE\n";
    let scenario = parse("limit", text).expect("it can be meant");
    let spawn = |start_needs| {
        predict(&scenario, Choices { start_needs, ..Choices::default() }).steps[2].clone()
    };
    assert!(spawn(2).is(&Outcome::Os("EMFILE".into())));
    assert!(spawn(0).is(&Outcome::Ok));
}

/// One thing that somebody may do, with small numbers for who and with what; many are nonsense and not asked.
fn line() -> impl Strategy<Value = String> {
    let who = prop_oneof![4 => Just("main"), 3 => Just("child"), 1 => Just("main/task"), 1 => Just("child/task")];
    let size = prop_oneof![Just("\"a\""), Just("\"b\""), Just("100B"), Just("300B"), Just("2MiB")];
    let what = prop_oneof![
        4 => (0..3_u8, size).prop_map(|(i, size)| format!("put w{i} {size}")),
        4 => (0..3_u8).prop_map(|i| format!("get r{i}")),
        2 => (0..3_u8).prop_map(|i| format!("close w{i}")),
        1 => (0..3_u8).prop_map(|i| format!("close r{i}")),
        1 => (0..3_u8).prop_map(|i| format!("get r{i} within 50ms")),
        1 => Just("join child".to_owned()),
        1 => Just("kill child".to_owned()),
        1 => Just("exit 3".to_owned()),
        1 => Just("until child blocks".to_owned()),
        1 => Just("cancel main/task".to_owned()),
    ];
    (who, what).prop_map(|(who, what)| format!("{who:<11} {what}"))
}

/// A scenario with two processes and three pipes; its outcomes are those of the model.
fn scenario() -> impl Strategy<Value = Scenario> {
    let given = proptest::sample::subsequence(vec!["r0", "w0", "r1", "w1", "r2", "w2"], 0..4);
    (given, proptest::collection::vec(line(), 1..14)).prop_filter_map(
        "nobody can mean it",
        |(given, lines)| {
            let mut text: String =
                (0..3).map(|i| format!("main        pipe r{i} w{i}\n")).collect();
            text += &format!("main        spawn child {}\n", given.join(" "));
            for line in lines {
                // An outcome must be written; `ok or eof` is enough to be read.
                let longer = format!("{text}{line:<39} => ok or eof\n");
                if parse("random", &longer).is_ok() {
                    text = longer;
                }
            }
            parse("random", &text).ok()
        },
    )
}

proptest! {
    #[test]
    fn a_prediction_is_complete_and_the_same_each_time(scenario in scenario()) {
        let predicted = predict(&scenario, Choices::default());
        prop_assert_eq!(&predicted, &predict(&scenario, Choices::default()));
        prop_assert_eq!(predicted.steps.len(), scenario.steps.len());
        let plan = schedule(&scenario, Choices::default());
        for (step, taken) in predicted.steps.iter().enumerate() {
            let let_go = plan.releases.iter().any(|release| release.step == step);
            prop_assert_eq!(let_go, *taken != StepState::NotStarted, "{}", &scenario.text);
            let over = plan.releases.iter().any(|release| release.completes.contains(&step));
            // The end of an exit is that its process leaves.
            let over = over || (let_go && matches!(scenario.steps[step].verb, Verb::Exit { .. }));
            prop_assert_eq!(over, matches!(taken, StepState::Completed { .. }), "step {} of {}", step, &scenario.text);
        }
    }

    #[test]
    fn each_message_is_got_once_and_in_order(scenario in scenario()) {
        let predicted = predict(&scenario, Choices::default());
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (step, taken) in scenario.steps.iter().zip(&predicted.steps) {
            let (Verb::Get { handle }, StepState::Completed { from: Some(put), .. }) = (&step.verb, taken) else { continue };
            let task_id = format!("{handle} {} {}", scenario.steps[*put].task_id, step.task_id);
            prop_assert!(last.insert(task_id, *put).is_none_or(|before| before < *put), "{}", scenario.text);
        }
    }
}

#[test]
fn the_outcomes_of_every_scenario_can_be_enumerated() {
    let whole = |scenario: &Scenario| allowed(scenario, Choices::default()).complete;
    let unknown: Vec<String> =
        suite().iter().filter(|it| !whole(it)).map(|it| it.id.clone()).collect();
    assert!(unknown.is_empty(), "past the bound: {unknown:#?}");
}

/// The outcomes of a script, however they are ordered.
fn outcomes(text: &str) -> BTreeSet<String> {
    let scenario = parse("race", text).unwrap();
    let allowed = allowed(&scenario, Choices::default());
    assert!(allowed.complete);
    let words = |trace: &Trace| {
        let racy =
            scenario.steps.iter().zip(&trace.steps).filter(|(step, _)| step.expected.len() > 1);
        racy.map(|(_, taken)| outcome_text(&[], taken)).collect::<Vec<_>>().join(" ")
    };
    allowed.traces.iter().map(words).collect()
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
fn a_race_has_all_its_outcomes_and_no_others(#[case] text: &str, #[case] expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&words| words.to_owned()).collect();
    assert_eq!(outcomes(text), expected);
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
fn the_model_says_whether_and_where_a_scenario_stops(
    #[case] text: &str,
    #[case] expected: Deadlock,
) {
    assert_eq!(deadlock(&parse("stops", text).unwrap(), Choices::default()), expected);
}
