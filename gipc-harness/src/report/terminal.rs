//! Every word the terminal shows. A failure has five parts, always in this order: verdict and id; the place;
//! what came and why the other was right; what to type next; where the evidence is.

use super::{ScenarioReport, Tally};
use crate::deadlock::{StallKind, StallReport};
use crate::environment::Environment;
use crate::requirements;
use crate::scenario::Scenario;
use crate::trace::Mismatch;
use crate::verdict::{BaselineChange, Status};
use owo_colors::{OwoColorize, Stream, Style};
use std::fmt::Write;
use std::path::Path;

/// The summary: a line a theme, a line in all.
pub fn summary(adapter: &str, tally: &Tally, here: &Environment, seconds: f64) -> String {
    let mut out = format!("  {adapter}\n\n");
    for (theme, words) in &tally.themes {
        let mut line = format!("  {theme:<12}");
        for (word, count) in words {
            let _ = write!(line, "{:<14}", format!("{count:>3} {}", counted(*word)));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if !tally.reasons.is_empty() {
        out.push('\n');
    }
    for ((word, id), note) in &tally.reasons {
        let _ = writeln!(out, "  {}  {id:<36} {note}", paint(*word));
    }
    let _ = write!(out, "\n  {} of {} ran in {seconds:.1} s: ", tally.done(), tally.planned);
    let words: Vec<String> =
        tally.statuses.iter().map(|(word, count)| format!("{count} {}", counted(*word))).collect();
    out.push_str(&words.join(", "));
    if tally.heavy > 0 {
        let _ = write!(out, ". Not asked: {} heavy, add --heavy", tally.heavy);
    }
    if let Some((part, parts)) = tally.shard {
        let _ = write!(out, ". This is part {part} of {parts}");
    }
    out.push('\n');
    if tally.interrupted || tally.done() < tally.planned {
        out.push_str(
            "  PARTIAL: this run was interrupted, and says nothing about what is missing\n",
        );
    }
    for (fact, unmet) in here.unmet() {
        let _ = writeln!(out, "  here, {}: {}", fact.name, unmet.means);
    }
    out
}

/// What is found of the system, a line each; below those that are not as they should be, what follows.
pub fn environment(here: &Environment) -> String {
    let mut out = String::new();
    for fact in &here.facts {
        let _ = writeln!(out, "  {:<16} {}", fact.name, fact.found);
        if let Some(unmet) = &fact.unmet {
            let _ = writeln!(out, "  {:<16} ▲ {}", "", unmet.means);
        }
    }
    out
}

/// So many pipes, and so many ends that somebody holds and should not, are told one by one.
const LEAKS: usize = 8;

/// The screen of one result that is not as expected.
pub fn failure(result: &ScenarioReport) -> String {
    evidence(result) + &next(result)
}

/// What came and why something else was right, without what to do about it.
pub fn evidence(result: &ScenarioReport) -> String {
    let scenario = &result.scenario;
    let verdict = &result.verdict;
    let width = 78_usize.saturating_sub(result.adapter.len());
    let head = format!("{}  {}", verdict.status, scenario.id);
    let mut out = format!("{head:<width$} {}\n", result.adapter).replacen(
        &verdict.status.to_string(),
        &paint(verdict.status),
        1,
    );
    if let Some(first) = &verdict.mismatch {
        let line = scenario.steps[first.step].position.line;
        let _ = writeln!(out, "\n  {}:{line}\n", result.path.display());
        out.push_str(&place(scenario, first));
        out.push_str(&reason(first));
    }
    for also in &verdict.further_mismatches {
        let step = &scenario.steps[also.step];
        let (line, task_id, what) = (step.position.line, &step.task_id, step.what());
        let _ = writeln!(
            out,
            "\n  Also wrong: line {line}, {task_id} {what}: {}, and not {}.",
            also.got, also.expected
        );
    }
    for one in scenario.covers().into_iter().filter_map(requirements::requirement) {
        let _ = writeln!(out, "\n  {} {}: {}", one.id, one.level, one.what);
    }
    if let Some(stuck) = &verdict.stall {
        out.push_str(&stop(scenario, stuck));
    }
    for note in verdict.sentences() {
        let _ = writeln!(out, "\n  {note}");
    }
    out
}

/// What to type next, and where the evidence is.
fn next(result: &ScenarioReport) -> String {
    let (scenario, mut out) = (&result.scenario, String::new());
    let named = if result.adapter == crate::adapter::EMBEDDED {
        String::new()
    } else {
        format!(" --adapter {}", result.asked)
    };
    let how = if result.flags.is_empty() { String::new() } else { format!(" {}", result.flags) };
    // Who is of the suite is found by its id; others by their path.
    let is_ours =
        result.path.with_extension("").ends_with(Path::new("scenarios").join(&scenario.id));
    let what = if is_ours { scenario.id.clone() } else { result.path.display().to_string() };
    let _ = writeln!(out, "\n  again    cargo harness run {what}{named}{how}");
    let said_otherwise = match &result.verdict.baseline_change {
        None | Some(BaselineChange::Fails { instead: false, .. }) => false,
        Some(_) => true,
    };
    if said_otherwise {
        let _ = writeln!(out, "  accept   cargo harness run {what}{named} --accept");
    }
    let _ = writeln!(out, "  lanes    cargo harness show {what}{named}");
    if let Some(record) = &result.record {
        let _ = writeln!(out, "  record   {}", record.display());
    }
    out
}

/// The lines around the step, and a caret below what was expected.
fn place(scenario: &Scenario, first: &Mismatch) -> String {
    let position = scenario.steps[first.step].position;
    let mut out = String::new();
    for (number, text) in (1..).zip(scenario.text.lines()) {
        if number + 2 < position.line || number > position.line {
            continue;
        }
        if text.trim().is_empty() {
            continue;
        }
        let _ = writeln!(out, "  {number:>5} │ {text}");
    }
    let text = scenario.text.lines().nth(position.line - 1).unwrap_or_default();
    let (column, width) = position
        .outcome
        .unwrap_or((position.what, text.chars().count() + 1 - position.what.min(text.len())));
    let caret = "^".repeat(width.max(1));
    let caret = caret.if_supports_color(Stream::Stdout, |caret| caret.red()).to_string();
    let _ = writeln!(
        out,
        "        │ {}{caret} got {}",
        " ".repeat(column.saturating_sub(1)),
        first.got
    );
    out
}

fn reason(first: &Mismatch) -> String {
    let mut out = String::new();
    if first.because.is_empty() {
        let _ = writeln!(out, "\n  It should come to {}.", first.expected);
    } else {
        let it_comes = if first.because.starts_with("from ") { "it comes " } else { "" };
        let _ = writeln!(out, "\n  {}, because {it_comes}{}.", first.expected, first.because);
    }
    if let Some(detail) = &first.detail {
        let _ = writeln!(out, "  In its own words: {detail}");
    }
    out
}

/// The argument of a stop, which ends where it began.
pub(super) fn stop(scenario: &Scenario, stuck: &StallReport) -> String {
    let mut out = String::new();
    let many = stuck.waits.len();
    let head = match stuck.kind {
        StallKind::Deadlock if many == 1 => {
            "One step waits for what only itself could do".to_owned()
        }
        StallKind::Deadlock => format!("{many} steps wait for each other"),
        StallKind::Hang if stuck.explanations.is_empty() => {
            "It waits, and what it waits for does not come".to_owned()
        }
        StallKind::Hang => "Something could move, and does not".to_owned(),
        StallKind::Slow => "It did not end, and what it does can't be seen".to_owned(),
    };
    let _ = writeln!(out, "\n  {head}: {}.\n", stuck.evidence.words());
    for wait in &stuck.waits {
        let step = &scenario.steps[wait.step];
        let (task_id, what) = (step.task_id.to_string(), step.what());
        let line = format!("line {}", step.position.line);
        let _ = writeln!(out, "    {task_id:<10} {what:<16} {line:<8} {}", wait.why);
    }
    if !stuck.cycle.is_empty() {
        let _ = writeln!(out, "\n    {}", stuck.cycle.join(" ▶ "));
    }
    let (pipes, more) = stuck.pipes.split_at(stuck.pipes.len().min(LEAKS));
    for (number, sentence) in pipes.iter().enumerate() {
        let apart = if number == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{apart}    {sentence}");
    }
    if !more.is_empty() {
        let _ = writeln!(out, "    And {} pipes more at which somebody waits.", more.len());
    }
    for (process, why) in &stuck.still_running {
        let _ = writeln!(out, "\n  {process} still moves ({why}), and nobody waits for it.");
    }
    let (leaks, more) = stuck.leaks.split_at(stuck.leaks.len().min(LEAKS));
    for sentence in leaks {
        let _ = writeln!(out, "\n  {sentence}.");
    }
    if !more.is_empty() {
        let _ = writeln!(
            out,
            "\n  And {} ends more are in hands that should not have them.",
            more.len()
        );
    }
    for sentence in &stuck.explanations {
        let _ = writeln!(out, "\n  {sentence}.");
    }
    out
}

fn counted(word: Status) -> &'static str {
    match word {
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

fn paint(word: Status) -> String {
    let style = match word {
        Status::Pass => Style::new().green(),
        Status::Known | Status::Skip => Style::new().yellow(),
        _ => Style::new().red().bold(),
    };
    word.if_supports_color(Stream::Stdout, |word| word.style(style)).to_string()
}
