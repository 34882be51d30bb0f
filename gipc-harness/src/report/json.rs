//! The same for programs: one JSON object a result, one for the whole, a line each.

use super::{ScenarioReport, Tally};
use crate::adapter::protocol::PROTOCOL;
use crate::deadlock::WaitEdge;
use crate::environment::Environment;
use serde_json::{Value, json};

/// One result.
pub fn result(result: &ScenarioReport) -> Value {
    let verdict = &result.verdict;
    let place = |step: usize| {
        let step = &result.scenario.steps[step];
        (step.position.line, format!("{} {}", step.task_id, step.what()))
    };
    let first = verdict.first.as_ref().map(|first| {
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
    let stuck = verdict.stuck.as_ref().map(|stuck| {
        json!({
            "kind": format!("{:?}", stuck.kind).to_lowercase(),
            "tier": format!("{:?}", stuck.tier).to_lowercase(),
            "waits": stuck.waits.iter().map(wait).collect::<Vec<_>>(),
            "circle": stuck.circle,
            "pipes": stuck.pipes,
            "leaks": stuck.leaks,
            "idle": stuck.idle,
            "moving": stuck.moving,
        })
    });
    json!({
        "scenario": result.scenario.id,
        "adapter": result.adapter,
        "how": result.how,
        "verdict": verdict.word.to_string(),
        "first": first,
        "stuck": stuck,
        "notes": verdict.notes,
        "record": result.record,
    })
}

/// The whole.
pub fn summary(adapter: &str, tally: &Tally, here: &Environment) -> Value {
    let words: serde_json::Map<String, Value> =
        tally.words.iter().map(|(word, count)| (word.to_string(), json!(count))).collect();
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
