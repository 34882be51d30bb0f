//! Runs that prove nothing because a process got no processor time before a time limit of its own expired.

use super::closest_trace::closest_trace;
use super::{Status, Verdict};
use crate::model;
use crate::scenario::{Outcome, Verb};
use crate::trace::{Allowed, Observation};
use crate::variant::Job;

/// Says SLOW where the run is right if the limit of a put expired before the put had written anything. The model takes a
/// put that does not fit into its pipe to have begun its message when its limit expires.
pub(super) fn excuse_unsent_put(verdict: &mut Verdict, job: &Job, observation: &Observation) {
    if !verdict.status.is_failure() {
        return;
    }
    let scenario = &job.scenario;
    let timed_out = |step: &usize| {
        let spec = &scenario.steps[*step];
        matches!(spec.verb, Verb::Put { .. })
            && spec.within_ms.is_some()
            && observation.trace.steps[*step].is(&Outcome::Timeout)
    };
    let is_explained = |put: &usize| {
        let allowed = Allowed::one(model::predict_unsent(scenario, job.choices, *put));
        closest_trace(scenario, &allowed, &observation.trace).1
    };
    let mut puts = (0..scenario.steps.len()).filter(timed_out);
    let Some(put) = puts.find(is_explained) else { return };
    let spec = &scenario.steps[put];
    verdict.status = Status::Slow;
    verdict.explain(format!(
        "the limit of line {} expired before {} had written anything, which happens if it gets no processor time: this proves nothing",
        spec.position.line, spec.task_id
    ));
}
