//! The pipes at which steps wait: what is in them, which processes hold them, and which of those should not.
//!
//! Nothing is said of pipes that the kernel did not show.

use super::WaitEdge;
use super::wait_for_graph::{WaitForGraph, list_names};
use crate::scenario::{PipeEnd, PipeId, Verb};
use crate::trace::{EndState, FdHolder};
use std::collections::BTreeSet;

fn awaited_ends(graph: &WaitForGraph<'_>, waits: &[WaitEdge]) -> BTreeSet<PipeEnd> {
    waits.iter().filter_map(|wait| graph.awaited_end(wait.step)).collect()
}

/// A sentence for each pipe at which a step waits: `r ◀ w`, the number of bytes in it, its readers and its writers.
pub(super) fn awaited_pipes(graph: &WaitForGraph<'_>, waits: &[WaitEdge]) -> Vec<String> {
    let pipes: BTreeSet<PipeId> =
        awaited_ends(graph, waits).into_iter().map(|end| end.pipe).collect();
    let is_known = |end: PipeEnd| graph.evidence.fully_known_ends.contains(&end);
    let shown = pipes
        .into_iter()
        .filter(|pipe| is_known(PipeEnd::reader(*pipe)) && is_known(PipeEnd::writer(*pipe)));
    shown.map(|pipe| describe(graph, pipe)).collect()
}

fn describe(graph: &WaitForGraph<'_>, pipe: PipeId) -> String {
    let (reader, writer) = (PipeEnd::reader(pipe), PipeEnd::writer(pipe));
    let holders = |end: PipeEnd| {
        let holders = graph.evidence.holders_of(end);
        let holders: Vec<String> =
            holders.map(|held| format!("{} as fd {}", held.process, held.descriptor)).collect();
        if holders.is_empty() { "nobody".to_owned() } else { list_names(&holders) }
    };
    let bytes = match graph.evidence.bytes_in(pipe) {
        Some(1) => "1 byte; ".to_owned(),
        Some(bytes) => format!("{bytes} bytes; "),
        None => String::new(),
    };
    format!(
        "{} ◀ {}: {bytes}read by {}, written by {}",
        graph.ownership.name(reader),
        graph.ownership.name(writer),
        holders(reader),
        holders(writer)
    )
}

/// A sentence for each descriptor at an awaited end whose process should not hold that end.
pub(super) fn leaks(graph: &WaitForGraph<'_>, waits: &[WaitEdge]) -> Vec<String> {
    let awaited = awaited_ends(graph, waits);
    let holders = graph.evidence.holders.iter().filter(|holder| awaited.contains(&holder.end));
    holders.filter(|holder| is_leak(graph, holder)).map(|leak| describe_leak(graph, leak)).collect()
}

fn is_leak(graph: &WaitForGraph<'_>, holder: &FdHolder) -> bool {
    match graph.ownership.state(holder.end) {
        // By the trace the owner has exited; a step of it that is overdue shows that it has not.
        Some(EndState::Held(owner) | EndState::Exited(owner)) => *owner != holder.process,
        Some(EndState::Closed(_)) => true,
        None => false,
    }
}

fn describe_leak(graph: &WaitForGraph<'_>, leak: &FdHolder) -> String {
    let FdHolder { end, process, descriptor } = leak;
    let name = graph.ownership.name(*end);
    if has_owned(graph, process, *end) {
        return format!(
            "{process} gave {name} away or closed it, and still holds it as fd {descriptor}"
        );
    }
    let mut steps = graph.scenario.steps.iter();
    let spawn =
        steps.find(|step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process));
    if spawn.is_none() && process != "main" {
        return format!(
            "{process}, a process of the implementation's own, holds {name} as fd {descriptor}"
        );
    }
    let line = spawn.map_or(String::new(), |step| format!(" (line {})", step.position.line));
    format!(
        "{process} was never given {name}; it inherited it, as fd {descriptor}, when it was spawned{line}"
    )
}

/// Whether a process made the pipe of this end, or was given the end when it was spawned.
fn has_owned(graph: &WaitForGraph<'_>, process: &str, end: PipeEnd) -> bool {
    let is_of = |handle: &String| graph.scenario.handles.ends(handle).contains(&end);
    graph.scenario.steps.iter().any(|step| match &step.verb {
        Verb::Pipe { reader: one, writer: other, .. } | Verb::Duplex { near: one, far: other } => {
            step.task_id.process == process && (is_of(one) || is_of(other))
        }
        Verb::Spawn { child, handles, .. } => child == process && handles.iter().any(is_of),
        _ => false,
    })
}
