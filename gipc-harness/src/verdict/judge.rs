//! The judge: makes a verdict from a job and an observation, in stages.
//!
//! First it judges the run itself: whether the implementation could be asked, whether a step has a wrong outcome, whether
//! the trace as a whole is allowed, whether something leaked, and whether each time limit expired when it should. No other
//! time is judged. Then it applies the baseline of the adapter, and then the environment.

use super::baseline::UNLISTED_SKIP;
use super::causal_order::{Moments, released_by};
use super::comparison::{fill_unobservable, handle_leaks, has_unended_process, leaks, wrong_limit};
use super::difference::Differences;
use super::expired_limit::excuse_expired_limits;
use super::{Baseline, Status, Verdict, closest_trace, signal_end};
use crate::deadlock::{self, StallKind, StallReport, list_names};
use crate::environment::Environment;
use crate::scenario::{Outcome, Scenario};
use crate::trace::{
    Allowed, EvidenceTier, Mismatch, Observation, StepState, Trace, is_unexpected,
    snapshot_class_text, snapshot_text,
};
use crate::variant::Job;
use ecow::EcoString;
use std::collections::BTreeSet;

/// How many wrong steps are listed after the first.
const MAX_FURTHER: usize = 3;

/// Judges a run of a job: by the model, by the file, by what the adapter declares, and by what the system lacks.
#[must_use]
pub fn judge(
    job: &Job,
    observation: &Observation,
    baseline: &Baseline<'_>,
    environment: &Environment,
) -> Verdict {
    let is_skipped = baseline.skips(&job.scenario.id);
    let mut verdict = judge_run(job, observation, is_skipped);
    excuse_expired_limits(&mut verdict, job, observation);
    baseline.match_known_failure(&mut verdict, &job.scenario);
    if !verdict.status.is_expected() {
        verdict.notes.extend(printed(observation));
    }
    Baseline::apply_exemption(&mut verdict, job.exemption.as_ref());
    if job.is_foreign {
        // The folder of an adapter lists only scenarios of the suite, and `--accept` must not add others.
        verdict.baseline_change = None;
    } else {
        baseline.enforce_profiles(&mut verdict, &job.scenario, observation);
        // If a fault is injected, the step that the implementation lacks may never be reached.
        if job.variant.is_default() {
            baseline.enforce_skip_list(&mut verdict, &job.scenario);
        }
    }
    attribute_to_environment(&mut verdict, environment, job.scenario.heavy().is_some());
    verdict
}

/// Judges the run alone. `is_skipped` says that the adapter's folder lists the scenario as one that cannot be run.
fn judge_run(job: &Job, observation: &Observation, is_skipped: bool) -> Verdict {
    let scenario = &job.scenario;
    let allowed = &*job.allowed.near(&observation.trace);
    let (predicted, agrees) = closest_trace::closest_trace(scenario, allowed, &observation.trace);
    let trace = fill_unobservable(scenario, &observation.trace, predicted);
    let text = match allowed.traces.len() {
        2.. if agrees => snapshot_class_text(scenario, &allowed.traces),
        _ => snapshot_text(scenario, &trace),
    };
    let mut verdict = Verdict::new(text, snapshot_text(scenario, predicted));
    if let Some(fault) = &observation.fault {
        verdict.status = Status::Error;
        verdict.reason = Some(fault.clone());
        // The first wrong outcome is reported before the fault, which may follow from it.
        if let Some(first) = first_unexpected(scenario, observation, &trace) {
            verdict.mismatch = Some(Mismatch::new(scenario, predicted, &trace, first));
            verdict.reason = Some(format!("After that: {fault}"));
        }
        return verdict;
    }
    let has_failed = !is_skipped && has_failed_before_refusal(scenario, observation, &trace);
    if let Some(unsupported) = observation.unsupported.as_ref().filter(|_| !has_failed) {
        verdict.status = Status::Skip;
        let step = unsupported.step.and_then(|step| scenario.steps.get(step));
        verdict.reason = Some(match step {
            // A step may need the profile tasks because it belongs to a task; its verb hardly ever needs it.
            Some(step) if step.task_id.task.is_some() => {
                format!("{} {}: {}", step.task_id, step.what(), unsupported.reason)
            }
            Some(step) => format!("{}: {}", step.what(), unsupported.reason),
            None => unsupported.reason.clone(),
        });
        return verdict;
    }
    if !allowed.complete {
        verdict.status = Status::Unknown;
        let found = if agrees { "is one" } else { "is not one" };
        verdict.reason = Some(format!(
            "the scenario has more outcomes than the model can enumerate; this run {found} of the {} that the model found",
            allowed.traces.len()
        ));
        return verdict;
    }
    let run = Run { scenario, allowed, observation, predicted, trace: &trace };
    let differences = Differences { scenario, observation, predicted, trace: &trace };
    let stall = deadlock::explain(scenario, observation);
    let wrong = run.wrong_steps(stall.as_ref());
    if !wrong.is_empty() {
        run.report_mismatches(&mut verdict, &wrong, stall);
        verdict.notes.extend(refusal(scenario, observation));
        verdict.notes.extend(signal_end::sentences(scenario, observation, predicted));
        verdict.add_differences(differences.violations());
    } else if match job.follows_file {
        // The file says neither how processes end nor what makes a step return.
        true => has_unended_process(predicted, &trace),
        false => !(agrees && allowed.traces.len() > 1) && verdict.trace_text != verdict.model_text,
    } {
        verdict.status = Status::Fail;
        if has_unended_process(predicted, &trace) {
            verdict.status = match stall.as_ref().map(|stall| stall.kind) {
                Some(StallKind::Slow) => Status::Slow,
                Some(_) => Status::Hang,
                None => Status::Fail,
            };
            verdict.stall = stall;
        }
        verdict.notes.extend(signal_end::sentences(scenario, observation, predicted));
        verdict.add_differences(differences.all());
    } else {
        verdict.notes = handle_leaks(predicted, &trace);
        verdict.leaky = observation
            .censuses
            .iter()
            .find(|(_, census)| !census.is_clean())
            .map(|(process, _)| process.clone());
        if let Some((mismatch, sentence)) = wrong_limit(scenario, observation) {
            verdict.mismatch = Some(mismatch);
            verdict.notes.push(sentence);
        }
        if !verdict.notes.is_empty() || verdict.leaky.is_some() {
            verdict.status = Status::Fail;
        }
    }
    // The explanation of a stall names the holders itself.
    if verdict.status != Status::Pass && verdict.stall.is_none() {
        verdict.notes.extend(leaks(scenario, observation));
    }
    verdict
}

/// The first step that returned an outcome that the file does not allow.
fn first_unexpected(
    scenario: &Scenario,
    observation: &Observation,
    trace: &Trace,
) -> Option<usize> {
    let moments = Moments::new(scenario, observation);
    let is_returned = |step: &usize| matches!(trace.steps[*step], StepState::Completed { .. });
    (0..scenario.steps.len())
        .filter(|step| is_returned(step) && is_unexpected(scenario, trace, *step))
        .min_by_key(|step| (moments.of(*step), *step))
}

/// Whether a step had returned an outcome that the file does not allow before an agent refused a later step. The refusal may
/// follow from that outcome.
fn has_failed_before_refusal(
    scenario: &Scenario,
    observation: &Observation,
    trace: &Trace,
) -> bool {
    observation.unsupported.as_ref().is_some_and(|unsupported| unsupported.step.is_some())
        && first_unexpected(scenario, observation, trace).is_some()
}

/// Says that a step was refused after others had failed.
fn refusal(scenario: &Scenario, observation: &Observation) -> Option<String> {
    let unsupported = observation.unsupported.as_ref()?;
    let step = scenario.steps.get(unsupported.step?)?;
    let (line, task, what) = (step.position.line, &step.task_id, step.what());
    let reason = &unsupported.reason;
    Some(format!("After that, the agent refused line {line}, {task} {what}: {reason}"))
}

/// A run and the closest prediction.
struct Run<'a> {
    scenario: &'a Scenario,
    allowed: &'a Allowed,
    observation: &'a Observation,
    predicted: &'a Trace,
    trace: &'a Trace,
}

impl Run<'_> {
    /// The wrong steps, in the order in which they happened: those whose outcome the file or the model does not allow, and
    /// the first one that had not completed when it should have.
    fn wrong_steps(&self, stall: Option<&StallReport>) -> Vec<usize> {
        let overdue = self.first_overdue();
        let mut steps: Vec<usize> = (0..self.scenario.steps.len())
            .filter(|step| overdue == Some(*step) || self.is_wrong(stall, *step))
            .collect();
        let moments = Moments::new(self.scenario, self.observation);
        steps.sort_by_key(|step| (moments.of(*step), *step));
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

    fn is_completed(&self, step: usize) -> bool {
        matches!(self.trace.steps[step], StepState::Completed { .. })
    }

    /// Reports the wrong steps in the order in which they happened. There must be at least one.
    fn report_mismatches(
        &self,
        verdict: &mut Verdict,
        wrong: &[usize],
        stall: Option<StallReport>,
    ) {
        let first = wrong[0];
        let first_in_file = wrong.iter().copied().min();
        let is_only_overdue = !self.is_wrong(stall.as_ref(), first);
        // Steps that are pending or never began follow from the others.
        let is_shown = |step: &usize| {
            self.is_completed(*step) && is_unexpected(self.scenario, self.trace, *step)
        };
        let mut further: Vec<usize> = wrong[1..].iter().copied().filter(is_shown).collect();
        further.retain(|step| Some(*step) != first_in_file);
        further.truncate(MAX_FURTHER);
        if let Some(step) = first_in_file.filter(|step| *step != first) {
            further.truncate(MAX_FURTHER - 1);
            further.push(step);
            further.sort_by_key(|step| wrong.iter().position(|other| other == step));
        }
        let mismatch = |step: &usize| self.mismatch(stall.as_ref(), *step);
        verdict.mismatch = Some(mismatch(&first));
        verdict.further_mismatches = further.iter().map(mismatch).collect();
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

/// Says ENVIRONMENT if something that the suite assumes of the system does not hold and this explains the failure.
fn attribute_to_environment(verdict: &mut Verdict, environment: &Environment, is_heavy: bool) {
    if verdict.status.is_expected() {
        return;
    }
    let mismatches = verdict.mismatch.iter().chain(&verdict.further_mismatches);
    let mismatch = mismatches.flat_map(|mismatch| {
        [Some(mismatch.got.as_str()), mismatch.detail.as_deref()].into_iter().flatten()
    });
    let texts = mismatch.chain(verdict.sentences().map(String::as_str));
    let explained = texts.into_iter().find_map(|text| environment.explains(text, is_heavy));
    let explanation = explained.map(|(fact, unmet)| format!("{}: {}", fact.name, unmet.means));
    if let Some(explanation) = explanation {
        verdict.status = Status::Environment;
        // What the adapter declares is right on other systems, so `--accept` must not change it.
        verdict.baseline_change = None;
        verdict.notes.retain(|note| note != UNLISTED_SKIP);
        verdict.explain(explanation);
    }
}

/// The last lines that the agents printed, as a note.
fn printed(observation: &Observation) -> Option<String> {
    const LINES: usize = 20;
    const WIDTH: usize = 160;
    let all: Vec<&str> = observation.printed.lines().collect();
    let shortened = |line: &&str| match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => (*line).to_owned(),
    };
    let last: Vec<String> = all[all.len().saturating_sub(LINES)..].iter().map(shortened).collect();
    (!last.is_empty()).then(|| format!("it printed:\n    {}", last.join("\n    ")))
}
