//! Tests of the model against the suite: it agrees with every scenario file, and no outcome depends on the capacity of a
//! pipe.

use super::{Choices, Mutation, allowed, depends_on_capacity, is_steady, predict, schedule};
use crate::scenario::{Outcome, Scenario, Verb, parse};
use crate::trace::{StepState, disagreement, outcome_text};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

mod after_cancel;
mod mutations;
mod outcomes;
mod races;
mod reduction;
mod snapshots;
mod unjoined;

/// All scenarios of the suite, which are read once.
fn suite() -> &'static [Scenario] {
    static SUITE: OnceLock<Vec<Scenario>> = OnceLock::new();
    SUITE.get_or_init(read_suite)
}

fn read_suite() -> Vec<Scenario> {
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
    assert!(scenarios.len() >= 24, "only {} scenarios were found", scenarios.len());
    scenarios
}

#[test]
fn the_model_agrees_with_every_scenario_file() {
    for scenario in suite() {
        let predicted = predict(scenario, Choices::default());
        if let Some(finding) = disagreement(scenario, &predicted) {
            let step = &scenario.steps[finding.step];
            panic!("{}:{} {}: {finding:?}", scenario.id, step.position.line, step.what());
        }
    }
}

#[test]
fn no_outcome_depends_on_how_much_a_pipe_holds() {
    for scenario in suite() {
        assert!(
            !depends_on_capacity(scenario),
            "{} depends on the capacity of a pipe",
            scenario.id
        );
    }
}

/// The mutations that change an outcome of a scenario. For a very long scenario only the first one, to save time.
fn caught_mutations(scenario: &Scenario) -> Vec<Mutation> {
    let is_caught = |mutation: &Mutation| {
        let choices = Choices { mutation: Some(*mutation), ..Choices::default() };
        disagreement(scenario, &predict(scenario, choices)).is_some()
    };
    let count = if scenario.steps.len() > 10_000 { 1 } else { usize::MAX };
    Mutation::ALL.into_iter().filter(is_caught).take(count).collect()
}

#[test]
fn each_scenario_catches_a_mutation_and_each_mutation_is_caught() {
    let mut caught: BTreeMap<Mutation, usize> = BTreeMap::new();
    let mut useless = Vec::new();
    for scenario in suite() {
        let mutations = caught_mutations(scenario);
        if mutations.is_empty() {
            useless.push(scenario.id.clone());
        }
        for mutation in mutations {
            *caught.entry(mutation).or_default() += 1;
        }
    }
    assert!(useless.is_empty(), "these catch no mutation: {useless:#?}");
    let missed: Vec<_> =
        Mutation::ALL.iter().filter(|mutation| !caught.contains_key(mutation)).collect();
    assert!(missed.is_empty(), "no scenario catches {missed:?}");
}

/// Left out are scenarios that race on purpose, which name alternatives, and time limits, which race with everything.
#[test]
fn no_outcome_depends_on_the_order_of_releases() {
    let mut racing = Vec::new();
    for scenario in suite() {
        let may_race =
            scenario.steps.iter().any(|step| step.within_ms.is_some() || step.expected.len() > 1);
        if scenario.steps.len() < 300 && !may_race && !is_steady(scenario, Choices::default(), 20) {
            racing.push(scenario.id.clone());
        }
    }
    assert!(racing.is_empty(), "these depend on the order: {racing:#?}");
}

#[test]
fn a_schedule_releases_each_step_at_most_once_and_before_it_completes() {
    for scenario in suite() {
        let mut released = vec![false; scenario.steps.len()];
        for release in schedule(scenario, Choices::default()).releases {
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
fn a_message_longer_than_the_declared_maximum_is_refused() {
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
    let scenario = parse("limit", text).expect("the scenario is valid");
    let spawn = |start_needs| {
        predict(&scenario, Choices { start_needs, ..Choices::default() }).steps[2].clone()
    };
    assert!(spawn(2).is(&Outcome::Os("EMFILE".into())));
    assert!(spawn(0).is(&Outcome::Ok));
}

#[test]
fn a_start_from_a_thread_that_is_refused_moves_nothing_and_leaves_no_child() {
    let text = "main        pipe r w
main        spawn child from-thread w   => ok or misuse
child       put w \"hello\"              => ok or never
main        join child                  => exit 0 or misuse
main        close w                     => closed or ok
";
    let scenario = parse("thread", text).expect("the scenario is valid");
    let outcomes = |refuses_threads| {
        let trace = predict(&scenario, Choices { refuses_threads, ..Choices::default() });
        trace.steps[1..].iter().map(|state| outcome_text(&[], state)).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(false), ["ok", "ok", "exit 0", "closed"]);
    assert_eq!(outcomes(true), ["misuse", "never", "misuse", "ok"]);
}

/// A random line with few processes and handles. Many such lines are invalid, and left out.
fn line() -> impl Strategy<Value = String> {
    let task = prop_oneof![4 => Just("main"), 3 => Just("child"), 1 => Just("main/task"), 1 => Just("child/task")];
    let size = prop_oneof![Just("\"a\""), Just("\"b\""), Just("100B"), Just("300B"), Just("2MiB")];
    let verb = prop_oneof![
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
    (task, verb).prop_map(|(task, verb)| format!("{task:<11} {verb}"))
}

/// A random scenario with two processes and three pipes. Its outcomes are those of the model.
fn scenario() -> impl Strategy<Value = Scenario> {
    let given = proptest::sample::subsequence(vec!["r0", "w0", "r1", "w1", "r2", "w2"], 0..4);
    (given, proptest::collection::vec(line(), 1..14)).prop_filter_map(
        "the scenario is not valid",
        |(given, lines)| {
            let mut text: String =
                (0..3).map(|i| format!("main        pipe r{i} w{i}\n")).collect();
            text += &format!("main        spawn child {}\n", given.join(" "));
            for line in lines {
                // The parser needs an outcome; any outcome other than a refusal will do.
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
        let releases = schedule(&scenario, Choices::default()).releases;
        for (step, state) in predicted.steps.iter().enumerate() {
            let is_released = releases.iter().any(|release| release.step == step);
            prop_assert_eq!(is_released, *state != StepState::NotStarted, "{}", &scenario.text);
            let completes = releases.iter().any(|release| release.completes.contains(&step));
            // An exit completes when its process ends.
            let is_exit = is_released && matches!(scenario.steps[step].verb, Verb::Exit { .. });
            let is_completed = matches!(state, StepState::Completed { .. });
            prop_assert_eq!(completes || is_exit, is_completed, "step {} of {}", step, &scenario.text);
        }
    }

    #[test]
    fn each_message_is_got_once_and_in_order(scenario in scenario()) {
        let predicted = predict(&scenario, Choices::default());
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (step, taken) in scenario.steps.iter().zip(&predicted.steps) {
            let (Verb::Get { handle }, StepState::Completed { from: Some(put), .. }) = (&step.verb, taken) else { continue };
            let stream = format!("{handle} {} {}", scenario.steps[*put].task_id, step.task_id);
            prop_assert!(last.insert(stream, *put).is_none_or(|before| before < *put), "{}", scenario.text);
        }
    }
}

#[test]
fn the_outcomes_of_every_scenario_can_be_enumerated() {
    let is_complete = |scenario: &Scenario| allowed(scenario, Choices::default()).complete;
    let incomplete: Vec<String> = suite()
        .iter()
        .filter(|scenario| !is_complete(scenario))
        .map(|scenario| scenario.id.clone())
        .collect();
    assert!(incomplete.is_empty(), "beyond the bounds of the search: {incomplete:#?}");
}
