//! Stepwise mode: releases one step at a time, in the order of a schedule, and waits for the effects that the schedule
//! predicts, or until nothing moves any more.
//!
//! The schedule only says what to wait for. Anything else that happens is recorded and judged elsewhere.

use super::execution::Execution;
use super::fault_injection::InjectedFault;
use super::run_state::RunState;
use crate::scenario::{Outcome, TaskId, Verb};
use crate::trace::{Release, Schedule, StallEvidence};
use smallvec::smallvec;
use std::collections::{BTreeMap, BTreeSet};

/// Executes a schedule, and injects a fault on the way if there is one.
pub(super) async fn run(
    execution: &mut Execution<'_>,
    schedule: &Schedule,
    fault: Option<InjectedFault>,
) {
    let scenario = execution.state.scenario;
    let mut halted: BTreeSet<&TaskId> = BTreeSet::new();
    let mut started: BTreeSet<&TaskId> = BTreeSet::new();
    let mut skipped = vec![false; scenario.steps.len()];
    for (index, release) in schedule.releases.iter().enumerate() {
        if execution.state.is_over() {
            return;
        }
        let task = &*scenario.steps[release.step].task_id;
        // If the process of a task is missing, or a step of the task stays open, the later steps of the task wait until the
        // schedule is over, even if the task becomes ready again.
        let is_due = started.contains(task) || execution.state.is_due(release.step);
        if halted.contains(task) || !is_due || !execution.state.is_ready(task) {
            halted.insert(task);
            skipped[release.step] = true;
            continue;
        }
        started.insert(task);
        let fault = fault.filter(|fault| fault.is_due_at(release));
        if let Some(fault) = fault {
            fault.await_puts_blocked(execution).await;
        }
        execution.release(release.step);
        if let Some(fault) = fault {
            fault.inject(execution, release).await;
        }
        let next = schedule.releases.get(index + 1);
        let next = next.map(|next| scenario.signalled_by(&scenario.steps[next.step].verb));
        let next = next.unwrap_or_default();
        // If the next step kills or signals a child, the child may never connect.
        let starts =
            release.starts.iter().filter(|child| !next.contains(child.as_str())).cloned().collect();
        let release = Release { starts, ..release.clone() };
        complete_untils(execution, &release).await;
        await_effects(execution, &release, &release.completes).await;
    }
    if !execution.state.is_over() {
        await_end(execution, &left_over(execution, schedule, &skipped)).await;
    }
}

/// A step that may still have to begin although the schedule has not released it.
struct LeftOver {
    step: usize,
    /// The step before it in its task; `None` for the first one.
    before: Option<usize>,
}

impl LeftOver {
    /// Whether the step can be released now.
    fn is_next(&self, state: &RunState<'_>) -> bool {
        let may_begin = match self.before {
            Some(before) => state.steps.has_completed(before),
            None => state.may_begin(self.step),
        };
        may_begin
            && !state.steps.was_sent(self.step)
            && state.is_ready(&state.scenario.steps[self.step].task_id)
    }
}

/// The steps that the schedule has not released: those that were skipped because the step before had not completed, and
/// those that are not in the schedule because the step before is to wait forever. Where steps race, another course than that
/// of the schedule can be correct, and then these steps begin.
fn left_over(execution: &Execution<'_>, schedule: &Schedule, skipped: &[bool]) -> Vec<LeftOver> {
    let steps = &execution.state.scenario.steps;
    let mut is_foreseen = vec![false; steps.len()];
    let mut completes = vec![false; steps.len()];
    for release in &schedule.releases {
        is_foreseen[release.step] = true;
        release.completes.iter().for_each(|step| completes[*step] = true);
    }
    let mut left_over = Vec::new();
    let mut before: BTreeMap<&TaskId, usize> = BTreeMap::new();
    for (step, spec) in steps.iter().enumerate() {
        let before = before.insert(&spec.task_id, step);
        let is_completed = before.is_some_and(|before| completes[before]);
        if skipped[step] || !is_foreseen[step] && !is_completed {
            left_over.push(LeftOver { step, before });
        }
    }
    left_over
}

/// Completes the `until` steps of a release. Those that follow each other complete at the same moment: when all steps that
/// must complete before them have completed and the tasks that they await are blocked. An `until` may have been released
/// earlier.
async fn complete_untils(execution: &mut Execution<'_>, release: &Release) {
    let steps = &execution.state.scenario.steps;
    let is_until = |step: &usize| matches!(steps[*step].verb, Verb::Until { .. });
    let before = Release { step: release.step, ..Release::default() };
    let mut place = 0;
    for group in release.completes.chunk_by(|one, next| is_until(one) == is_until(next)) {
        if is_until(&group[0]) {
            await_effects(execution, &before, &release.completes[..place]).await;
            complete_those_that_hold(execution, group).await;
        }
        place += group.len();
    }
}

/// Completes each open `until` whose awaited task is blocked, after the last release. The schedule does not complete such an
/// `until`, but where steps race, the task can be blocked in this run. Returns whether an `until` was completed.
async fn complete_blocked_untils(execution: &mut Execution<'_>) -> bool {
    let open: Vec<usize> = execution.state.steps.open_steps().iter().copied().collect();
    complete_those_that_hold(execution, &open).await
}

/// Completes those of some steps that are an open `until` whose awaited task is blocked, once all of these are known: what
/// follows the first may release the task that the others await. Returns whether there are any.
async fn complete_those_that_hold(execution: &mut Execution<'_>, among: &[usize]) -> bool {
    let steps = &execution.state.scenario.steps;
    let mut hold = Vec::new();
    for step in among.iter().copied() {
        let Verb::Until { task_id: task } = &steps[step].verb else { continue };
        let awaited = execution.state.steps.open_step_of(task);
        // A task that is itself in an `until` waits for the harness rather than for the system.
        let waits = awaited.is_some_and(|it| !matches!(steps[it].verb, Verb::Until { .. }));
        let is_open = execution.state.steps.is_open(step);
        if is_open && waits && execution.await_blocked(task).await {
            hold.push(step);
        }
    }
    hold.retain(|step| execution.state.steps.is_open(*step));
    hold.iter().for_each(|step| execution.state.complete_own_step(*step));
    !hold.is_empty()
}

/// Waits until these steps have completed and the processes of a release have started and exited. If nothing moves before
/// that, records a stall.
async fn await_effects(execution: &mut Execution<'_>, release: &Release, steps: &[usize]) {
    let mut detector = execution.new_detector();
    while !execution.state.is_over() && !has_taken_effect(&execution.state, release, steps) {
        let is_enough = |state: &RunState<'_>, deadlocked: &BTreeSet<usize>| {
            is_deadlocked(state, release, steps, deadlocked)
        };
        if let Some(stall) = execution.next_or_stall(&mut detector, is_enough).await {
            let state = &execution.state;
            let overdue = steps.iter().copied().filter(|step| !state.steps.has_completed(*step));
            let overdue = overdue.collect();
            execution.record_stall(StallEvidence { overdue, ..stall }).await;
            return;
        }
    }
}

fn has_taken_effect(state: &RunState<'_>, release: &Release, steps: &[usize]) -> bool {
    // Do not wait for a step that was never released or whose process is gone. Neither wait for a step whose process stalls:
    // the model does not know that a stalled process completes nothing, and the step completes when the stall is over.
    let is_over = |step: &usize| {
        let process = &state.scenario.steps[*step].task_id.process;
        !state.steps.is_open(*step)
            || !state.sessions.is_alive(process)
            || state.steps.is_held_up_by_stall(*step)
    };
    let has_started =
        |child: &String| state.sessions.has_connected(child) || !has_spawned(state, release);
    let has_exited = |process: &String| !state.sessions.is_alive(process);
    steps.iter().all(is_over)
        && release.starts.iter().all(has_started)
        && release.exits.iter().all(has_exited)
}

/// Whether a spawn has succeeded that this release performs or completes.
fn has_spawned(state: &RunState<'_>, release: &Release) -> bool {
    std::iter::once(&release.step).chain(&release.completes).any(|step| {
        matches!(state.scenario.steps[*step].verb, Verb::Spawn { .. })
            && state.steps.completed_with(*step, &Outcome::Ok)
    })
}

/// Whether everything that a release waits for is deadlocked, or waits for a deadlocked process.
fn is_deadlocked(
    state: &RunState<'_>,
    release: &Release,
    steps: &[usize],
    deadlocked: &BTreeSet<usize>,
) -> bool {
    let has_deadlocked_step = |process: &String| {
        deadlocked.iter().any(|step| state.scenario.steps[*step].task_id.process == *process)
    };
    let mut open = steps.iter().filter(|step| state.steps.is_open(**step)).peekable();
    open.peek().is_some()
        && open.all(|step| deadlocked.contains(step))
        && release
            .exits
            .iter()
            .all(|process| !state.sessions.is_alive(process) || has_deadlocked_step(process))
}

/// Whether the run goes on: `main` has not ended, or the census of a process is not complete.
fn is_going_on(state: &RunState<'_>) -> bool {
    state.sessions.is_alive("main") || state.has_unsettled_census()
}

/// Waits, after the last release, until `main` has ended. Each time nothing moves, completes an `until` or releases a step
/// that is left over and can begin. If there is neither, records a stall and returns.
async fn await_end(execution: &mut Execution<'_>, left_over: &[LeftOver]) {
    let are_all_deadlocked = |state: &RunState<'_>, deadlocked: &BTreeSet<usize>| {
        !deadlocked.is_empty() && state.steps.open_steps().is_subset(deadlocked)
    };
    let mut detector = execution.new_detector();
    while !execution.state.is_over() && is_going_on(&execution.state) {
        let Some(stall) = execution.next_or_stall(&mut detector, are_all_deadlocked).await else {
            continue;
        };
        if complete_blocked_untils(execution).await {
            detector = execution.new_detector();
            continue;
        }
        let state = &execution.state;
        let Some(LeftOver { step, .. }) = left_over.iter().find(|step| step.is_next(state)) else {
            execution.record_stall(stall).await;
            return;
        };
        execution.release(*step);
        let release = Release { step: *step, completes: smallvec![*step], ..Release::default() };
        complete_untils(execution, &release).await;
        detector = execution.new_detector();
    }
}
