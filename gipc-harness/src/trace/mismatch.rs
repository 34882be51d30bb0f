//! Describes a step with an unexpected outcome, as a report shows it.

use super::{Causes, ProcessExit, StepState, Trace, blocked_on, outcome_text};
use crate::scenario::{Outcome, Scenario, Verb};

/// A step with an outcome that is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The index of the step.
    pub step: usize,
    /// The outcome that was expected.
    pub expected: String,
    /// Why the model expects it. Empty if the file disagrees with the model, so that the reasons of the model do not apply.
    pub because: String,
    /// The actual outcome.
    pub got: String,
    /// The implementation's own words.
    pub detail: Option<String>,
    /// Set if the outcome is right and came too late: what had to happen before, as part of a sentence.
    pub late: Option<String>,
}

impl Mismatch {
    /// Describes how a step of a trace differs from the prediction.
    #[must_use]
    pub fn new(scenario: &Scenario, predicted: &Trace, trace: &Trace, step: usize) -> Self {
        let spec = &scenario.steps[step];
        let is_unexpected = is_unexpected(scenario, trace, step);
        let expected = match is_unexpected {
            true => spec.expected.iter().map(Outcome::to_string).collect::<Vec<_>>().join(" or "),
            // The line allows this outcome, but not together with all the others.
            false => outcome_text(&[], &predicted.steps[step]),
        };
        let detail = match &trace.steps[step] {
            StepState::Completed { detail, .. } => detail.as_deref().map(str::to_owned),
            _ => None,
        };
        let process = &spec.task_id.process;
        let got = match (&trace.steps[step], trace.exits.get(process.as_str())) {
            (StepState::Pending, Some(exit)) if *exit != ProcessExit::Running => {
                format!("{process} ended: {exit}")
            }
            (StepState::Pending, _)
                if is_unexpected && is_blocked_on_another(scenario, trace, step) =>
            {
                let on: Vec<String> = blocked_on(scenario, trace, step).into_iter().collect();
                format!("blocks on {}", on.join(", "))
            }
            (state, _) => outcome_text(&[], state),
        };
        // If the file disagrees with the model (`--unchecked`), the reasons of the model do not apply.
        let is_refuted = self::is_unexpected(scenario, predicted, step);
        let because = match is_refuted && !std::ptr::eq(predicted, trace) {
            true => String::new(),
            false => sender_of_signal(scenario, predicted, step)
                .unwrap_or_else(|| Causes::new(scenario, predicted).brief().of(step)),
        };
        // If the protocol has no word for an outcome, `got` already quotes the implementation.
        let detail = detail.filter(|detail| !got.ends_with(detail.as_str()));
        Self { step, expected, because, got, detail, late: None }
    }

    /// What was expected and why, without a full stop: `Expected eof, because main closed w`.
    #[must_use]
    pub fn expectation(&self) -> String {
        let Self { expected, because, late, .. } = self;
        if let Some(late) = late {
            format!("{expected} is right and came too late: {late}")
        } else if because.is_empty() {
            format!("Expected {expected}")
        } else {
            let it_comes = if because.starts_with("from ") { "it comes " } else { "" };
            format!("Expected {expected}, because {it_comes}{because}")
        }
    }
}

/// The step that sent the signal that ends a child, if the predicted outcome of a step is that signal.
fn sender_of_signal(scenario: &Scenario, predicted: &Trace, step: usize) -> Option<String> {
    let (Verb::Join { child } | Verb::Child { child, .. }) = &scenario.steps[step].verb else {
        return None;
    };
    let StepState::Completed { outcome: Outcome::Signal(signal), .. } = &predicted.steps[step]
    else {
        return None;
    };
    let sends = |verb: &Verb| {
        verb.sent_signal() == Some(signal) && scenario.signalled_by(verb).contains(child.as_str())
    };
    let mut steps = scenario.steps.iter().zip(&predicted.steps);
    let sender = steps
        .find(|(step, state)| sends(&step.verb) && matches!(state, StepState::Completed { .. }))?;
    let (line, task) = (sender.0.position.line, &sender.0.task_id);
    Some(format!("{task} sent {child} {signal} (line {line})"))
}

/// Whether the file does not allow the outcome that a step has in a trace.
#[must_use]
pub fn is_unexpected(scenario: &Scenario, trace: &Trace, step: usize) -> bool {
    let allows = |outcome: &Outcome| match outcome {
        Outcome::Blocks(on) if !on.is_empty() => {
            trace.steps[step] == StepState::Pending
                && on.iter().eq(blocked_on(scenario, trace, step).iter())
        }
        outcome => trace.steps[step].satisfies(outcome),
    };
    !scenario.steps[step].expected.iter().any(allows)
}

/// Whether the step blocks as the file says, but on another process than the file says.
fn is_blocked_on_another(scenario: &Scenario, trace: &Trace, step: usize) -> bool {
    scenario.steps[step].expected.iter().any(|outcome| trace.steps[step].satisfies(outcome))
}

/// Checks the file against the model. Returns the first line with an outcome that the model does not give.
#[must_use]
pub fn disagreement(scenario: &Scenario, predicted: &Trace) -> Option<Mismatch> {
    let step = (0..scenario.steps.len()).find(|step| is_unexpected(scenario, predicted, *step))?;
    Some(Mismatch::new(scenario, predicted, predicted, step))
}
