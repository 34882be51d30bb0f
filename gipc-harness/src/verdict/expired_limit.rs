//! Excuses runs that prove nothing because a time limit expired first on a machine that is too slow for it.

use super::closest_trace::closest_trace;
use super::{Status, Verdict};
use crate::model::{self, SAFE_LIMIT_MS};
use crate::scenario::{Outcome, Verb};
use crate::trace::{Allowed, Observation};
use crate::variant::Job;
use std::iter;

/// Says SLOW if the run is right for an implementation that got too little processor time before its limits expired.
///
/// The model gives a step all the time that it needs. It assumes that a put that does not fit into its pipe has begun its
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
        let is_too_short = |limit: u32| {
            0 < limit && u64::from(limit) < SAFE_LIMIT_MS && !spec.expected.contains(outcome)
        };
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

#[cfg(test)]
mod tests {
    use crate::model::{Choices, predict, predict_expired};
    use crate::scenario::Outcome;
    use crate::trace::StepState;
    use crate::verdict::Status;
    use crate::verdict::tests::{job, judged};

    /// On a busy machine the limit may expire before the process of the put gets the processor.
    #[test]
    fn a_put_whose_limit_expires_before_its_first_byte_proves_nothing() {
        let text = "main        pipe r w\n\
                    main        put w 2MiB within 100ms     => timeout\n\
                    main/reader get r                       => 2MiB\n\
                    main        put w \"next\"\n";
        let job = job(text);
        assert_eq!(judged(&job, predict(&job.scenario, Choices::default())).status, Status::Pass);
        let unsent = predict_expired(&job.scenario, Choices::default(), [1]);
        let verdict = judged(&job, unsent.clone());
        assert_eq!(verdict.status, Status::Slow, "{verdict:?}");
        let mut torn = unsent;
        torn.steps[2] = StepState::completed(Outcome::Truncated);
        assert_eq!(judged(&job, torn).status, Status::Fail);
    }

    /// A message of 2 MiB takes longer than a millisecond if other processes use the processor.
    #[test]
    fn a_short_limit_that_expires_before_the_step_could_complete_proves_nothing() {
        let text = |limit: u64| {
            format!(
                "main        pipe r w\nmain        spawn child w\nchild       put w 2MiB\n\
                 main        get r within {limit}ms             => 2MiB\n\
                 main        join child                  => exit 0\n"
            )
        };
        let short = job(&text(1));
        let expired = predict_expired(&short.scenario, Choices::default(), [3]);
        assert!(expired.steps[3].is(&Outcome::Timeout) && expired.steps[2] == StepState::Pending);
        assert_eq!(judged(&short, expired.clone()).status, Status::Slow);
        let mut lost = expired.clone();
        lost.steps[2] = StepState::completed(Outcome::Ok);
        assert!(
            judged(&short, lost).status.is_failure(),
            "the message was not read, so the put waits"
        );
        assert!(judged(&job(&text(10_000)), expired.clone()).status.is_failure());
        assert!(judged(&job(&text(0)), expired).status.is_failure(), "a limit of zero is a look");
    }

    /// A join whose limit expires returns that the child is running rather than a timeout.
    #[test]
    fn a_short_limit_of_a_join_that_expires_before_the_child_could_end_proves_nothing() {
        let job = job("main        spawn child\n\
                       main        join child within 5ms       => exit 0\n");
        let mut expired = predict_expired(&job.scenario, Choices::default(), [1]);
        assert!(expired.steps[1].is(&Outcome::Running));
        assert_eq!(judged(&job, expired.clone()).status, Status::Slow);
        expired.steps[1] = StepState::completed(Outcome::Exit(1));
        assert_eq!(judged(&job, expired).status, Status::Fail);
    }
}
