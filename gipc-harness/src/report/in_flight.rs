//! Reports of runs that have no verdict yet: one that makes no progress, and one that was interrupted.

use super::terminal;
use crate::deadlock;
use crate::runner::SilenceNotice;
use crate::scenario::{Scenario, Verb};
use crate::trace::{Observation, Occurrence, ProcessExit};
use std::fmt::Write;

/// How many open steps a notice names.
const MAX_NAMED: usize = 6;

/// One line that says what a run without progress waits for: `waiting: child exit 42 (line 12), main join child (line 13)`.
pub(super) fn silent(scenario: &Scenario, notice: &SilenceNotice) -> String {
    let step = |step: &usize| {
        let step = &scenario.steps[*step];
        format!("{} {} (line {})", step.task_id, step.what(), step.position.line)
    };
    let steps = notice.open.iter().map(step);
    let processes = notice.expected.iter().map(|process| format!("{process} to connect"));
    let mut awaited: Vec<String> = steps.chain(processes).collect();
    if awaited.is_empty() {
        awaited.push("the processes to end".to_owned());
    }
    let more = awaited.len().saturating_sub(MAX_NAMED);
    awaited.truncate(MAX_NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let (id, seconds) = (&scenario.id, notice.lasted.as_secs());
    format!("  {id}: nothing for {seconds} s; waiting: {}{more}", awaited.join(", "))
}

/// What a run was doing when it was interrupted: the open steps, the pipes, and what each process did.
pub(crate) fn interrupted(scenario: &Scenario, adapter: &str, observation: &Observation) -> String {
    let width = 78_usize.saturating_sub(adapter.len());
    let head = format!("INTERRUPTED  {}", scenario.id);
    let mut out = format!("{head:<width$} {adapter}\n");
    if let Some(report) = deadlock::explain(scenario, observation) {
        out.push_str(&terminal::stall(scenario, &report));
    }
    let Some(stall) = &observation.stall else { return out };
    out.push('\n');
    let processes = in_start_order(scenario, observation);
    let (running, ended): (Vec<&str>, Vec<&str>) =
        processes.into_iter().partition(|process| stall.trace.runs(process));
    for process in running {
        let pid = observation.pids[process];
        let does = match stall.blocked_in.get(process) {
            Some(call) => format!("sleeps in {call}"),
            None => "was running".to_owned(),
        };
        let _ = writeln!(out, "    {process:<10} pid {pid:<8} {does}");
    }
    if !ended.is_empty() {
        let count = ended.len();
        let verb = if count == 1 { "process had" } else { "processes had" };
        let named =
            ended.iter().take(MAX_NAMED).map(|process| match stall.trace.exits.get(*process) {
                Some(
                    exit @ (ProcessExit::Signal(_) | ProcessExit::Failed | ProcessExit::Code(1..)),
                ) => {
                    format!("{process} ({exit})")
                }
                _ => (*process).to_owned(),
            });
        let mut named: Vec<String> = named.collect();
        if count > MAX_NAMED {
            named.push(format!("and {} more", count - MAX_NAMED));
        }
        let _ = writeln!(out, "    {count} {verb} ended: {}", named.join(", "));
    }
    out
}

/// The processes that connected, in the order in which they were started.
fn in_start_order<'a>(scenario: &'a Scenario, observation: &'a Observation) -> Vec<&'a str> {
    let spawns = observation.history.iter().filter_map(|occurrence| match occurrence {
        Occurrence::Started(step) => match &scenario.steps[*step].verb {
            Verb::Spawn { child, .. } => Some(child.as_str()),
            _ => None,
        },
        _ => None,
    });
    let started: Vec<&str> = ["main"].into_iter().chain(spawns).collect();
    let mut processes: Vec<&str> = observation.pids.keys().map(String::as_str).collect();
    processes.sort_by_key(|process| started.iter().position(|one| one == process));
    processes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::trace::{EvidenceTier, StallEvidence, StepState, Trace};
    use std::time::Duration;

    #[test]
    fn an_interrupted_run_lists_running_processes_in_start_order_and_counts_those_that_ended() {
        let lines =
            "main pipe r w\nmain spawn z\nmain spawn b\nmain spawn a\nmain get r => blocks\n";
        let scenario = parse("it", lines).expect("the lines are a scenario");
        let exits = [("b", ProcessExit::Unseen), ("z", ProcessExit::Code(7))];
        let exits = exits.map(|(name, exit)| (name.to_owned(), exit)).into();
        let trace = Trace { steps: vec![StepState::NotStarted; 5], exits, ..Trace::default() };
        let (tier, stalled) = (EvidenceTier::Interrupted, trace.clone());
        let stall = StallEvidence { tier, trace: stalled, ..StallEvidence::default() };
        let observation = Observation {
            stall: Some(stall),
            history: (1..4).map(Occurrence::Started).collect(),
            pids: ["a", "b", "main", "z"].into_iter().map(str::to_owned).zip(100..).collect(),
            ..Observation::of(trace)
        };
        let text = interrupted(&scenario, "it", &observation);
        let expected = "    main       pid 102      was running\n    a          pid 100      was running\n    2 processes had ended: z (exit 7), b\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_run_without_progress_is_one_line_that_names_the_open_steps() {
        let lines = "main        spawn child\nchild       exit 42\nmain        join child                  => exit 42\n";
        let scenario = parse("it", lines).expect("the lines are a scenario");
        let notice =
            |open, expected| SilenceNotice { lasted: Duration::from_secs(5), open, expected };
        let both =
            "  it: nothing for 5 s; waiting: child exit 42 (line 2), main join child (line 3)";
        assert_eq!(silent(&scenario, &notice(vec![1, 2], Vec::new())), both);
        let unconnected = "  it: nothing for 5 s; waiting: main to connect";
        assert_eq!(silent(&scenario, &notice(Vec::new(), vec!["main".into()])), unconnected);
    }
}
