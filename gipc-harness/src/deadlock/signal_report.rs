//! Finds signals that did not have their effect, as far as the kernel shows why. Writes a sentence for each.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Disposition, Outcome};
use crate::trace::SignalView;

/// The signals that do not end a process without a handler for them.
const HARMLESS: [&str; 8] =
    ["SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"];

/// A sentence for each signal that a step sent to a process that still runs, if the kernel shows that the signal did not
/// have its effect, or if the process has not connected.
pub(super) fn undelivered(graph: &WaitForGraph<'_>) -> Vec<String> {
    let steps = graph.scenario.steps.iter().zip(&graph.evidence.trace.steps);
    let sent = steps.filter(|(_, state)| state.is(&Outcome::Ok)).flat_map(|(step, _)| {
        let targets = graph.scenario.signalled_by(&step.verb).into_iter();
        targets.filter_map(move |child| {
            let signal = step.verb.sent_signal().filter(|_| graph.is_running(child))?;
            let (line, task) = (step.position.line, &step.task_id);
            let sent = format!("{signal}, which {task} sent {child} (line {line}),");
            match graph.evidence.signals.get(child) {
                Some(view) => sentence(graph, &sent, child, signal, view),
                // A process that no step waits for may have ended without a record of it.
                None if graph.evidence.unconnected.contains(child)
                    && graph.is_waited_for(child) => Some(format!(
                    "{sent} was sent to a process that has not connected, so what became of it is not known"
                )),
                None => None,
            }
        })
    });
    let mut sentences: Vec<String> = sent.collect();
    sentences.dedup();
    sentences
}

fn sentence(
    graph: &WaitForGraph<'_>,
    sent: &str,
    child: &str,
    signal: &str,
    view: &SignalView,
) -> Option<String> {
    let own = |disposition| disposed(graph, child, signal, disposition);
    if view.pending.contains(signal) {
        if !view.blocked.contains(signal) {
            return Some(format!("{sent} is pending there, and {child} has not got to it"));
        }
        let inherited = match own(Disposition::Block) {
            Some(_) => String::new(),
            None => as_its_parent_does(graph, child, signal, Disposition::Block),
        };
        return Some(format!("{sent} is pending there: {child} blocks it{inherited}"));
    }
    let is_caught = view.caught.contains(signal);
    match own(Disposition::Trap) {
        Some(_) if is_caught => return None,
        Some(trap_line) => {
            return Some(format!(
                "{child} trapped {signal} (line {trap_line}), and the system shows no handler for it there: {sent} met none"
            ));
        }
        None if is_caught => {
            return Some(format!(
                "{sent} did not end it: {child} has a handler for it, which no step of {child} has asked for"
            ));
        }
        None => {}
    }
    if HARMLESS.contains(&signal) || own(Disposition::Ignore).is_some() {
        return None;
    }
    if view.ignored.contains(signal) {
        let inherited = as_its_parent_does(graph, child, signal, Disposition::Ignore);
        return Some(format!("{sent} did not end it: {child} ignores it{inherited}"));
    }
    let handler_of_parent = match by_its_parent(graph, child, signal, Disposition::Trap) {
        Some((parent, line)) => format!(
            "; {parent} trapped {signal} (line {line}), and a process that is forked begins with the handlers of its parent"
        ),
        None => String::new(),
    };
    Some(format!(
        "{sent} has not ended it and is not pending there, and {child} has no handler for it: what took it is there no \
         more, or it was never sent{handler_of_parent}"
    ))
}

/// `, as main does since line 4`, if the parent of a process has set this disposition for the signal.
fn as_its_parent_does(
    graph: &WaitForGraph<'_>,
    child: &str,
    signal: &str,
    disposition: Disposition,
) -> String {
    let by_parent = by_its_parent(graph, child, signal, disposition);
    by_parent
        .map_or(String::new(), |(parent, line)| format!(", as {parent} does since line {line}"))
}

/// The parent of a process, and the line in which the parent has set this disposition for a signal.
fn by_its_parent<'a>(
    graph: &WaitForGraph<'a>,
    child: &str,
    signal: &str,
    disposition: Disposition,
) -> Option<(&'a str, usize)> {
    let parent = graph.parent(child)?;
    Some((parent, disposed(graph, parent, signal, disposition)?))
}

/// The line in which a process has set this disposition for a signal, unless it set another one later.
fn disposed(
    graph: &WaitForGraph<'_>,
    process: &str,
    signal: &str,
    disposition: Disposition,
) -> Option<usize> {
    let last = graph.evidence.trace.disposition(graph.scenario, process, signal);
    last.filter(|(to, _)| *to == disposition).map(|(_, line)| line)
}
