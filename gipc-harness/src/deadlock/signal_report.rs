//! Finds signals that did not have their effect, or that did not reach a library's handler, as far as the kernel shows why.
//! Writes a sentence for each.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{ChildAct, Disposition, Outcome, Verb};
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
pub(super) fn missed_sigchld(graph: &WaitForGraph<'_>) -> Vec<String> {
    let steps = 0..graph.scenario.steps.len();
    let mut sentences: Vec<String> =
        steps.filter_map(|step| missed_sigchld_of(graph, step)).collect();
    sentences.dedup();
    sentences
}

/// The sentence for one step, if it waits for a child that has ended.
pub(super) fn missed_sigchld_of(graph: &WaitForGraph<'_>, step: usize) -> Option<String> {
    const SIGNAL: &str = "SIGCHLD";
    let spec = &graph.scenario.steps[step];
    let (Verb::Join { child } | Verb::Child { child, .. }) = &spec.verb else { return None };
    if !graph.is_waiting(step) || graph.is_running(child) {
        return None;
    }
    let process = spec.task_id.process.as_str();
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
    let is_caught = view.caught.contains(SIGNAL);
    let own = disposed(graph, process, SIGNAL, Disposition::Trap).map(|line| (process, line));
    let Some((by, line)) = own.or_else(|| by_its_parent(graph, process, SIGNAL, Disposition::Trap))
    else {
        // A join may wait in the system. Only a handler tells a library of the end of a child that is not joined.
        let is_reaped_unasked = matches!(spec.verb, Verb::Child { act: ChildAct::Reaped, .. });
        return (is_reaped_unasked && !is_caught).then(|| {
            format!(
                "{process} has no handler for {SIGNAL}, from which its library could learn that {child} has ended"
            )
        });
    };
    let trapped = format!("{by} trapped {SIGNAL} (line {line})");
    match is_caught {
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
    let handler_of_parent = match by_its_parent(graph, child, signal, Disposition::Trap) {
        Some((parent, line)) => format!(
            "; {parent} trapped {signal} (line {line}), and a process that is forked begins with the handlers of its parent"
        ),
        None => String::new(),
    };
    match own(Disposition::Trap) {
        Some(_) if is_caught => return None,
        Some(trap_line) => {
            return Some(format!(
                "{child} trapped {signal} (line {trap_line}), and the system shows no handler for it there: {sent} met none"
            ));
        }
        None if is_caught => {
            return Some(format!(
                "{sent} did not end it: {child} has a handler for it, which no step of {child} has asked \
                 for{handler_of_parent}"
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

/// The parent of a process, and the line in which the parent has set this disposition for a signal before it started the
/// process.
fn by_its_parent<'a>(
    graph: &WaitForGraph<'a>,
    child: &str,
    signal: &str,
    disposition: Disposition,
) -> Option<(&'a str, usize)> {
    let parent = graph.parent(child)?;
    let line = disposed(graph, parent, signal, disposition)?;
    let spawn = graph.spawn_of(child)?;
    (line < spawn.position.line).then_some((parent, line))
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
