//! What the prediction fills in where the system shows nothing, and handles that remain.

use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{ProcessExit, StepState, Trace};

/// The trace with what the system cannot show filled in from the prediction: an exit that was not observed, a non-zero
/// code where the entry of a child failed, a process that was killed before it could connect.
pub(super) fn fill_unobservable(scenario: &Scenario, observed: &Trace, predicted: &Trace) -> Trace {
    let mut trace = observed.clone();
    for (process, exit) in &predicted.exits {
        let is_same = match (trace.exits.get(process), exit) {
            (Some(ProcessExit::Unseen), _) => true,
            (Some(ProcessExit::Code(code)), ProcessExit::Failed) => *code != 0,
            (None, ProcessExit::Signal(_)) => was_spawned(scenario, observed, process),
            _ => false,
        };
        if is_same {
            trace.exits.insert(process.clone(), exit.clone());
        }
    }
    for (state, predicted) in trace.steps.iter_mut().zip(&predicted.steps) {
        if let StepState::Completed { outcome, .. } = state {
            let is_failure = matches!(outcome, Outcome::Exit(code) if *code != 0);
            if is_failure && predicted.is(&Outcome::Raised) {
                *outcome = Outcome::Raised;
            }
        }
    }
    trace
}

fn was_spawned(scenario: &Scenario, observed: &Trace, process: &str) -> bool {
    scenario.steps.iter().zip(&observed.steps).any(|(step, state)| {
        matches!(&step.verb, Verb::Spawn { child, .. } if child == process)
            && state.is(&Outcome::Ok)
    })
}

/// A sentence for each process that has another number of handles left than the model.
pub(super) fn handle_leaks(predicted: &Trace, trace: &Trace) -> Vec<String> {
    let leak = |(process, expected): (&String, &u64)| {
        let count = trace.remaining_handles.get(process)?;
        (count != expected).then(|| {
            format!(
                "{process} had {count} handles when its lines were done, and should have had {expected}"
            )
        })
    };
    predicted.remaining_handles.iter().filter_map(leak).collect()
}

/// Whether a process still runs that the model has ended.
pub(super) fn has_unended_process(predicted: &Trace, trace: &Trace) -> bool {
    trace.exits.iter().any(|(process, exit)| {
        *exit == ProcessExit::Running
            && predicted.exits.get(process).is_some_and(|exit| *exit != ProcessExit::Running)
    })
}
