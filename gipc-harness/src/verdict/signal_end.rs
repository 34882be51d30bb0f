//! Finds processes that a signal ended although they had trapped, ignored or blocked it, or although it was sent to another
//! process. Writes a sentence for each, with the sender.

use crate::scenario::{Disposition, Outcome, Scenario, Step};
use crate::trace::{Observation, ProcessExit, StepState, Trace};

/// A sentence for each process that a signal ended although a step of that process had trapped, ignored or blocked it, or
/// although the steps sent the signal only to other processes. A process that ends in the same way in the prediction is left
/// out.
pub(super) fn sentences(
    scenario: &Scenario,
    observation: &Observation,
    predicted: &Trace,
) -> Vec<String> {
    let exits = observation.trace.exits.iter();
    let unexpected = exits.filter(|(process, exit)| predicted.exits.get(*process) != Some(*exit));
    let sentence = |(process, exit): (&String, &ProcessExit)| {
        let ProcessExit::Signal(signal) = exit else { return None };
        let trace = &observation.trace;
        let Some((disposition, line)) = trace.disposition(scenario, process, signal) else {
            return meant_for_others(scenario, trace, process, signal);
        };
        let sender = senders(scenario, trace, process, signal);
        Some(match disposition {
            Disposition::Trap => format!(
                "{process} had trapped {signal} (line {line}), and the default action of {signal} ended it: no handler for it was there; \
                 {sender}"
            ),
            Disposition::Ignore => format!(
                "{process} ignored {signal} (line {line}), and {signal} ended it all the same; {sender}"
            ),
            Disposition::Block => format!(
                "{process} had blocked {signal} (line {line}), and {signal} ended it all the same; {sender}"
            ),
        })
    };
    unexpected.filter_map(sentence).collect()
}

/// The sentence for a process that was ended by a signal that steps sent to other processes and not to this one.
fn meant_for_others(
    scenario: &Scenario,
    trace: &Trace,
    process: &str,
    signal: &str,
) -> Option<String> {
    let is_meant = |step: &Step| scenario.signalled_by(&step.verb).contains(process);
    let (own, others): (Vec<&Step>, _) =
        sent(scenario, trace, signal).partition(|step| is_meant(step));
    let target = |step: &&Step| {
        let targets: Vec<&str> = scenario.signalled_by(&step.verb).into_iter().collect();
        format!(
            "{} sent it to {} (line {})",
            step.task_id,
            targets.join(" and "),
            step.position.line
        )
    };
    let others: Vec<String> = others.iter().map(target).collect();
    (own.is_empty() && !others.is_empty()).then(|| {
        format!("{signal} ended {process}, to which no step had sent it: {}", others.join("; "))
    })
}

/// The steps that were started and send a signal.
fn sent<'a>(
    scenario: &'a Scenario,
    trace: &'a Trace,
    signal: &'a str,
) -> impl Iterator<Item = &'a Step> {
    let steps = scenario.steps.iter().zip(&trace.steps);
    let sent = steps.filter(move |(step, state)| {
        (state.is(&Outcome::Ok) || **state == StepState::Pending)
            && step.verb.sent_signal() == Some(signal)
    });
    sent.map(|(step, _)| step)
}

/// Names the steps that sent a signal to a process, as the second part of a sentence.
fn senders(scenario: &Scenario, trace: &Trace, process: &str, signal: &str) -> String {
    let sent: Vec<String> = sent(scenario, trace, signal)
        .filter(|step| scenario.signalled_by(&step.verb).contains(process))
        .map(|step| format!("{} (line {})", step.task_id, step.position.line))
        .collect();
    match sent.is_empty() {
        true => "no step had sent it".into(),
        false => format!("it was sent by {}", sent.join(" and ")),
    }
}
