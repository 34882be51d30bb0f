//! The model against the suite: every author is right, nothing depends on how much a pipe holds.

use super::{Choices, depends_on_capacity, plan, predict};
use crate::scenario::{Scenario, parse};
use crate::verdict::disagreement;
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
            panic!("{}:{} {}: {finding:?}", scenario.id, step.place.line, step.what());
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

#[test]
fn a_plan_releases_each_step_at_most_once_and_what_ends_was_released() {
    for scenario in suite() {
        let mut released = vec![false; scenario.steps.len()];
        for release in plan(&scenario, Choices::default()).releases {
            assert!(!std::mem::replace(&mut released[release.step], true), "{}", scenario.id);
            assert!(release.ends.iter().all(|step| released[*step]), "{}", scenario.id);
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
    let put = |max_message| predict(&scenario, Choices { max_message }).steps[1].clone();
    assert!(put(9).is(&crate::scenario::Outcome::Ok));
    assert!(put(8).is(&crate::scenario::Outcome::TooLarge));
}
