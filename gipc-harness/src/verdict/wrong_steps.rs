//! Finds the steps of a run that are wrong, and describes the first ones.

use super::causal_order::{Moments, released_by};
use super::{Status, Verdict, closest_trace};
use crate::deadlock::{StallKind, StallReport, list_names};
use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{Allowed, EvidenceTier, Mismatch, Observation, StepState, Trace, is_unexpected};
use ecow::EcoString;
use std::collections::BTreeSet;

/// How many wrong steps are listed after the first.
const MAX_FURTHER: usize = 3;

/// A run and the closest prediction.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) allowed: &'a Allowed,
    pub(super) observation: &'a Observation,
    pub(super) predicted: &'a Trace,
    pub(super) trace: &'a Trace,
    /// Whether the file is judged by its own outcomes, with which the model does not agree.
    pub(super) follows_file: bool,
}

impl Run<'_> {
    /// The wrong steps, in the order in which they happened: those whose outcome the file or the model does not allow, and
    /// the first one that had not completed when it should have.
    pub(super) fn wrong_steps(&self, stall: Option<&StallReport>) -> Vec<usize> {
        let overdue = self.first_overdue();
        let mut steps: Vec<usize> = (0..self.scenario.steps.len())
            .filter(|step| overdue == Some(*step) || self.is_wrong(stall, *step))
            .collect();
        let moments = Moments::new(self.scenario, self.observation);
        // Of the steps that are open at a stall, the others wait because of the overdue one.
        let is_overdue =
            |step: usize| overdue == Some(step) && self.trace.steps[step] == StepState::Pending;
        steps.sort_by_key(|step| (moments.of(*step), !is_overdue(*step), *step));
        steps
    }

    fn is_wrong(&self, stall: Option<&StallReport>, step: usize) -> bool {
        let Self { scenario, allowed, predicted, trace, .. } = self;
        // A refusal by an agent ends the run, so the steps that are open then could not go on.
        let is_cut_short = self.observation.unsupported.is_some() && !self.is_completed(step);
        if is_cut_short {
            return false;
        }
        is_unexpected(scenario, trace, step)
            || !closest_trace::same(scenario, allowed, predicted, trace, step)
            || self.real_blockers(stall, step).is_some()
    }

    /// The first step that had not completed when it should have. `None` if the run took another course than that of the
    /// file: the schedule then waited for steps that were not due.
    fn first_overdue(&self) -> Option<usize> {
        let stall = self.observation.stall.as_ref();
        let stall = stall.filter(|_| self.predicted == self.allowed.in_file_order());
        let stall = stall.filter(|_| !self.has_other_sender());
        stall.and_then(|stall| stall.overdue.first().copied())
    }

    /// Whether a message came from another put than in the predicted trace. If messages are equal, only this shows that the
    /// run took another course.
    fn has_other_sender(&self) -> bool {
        let sender = |state: &StepState| match state {
            StepState::Completed { from, .. } => *from,
            _ => None,
        };
        let mut steps = self.predicted.steps.iter().zip(&self.trace.steps);
        steps.any(|(predicted, actual)| match (sender(predicted), sender(actual)) {
            (Some(predicted), Some(actual)) => predicted != actual,
            _ => false,
        })
    }

    /// The processes that a step really waits for, if the file names others (`blocks on WHO`). The kernel may show holders
    /// of a pipe end that should not hold it.
    fn real_blockers(&self, stall: Option<&StallReport>, step: usize) -> Option<Vec<String>> {
        let mut named =
            self.scenario.steps[step].expected.iter().filter_map(|outcome| match outcome {
                Outcome::Blocks(on) if !on.is_empty() => {
                    Some(on.iter().map(EcoString::as_str).collect::<BTreeSet<_>>())
                }
                _ => None,
            });
        let wait = stall?.waits.iter().find(|wait| wait.step == step)?;
        let real: BTreeSet<&str> = wait.on.iter().map(String::as_str).collect();
        let mut named = named.by_ref().peekable();
        let differs = named.peek().is_some() && named.all(|named| named != real);
        (differs && !wait.on.is_empty()).then(|| wait.on.clone())
    }

    /// Describes one wrong step.
    fn mismatch(&self, stall: Option<&StallReport>, step: usize) -> Mismatch {
        let mut mismatch = Mismatch::new(self.scenario, self.predicted, self.trace, step);
        if self.follows_file {
            // The model's reasons do not explain what the file says.
            mismatch.because.clear();
        }
        let is_unexpected = is_unexpected(self.scenario, self.trace, step);
        if let Some(on) = self.real_blockers(stall, step).filter(|_| !is_unexpected) {
            let written = self.scenario.steps[step].expected.iter().map(Outcome::to_string);
            mismatch.expected = written.collect::<Vec<_>>().join(" or ");
            mismatch.got = format!("blocks on {}", on.join(", "));
        } else if !self.is_wrong(stall, step) && self.is_completed(step) {
            mismatch.late = released_by(self.scenario, self.observation, step);
        }
        mismatch
    }

    /// Whether a step was wrong before the run stalled. If the user interrupted the run, all steps are shown as they were.
    fn is_stall_a_consequence(&self, step: usize) -> bool {
        let stall = self.observation.stall.as_ref();
        stall.is_some_and(|stall| stall.tier != EvidenceTier::Interrupted)
            && Moments::new(self.scenario, self.observation).is_before_stall(step)
    }

    /// Says in one sentence that some of the wrong steps did not complete after the first wrong one.
    fn unfinished(&self, wrong: &[usize]) -> Option<String> {
        let named = |step: &usize| {
            let step = &self.scenario.steps[*step];
            format!("{} {} (line {})", step.task_id, step.what(), step.position.line)
        };
        let open = |step: &&usize| self.trace.steps[**step] == StepState::Pending;
        let pending: Vec<String> = wrong.iter().filter(open).map(named).collect();
        let unbegun =
            wrong.iter().filter(|step| self.trace.steps[**step] == StepState::NotStarted).count();
        let steps = if unbegun == 1 { "1 step".to_owned() } else { format!("{unbegun} steps") };
        match (list_names(&pending), unbegun) {
            (_, 0) if pending.is_empty() => None,
            (_, _) if pending.is_empty() => Some(format!("After that, {steps} did not begin")),
            (pending, 0) => Some(format!("After that, {pending} did not return")),
            (pending, _) => {
                Some(format!("After that, {pending} did not return, and {steps} did not begin"))
            }
        }
    }

    /// Whether a step is about a child whose start failed, so that its outcome says nothing. An exit code shows that there was a
    /// process after all.
    fn is_about_unstarted_child(&self, step: usize) -> bool {
        let has_exit = match &self.trace.steps[step] {
            StepState::Completed { outcome, .. } => {
                matches!(outcome, Outcome::Exit(_) | Outcome::Signal(_) | Outcome::Raised)
            }
            _ => false,
        };
        if has_exit {
            return false;
        }
        let (Verb::Join { child } | Verb::Child { child, .. }) = &self.scenario.steps[step].verb
        else {
            return false;
        };
        let mut steps = self.scenario.steps.iter().zip(&self.trace.steps);
        steps.any(|(step, state)| match (&step.verb, state) {
            (Verb::Spawn { child: started, .. }, StepState::Completed { outcome, .. }) => {
                started == child && *outcome != Outcome::Ok
            }
            _ => false,
        })
    }

    /// How many descriptors a start needs, if the process of a start has limited its descriptors and the start did not come to
    /// what the model says because of their number.
    pub(super) fn start_needs(&self, step: usize, needs: u64) -> Option<String> {
        let spec = &self.scenario.steps[step];
        let is_full = |state: &StepState| state.is(&Outcome::Os("EMFILE".into()));
        let (predicted, actual) = (&self.predicted.steps[step], &self.trace.steps[step]);
        let is_start = matches!(spec.verb, Verb::Spawn { .. });
        if !is_start || is_full(predicted) == is_full(actual) {
            return None;
        }
        let before = self.scenario.steps[..step].iter().rev();
        let limit = before
            .filter(|other| other.task_id.process == spec.task_id.process)
            .find(|other| matches!(other.verb, Verb::Limit { .. }))?;
        Some(format!(
            "{} limits its descriptors (line {}); the manifest says that a start needs {needs} free ones (start-needs)",
            spec.task_id.process, limit.position.line
        ))
    }

    fn is_completed(&self, step: usize) -> bool {
        matches!(self.trace.steps[step], StepState::Completed { .. })
    }

    /// Reports the wrong steps in the order in which they happened. There must be at least one.
    pub(super) fn report_mismatches(
        &self,
        verdict: &mut Verdict,
        wrong: &[usize],
        stall: Option<StallReport>,
    ) {
        let first = wrong[0];
        let first_in_file = wrong.iter().copied().min().filter(|step| *step != first);
        let is_only_overdue = !self.is_wrong(stall.as_ref(), first);
        // Steps that are pending or never began follow from the others.
        let is_shown = |step: &usize| {
            self.is_completed(*step)
                && is_unexpected(self.scenario, self.trace, *step)
                && !self.is_about_unstarted_child(*step)
        };
        let mut further: Vec<usize> = wrong[1..].iter().copied().filter(is_shown).collect();
        further.retain(|step| Some(*step) != first_in_file);
        let room = MAX_FURTHER - usize::from(first_in_file.is_some());
        let unlisted = further.len().saturating_sub(room);
        further.truncate(room);
        further.extend(first_in_file);
        further.sort_by_key(|step| wrong.iter().position(|other| other == step));
        let mismatch = |step: &usize| self.mismatch(stall.as_ref(), *step);
        verdict.mismatch = Some(mismatch(&first));
        verdict.further_mismatches = further.iter().map(mismatch).collect();
        match unlisted {
            0 => {}
            1 => verdict.notes.push("1 more step has a wrong outcome".into()),
            more => verdict.notes.push(format!("{more} more steps have a wrong outcome")),
        }
        let is_pending = self.trace.steps[first] == StepState::Pending;
        // If the first wrong step completed, the status is a failure, however late it completed. If it is pending, the
        // status depends on the kind of its stall. If it is only overdue, the run is slow unless there is evidence that it
        // stalled.
        verdict.status = match stall.as_ref().map(|stall| stall.kind) {
            Some(StallKind::Deadlock) if is_pending => Status::Deadlock,
            Some(StallKind::Hang) if is_pending => Status::Hang,
            Some(StallKind::Slow) if is_pending || is_only_overdue => Status::Slow,
            _ => Status::Fail,
        };
        verdict.stall = stall;
        if verdict.status == Status::Fail && self.is_stall_a_consequence(first) {
            // Why the later steps wait says nothing about the first wrong step. A holder of an end that should not hold it
            // may explain it.
            verdict.notes.extend(self.unfinished(wrong));
            verdict.notes.extend(verdict.stall.take().into_iter().flat_map(|stall| stall.leaks));
        }
        let model_stalls = is_unexpected(self.scenario, self.predicted, first)
            && self.predicted.steps[first] == StepState::Pending;
        if model_stalls && is_pending {
            verdict.notes.push(
                "The model blocks here too, with every handle where it should be: no implementation can return what the file expects.".into(),
            );
        }
    }
}
