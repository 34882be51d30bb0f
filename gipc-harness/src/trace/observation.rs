//! What a run leaves for the judge: its trace, the evidence for a stall, and why it could not be judged.
//!
//! It is only data, without times.

use super::{
    Censuses, HeldDescriptor, Leftover, LimitTime, Occurrence, StallEvidence, StepState, Trace,
};
use crate::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of executing a scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// What happened.
    pub trace: Trace,
    /// The first stall, if the run stopped moving before its end.
    pub stall: Option<StallEvidence>,
    /// Set if the run could not be completed: the implementation lacks a feature, or the system does not allow an
    /// observation.
    pub unsupported: Option<Unsupported>,
    /// Set if the adapter broke the protocol or did not connect, so that the trace says nothing about the implementation.
    pub fault: Option<String>,
    /// What each process held at its end and should not have held, by name. Processes that held no such thing may be
    /// missing.
    #[serde(default)]
    pub censuses: Censuses,
    /// How long the steps with a time limit took.
    #[serde(default)]
    pub limit_times: Vec<LimitTime>,
    /// What the processes of the run wrote to stdout and stderr.
    pub printed: String,
    /// What happened, in order. Empty for a trace of the model.
    #[serde(default)]
    pub history: Vec<Occurrence>,
    /// The process id of each process that connected.
    #[serde(default)]
    pub pids: BTreeMap<String, i32>,
    /// The processes that were left when the run was over, as far as the trace reports them.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

impl Observation {
    /// An observation that consists of a trace alone, for example one that the model predicts.
    #[must_use]
    pub fn of(trace: Trace) -> Self {
        Self {
            trace,
            stall: None,
            unsupported: None,
            fault: None,
            censuses: Censuses::new(),
            limit_times: Vec::new(),
            printed: String::new(),
            history: Vec::new(),
            pids: BTreeMap::new(),
            leftovers: Vec::new(),
        }
    }

    /// An observation in which no step began, because the harness itself failed.
    #[must_use]
    pub fn unperformed(scenario: &Scenario, fault: String) -> Self {
        let steps = vec![StepState::NotStarted; scenario.steps.len()];
        Self { fault: Some(fault), ..Self::of(Trace { steps, ..Trace::default() }) }
    }

    /// An observation in which no step began, because the implementation lacks what `step` needs.
    #[must_use]
    pub fn not_asked(scenario: &Scenario, step: usize, reason: String) -> Self {
        let steps = vec![StepState::NotStarted; scenario.steps.len()];
        let unsupported = Some(Unsupported { step: Some(step), reason });
        Self { unsupported, ..Self::of(Trace { steps, ..Trace::default() }) }
    }

    /// Whether every step and pipe in it exists in this scenario. An observation that was read from a file may belong to
    /// another scenario.
    #[must_use]
    pub fn is_of(&self, scenario: &Scenario) -> bool {
        let (steps, pipes) = (scenario.steps.len(), scenario.handles.pipe_count());
        let matches_scenario = |trace: &Trace| {
            let is_source_known = |state: &StepState| match state {
                StepState::Completed { from: Some(from), .. } => *from < steps,
                _ => true,
            };
            trace.steps.len() == steps && trace.steps.iter().all(is_source_known)
        };
        let is_end_known = |held: &HeldDescriptor| held.end.is_none_or(|end| end.pipe < pipes);
        let unsupported_step = self.unsupported.as_ref().and_then(|unsupported| unsupported.step);
        matches_scenario(&self.trace)
            && unsupported_step.is_none_or(|step| step < steps)
            && self.limit_times.iter().all(|time| time.step < steps)
            && self.censuses.values().flat_map(|census| &census.descriptors).all(is_end_known)
            && self.history.iter().filter_map(Occurrence::step).all(|step| step < steps)
            && self
                .stall
                .as_ref()
                .is_none_or(|stall| matches_scenario(&stall.trace) && stall.fits(steps, pipes))
    }
}

/// Why a run could not be completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// The step that an agent refused; `None` if the harness itself could not go on.
    pub step: Option<usize>,
    /// The reason, as part of a sentence.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Outcome, PipeEnd, parse};
    use crate::trace::{Census, EvidenceTier, FdHolder};

    /// An observation that names this step or this pipe in the place that `part` says.
    fn naming(part: &str, step: usize, pipe: usize) -> Observation {
        let from = (part == "from").then_some(step);
        let outcome = Outcome::Ok;
        let state = StepState::Completed { outcome, from, detail: None };
        let trace = Trace { steps: vec![state; 2], ..Trace::default() };
        let mut seen = Observation::of(trace.clone());
        let mut stall = StallEvidence { tier: EvidenceTier::Kernel, trace, ..Default::default() };
        let end = PipeEnd::reader(pipe);
        match part {
            "unsupported" => {
                seen.unsupported = Some(Unsupported { step: Some(step), reason: String::new() });
            }
            "limit" => {
                seen.limit_times.push(LimitTime { step, at_most_us: None, asleep_us: 0 });
            }
            "history" => seen.history.push(Occurrence::Completed(step)),
            "census" => {
                let held = HeldDescriptor { number: 7, what: String::new(), end: Some(end) };
                let census = Census { descriptors: vec![held], ..Census::default() };
                seen.censuses.insert("main".into(), census);
            }
            "overdue" => stall.overdue.push(step),
            "woken" => stall.woken_by_ping.push(step),
            "known" => {
                stall.fully_known_ends.insert(end);
            }
            "holder" => {
                stall.holders.push(FdHolder { end, process: "main".into(), descriptor: 7 });
            }
            _ => {}
        }
        let is_stalled = ["overdue", "woken", "known", "holder"].contains(&part);
        seen.stall = is_stalled.then_some(stall);
        seen
    }

    #[test]
    fn an_observation_names_only_steps_and_pipes_of_its_scenario() {
        let text = "main        pipe r w\nmain        count handles => 2\n";
        let scenario = parse("it", text).expect("the lines are a scenario");
        for part in ["nothing", "from", "unsupported", "limit", "history", "overdue", "woken"] {
            for step in 0..4 {
                let fits = step < 2 || part == "nothing";
                assert_eq!(naming(part, step, 0).is_of(&scenario), fits, "{part} {step}");
            }
        }
        for part in ["census", "known", "holder"] {
            for pipe in 0..3 {
                assert_eq!(naming(part, 0, pipe).is_of(&scenario), pipe < 1, "{part} {pipe}");
            }
        }
        let mut longer = naming("overdue", 0, 0);
        longer.trace.steps.push(StepState::Pending);
        assert!(!longer.is_of(&scenario), "it has more steps");
        let mut stalled = naming("overdue", 0, 0);
        stalled.stall.as_mut().expect("it stalled").trace.steps.pop();
        assert!(!stalled.is_of(&scenario), "its stall has fewer steps");
    }
}
