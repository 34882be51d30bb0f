//! Reports of runs that have no verdict yet: one that makes no progress, and one that was interrupted.

use super::terminal;
use crate::deadlock;
use crate::runner::SilenceNotice;
use crate::scenario::Scenario;
use crate::trace::Observation;
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

/// Where a run stood when it was interrupted: the open steps, the pipes, and what each process did.
pub(super) fn interrupted(scenario: &Scenario, adapter: &str, observation: &Observation) -> String {
    let width = 78_usize.saturating_sub(adapter.len());
    let head = format!("INTERRUPTED  {}", scenario.id);
    let mut out = format!("{head:<width$} {adapter}\n");
    if let Some(report) = deadlock::explain(scenario, observation) {
        out.push_str(&terminal::stall(scenario, &report));
    }
    let Some(stall) = &observation.stall else { return out };
    out.push('\n');
    for (process, pid) in &observation.pids {
        let exit = stall.trace.exits.get(process).map(ToString::to_string);
        let does = match (exit, stall.blocked_in.get(process)) {
            (Some(exit), _) if !stall.trace.runs(process) => format!("ended: {exit}"),
            (_, Some(call)) => format!("sleeps in {call}"),
            (_, None) => "was not seen to sleep".to_owned(),
        };
        let _ = writeln!(out, "    {process:<10} pid {pid:<8} {does}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use std::time::Duration;

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
