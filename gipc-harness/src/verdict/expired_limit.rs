//! Runs that prove nothing because a time limit expired first on a machine that is too slow for it.

use super::closest_trace::closest_trace;
use super::{Status, Verdict};
use crate::model::{self, SAFE_LIMIT_MS};
use crate::scenario::{Outcome, Verb};
use crate::trace::{Allowed, Observation};
use crate::variant::Job;
use std::iter;

/// Says SLOW if the run is right for an implementation that got too little processor time before its limits expired.
///
/// The model gives a step all the time that it needs, and takes a put that does not fit into its pipe to have begun its
/// message when its limit expires.
pub(super) fn excuse_expired_limits(verdict: &mut Verdict, job: &Job, observation: &Observation) {
    if !verdict.status.is_failure() {
        return;
    }
    let scenario = &job.scenario;
    let has_expired = |step: &usize| {
        let spec = &scenario.steps[*step];
        let outcome = match spec.verb {
            Verb::Join { .. } => &Outcome::Running,
            _ => &Outcome::Timeout,
        };
        let is_too_short =
            |limit| 0 < limit && limit < SAFE_LIMIT_MS && !spec.expected.contains(outcome);
        let is_put = matches!(spec.verb, Verb::Put { .. });
        spec.within_ms.is_some_and(|limit| is_put || is_too_short(limit))
            && observation.trace.steps[*step].is(outcome)
    };
    let expired: Vec<usize> = (0..scenario.steps.len()).filter(has_expired).collect();
    let is_explained = |steps: &[usize]| {
        let trace = model::predict_expired(scenario, job.choices, steps.iter().copied());
        closest_trace(scenario, &Allowed::one(trace), &observation.trace).1
    };
    let mut candidates = expired.chunks(1).chain(iter::once(expired.as_slice()));
    let Some(&[step, ..]) = candidates.find(|steps| !steps.is_empty() && is_explained(steps))
    else {
        return;
    };
    let spec = &scenario.steps[step];
    verdict.status = Status::Slow;
    let what = match spec.verb {
        Verb::Put { .. } => "had written anything",
        _ => "could complete its step",
    };
    verdict.explain(format!(
        "the limit of line {} expired before {} {what}, which happens on a busy machine: this proves nothing",
        spec.position.line, spec.task_id
    ));
}
