//! Tests that the cost of independent races is proportional to their number, and that a search that is too large stops.

use crate::model::program::Program;
use crate::model::state_graph::{MAX_WORK, explore};
use crate::model::{
    CAPACITY_MIN, Choices, Deadlock, Unjoined, allowed, allowed_in_all_orders, deadlock,
    depends_on_capacity,
};
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
    // Every get can receive every put.
    let mut text = String::from("main        duplex near far\nmain        pipe r w\n");
    for task in 0..60 {
        text += &format!("main/t{task}     put w \"message {task}\"           => ok\n");
        text += &format!("main/u{task}     get r                       => blocks or eof\n");
    }
    let scenario = parse("large", &text).expect("the scenario is valid");
    let allowed = allowed(&scenario, Choices::default());
    assert!(!allowed.is_known());
}

/// The comparison with all orders proves something only if all of them can be tried.
#[test]
fn the_outcomes_of_a_small_race_are_those_of_all_orders() {
    let scenario = kills(1);
    let expected = allowed_in_all_orders(&scenario, Choices::default());
    assert_eq!(expected.as_ref(), Some(&allowed(&scenario, Choices::default())));
}

/// While main waits for its children, its tasks go on. They end when the last child does.
#[test]
fn the_tasks_of_a_process_that_waits_for_its_children_race_with_the_end_of_the_last_one() {
    let steps = [
        "main pipe r0 w0",
        "main put w0 \"message number 1\"",
        "main pipe r1 w1",
        "main pipe r2 w2",
        "main spawn a in-group share(w2)",
        "main get r0",
        "main join a",
        "main close r1",
        "main/one get r2",
        "main/two get r0",
        "main join a",
        "main spawn b in-group r0 w1",
        "main put w2 \"message number 2\"",
        "a spawn c in-group",
        "main exit 0",
        "a close w2",
        "b pipe r3 w3",
        "a join c",
    ];
    let text: String = steps.iter().map(|step| format!("{step}  => ok or eof\n")).collect();
    let scenario = parse("waiting", &text).expect("the scenario is valid");
    let choices = Choices { unjoined: Unjoined::Joined, ..Choices::default() };
    let expected = allowed_in_all_orders(&scenario, choices);
    assert_eq!(expected.as_ref(), Some(&allowed(&scenario, choices)));
}

#[test]
fn many_independent_races_that_all_end_cannot_block() {
    let scenario = kills(50);
    assert!(!allowed(&scenario, Choices::default()).complete);
    assert_eq!(deadlock(&scenario, Choices::default()), Deadlock::Cannot);
}

/// A race beside a message that fits only into a large pipe and that is read.
#[test]
fn a_race_whose_outcomes_are_the_same_for_every_capacity_does_not_depend_on_it() {
    let text = "main        pipe r w\nmain/writer put w 600B\nmain        get r                       => 600B\n\
                main        spawn child\nmain        kill child\n\
                main        join child                  => exit 0 or signal SIGKILL\n";
    assert!(!depends_on_capacity(&parse("race", text).expect("the scenario is valid")));
}

/// All messages of a pipe together may exceed its smallest capacity when their headers, of at most 8 bytes, are added.
#[test]
fn a_pipe_may_fill_if_its_messages_and_their_headers_exceed_the_smallest_capacity() {
    let may_fill = |count: usize, size: usize| {
        let puts = format!("main        put w {size}B\n").repeat(count);
        let get = format!("main        get r                       => {size}B\n");
        let text = format!("main        pipe r w\n{puts}{get}");
        let scenario = parse("puts", &text).expect("the scenario is valid");
        Program::new(&scenario, CAPACITY_MIN, Choices::default()).pipes[0].may_fill
    };
    assert!(!may_fill(1, 504));
    assert!(may_fill(1, 505));
    assert!(!may_fill(32, 8));
    assert!(may_fill(33, 8));
}
