//! The same for programs: one JSON object a result, one for the whole, a line each.

use super::{ScenarioReport, Tally};
use crate::deadlock::WaitEdge;
use crate::environment::Environment;
use gipc_agent::PROTOCOL;
use serde_json::{Value, json};

/// One result.
pub fn result(result: &ScenarioReport) -> Value {
    let verdict = &result.verdict;
    let place = |step: usize| {
        let step = &result.scenario.steps[step];
        (step.position.line, format!("{} {}", step.task_id, step.what()))
    };
    let first = verdict.mismatch.as_ref().map(|first| {
        let (line, step) = place(first.step);
        json!({
            "line": line,
            "step": step,
            "expected": first.expected,
            "because": first.because,
            "got": first.got,
            "detail": first.detail,
        })
    });
    let wait = |wait: &WaitEdge| {
        let (line, step) = place(wait.step);
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
        "scenario": result.scenario.id,
        "adapter": result.adapter,
        "flags": result.flags,
        "verdict": verdict.status.to_string(),
        "first": first,
        "stall": stall,
        "notes": verdict.sentences().collect::<Vec<_>>(),
        "record": result.record,
    })
}

/// The whole.
pub fn summary(adapter: &str, tally: &Tally, here: &Environment) -> Value {
    let words: serde_json::Map<String, Value> =
        tally.statuses.iter().map(|(word, count)| (word.to_string(), json!(count))).collect();
    json!({
        "adapter": adapter,
        "planned": tally.planned,
        "done": tally.done(),
        "shard": tally.shard,
        "partial": tally.shard.is_some() || tally.interrupted || tally.done() < tally.planned,
        "verdicts": words,
        "environment": here,
        "protocol": PROTOCOL,
        "suite": env!("CARGO_PKG_VERSION"),
    })
}
