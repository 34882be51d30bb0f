//! Concurrent mode: each task gets all its steps at once, and the agents run on their own.
//!
//! This finds faults that stepwise mode hides, since here a process waits for others only through its steps. The run still
//! ends when nothing moves any more.

use super::execution::Execution;
use super::run_state::RunState;
use crate::scenario::{Scenario, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// A task whose steps were not sent yet.
struct PendingTask<'a> {
    task: &'a TaskId,
    steps: Vec<usize>,
    /// The steps of the process itself that are above the first step of the task.
    after: Vec<usize>,
}

fn pending_tasks(scenario: &Scenario) -> Vec<PendingTask<'_>> {
    let mut tasks: Vec<PendingTask<'_>> = Vec::new();
    let mut own_steps: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let (task, process) = (&*step.task_id, step.task_id.process.as_str());
        match tasks.iter_mut().find(|pending| pending.task == task) {
            Some(pending) => pending.steps.push(index),
            None => {
                let after = match task.task {
                    Some(_) => own_steps.get(process).cloned().unwrap_or_default(),
                    None => Vec::new(),
                };
                tasks.push(PendingTask { task, steps: vec![index], after });
            }
        }
        if task.task.is_none() {
            own_steps.entry(process).or_default().push(index);
        }
    }
    tasks
}

/// Sends all steps, and waits until all processes have ended or nothing moves.
pub(super) async fn run(execution: &mut Execution<'_>) {
    let mut pending = pending_tasks(execution.state.scenario);
    let mut detector = execution.new_detector();
    while !execution.state.is_over() {
        pending.retain(|pending| {
            let state = &execution.state;
            let is_ready = state.sessions.is_alive(&pending.task.process)
                && pending.after.iter().all(|step| state.steps.has_completed(*step));
            if is_ready {
                pending.steps.iter().for_each(|step| execution.hand_over(*step));
            }
            !is_ready
        });
        if execution.state.sessions.alive_processes().next().is_none() {
            return;
        }
        if let Some(stall) = execution.next_or_stall(&mut detector, is_rest_deadlocked).await {
            if execution.state.sessions.is_alive("main") {
                execution.record_stall(stall).await;
            }
            return;
        }
    }
}

/// Whether each remaining step is deadlocked, or has not begun because a step before it is deadlocked.
///
/// A task that is between two of its steps goes on by itself, and may then affect the other tasks of its process.
fn is_rest_deadlocked(state: &RunState<'_>, deadlocked: &BTreeSet<usize>) -> bool {
    let task_of = |step: usize| &*state.scenario.steps[step].task_id;
    let tasks: BTreeSet<&TaskId> = deadlocked.iter().map(|step| task_of(*step)).collect();
    let is_held_up = |step: usize| match state.steps.was_sent(step) {
        true => tasks.contains(task_of(step)),
        // The task begins after steps of its process that were not sent either, or that have not completed.
        false => tasks.iter().any(|task| task.process == task_of(step).process),
    };
    !deadlocked.is_empty()
        && state.steps.uncompleted_steps().all(|step| {
            if state.steps.is_open(step) { deadlocked.contains(&step) } else { is_held_up(step) }
        })
}
