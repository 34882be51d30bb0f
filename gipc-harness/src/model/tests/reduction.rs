//! Independent races cost their number and are kept apart; a search that is too large stops.

use crate::model::program::Program;
use crate::model::state_graph::{MAX_WORK, explore};
use crate::model::{CAPACITY_MIN, Choices, allowed};
use crate::scenario::{Scenario, parse};
use crate::trace::Trace;

/// Children that are killed while they may or may not have begun to wait.
fn kills(count: usize) -> Scenario {
    let text = format!(
        "each i in 1..{count}\n\
         main        pipe r[i] w[i]\n\
         main        spawn child[i] r[i]\n\
         child[i]    get r[i]                    => blocks or never\n\
         main        kill child[i]\n\
         main        join child[i]               => signal SIGKILL\n"
    );
    parse("kills", &text).expect("the scenario is valid")
}

/// Children that are not joined, and whose puts race with the end of main.
fn unjoined(count: usize) -> Scenario {
    let text = format!(
        "each i in 1..{count}\n\
         main        pipe r[i] w[i]\n\
         main        spawn child[i] w[i]\n\
         child[i]    put w[i] \"{{i}}\"              => ok or broken\n"
    );
    parse("unjoined", &text).expect("the scenario is valid")
}

fn graph_size(scenario: &Scenario) -> usize {
    let program = Program::new(scenario, CAPACITY_MIN, Choices::default());
    explore(&program, &mut MAX_WORK.clone()).expect("the graph is small").nodes.len()
}

#[test]
fn independent_races_cost_no_more_than_their_number() {
    for scenario in [kills, unjoined] {
        let (small, large) = (graph_size(&scenario(10)), graph_size(&scenario(100)));
        assert!(large <= 11 * small, "10 races have {small} nodes, 100 have {large}");
    }
}

#[test]
fn many_independent_races_are_known_without_listing_every_combination() {
    for scenario in [kills(50), unjoined(50)] {
        let allowed = allowed(&scenario, Choices::default());
        assert!(!allowed.complete, "{} traces", allowed.traces.len());
        assert!(allowed.is_known());
        assert_eq!(allowed.races.len(), 50);
        assert!(allowed.races.iter().all(|race| race.alternatives.len() == 2));
        assert!(allowed.traces.len() <= 3);
    }
}

#[test]
fn a_run_is_compared_with_the_nearest_combination_of_races() {
    let listed = allowed(&kills(6), Choices::default());
    assert!(listed.complete && listed.traces.len() == 64);
    let scenario = kills(20);
    let allowed = allowed(&scenario, Choices::default());
    let alternative = |race: usize, of: &Trace| of.steps[5 * race + 2].clone();
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut observed = allowed.traces[0].clone();
        for race in 0..20 {
            let from = &allowed.traces[random.usize(0..allowed.traces.len())];
            observed.steps[5 * race + 2] = alternative(race, from);
        }
        assert!(allowed.near(&observed).traces.contains(&observed));
    }
}

#[test]
fn a_search_that_is_too_large_is_incomplete_and_stops_early() {
    // Every put can be received by every get.
    let mut text = String::from("main        duplex near far\nmain        pipe r w\n");
    for task in 0..60 {
        text += &format!("main/t{task}     put w \"message {task}\"           => ok\n");
        text += &format!("main/u{task}     get r                       => blocks or eof\n");
    }
    let scenario = parse("large", &text).expect("the scenario is valid");
    let allowed = allowed(&scenario, Choices::default());
    assert!(!allowed.is_known());
}
