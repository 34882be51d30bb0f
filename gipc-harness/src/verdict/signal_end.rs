//! Finds processes that a signal ended although they had trapped, ignored or blocked it. Writes a sentence for each, with
//! the sender.

use crate::scenario::{Disposition, Scenario};
use crate::trace::{Observation, ProcessExit, StepState, Trace};

/// A sentence for each process that a signal ended although a step of that process had trapped, ignored or blocked it. A
/// process that ends in the same way in the prediction is left out.
pub(super) fn sentences(
    scenario: &Scenario,
    observation: &Observation,
    predicted: &Trace,
) -> Vec<String> {
    let exits = observation.trace.exits.iter();
    let unexpected = exits.filter(|(process, exit)| predicted.exits.get(*process) != Some(*exit));
    let sentence = |(process, exit): (&String, &ProcessExit)| {
        let ProcessExit::Signal(signal) = exit else { return None };
        let (disposition, line) = observation.trace.disposition(scenario, process, signal)?;
        let sender = senders(scenario, &observation.trace, process, signal);
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

/// Names the steps that sent a signal to a process, as the second part of a sentence.
fn senders(scenario: &Scenario, trace: &Trace, process: &str, signal: &str) -> String {
    let steps = scenario.steps.iter().zip(&trace.steps);
    let sent = steps.filter(|(step, state)| {
        **state != StepState::NotStarted
            && step.verb.sent_signal() == Some(signal)
            && scenario.signalled_by(&step.verb).contains(process)
    });
    let sent: Vec<String> =
        sent.map(|(step, _)| format!("{} (line {})", step.task_id, step.position.line)).collect();
    match sent.is_empty() {
        true => "no step had sent it".into(),
        false => format!("it was sent by {}", sent.join(" and ")),
    }
}
