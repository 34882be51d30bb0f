//! The judge: from a job and an observation to a verdict, in stages.
//!
//! First the run itself: whether it could be asked, whether a step has a wrong outcome, whether the trace as a whole is
//! allowed, whether something leaked. Then the baseline of the adapter. Then the environment. Times are never judged.

use super::comparison::{differences, fill_unobservable, handle_leaks, has_unended_process};
use super::{Baseline, Status, Verdict, closest_trace};
use crate::deadlock::{self, StallKind, StallReport};
use crate::environment::Environment;
use crate::scenario::{Outcome, Scenario};
use crate::trace::{
    Allowed, Mismatch, Observation, StepState, Trace, is_unexpected, snapshot_class_text,
    snapshot_text,
};
use crate::variant::Job;
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
    let mut verdict = judge_run(&job.scenario, &job.allowed, observation);
    baseline.match_known_failure(&mut verdict, &job.scenario);
    if !verdict.status.is_expected() {
        verdict.notes.extend(printed(observation));
    }
    Baseline::apply_exemption(&mut verdict, job.exemption.as_ref());
    baseline.enforce_profiles(&mut verdict, &job.scenario, observation);
    // A fault that is injected may prevent that a step is asked which the implementation lacks.
    if job.variant.is_default() {
        baseline.enforce_skip_list(&mut verdict, &job.scenario.id);
    }
    attribute_to_environment(&mut verdict, environment);
    verdict
}

/// Judges the run alone.
fn judge_run(scenario: &Scenario, allowed: &Allowed, observation: &Observation) -> Verdict {
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
        return verdict;
    }
    if let Some(unsupported) = &observation.unsupported {
        let run = Run { scenario, allowed, observation, predicted, trace: &trace };
        // What an agent refuses may only follow from an earlier step that failed, such as a spawn.
        if let Some(first) = run.first_wrong_completed() {
            run.report_mismatch(&mut verdict, first, false, None);
            return verdict;
        }
        verdict.status = Status::Skip;
        let step = unsupported.step.and_then(|step| scenario.steps.get(step));
        verdict.reason = Some(match step {
            Some(step) => format!("{}: {}", step.what(), unsupported.reason),
            None => unsupported.reason.clone(),
        });
        return verdict;
    }
    if !allowed.complete {
        verdict.status = Status::Unknown;
        let found = if agrees { "this is one of" } else { "this is none of" };
        verdict.reason = Some(format!(
            "more can come of it than the model can enumerate; {found} the {} that it found",
            allowed.traces.len()
        ));
        return verdict;
    }
    let run = Run { scenario, allowed, observation, predicted, trace: &trace };
    let stall = deadlock::explain(scenario, observation);
    let wrong = run.first_wrong(stall.as_ref());
    let overdue = run.first_overdue();
    let first = [wrong, overdue].into_iter().flatten().min();
    if let Some(first) = first {
        let is_only_overdue = overdue == Some(first) && wrong != Some(first);
        run.report_mismatch(&mut verdict, first, is_only_overdue, stall);
        if overdue.is_some() && wrong.is_none() && verdict.status != Status::Slow {
            verdict
                .notes
                .push("it came all the same, but only after later steps had let it go".into());
        }
    } else if !(agrees && allowed.traces.len() > 1) && verdict.trace_text != verdict.model_text {
        verdict.status = Status::Fail;
        if has_unended_process(predicted, &trace) {
            verdict.status = match stall.as_ref().map(|stall| stall.kind) {
                Some(StallKind::Slow) => Status::Slow,
                Some(_) => Status::Hang,
                None => Status::Fail,
            };
            verdict.stall = stall;
        }
        verdict.notes.extend(differences(scenario, predicted, &trace));
    } else {
        verdict.notes = handle_leaks(predicted, &trace);
        if !verdict.notes.is_empty() {
            verdict.status = Status::Fail;
        }
    }
    verdict
}

/// A run beside the closest prediction.
struct Run<'a> {
    scenario: &'a Scenario,
    allowed: &'a Allowed,
    observation: &'a Observation,
    predicted: &'a Trace,
    trace: &'a Trace,
}

impl Run<'_> {
    /// The first step whose outcome the file or the model does not allow.
    fn first_wrong(&self, stall: Option<&StallReport>) -> Option<usize> {
        (0..self.scenario.steps.len()).find(|step| {
            is_unexpected(self.scenario, self.trace, *step)
                || !closest_trace::same(
                    self.scenario,
                    self.allowed,
                    self.predicted,
                    self.trace,
                    *step,
                )
                || self.real_blockers(stall, *step).is_some()
        })
    }

    /// The first step that completed with an outcome that the file does not allow.
    fn first_wrong_completed(&self) -> Option<usize> {
        (0..self.scenario.steps.len()).find(|step| {
            matches!(self.trace.steps[*step], StepState::Completed { .. })
                && is_unexpected(self.scenario, self.trace, *step)
        })
    }

    /// The first step that had not completed when it should have. Where the run took another course than that of the file,
    /// the schedule waited for what was not due.
    fn first_overdue(&self) -> Option<usize> {
        let stall = self.observation.stall.as_ref();
        let stall = stall.filter(|_| self.predicted == self.allowed.in_file_order());
        stall.and_then(|stall| stall.overdue.first().copied())
    }

    /// The processes that a step really waits for, if the file names others (`blocks on WHO`). The kernel may show holders
    /// of a pipe end that should not hold it.
    fn real_blockers(&self, stall: Option<&StallReport>, step: usize) -> Option<Vec<String>> {
        let mut named =
            self.scenario.steps[step].expected.iter().filter_map(|outcome| match outcome {
                Outcome::Blocks(on) if !on.is_empty() => Some(on.iter().collect::<BTreeSet<_>>()),
                _ => None,
            });
        let wait = stall?.waits.iter().find(|wait| wait.step == step)?;
        let real: BTreeSet<&String> = wait.on.iter().collect();
        let mut named = named.by_ref().peekable();
        let differs = named.peek().is_some() && named.all(|named| named != real);
        (differs && !wait.on.is_empty()).then(|| wait.on.clone())
    }

    fn report_mismatch(
        &self,
        verdict: &mut Verdict,
        first: usize,
        is_only_overdue: bool,
        stall: Option<StallReport>,
    ) {
        let mismatch = |step: usize| Mismatch::new(self.scenario, self.predicted, self.trace, step);
        let is_completed =
            |step: &usize| matches!(self.trace.steps[*step], StepState::Completed { .. });
        let mut at_first = mismatch(first);
        if !is_unexpected(self.scenario, self.trace, first) {
            if let Some(on) = self.real_blockers(stall.as_ref(), first) {
                let written = self.scenario.steps[first].expected.iter().map(Outcome::to_string);
                at_first.expected = written.collect::<Vec<_>>().join(" or ");
                at_first.got = format!("blocks on {}", on.join(", "));
            }
        }
        verdict.mismatch = Some(at_first);
        let later = (first + 1..self.scenario.steps.len())
            .filter(|step| is_completed(step) && is_unexpected(self.scenario, self.trace, *step));
        verdict.further_mismatches = later.take(MAX_FURTHER).map(mismatch).collect();
        let is_pending = self.trace.steps[first] == StepState::Pending;
        // A first wrong step that completed is a failure, however late it completed. A pending one is what its stall is.
        // One that is only overdue is slow if there is no evidence that it stalled.
        verdict.status = match stall.as_ref().map(|stall| stall.kind) {
            Some(StallKind::Deadlock) if is_pending => Status::Deadlock,
            Some(StallKind::Hang) if is_pending => Status::Hang,
            Some(StallKind::Slow) if is_pending || is_only_overdue => Status::Slow,
            _ => Status::Fail,
        };
        verdict.stall = stall;
        let model_stalls = is_unexpected(self.scenario, self.predicted, first)
            && self.predicted.steps[first] == StepState::Pending;
        if model_stalls && is_pending {
            verdict.notes.push(
                "The model stands still here too, with every handle where it should be: no implementation can do what is written.".into(),
            );
        }
    }
}

/// Says ENVIRONMENT where something that the suite assumes of the system does not hold, and explains the failure.
fn attribute_to_environment(verdict: &mut Verdict, environment: &Environment) {
    if verdict.status.is_expected() {
        return;
    }
    let mismatches = verdict.mismatch.iter().chain(&verdict.further_mismatches);
    let mismatch = mismatches.flat_map(|mismatch| {
        [Some(mismatch.got.as_str()), mismatch.detail.as_deref()].into_iter().flatten()
    });
    let texts = mismatch.chain(verdict.sentences().map(String::as_str));
    let explained = texts.into_iter().find_map(|text| environment.explains(text));
    let explanation = explained.and_then(|fact| {
        fact.unmet.as_ref().map(|unmet| format!("{}: {}", fact.name, unmet.means))
    });
    if let Some(explanation) = explanation {
        verdict.status = Status::Environment;
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
