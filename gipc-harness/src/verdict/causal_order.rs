//! Orders the wrong steps by what happened first rather than by the lines of the file.

use crate::scenario::Scenario;
use crate::trace::{Observation, Occurrence, StepState};

/// When each step of a run reached its state. A moment is an index into the history of the run. A step that never began has
/// the last moment. Without a history, all steps have the same moment.
pub(super) struct Moments<'a> {
    scenario: &'a Scenario,
    observation: &'a Observation,
    started: Vec<usize>,
    completed: Vec<usize>,
    stalled: usize,
}

impl<'a> Moments<'a> {
    pub(super) fn new(scenario: &'a Scenario, observation: &'a Observation) -> Self {
        let at_end = observation.history.len();
        let all_at_end = vec![at_end; scenario.steps.len()];
        let mut moments = Self {
            scenario,
            observation,
            started: all_at_end.clone(),
            completed: all_at_end,
            stalled: at_end,
        };
        for (moment, occurrence) in observation.history.iter().enumerate() {
            match occurrence {
                Occurrence::Started(step) => moments.started[*step] = moment,
                Occurrence::Completed(step) => moments.completed[*step] = moment,
                Occurrence::Stalled => moments.stalled = moment,
                Occurrence::Exited(_) => {}
            }
        }
        moments
    }

    /// When a step returned. For an open step, when the run stalled, or when the step began if its process ended in it.
    pub(super) fn of(&self, step: usize) -> usize {
        let Observation { history, trace, stall, .. } = self.observation;
        let is_overdue = || stall.as_ref().is_some_and(|stall| stall.overdue.contains(&step));
        match &trace.steps[step] {
            _ if history.is_empty() => 0,
            StepState::Completed { .. } if is_overdue() => self.stalled,
            StepState::Completed { .. } => self.completed[step],
            // Others may learn that a process has ended before the harness does, so its last step is the first sign.
            StepState::Pending if !trace.runs(&self.scenario.steps[step].task_id.process) => {
                self.started[step]
            }
            StepState::Pending if self.started[step] < self.stalled => self.stalled,
            StepState::Pending => history.len(),
            StepState::NotStarted => history.len() + 1,
        }
    }
}

impl Moments<'_> {
    /// Whether a step had returned before the run stalled, so that the stall may follow from its outcome. False without a
    /// history.
    pub(super) fn is_before_stall(&self, step: usize) -> bool {
        let is_returned = matches!(self.observation.trace.steps[step], StepState::Completed { .. });
        !self.observation.history.is_empty() && is_returned && self.of(step) < self.stalled
    }
}

/// What had to happen before an overdue step returned, as part of a sentence: `only after line 8, main close w, had begun`.
/// `None` if the history does not show it.
pub(super) fn released_by(
    scenario: &Scenario,
    observation: &Observation,
    step: usize,
) -> Option<String> {
    let history = &observation.history;
    let stalled = history.iter().position(|one| *one == Occurrence::Stalled)?;
    let returned = history.iter().position(|one| *one == Occurrence::Completed(step))?;
    let since = history.get(stalled..returned)?;
    let last = since.iter().rev().find_map(|one| match one {
        Occurrence::Started(step) => Some(*step),
        _ => None,
    });
    let is_woken =
        || observation.stall.as_ref().is_some_and(|stall| stall.woken_by_ping.contains(&step));
    match last.map(|last| &scenario.steps[last]) {
        Some(last) => Some(format!(
            "only after line {}, {} {}, had begun",
            last.position.line,
            last.task_id,
            last.what()
        )),
        None if is_woken() => {
            let process = &scenario.steps[step].task_id.process;
            Some(format!("only when the harness had asked whether the loop of {process} turns"))
        }
        None => Some("only after nothing had moved any more".to_owned()),
    }
}
