//! Completes a trace from the prediction where the system shows nothing, and compares the handles that are left.

use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{Mismatch, Observation, ProcessExit, StepState, Trace, WrongTime};

/// Returns the trace completed with what the system cannot show: an exit that was not observed, a non-zero code if the entry
/// of a child failed, a process that was killed before it could connect. These come from the prediction.
pub(super) fn fill_unobservable(scenario: &Scenario, observed: &Trace, predicted: &Trace) -> Trace {
    let mut trace = observed.clone();
    for (process, exit) in &predicted.exits {
        let is_same = match (trace.exits.get(process), exit) {
            (Some(ProcessExit::Unseen), _) => true,
            (Some(ProcessExit::Code(code)), ProcessExit::Failed) => *code != 0,
            (None, exit) => {
                let may_be_killed = matches!(exit, ProcessExit::Signal(_))
                    || was_signalled(scenario, observed, process);
                may_be_killed && was_spawned(scenario, observed, process)
            }
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

/// Whether a step killed, terminated or signalled the process. How it ended is then reported by its join.
fn was_signalled(scenario: &Scenario, observed: &Trace, process: &str) -> bool {
    scenario.steps.iter().zip(&observed.steps).any(|(step, state)| {
        state.is(&Outcome::Ok) && scenario.signalled_by(&step.verb).contains(process)
    })
}

/// A sentence for each process that has a different number of handles left than in the model.
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

/// A sentence for each thing that a process held at its end and should not have held.
pub(super) fn leaks(scenario: &Scenario, observation: &Observation) -> Vec<String> {
    let censuses = observation.censuses.iter();
    let trace = &observation.trace;
    censuses.flat_map(|(process, census)| census.sentences(scenario, trace, process)).collect()
}

/// The first step whose time limit expired too early or too late, with what is wrong and a sentence about it.
pub(super) fn wrong_limit(
    scenario: &Scenario,
    observation: &Observation,
) -> Option<(Mismatch, String)> {
    observation.limit_times.iter().find_map(|time| {
        let step = scenario.steps.get(time.step)?;
        let limit = u64::from(step.within_ms?);
        let state = observation.trace.steps.get(time.step)?;
        let outcome = match state {
            StepState::Completed { outcome, .. } => Some(outcome),
            _ => None,
        };
        let process = &step.task_id.process;
        let ms = |us: u64| us / 1000;
        let (got, sentence) = match time.wrong(limit, outcome)? {
            WrongTime::Early => (
                "early",
                format!(
                    "the limit of {limit} ms expired within {} ms of the moment when the step was sent",
                    ms(time.at_most_us?)
                ),
            ),
            WrongTime::Late => (
                "late",
                format!(
                    "{process} slept for {} ms in this step, and the limit of {limit} ms did not wake it",
                    ms(time.asleep_us)
                ),
            ),
        };
        let mismatch = Mismatch {
            step: time.step,
            expected: format!("its end after {limit} ms"),
            because: String::new(),
            got: got.into(),
            detail: None,
            late: None,
        };
        Some((mismatch, sentence))
    })
}

/// Whether a process still runs that has ended in the model.
pub(super) fn has_unended_process(predicted: &Trace, trace: &Trace) -> bool {
    trace.exits.iter().any(|(process, exit)| {
        *exit == ProcessExit::Running
            && predicted.exits.get(process).is_some_and(|exit| *exit != ProcessExit::Running)
    })
}
