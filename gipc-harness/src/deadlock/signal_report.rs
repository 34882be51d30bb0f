//! Signals that did not do what they were sent for, as far as the kernel shows why: a sentence each.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Disposition, Outcome, Step, Verb};
use crate::trace::SignalView;

/// A sentence for each signal that a step has sent to a process which still runs, and that is pending there, or has no
/// handler although the process has trapped it.
pub(super) fn undelivered(graph: &WaitForGraph<'_>) -> Vec<String> {
    let steps = graph.scenario.steps.iter().zip(&graph.evidence.trace.steps);
    let sent = steps.filter(|(_, state)| state.is(&Outcome::Ok)).flat_map(|(step, _)| {
        let targets = graph.scenario.signalled_by(&step.verb).into_iter();
        targets.filter_map(move |child| {
            let signal = step.verb.sent_signal()?;
            let view = graph.evidence.signals.get(child).filter(|_| graph.is_running(child))?;
            sentence(graph, step, child, signal, view)
        })
    });
    let mut sentences: Vec<String> = sent.collect();
    sentences.dedup();
    sentences
}

fn sentence(
    graph: &WaitForGraph<'_>,
    sender: &Step,
    child: &str,
    signal: &str,
    view: &SignalView,
) -> Option<String> {
    let (line, task) = (sender.position.line, &sender.task_id);
    let sent = format!("{signal}, which {task} sent {child} (line {line}),");
    if view.pending.contains(signal) {
        if !view.blocked.contains(signal) {
            return Some(format!("{sent} is pending there, and {child} has not got to it"));
        }
        let parent = graph.parent(child);
        let blocked_by_parent =
            parent.and_then(|parent| disposed(graph, parent, signal, Disposition::Block));
        let inherited = match (parent, blocked_by_parent) {
            (Some(parent), Some(line))
                if disposed(graph, child, signal, Disposition::Block).is_none() =>
            {
                format!(", as {parent} does since line {line}")
            }
            _ => String::new(),
        };
        return Some(format!("{sent} is pending there: {child} blocks it{inherited}"));
    }
    let trapped = disposed(graph, child, signal, Disposition::Trap);
    if let Some(trap_line) = trapped.filter(|_| !view.caught.contains(signal)) {
        return Some(format!(
            "{child} trapped {signal} (line {trap_line}), and the system shows no handler for it there: {sent} met none"
        ));
    }
    if trapped.is_none() && view.caught.contains(signal) {
        return Some(format!(
            "{sent} did not end it: {child} has a handler for it, which no step of {child} has asked for"
        ));
    }
    None
}

/// The line in which a process has disposed of a signal in this way.
fn disposed(
    graph: &WaitForGraph<'_>,
    process: &str,
    signal: &str,
    disposition: Disposition,
) -> Option<usize> {
    let steps = graph.scenario.steps.iter().zip(&graph.evidence.trace.steps);
    let mut own =
        steps.filter(|(step, state)| step.task_id.process == process && state.is(&Outcome::Ok));
    own.find_map(|(step, _)| match &step.verb {
        Verb::Dispose { to, signal: disposed } if *to == disposition && disposed == signal => {
            Some(step.position.line)
        }
        _ => None,
    })
}
