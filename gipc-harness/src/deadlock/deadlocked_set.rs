//! Which steps can never end though somebody still moves: those who wait sleep for good, and nobody who moves could
//! let one of them go on. Whoever waits for them alone is stuck too, asleep or not.
//!
//! Takes back rather too much than too little: who waits for anything but a pipe or a process is not said to be stuck.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{ChildAct, Scenario, Verb};
use crate::trace::StallEvidence;
use std::collections::BTreeSet;

/// The open steps that nobody can ever end. Who moves is in [`StallEvidence::moving`]; all others sleep without a timer.
#[must_use]
pub fn deadlocked_steps(scenario: &Scenario, stop: &StallEvidence) -> BTreeSet<usize> {
    let graph = WaitForGraph::new(scenario, stop);
    let waiting = |process: &str| -> Vec<usize> {
        let steps = scenario.steps.iter().enumerate();
        let here =
            steps.filter(|(step, spec)| spec.task_id.process == process && graph.is_waiting(*step));
        here.map(|(step, _)| step).collect()
    };
    // Who is about to do something to a process, a signal for instance, may wake anybody.
    let is_meek = |step: &usize| !matches!(waits_for(&scenario.steps[*step].verb), Awaited::Nobody);
    let movers_are_meek = stop.moving.keys().all(|process| waiting(process).iter().all(is_meek));
    if !graph.is_all_known() || !movers_are_meek {
        return BTreeSet::new();
    }
    let mut still: BTreeSet<String> = stop
        .calls
        .keys()
        .filter(|process| graph.runs(process) && !stop.moving.contains_key(*process))
        .filter(|process| waiting(process).iter().all(|step| is_sure(scenario, &graph, *step)))
        .cloned()
        .collect();
    loop {
        let helped: Vec<String> = still
            .iter()
            .filter(|process| {
                let steps = waiting(process).into_iter();
                steps.flat_map(|step| graph.wait(step).on).any(|other| !still.contains(&other))
            })
            .cloned()
            .collect();
        if helped.is_empty() {
            break;
        }
        still.retain(|process| !helped.contains(process));
    }
    let mut steps: BTreeSet<usize> = still.iter().flat_map(|process| waiting(process)).collect();
    // Who moves, a clock of its own for instance, can wait for those who are stuck all the same.
    let behind = stop.moving.keys().flat_map(|process| waiting(process)).filter(|step| {
        let on = graph.wait(*step).on;
        is_sure(scenario, &graph, *step)
            && graph.is_plain(*step)
            && !on.is_empty()
            && on.iter().all(|other| still.contains(other))
    });
    if !steps.is_empty() {
        steps.extend(behind);
    }
    steps
}

/// What an open step can be waiting for.
enum Awaited {
    Pipe,
    Process,
    /// A clock.
    Time,
    /// It does something, and what that takes is the implementation's affair.
    Nobody,
}

fn waits_for(verb: &Verb) -> Awaited {
    match verb {
        Verb::Get { .. } | Verb::Put { .. } => Awaited::Pipe,
        Verb::Join { .. }
        | Verb::Child { act: ChildAct::Stall | ChildAct::Reaped | ChildAct::Reap, .. }
        | Verb::Until { .. } => Awaited::Process,
        Verb::Pause { .. } => Awaited::Time,
        _ => Awaited::Nobody,
    }
}

/// Whether all is known of what a step waits for: no clock, and a pipe whose end the kernel shows in its own hand.
fn is_sure(scenario: &Scenario, graph: &WaitForGraph<'_>, step: usize) -> bool {
    let spec = &scenario.steps[step];
    match waits_for(&spec.verb) {
        _ if spec.within_ms.is_some() => false,
        Awaited::Pipe => graph.is_in_own_hand(step),
        Awaited::Process => true,
        Awaited::Time | Awaited::Nobody => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Outcome, parse};
    use crate::trace::{EvidenceTier, FdHolder, StepState, Trace};
    use rstest::rstest;
    use std::collections::BTreeMap;

    /// Main and child wait for each other; what the third, who moves, is in and holds is the question.
    const LINES: &str = "main        pipe r1 w1
main        pipe r2 w2
main        pipe r w
main        spawn child r1 w2
main        spawn third r
child       get r1                      => eof
main        get r2                      => eof
";

    #[rstest]
    #[case::a_clock("third       get r                       => eof", "third r", &[5, 6, 7])]
    #[case::one_that_could_write_to_main("third       get r                       => eof", "third w2", &[])]
    #[case::one_that_could_write_to_the_child("third       get r                       => eof", "third w1", &[])]
    #[case::one_that_holds_another_reader("third       get r                       => eof", "third r1", &[5, 6])]
    #[case::one_whose_limit_may_pass("third       get r within 50ms           => timeout", "third r", &[5, 6])]
    #[case::one_that_does_something_else("third       pipe r5 w5", "third r", &[])]
    #[case::one_that_writes_parts_by_hand("third       get r                       => eof\nmain/task   cut w \"a\" at 1", "third r", &[5, 6])]
    fn only_who_nobody_could_help_is_stuck(
        #[case] last: &str,
        #[case] held: &str,
        #[case] expected: &[usize],
    ) {
        let scenario =
            parse("it", &format!("{LINES}{last}\n")).unwrap_or_else(|error| panic!("{error:?}"));
        let ok = StepState::Completed { outcome: Outcome::Ok, from: None, detail: None };
        let mut steps = vec![StepState::Pending; scenario.steps.len()];
        steps[..5].fill(ok);
        steps[8..].fill(StepState::NotStarted);
        let own = ["child r1", "child w2", "main w1", "main r2", "main w"];
        let held = own.into_iter().chain([held]).map(|words| {
            let (process, end) = words.split_once(' ').expect("two words");
            FdHolder { process: process.into(), end: end.into(), descriptor: 7 }
        });
        let stop = StallEvidence {
            then: Trace { steps, ..Trace::default() },
            tier: EvidenceTier::Part,
            held: held.collect(),
            known: ["r1", "w1", "r2", "w2", "r", "w"].map(str::to_owned).into(),
            calls: BTreeMap::from(["main", "child"].map(|name| (name.into(), "epoll".into()))),
            moving: BTreeMap::from([("third".into(), "a timer is set".into())]),
            ..StallEvidence::default()
        };
        assert_eq!(deadlocked_steps(&scenario, &stop).into_iter().collect::<Vec<_>>(), expected);
    }
}
