//! The judge: makes a verdict from a job and an observation, in stages.
//!
//! First it judges the run itself: whether the implementation could be asked, whether a step has a wrong outcome, whether
//! the trace as a whole is allowed, whether something leaked, and whether each time limit expired when it should. No other
//! time is judged. Then it applies the baseline of the adapter, and then the environment.

use super::baseline::UNLISTED_SKIP;
use super::causal_order::Moments;
use super::comparison::{fill_unobservable, handle_leaks, has_unended_process, leaks, wrong_limit};
use super::difference::Differences;
use super::expired_limit::excuse_expired_limits;
use super::wrong_steps::Run;
use super::{Baseline, Status, Verdict, closest_trace, signal_end};
use crate::deadlock::{self, StallKind};
use crate::environment::Environment;
use crate::scenario::Scenario;
use crate::trace::{
    Mismatch, Observation, StepState, Trace, is_unexpected, snapshot_class_text, snapshot_text,
};
use crate::variant::Job;

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
    let follows_file = job.follows_file;
    let run = Run { scenario, allowed, observation, predicted, trace: &trace, follows_file };
    let is_foreign = job.is_foreign;
    let differences = Differences { scenario, observation, predicted, trace: &trace, is_foreign };
    let stall = deadlock::explain(scenario, observation);
    let wrong = run.wrong_steps(stall.as_ref());
    if !wrong.is_empty() {
        run.report_mismatches(&mut verdict, &wrong, stall);
        verdict.notes.extend(run.start_needs(wrong[0], job.choices.start_needs));
        verdict.notes.extend(refusal(scenario, observation));
        verdict.notes.extend(signal_end::sentences(scenario, observation, predicted));
        verdict.add_differences(differences.refused_processes().chain(differences.violations()));
        if follows_file {
            verdict.notes.push(
                "`check` refuses this file: the model does not agree with all of its outcomes"
                    .into(),
            );
        }
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
