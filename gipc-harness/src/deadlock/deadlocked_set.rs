//! The deadlocked set: the steps that can never complete although some processes still move.
//!
//! Waiting follows the OR model (Holt 1972): a step at a pipe is released by any one of the processes that hold the other
//! end. A set of processes is deadlocked if all of them sleep without a timer and every open step of theirs waits only for
//! processes of the set. The largest such set is computed as a greatest fixed point: start with all sleeping processes,
//! and remove those with a step that a process outside the set could release, until none is left to remove.
//!
//! This is sound because no process outside the set can release a step inside it. Such a process would need an end that
//! the step waits for, and the kernel showed that only processes of the set hold these ends; or it would have to do
//! something to a process (send a signal, for example), so no set is reported while a moving process is in a step that is
//! not a plain wait. Inside the set a first process would have to move by itself, and all of them sleep without a timer.
//! Steps that wait for anything but a pipe or a process keep their process out of the set, so the set may be too small,
//! but never too large.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{ChildAct, Scenario, Verb};
use crate::trace::StallEvidence;
use std::collections::BTreeSet;

/// The open steps that no process can ever release.
///
/// The processes of [`StallEvidence::still_running`] move, and all others sleep without a timer. A step of a moving process
/// belongs to the result if it waits for deadlocked processes alone.
#[must_use]
pub fn deadlocked_steps(scenario: &Scenario, evidence: &StallEvidence) -> BTreeSet<usize> {
    let graph = WaitForGraph::new(scenario, evidence);
    let moving = || evidence.still_running.keys();
    let only_waits =
        |step: &usize| !matches!(Awaited::by(&scenario.steps[*step].verb), Awaited::Unknown);
    if !graph.are_all_holders_known()
        || !moving().all(|process| graph.waiting_steps(process).iter().all(only_waits))
    {
        return BTreeSet::new();
    }
    let deadlocked = deadlocked_processes(&graph);
    let mut steps: BTreeSet<usize> =
        deadlocked.iter().flat_map(|process| graph.waiting_steps(process)).collect();
    if steps.is_empty() {
        return steps;
    }
    // A process with a timer of its own, for example, moves, and can wait for the deadlocked ones all the same.
    steps.extend(moving().flat_map(|process| graph.waiting_steps(process)).filter(|step| {
        let on = graph.edge(*step).on;
        is_fully_known(&graph, *step)
            && graph.carries_only_whole_messages(*step)
            && !on.is_empty()
            && on.iter().all(|process| deadlocked.contains(process.as_str()))
    }));
    steps
}

/// The greatest set of sleeping processes all of whose open steps wait only for processes of the set.
fn deadlocked_processes<'g>(graph: &'g WaitForGraph<'_>) -> BTreeSet<&'g str> {
    let is_asleep = |process: &&String| {
        graph.is_running(process) && !graph.evidence.still_running.contains_key(*process)
    };
    let mut candidates: BTreeSet<&str> = graph
        .evidence
        .blocked_in
        .keys()
        .filter(is_asleep)
        .filter(|process| {
            graph.waiting_steps(process).iter().all(|step| is_fully_known(graph, *step))
        })
        .map(String::as_str)
        .collect();
    loop {
        let can_be_released = |process: &&&str| {
            let mut awaited =
                graph.waiting_steps(process).into_iter().flat_map(|step| graph.edge(step).on);
            awaited.any(|other| !candidates.contains(other.as_str()))
        };
        let released: Vec<&str> = candidates.iter().filter(can_be_released).copied().collect();
        if released.is_empty() {
            return candidates;
        }
        candidates.retain(|process| !released.contains(process));
    }
}

/// What an open step can be waiting for.
enum Awaited {
    Pipe,
    Process,
    Time,
    /// The step does something whose needs only the implementation knows.
    Unknown,
}

impl Awaited {
    fn by(verb: &Verb) -> Self {
        match verb {
            Verb::Get { .. } | Verb::Put { .. } => Self::Pipe,
            Verb::Join { .. }
            | Verb::Child { act: ChildAct::Stall | ChildAct::Reaped | ChildAct::Reap, .. }
            | Verb::Until { .. } => Self::Process,
            Verb::Pause { .. } => Self::Time,
            _ => Self::Unknown,
        }
    }
}

/// Whether all that can end a step is known: it has no time limit, and waits for a process, or at a pipe whose end the
/// kernel shows in the process of the step.
fn is_fully_known(graph: &WaitForGraph<'_>, step: usize) -> bool {
    let spec = &graph.scenario.steps[step];
    spec.within_ms.is_none()
        && match Awaited::by(&spec.verb) {
            Awaited::Pipe => graph.holds_own_end(step),
            Awaited::Process => true,
            Awaited::Time | Awaited::Unknown => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Outcome, parse};
    use crate::trace::{BlockedIn, EvidenceTier, FdHolder, StepState, Trace};
    use rstest::rstest;
    use std::collections::BTreeMap;

    /// Main and the child wait for each other. The cases differ in what the third process, which moves, does and holds.
    const LINES: &str = "main        pipe r1 w1
main        pipe r2 w2
main        pipe r w
main        spawn child r1 w2
main        spawn third r
child       get r1                      => eof
main        get r2                      => eof
";

    #[rstest]
    #[case::one_with_a_timer("third       get r                       => eof", "third r", &[5, 6, 7])]
    #[case::one_that_could_write_to_main("third       get r                       => eof", "third w2", &[])]
    #[case::one_that_could_write_to_the_child("third       get r                       => eof", "third w1", &[])]
    #[case::one_that_holds_another_reader("third       get r                       => eof", "third r1", &[5, 6])]
    #[case::one_whose_time_limit_may_pass("third       get r within 50ms           => timeout", "third r", &[5, 6])]
    #[case::one_that_does_something_else("third       pipe r5 w5", "third r", &[])]
    #[case::one_that_writes_parts_by_hand("third       get r                       => eof\nmain/task   cut w \"a\" at 1", "third r", &[5, 6])]
    fn only_steps_that_no_process_can_release_are_deadlocked(
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
        let end = |name: &str| scenario.handles.end_named(name).expect("an end of this name");
        let holders = own.into_iter().chain([held]).map(|words| {
            let (process, name) = words.split_once(' ').expect("two words");
            FdHolder { process: process.into(), end: end(name), descriptor: 7 }
        });
        let call =
            |name: &str| (name.to_owned(), BlockedIn::Call { name: "epoll".into(), fd: None });
        let evidence = StallEvidence {
            trace: Trace { steps, ..Trace::default() },
            tier: EvidenceTier::KernelPartial,
            holders: holders.collect(),
            fully_known_ends: ["r1", "w1", "r2", "w2", "r", "w"].map(end).into(),
            blocked_in: BTreeMap::from(["main", "child"].map(call)),
            still_running: BTreeMap::from([("third".into(), "a timer is set".into())]),
            ..StallEvidence::default()
        };
        let found: Vec<usize> = deadlocked_steps(&scenario, &evidence).into_iter().collect();
        assert_eq!(found, expected);
    }
}
