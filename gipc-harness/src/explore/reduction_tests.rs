//! Compares the model's reduced search with a search of all orders, on random scenarios.

use super::script;
use crate::model::{Analysis, Choices, Unjoined, allowed_in_all_orders, analyze};
use crate::scenario::parse;
use rstest::rstest;

/// If a rule of the reduction names too few agents, some of these scenarios lose outcomes. `tests/model_properties.rs` tries
/// more.
#[rstest]
#[case::that_go_on(Unjoined::Left)]
#[case::that_are_killed(Unjoined::Killed)]
#[case::that_are_waited_for(Unjoined::Joined)]
fn the_outcomes_of_random_scenarios_with_children_are_those_of_all_orders(
    #[case] unjoined: Unjoined,
) {
    let profiles = ["core", "tasks", "process", "signals"].map(str::to_owned).into();
    let choices = Choices { unjoined, ..Choices::default() };
    let mut compared = 0;
    for seed in 0..120 {
        let script = script(&mut fastrand::Rng::with_seed(seed), &profiles);
        let Ok(scenario) = parse("random", &script.to_string()) else { continue };
        let Analysis { allowed, .. } = analyze(&scenario, choices);
        // The schedule of a scenario without a race is one order, and waits for completions.
        if allowed.traces.len() == 1 {
            continue;
        }
        if let Some(expected) = allowed_in_all_orders(&scenario, choices) {
            assert_eq!(allowed, expected, "{}", scenario.text);
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} scenarios race");
}
