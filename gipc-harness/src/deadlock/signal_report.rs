//! Finds signals that did not have their effect, or that did not reach a library's handler, as far as the kernel shows why.
//! Writes a sentence for each.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Disposition, Outcome, Verb};
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

/// A sentence for each process that waits for a child that has ended, if SIGCHLD, from which a library may learn that, cannot
/// reach the library's handler.
pub(super) fn unheard_ends(graph: &WaitForGraph<'_>) -> Vec<String> {
    let waits = graph.scenario.steps.iter().enumerate().filter_map(|(index, step)| {
        let (Verb::Join { child } | Verb::Child { child, .. }) = &step.verb else { return None };
        let has_ended =
            graph.evidence.trace.exits.contains_key(child.as_str()) && !graph.is_running(child);
        (graph.is_waiting(index) && has_ended).then_some((step.task_id.process.as_str(), child))
    });
    let mut sentences: Vec<String> =
        waits.filter_map(|(process, child)| unheard_end(graph, process, child)).collect();
    sentences.dedup();
    sentences
}

fn unheard_end(graph: &WaitForGraph<'_>, process: &str, child: &str) -> Option<String> {
    const SIGNAL: &str = "SIGCHLD";
    let view = graph.evidence.signals.get(process)?;
    if view.pending.contains(SIGNAL) && view.blocked.contains(SIGNAL) {
        let since = match disposed(graph, process, SIGNAL, Disposition::Block) {
            Some(line) => format!(" (line {line})"),
            None => as_its_parent_does(graph, process, SIGNAL, Disposition::Block),
        };
        return Some(format!(
            "{SIGNAL}, which says that {child} has ended, is pending: {process} blocks it{since}"
        ));
    }
    if view.ignored.contains(SIGNAL) {
        return Some(format!("{process} ignores {SIGNAL}, which would say that {child} has ended"));
    }
    let own = disposed(graph, process, SIGNAL, Disposition::Trap).map(|line| (process, line));
    let (by, line) = own.or_else(|| by_its_parent(graph, process, SIGNAL, Disposition::Trap))?;
    let trapped = format!("{by} trapped {SIGNAL} (line {line})");
    match view.caught.contains(SIGNAL) {
        true if by == process => Some(format!(
            "{trapped}: that handler may have replaced the one from which the library of {process} learns that {child} has \
             ended"
        )),
        true => None,
        false => Some(format!(
            "{trapped}, and {process} has no handler for it, from which its library could learn that {child} has ended"
        )),
    }
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
