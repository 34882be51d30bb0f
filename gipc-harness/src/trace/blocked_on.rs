//! Derives the processes that a pending step waits for from the owners that the pipe ends should have.

use super::{Ownership, StepState, Trace};
use crate::scenario::{Scenario, Side, Verb};
use std::collections::BTreeSet;

/// The processes any of which could make a pending step return.
///
/// A `get` waits for the owner of the writing end, a `put` for the owner of the reading end, a step about a child for the
/// child while it runs, and `until` for the process of the awaited task. A process that owns both ends of a pipe waits for
/// itself. The set is empty if the step is not pending, if its own process has ended, or if no process of the trace can make
/// it return.
///
/// A trace has the intended owners. If an implementation leaks an end, other processes may hold it as well.
#[must_use]
pub fn blocked_on(scenario: &Scenario, trace: &Trace, step: usize) -> BTreeSet<String> {
    let is_pending = trace.steps.get(step) == Some(&StepState::Pending);
    let Some(step) = scenario.steps.get(step).filter(|_| is_pending) else {
        return BTreeSet::new();
    };
    if !trace.runs(&step.task_id.process) {
        return BTreeSet::new();
    }
    let opposite_holders = |handle: &str, side: Side| match scenario.handles.end(handle, side) {
        Some(end) => Ownership::replay(scenario, trace).holders(end.opposite()).to_vec(),
        None => Vec::new(),
    };
    let if_running = |process: &str| match trace.runs(process) {
        true => vec![process.to_owned()],
        false => Vec::new(),
    };
    let awaited = match &step.verb {
        Verb::Get { handle } => opposite_holders(handle, Side::Reader),
        Verb::Put { handle, .. }
        | Verb::Cut { handle, .. }
        | Verb::Rest { handle }
        | Verb::Announce { handle, .. }
        | Verb::Pass { handle, .. } => opposite_holders(handle, Side::Writer),
        Verb::Join { child } | Verb::Child { child, .. } => if_running(child),
        Verb::Until { task_id } => if_running(&task_id.process),
        _ => Vec::new(),
    };
    awaited.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::blocked_on;
    use crate::scenario::{Outcome, parse};
    use crate::trace::{ProcessExit, StepState, Trace};
    use rstest::rstest;
    use std::collections::BTreeMap;

    /// The trace in which each step returned what its line says, or is pending where its line says `blocks`. The
    /// processes in `exited` have ended.
    fn blocked_on_at_last_step(lines: &str, exited: &[&str]) -> Vec<String> {
        let scenario = parse("test", &format!("{lines}\n")).expect("the lines are a scenario");
        let state = |outcome: &Outcome| match outcome {
            Outcome::Never => StepState::NotStarted,
            Outcome::Blocks(_) => StepState::Pending,
            outcome => StepState::Completed { outcome: outcome.clone(), from: None, detail: None },
        };
        let steps = scenario.steps.iter().map(|step| state(&step.expected[0])).collect();
        let exits: BTreeMap<String, ProcessExit> =
            exited.iter().map(|name| ((*name).to_owned(), ProcessExit::Code(0))).collect();
        let trace = Trace { steps, exits, ..Trace::default() };
        blocked_on(&scenario, &trace, scenario.steps.len() - 1).into_iter().collect()
    }

    #[rstest]
    #[case::a_get_waits_for_the_owner_of_the_writing_end(
        "main pipe r w\nmain spawn child w\nmain get r => blocks",
        &[],
        &["child"]
    )]
    #[case::a_get_waits_for_its_own_process_if_it_owns_both_ends(
        "main pipe r w\nmain get r => blocks",
        &[],
        &["main"]
    )]
    #[case::a_put_waits_for_the_owner_of_the_reading_end(
        "main pipe r w\nmain spawn child r\nmain put w 2MiB => blocks",
        &[],
        &["child"]
    )]
    #[case::a_get_from_a_duplex_waits_for_the_owner_of_the_other_handle(
        "main duplex near far\nmain spawn child far\nmain get near => blocks",
        &[],
        &["child"]
    )]
    #[case::a_moved_end_counts_for_its_last_owner(
        "main pipe r w\nmain spawn one w\none spawn two w\nmain get r => blocks",
        &[],
        &["two"]
    )]
    #[case::a_shared_end_has_several_owners(
        "main pipe r w\nmain spawn child share(w)\nmain get r => blocks",
        &[],
        &["child", "main"]
    )]
    #[case::a_shared_end_that_one_owner_closed_has_the_other(
        "main pipe r w\nmain spawn child share(w)\nmain close w\nmain get r => blocks",
        &[],
        &["child"]
    )]
    #[case::a_closed_end_has_no_owner(
        "main pipe r w\nmain close w\nmain get r => blocks",
        &[],
        &[]
    )]
    #[case::an_end_of_an_exited_process_has_no_owner(
        "main pipe r w\nmain spawn child w\nmain get r => blocks",
        &["child"],
        &[]
    )]
    #[case::a_join_waits_for_a_running_child(
        "main spawn child\nmain join child => blocks",
        &[],
        &["child"]
    )]
    #[case::a_join_waits_for_nothing_if_the_child_has_exited(
        "main spawn child\nmain join child => blocks",
        &["child"],
        &[]
    )]
    #[case::a_stall_waits_for_the_child(
        "main spawn child\nmain stall until child ends => blocks",
        &[],
        &["child"]
    )]
    #[case::an_until_reaped_waits_for_the_child(
        "main spawn child\nmain until child is reaped => blocks",
        &[],
        &["child"]
    )]
    #[case::a_reap_waits_for_the_child(
        "main spawn child\nmain reap child => blocks",
        &[],
        &["child"]
    )]
    #[case::an_until_blocks_waits_for_the_process_of_the_task(
        "main pipe r w\nmain/one get r => blocks\nmain until main/one blocks => blocks",
        &[],
        &["main"]
    )]
    #[case::a_step_that_returned_waits_for_nothing(
        "main pipe r w\nmain close w\nmain get r => eof",
        &[],
        &[]
    )]
    #[case::a_step_of_an_exited_process_waits_for_nothing(
        "main pipe r w\nmain spawn child w\nmain get r => blocks",
        &["main"],
        &[]
    )]
    fn a_pending_step_waits_for_the_processes_that_can_make_it_return(
        #[case] lines: &str,
        #[case] exited: &[&str],
        #[case] expected: &[&str],
    ) {
        assert_eq!(blocked_on_at_last_step(lines, exited), expected);
    }
}
