//! What happened in a run: the outcome of each step, its cause, and how each process ended.
//!
//! A trace looks the same whether it comes from an implementation or from the model.

use crate::scenario::{Disposition, Outcome, Scenario, Verb};
use ecow::{EcoString, EcoVec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

mod ownership;
mod schedule;
mod allowed;
mod cause;
mod blocked_on;
mod snapshot;
mod sequence_diagram;
mod observation;
mod occurrence;
mod stall_evidence;
mod census;
mod mismatch;

pub use allowed::{Allowed, Alternative, Race};
pub use blocked_on::blocked_on;
pub use cause::Causes;
pub use census::{Census, Censuses, HeldDescriptor, LimitTime, WrongTime};
pub use mismatch::{Mismatch, disagreement, is_unexpected};
pub use observation::{Observation, Unsupported};
pub use occurrence::{Leftover, Occurrence};
pub use ownership::{EndState, Ownership};
pub use schedule::{ExecutionMode, InjectionPoint, Moment, Release, Schedule};
pub use sequence_diagram::{sequence_diagram, sequence_diagram_of};
pub use snapshot::{outcome_text, snapshot_class_text, snapshot_text};
pub use stall_evidence::{
    BlockedIn, EvidenceTier, FdHolder, FillLevel, GhostInput, SignalView, StallEvidence,
};

/// What happened in one run, or what must happen according to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trace {
    /// The state of each step of the scenario, in file order.
    pub steps: Vec<StepState>,
    /// How each process ended, by its name. A process that was never started is missing.
    pub exits: BTreeMap<String, ProcessExit>,
    /// The number of handles that each process still had after its last step, if handles can be counted.
    pub remaining_handles: BTreeMap<String, u64>,
    /// Rules that the run broke without an effect on any outcome, one sentence each.
    pub violations: Vec<String>,
}

/// How far a step has got.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepState {
    /// The step did not begin.
    NotStarted,
    /// The step began and did not return.
    Pending,
    /// The step returned.
    Completed {
        /// What it returned.
        outcome: Outcome,
        /// The step that sent the message, if the outcome is a message and its sender is known.
        from: Option<usize>,
        /// The error text of the implementation. It is shown but never compared.
        detail: Option<Box<str>>,
    },
}

impl StepState {
    /// A step that returned this outcome, without a message from another step.
    #[must_use]
    pub fn completed(outcome: Outcome) -> Self {
        Self::Completed { outcome, from: None, detail: None }
    }

    /// Whether the step returned this outcome.
    pub fn is(&self, expected: &Outcome) -> bool {
        matches!(self, Self::Completed { outcome, .. } if outcome == expected)
    }

    /// Whether this outcome allows the state. A pending step satisfies `blocks`, whatever it waits for. A step that did not
    /// begin satisfies `never`.
    #[must_use]
    pub fn satisfies(&self, allowed: &Outcome) -> bool {
        match (self, allowed) {
            (Self::NotStarted, Outcome::Never) | (Self::Pending, Outcome::Blocks(_)) => true,
            _ => self.is(allowed),
        }
    }

    /// The state as an outcome: `never`, `blocks` without the awaited processes, or the returned outcome.
    #[must_use]
    pub fn as_outcome(&self) -> Outcome {
        match self {
            Self::NotStarted => Outcome::Never,
            Self::Pending => Outcome::Blocks(EcoVec::new()),
            Self::Completed { outcome, .. } => outcome.clone(),
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProcessExit {
    /// The process returned or exited with this code.
    Code(i32),
    /// This signal terminated the process; the name includes `SIG`.
    Signal(EcoString),
    /// The entry function failed. The exit code depends on the language.
    Failed,
    /// The process ended, and the system did not show how.
    Unseen,
    /// The process still ran when the run was over.
    Running,
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Failed => f.write_str("raised"),
            Self::Unseen => f.write_str("ended, status unseen"),
            Self::Running => f.write_str("blocked"),
        }
    }
}

impl Trace {
    /// Whether a process has not ended, as far as the trace shows. A process that the trace does not contain counts as
    /// running.
    #[must_use]
    pub fn runs(&self, process: &str) -> bool {
        matches!(self.exits.get(process), None | Some(ProcessExit::Running))
    }

    /// The last disposition that a process has set for a signal, and the line of the step.
    pub(crate) fn disposition(
        &self,
        scenario: &Scenario,
        process: &str,
        signal: &str,
    ) -> Option<(Disposition, usize)> {
        let steps = scenario.steps.iter().zip(&self.steps);
        let own =
            steps.filter(|(step, state)| step.task_id.process == process && state.is(&Outcome::Ok));
        let mut disposed = own.filter_map(|(step, _)| match &step.verb {
            Verb::Dispose { to, signal: disposed } if disposed == signal => {
                Some((*to, step.position.line))
            }
            _ => None,
        });
        disposed.next_back()
    }
}
