//! What a run leaves for the judge: its trace, and what was seen where it stopped.
//!
//! Data only; no times, and nothing that could act.

use super::{StepState, Trace};
use crate::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// What happened.
    pub trace: Trace,
    /// Where it stopped moving, if it did; the first place, with what was seen there.
    pub stop: Option<StallEvidence>,
    /// It could not be asked: the implementation has no such thing, or the system does not show it.
    pub unsupported: Option<Unsupported>,
    /// The adapter broke a rule, or did not come: the trace says nothing about the implementation.
    pub fault: Option<String>,
    /// Everything, with times and pids: lines for `record.jsonl`.
    #[serde(skip)]
    pub record: Vec<String>,
    /// What the agents printed.
    pub printed: String,
}

impl Observation {
    /// A run of which nothing is known but its trace: the model's, for instance.
    #[must_use]
    pub fn of(trace: Trace) -> Self {
        let (record, printed) = (Vec::new(), String::new());
        Self { trace, stop: None, unsupported: None, fault: None, record, printed }
    }

    /// What the harness itself could not perform.
    #[must_use]
    pub fn unperformed(scenario: &Scenario, fault: String) -> Self {
        let steps = vec![StepState::NotStarted; scenario.steps.len()];
        Self { fault: Some(fault), ..Self::of(Trace { steps, ..Trace::default() }) }
    }

    /// Whether every step that it speaks of is one of this scenario; what was read from a file may be of another.
    #[must_use]
    pub fn is_of(&self, scenario: &Scenario) -> bool {
        let steps = scenario.steps.len();
        let whole = |trace: &Trace| {
            let known = |taken: &StepState| match taken {
                StepState::Completed { from: Some(from), .. } => *from < steps,
                _ => true,
            };
            trace.steps.len() == steps && trace.steps.iter().all(known)
        };
        let lacking = self.unsupported.as_ref().and_then(|lacking| lacking.step);
        whole(&self.trace)
            && lacking.is_none_or(|step| step < steps)
            && self.stop.as_ref().is_none_or(|stop| {
                whole(&stop.then) && stop.late.iter().chain(&stop.cured).all(|step| *step < steps)
            })
    }
}

/// Why it could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// The step of which an agent said so; none if it was the harness.
    pub step: Option<usize>,
    /// In words.
    pub reason: String,
}

/// What was seen when nothing moved any more.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StallEvidence {
    /// What had happened until then; later steps may have let it go on.
    pub then: Trace,
    /// What proves that nothing moves.
    pub tier: EvidenceTier,
    /// The steps that should have ended and had not.
    pub late: Vec<usize>,
    /// Who really held which end of which pipe; empty where the system does not show it.
    pub held: Vec<FdHolder>,
    /// The ends of which `held` tells all; where a handle is no pipe, the system does not show who holds it.
    #[serde(default)]
    pub known: BTreeSet<String>,
    /// How many bytes wait in each pipe that somebody can read and somebody can write, by its end that gets; where the
    /// system shows it.
    #[serde(default)]
    pub bytes: BTreeMap<String, u64>,
    /// What each process slept in: `read(fd 5)`, `epoll`.
    pub calls: BTreeMap<String, String>,
    /// Whether the loop of each process still turned: it answered when asked, after the run had stopped.
    pub turns: BTreeMap<String, bool>,
    /// Who could still move by himself, and how one knows: `a timer is set, in epoll`.
    #[serde(default)]
    pub moving: BTreeMap<String, String>,
    /// Steps that ended only because the loop was asked: a wake-up had been lost.
    pub cured: Vec<usize>,
}

/// The kind of evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvidenceTier {
    /// Every thread of every process slept through one instant, without a timer.
    #[default]
    Kernel,
    /// The same of those who wait; others moved, and none of those could let one of them go on.
    Part,
    /// Every loop turned, twice, and nothing came of it.
    Turns,
    /// Time went by. Proves nothing.
    Patience,
}

impl EvidenceTier {
    /// The evidence in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Kernel => "every thread of every process sleeps, and no timer is set",
            Self::Part => {
                "every thread of theirs sleeps, without a timer, and nobody else could let one of them go on"
            }
            Self::Turns => "every loop has turned twice, and nothing came of it",
            Self::Patience => "time went by; this proves nothing",
        }
    }
}

/// One end of a pipe in one process, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FdHolder {
    /// The end: `w`, `near.r`.
    pub end: String,
    /// The process.
    pub process: String,
    /// Its descriptor.
    pub descriptor: i32,
}
