//! The JSON report: one object for each result and one for the summary, each on a line of its own.

use super::{ScenarioReport, Tally};
use crate::deadlock::WaitEdge;
use crate::environment::Environment;
use crate::scenario::{ParseError, Scenario};
use crate::suite::ScenarioFile;
use crate::trace::Mismatch;
use gipc_agent::PROTOCOL;
use serde_json::{Value, json};
use std::path::Path;

/// A scenario in a list as a JSON object.
pub fn listed(file: &ScenarioFile, parsed: Result<&Scenario, &ParseError>) -> Value {
    json!({
        "scenario": file.id,
        "file": file.path,
        "about": parsed.map(Scenario::about).ok(),
        "covers": parsed.map(Scenario::covers).ok(),
        "heavy": parsed.ok().and_then(Scenario::heavy),
        "error": parsed.err().map(|error| &error.message),
    })
}

/// A mistake in a scenario file as a JSON object.
pub fn mistake(file: &Path, mistake: &ParseError) -> Value {
    json!({
        "severity": mistake.severity.word(),
        "file": file,
        "line": mistake.line,
        "column": mistake.column,
        "width": mistake.width,
        "message": mistake.message,
        "hint": mistake.hint,
        "notes": mistake.notes,
    })
}

/// One result as a JSON object.
pub fn result(report: &ScenarioReport) -> Value {
    let verdict = &report.verdict;
    let line_and_step = |step: usize| {
        let step = &report.scenario.steps[step];
        (step.position.line, format!("{} {}", step.task_id, step.what()))
    };
    let mismatch = |mismatch: &Mismatch| {
        let (line, step) = line_and_step(mismatch.step);
        json!({
            "line": line,
            "step": step,
            "expected": mismatch.expected,
            "because": mismatch.because,
            "got": mismatch.got,
            "detail": mismatch.detail,
            "late": mismatch.late,
        })
    };
    let wait = |wait: &WaitEdge| {
        let (line, step) = line_and_step(wait.step);
        json!({
            "line": line,
            "step": step,
            "on": wait.on,
            "why": wait.why,
        })
    };
    let stall = verdict.stall.as_ref().map(|stall| {
        json!({
            "kind": format!("{:?}", stall.kind).to_lowercase(),
            "evidence": stall.evidence.name(),
            "waits": stall.waits.iter().map(wait).collect::<Vec<_>>(),
            "cycle": stall.cycle,
            "pipes": stall.pipes,
            "leaks": stall.leaks,
            "explanations": stall.explanations,
            "still_running": stall.still_running,
        })
    });
    json!({
        "scenario": report.scenario.id,
        "adapter": report.adapter,
        "flags": report.flags,
        "verdict": verdict.status.to_string(),
        "first": verdict.mismatch.as_ref().map(mismatch),
        "further": verdict.further_mismatches.iter().map(mismatch).collect::<Vec<_>>(),
        "differences": verdict.differences.iter().map(|one| &one.detail).collect::<Vec<_>>(),
        "stall": stall,
        "notes": verdict.sentences().collect::<Vec<_>>(),
        "record": report.record,
        "seconds": report.time.as_secs_f64(),
    })
}

/// The summary of a run of the suite as a JSON object.
pub fn summary(adapter: &str, tally: &Tally, environment: &Environment) -> Value {
    let counts: serde_json::Map<String, Value> =
        tally.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
    json!({
        "adapter": adapter,
        "planned": tally.planned,
        "done": tally.done(),
        "shard": tally.shard,
        "partial": tally.shard.is_some() || tally.interrupted || tally.done() < tally.planned,
        "verdicts": counts,
        "environment": environment,
        "protocol": PROTOCOL,
        "suite": env!("CARGO_PKG_VERSION"),
    })
}
