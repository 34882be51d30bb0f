//! Explains in sentences what a process does that could move and does not.

use super::wait_for_graph::WaitForGraph;
use super::{WaitEdge, signal_report};
use crate::trace::{BlockedIn, StepState};

/// Why a process does not complete a step although nothing prevents it.
pub(super) fn why_it_does_not_move(graph: &WaitForGraph<'_>, wait: &WaitEdge) -> String {
    let step = &graph.scenario.steps[wait.step];
    let process = &step.task_id.process;
    if graph.is_stopped(process) {
        return stopped(process);
    }
    let call = graph.evidence.blocked_in.get(process.as_str());
    let in_call = call.map_or(String::new(), |call| format!(" in {call}"));
    match graph.evidence.loops_turning.get(process.as_str()) {
        Some(false) => format!(
            "{process}'s loop does not turn: it sleeps{in_call}, and its other tasks wait with it"
        ),
        Some(true) if graph.evidence.woken_by_ping.contains(&wait.step) => {
            format!("{process} went on when its loop was asked: its wake-up had been lost")
        }
        Some(true) if graph.waits_for_missing_bytes(wait.step) => {
            format!(
                "{process}'s loop turns, and {} waits for more bytes than there are",
                step.what()
            )
        }
        Some(true) => {
            let lost = match signal_report::missed_sigchld_of(graph, wait.step) {
                // Another sentence of the report says why.
                Some(_) => "",
                None if graph.may_be_held_unseen(wait.step) => {
                    ": a wake-up was lost, or a process still holds the other end"
                }
                None => ": a wake-up was lost",
            };
            format!("{process}'s loop turns, and {} does not end{lost}", step.what())
        }
        None if call.is_none() => {
            format!("{process} was not seen to sleep: it is busy, or gets no processor time")
        }
        None => format!("{process} sleeps{in_call}"),
    }
}

/// A sentence for each process that is in no step, and that is stopped or does not end although it has completed all its
/// steps.
pub(super) fn idle_processes(graph: &WaitForGraph<'_>) -> Vec<String> {
    let blocked_in = graph.evidence.blocked_in.iter();
    blocked_in
        .filter(|(process, _)| graph.is_running(process) && !has_waiting_step(graph, process))
        .filter_map(|(process, call)| match call {
            BlockedIn::Stopped => Some(stopped(process)),
            BlockedIn::Call { .. } if has_completed_all_steps(graph, process) => {
                let children = graph.running_children(process);
                let while_they_run = match children.is_empty() {
                    true => String::new(),
                    false => format!(" while its children still run: {}", children.join(", ")),
                };
                Some(format!(
                    "{process} has nothing more to do, and does not end{while_they_run}: it sleeps in {call}"
                ))
            }
            BlockedIn::Call { .. } => None,
        })
        .collect()
}

fn has_waiting_step(graph: &WaitForGraph<'_>, process: &str) -> bool {
    let mut steps = graph.scenario.steps.iter().enumerate();
    steps.any(|(index, step)| step.task_id.process == process && graph.is_waiting(index))
}

fn has_completed_all_steps(graph: &WaitForGraph<'_>, process: &str) -> bool {
    let mut steps = graph.scenario.steps.iter().zip(&graph.evidence.trace.steps);
    steps.all(|(step, state)| {
        step.task_id.process != process || matches!(state, StepState::Completed { .. })
    })
}

fn stopped(process: &str) -> String {
    format!("{process} was stopped by a signal, and nothing continues it")
}
