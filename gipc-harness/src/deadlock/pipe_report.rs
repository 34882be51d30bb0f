//! Describes the pipes at which steps wait: what is in them, which processes hold them, and which of those should not.
//!
//! Pipes that the kernel did not show are left out.

use super::WaitEdge;
use super::wait_for_graph::{WaitForGraph, list_names};
use crate::scenario::{Outcome, PipeEnd, PipeId, Side, Verb};
use crate::trace::{EndState, FdHolder, GhostInput};
use ecow::EcoString;
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
        if holders.is_empty() { "no process".to_owned() } else { list_names(&holders) }
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

/// A sentence for each descriptor at an awaited end that belongs to a process that should not hold the end. Also checked are
/// the ends whose holders let a put return that should have been refused, and the input of a program that is waited for.
pub(super) fn leaks(graph: &WaitForGraph<'_>, waits: &[WaitEdge]) -> Vec<String> {
    let mut ends = awaited_ends(graph, waits);
    ends.extend(unbroken_ends(graph));
    let holders = graph.evidence.holders.iter().filter(|holder| ends.contains(&holder.end));
    let of_pipes =
        holders.filter(|holder| is_leak(graph, holder)).map(|leak| describe_leak(graph, leak));
    of_pipes.chain(graph.evidence.ghost_inputs.iter().map(|input| {
        let GhostInput { ghost, process, descriptor } = input;
        let line = spawn_line(graph, process);
        format!(
            "{process} holds the other end of {ghost}'s input as fd {descriptor}, so {ghost} sees no end of it; {process} inherited it when it was spawned{line}"
        )
    }))
    .collect()
}

/// The reading ends of the pipes whose put returned `ok` although the file says `broken`.
fn unbroken_ends(graph: &WaitForGraph<'_>) -> BTreeSet<PipeEnd> {
    let steps = graph.scenario.steps.iter().zip(&graph.evidence.trace.steps);
    let unbroken = steps.filter(|(step, state)| {
        state.is(&Outcome::Ok) && step.expected.iter().all(|outcome| *outcome == Outcome::Broken)
    });
    let writers = unbroken.filter_map(|(step, _)| match &step.verb {
        Verb::Put { handle, .. } => graph.scenario.handles.end(handle, Side::Writer),
        _ => None,
    });
    writers.map(PipeEnd::opposite).collect()
}

/// ` (line 7)`, if a step in that line spawns the process.
fn spawn_line(graph: &WaitForGraph<'_>, process: &str) -> String {
    let mut steps = graph.scenario.steps.iter();
    let spawn =
        steps.find(|step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process));
    spawn.map_or(String::new(), |step| format!(" (line {})", step.position.line))
}

fn is_leak(graph: &WaitForGraph<'_>, holder: &FdHolder) -> bool {
    match graph.ownership.state(holder.end) {
        // According to the trace the owner has exited. An overdue step of it shows that it has not.
        Some(EndState::Exited(owner)) => *owner != holder.process,
        Some(EndState::Held(owners)) => !owners.contains(&holder.process),
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
    let line = spawn_line(graph, process);
    if line.is_empty() && process != "main" {
        let exec = graph.scenario.steps.iter().find(|step| match &step.verb {
            Verb::Exec { ghost } => process.starts_with(&format!("{ghost}, pid ")),
            _ => false,
        });
        return match exec {
            Some(step) => format!(
                "{process}, a program that {} started beside the library (line {}), inherited {name} and holds it as fd {descriptor}",
                step.task_id, step.position.line
            ),
            None => format!(
                "{process}, a process of the implementation's own, holds {name} as fd {descriptor}"
            ),
        };
    }
    format!(
        "{process} was never given {name}; it inherited it, as fd {descriptor}, when it was spawned{line}"
    )
}

/// Whether a process made the pipe of this end, or was given the end when it was spawned.
fn has_owned(graph: &WaitForGraph<'_>, process: &str, end: PipeEnd) -> bool {
    let is_of = |handle: &EcoString| graph.scenario.handles.ends(handle).contains(&end);
    graph.scenario.steps.iter().any(|step| match &step.verb {
        Verb::Pipe { reader: one, writer: other, .. } | Verb::Duplex { near: one, far: other } => {
            step.task_id.process == process && (is_of(one) || is_of(other))
        }
        Verb::Spawn { child, handles, .. } => child == process && handles.iter().any(is_of),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::trace::{ProcessExit, StallEvidence, StepState, Trace};
    use rstest::rstest;

    /// `child` was given the writer, and has closed it or has exited; `other` was given nothing. One of them holds the
    /// writer.
    #[rstest]
    #[case::of_one_that_closed_it(
        "child close w",
        "child",
        &["child gave w away or closed it, and still holds it as fd 7"]
    )]
    #[case::of_one_that_exited("child exit 0", "child", &[])]
    #[case::of_another(
        "child exit 0",
        "other",
        &["other was never given w; it inherited it, as fd 7, when it was spawned (line 3)"]
    )]
    fn an_awaited_end_that_should_be_closed_is_the_leak(
        #[case] step: &str,
        #[case] holder: &str,
        #[case] expected: &[&str],
    ) {
        let lines = format!(
            "main pipe r w\nmain spawn child w\nmain spawn other\n{step}\nmain get r => eof\n"
        );
        let scenario = parse("it", &lines).unwrap_or_else(|error| panic!("{error:?}"));
        let mut steps = vec![StepState::completed(Outcome::Ok); 4];
        steps.push(StepState::Pending);
        let mut trace = Trace { steps, ..Trace::default() };
        if step.contains("exit") {
            trace.exits.insert("child".into(), ProcessExit::Code(0));
        }
        let held = FdHolder { end: PipeEnd::writer(0), process: holder.into(), descriptor: 7 };
        let evidence = StallEvidence { trace, holders: vec![held], ..StallEvidence::default() };
        let graph = WaitForGraph::new(&scenario, &evidence);
        assert_eq!(leaks(&graph, &[graph.edge(4)]), expected);
    }
}
