//! The text that the terminal shows. The report of a failure has five parts, always in this order: status and id; the
//! excerpt of the file; the actual outcome, and why another one was expected; the commands to type next; where the
//! record is.

use super::ScenarioReport;
use crate::deadlock::{CouldMove, StallKind, StallReport};
use crate::environment::Environment;
use crate::program;
use crate::requirements::{self, Requirement};
use crate::scenario::{Scenario, mark};
use crate::trace::{EvidenceTier, Mismatch};
use crate::verdict::{BaselineChange, Status};
use owo_colors::{OwoColorize, Stream, Style};
use std::fmt::Write;

/// The facts about the system, one line each, and below each assumption that does not hold, the consequence.
pub fn environment(environment: &Environment) -> String {
    let mut out = String::new();
    for fact in &environment.facts {
        let _ = writeln!(out, "  {:<16} {}", fact.name, fact.found);
        if let Some(unmet) = &fact.unmet {
            let _ = writeln!(out, "  {:<16} ▲ {}", "", unmet.means);
        }
    }
    out
}

/// The maximum width of the column with the steps that wait. Longer steps are not aligned.
const MAX_COLUMN: usize = 32;
/// The maximum number of pipes, and of leaked pipe ends, that a report lists one by one.
const MAX_LISTED: usize = 8;

/// The whole report of one result that is not as expected.
pub fn failure(report: &ScenarioReport) -> String {
    evidence(report) + &next_commands(report)
}

/// The same without colors, whatever stdout supports.
pub fn plain_failure(report: &ScenarioReport) -> String {
    plain_evidence(report) + &next_commands(report)
}

/// The actual outcome and why another one was expected, without the commands to type next.
pub fn evidence(report: &ScenarioReport) -> String {
    let status = report.verdict.status;
    evidence_in(report, true).replacen(&status.to_string(), &colored(status), 1)
}

/// The same without colors, whatever stdout supports.
pub fn plain_evidence(report: &ScenarioReport) -> String {
    evidence_in(report, false)
}

/// The evidence, with colored carets if that is requested and stdout supports it.
fn evidence_in(report: &ScenarioReport, in_color: bool) -> String {
    let scenario = &report.scenario;
    let verdict = &report.verdict;
    let width = 78_usize.saturating_sub(report.adapter.len());
    let head = format!("{}  {}", verdict.status, scenario.id);
    let mut out = format!("{head:<width$} {}\n", report.adapter);
    if let Some(mismatch) = &verdict.mismatch {
        let line = scenario.steps[mismatch.step].position.line;
        let _ = writeln!(out, "\n  {}:{line}\n", report.path.display());
        out.push_str(&excerpt(scenario, mismatch, in_color));
        out.push_str(&explanation(mismatch));
    }
    out.push_str(&differences(report));
    for requirement in scenario.covers().into_iter().filter_map(requirements::requirement) {
        let Requirement { id, level, what, .. } = requirement;
        let _ = writeln!(out, "\n  {id} {level}: {what}");
    }
    if let Some(report) = &verdict.stall {
        out.push_str(&stall(scenario, report));
    }
    out + &notes(report)
}

/// What else is wrong, and what else there is to say.
pub(super) fn further(report: &ScenarioReport) -> String {
    differences(report) + &notes(report)
}

/// The further wrong steps, and how the trace differs otherwise.
fn differences(report: &ScenarioReport) -> String {
    let (scenario, verdict) = (&report.scenario, &report.verdict);
    let mut out = String::new();
    for mismatch in &verdict.further_mismatches {
        let step = &scenario.steps[mismatch.step];
        let (line, task_id, what) = (step.position.line, &step.task_id, step.what());
        let Mismatch { got, expected, .. } = mismatch;
        let wrong = match &mismatch.late {
            Some(late) => format!("{got} came too late, {late}"),
            None => format!("got {got}, expected {expected}"),
        };
        let _ = writeln!(out, "\n  Also wrong: line {line}, {task_id} {what}: {wrong}.");
    }
    for difference in &verdict.differences {
        let _ = writeln!(out, "\n  {}.", capitalized(&difference.detail));
    }
    out
}

fn notes(report: &ScenarioReport) -> String {
    let verdict = &report.verdict;
    let mut out = String::new();
    let is_said = |note: &&String| verdict.differences.iter().any(|one| one.summary == **note);
    for note in verdict.sentences().filter(|note| !is_said(note)) {
        let _ = writeln!(out, "\n  {note}");
    }
    out
}

/// The commands to type next, and where the record is.
pub(super) fn next_commands(report: &ScenarioReport) -> String {
    let mut out = String::new();
    let adapter = if report.adapter == crate::adapter::EMBEDDED {
        String::new()
    } else {
        format!(" --adapter {}", report.asked)
    };
    let flags = if report.flags.is_empty() { String::new() } else { format!(" {}", report.flags) };
    let name = &report.name;
    let run = program::command(&format!("run {name}{adapter}{flags}"));
    let _ = writeln!(out, "\n  again    {run}");
    let contradicts_baseline = match &report.verdict.baseline_change {
        None | Some(BaselineChange::Fails { instead: false, .. }) => false,
        Some(_) => true,
    };
    if report.verdict.baseline_change == Some(BaselineChange::Passes) {
        out.push_str(
            "  fixed    delete the entry of the manifest, or let --accept do it; if it fails in some runs only, add `sometimes = true`\n",
        );
    }
    if contradicts_baseline {
        let accept = program::command(&format!("run {name}{adapter} --accept"));
        let _ = writeln!(out, "  accept   {accept}");
    }
    let unchecked = if report.flags.contains("--unchecked") { " --unchecked" } else { "" };
    let show = program::command(&format!("show {name}{adapter}{unchecked}"));
    let _ = writeln!(out, "  lanes    {show}");
    if let Some(record) = &report.record {
        let _ = writeln!(out, "  record   {}", record.display());
    }
    out
}

/// The lines around the step, with carets below the expected outcome, which are colored if that is requested and stdout
/// supports it.
pub(super) fn excerpt(scenario: &Scenario, mismatch: &Mismatch, in_color: bool) -> String {
    let position = &scenario.steps[mismatch.step].position;
    let mut out = String::new();
    for (number, text) in (1..).zip(scenario.text.lines()) {
        if number + 2 < position.line || number >= position.line || text.trim().is_empty() {
            continue;
        }
        let (shown, _) = mark(text, 1, 1);
        let _ = writeln!(out, "  {number:>5} │ {shown}");
    }
    let text = scenario.text.lines().nth(position.line - 1).unwrap_or_default();
    let (column, width) = position
        .outcome
        .unwrap_or((position.what, text.chars().count() + 1 - position.what.min(text.len())));
    let (shown, carets) = mark(text, column, width);
    let indentation = " ".repeat(carets.len() - carets.trim_start().len());
    let carets = carets.trim_start();
    let carets = match in_color {
        true => carets.if_supports_color(Stream::Stdout, |carets| carets.red()).to_string(),
        false => carets.to_owned(),
    };
    let late = if mismatch.late.is_some() { ", too late" } else { "" };
    // A line below `each` stands for several steps.
    let step = &scenario.steps[mismatch.step];
    let is_variable = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    let which = match text.split(['[', '{']).skip(1).any(is_variable) {
        true => format!(" in {} {}", step.task_id, step.what()),
        false => String::new(),
    };
    let _ = writeln!(out, "  {:>5} │ {shown}", position.line);
    let _ = writeln!(out, "        │ {indentation}{carets} got {}{late}{which}", mismatch.got);
    out
}

/// Why the model expects another outcome, and the implementation's own error message.
pub(super) fn explanation(mismatch: &Mismatch) -> String {
    let mut out = format!("\n  {}.\n", mismatch.expectation());
    if let Some(detail) = &mismatch.detail {
        let _ = writeln!(out, "  In its own words: {detail}");
    }
    out
}

/// A sentence with a capital first letter, unless it begins with a name.
fn capitalized(sentence: &str) -> String {
    match sentence.strip_prefix("line ") {
        Some(rest) => format!("Line {rest}"),
        None => sentence.to_owned(),
    }
}

/// The report of a stall: the evidence, the steps that wait, the cycle, the pipes and the leaked pipe ends.
pub fn stall(scenario: &Scenario, stall: &StallReport) -> String {
    let mut out = String::new();
    let head = match stall.kind {
        StallKind::Deadlock => stall.deadlock_head("One step"),
        StallKind::Hang => match stall.could_move {
            CouldMove::No => "It waits, and what it waits for does not arrive".to_owned(),
            CouldMove::UnlessHeld => {
                "A step waits for a pipe, and the system does not show whether a process still holds the other end".to_owned()
            }
            CouldMove::Yes => "A step could complete, and does not".to_owned(),
        },
        StallKind::Slow if stall.evidence == EvidenceTier::Interrupted => {
            "It was interrupted".to_owned()
        }
        StallKind::Slow => {
            "It did not end, and the system does not show what its processes do".to_owned()
        }
    };
    let _ = writeln!(out, "\n  {head}: {}.\n", stall.proof);
    let lengths = stall.waits.iter().map(|wait| scenario.steps[wait.step].what().chars().count());
    let width = lengths.filter(|length| *length <= MAX_COLUMN).max().unwrap_or_default().max(16);
    for wait in &stall.waits {
        let step = &scenario.steps[wait.step];
        let (task_id, what) = (step.task_id.to_string(), step.what());
        let line = format!("line {}", step.position.line);
        let text = format!("    {task_id:<10} {what:<width$} {line:<8} {}", wait.why);
        let _ = writeln!(out, "{}", text.trim_end());
    }
    if !stall.cycle.is_empty() {
        let _ = writeln!(out, "\n    {}", stall.cycle.join(" ▶ "));
    }
    let (pipes, more) = stall.pipes.split_at(stall.pipes.len().min(MAX_LISTED));
    for (number, sentence) in pipes.iter().enumerate() {
        let separator = if number == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{separator}    {sentence}");
    }
    if !more.is_empty() {
        let _ = writeln!(out, "    And {} more pipes at which a step waits.", more.len());
    }
    for (process, why) in &stall.still_running {
        let _ = writeln!(out, "\n  {process} is still running ({why}), and no step waits for it.");
    }
    let (leaks, more) = stall.leaks.split_at(stall.leaks.len().min(MAX_LISTED));
    for sentence in leaks {
        let _ = writeln!(out, "\n  {sentence}.");
    }
    if !more.is_empty() {
        let _ = writeln!(
            out,
            "\n  And {} more pipe ends are held by processes that should not hold them.",
            more.len()
        );
    }
    for sentence in &stall.explanations {
        let _ = writeln!(out, "\n  {sentence}.");
    }
    out
}

/// The status as the word after a number of runs: `3 passed`.
pub(super) fn participle(status: Status) -> &'static str {
    match status {
        Status::Pass => "passed",
        Status::Known => "known",
        Status::Skip => "skipped",
        Status::Fail => "FAILED",
        Status::Deadlock => "DEADLOCKED",
        Status::Hang => "HUNG",
        Status::Slow => "SLOW",
        Status::Unknown => "UNKNOWN",
        Status::Fixed => "FIXED",
        Status::Error => "ERROR",
        Status::Environment => "ENVIRONMENT",
    }
}

/// The status in its color, if stdout supports colors.
pub(super) fn colored(status: Status) -> String {
    let style = match status {
        Status::Pass => Style::new().green(),
        Status::Known | Status::Skip => Style::new().yellow(),
        _ => Style::new().red().bold(),
    };
    status.if_supports_color(Stream::Stdout, |status| status.style(style)).to_string()
}
