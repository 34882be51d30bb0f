//! What did happen: each step with its outcome and its cause, and how each process ended.
//!
//! Does not know whether the events came from an implementation or from the model.

use crate::scenario::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod ownership;
mod schedule;
mod cause;
mod snapshot;
mod sequence_diagram;
mod observation;
mod stall_evidence;
mod mismatch;
mod blocked_on;

pub use blocked_on::blocked_on;
pub use cause::Causes;
pub use mismatch::{Mismatch, disagreement, is_unexpected};
pub use observation::{Observation, Unsupported};
pub use ownership::{EndState, Ownership};
pub use schedule::{Allowed, ExecutionMode, InjectionPoint, Moment, Release, Schedule};
pub use sequence_diagram::sequence_diagram;
pub use snapshot::{outcome_text, snapshot_class_text, snapshot_text};
pub use stall_evidence::{BlockedIn, EvidenceTier, FdHolder, FillLevel, StallEvidence};

/// All that happened in one run, or all that the model says must happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trace {
    /// One entry for each step of the scenario, in its order.
    pub steps: Vec<StepState>,
    /// How each process ended, by its name. A process that never came is not here.
    pub exits: BTreeMap<String, ProcessExit>,
    /// How many handles each process had left when its lines were done, where that can be counted.
    pub remaining_handles: BTreeMap<String, u64>,
    /// Rules that the run broke and that no outcome shows, a sentence each.
    pub violations: Vec<String>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepState {
    /// It never began.
    NotStarted,
    /// It began and did not end.
    Pending,
    /// It ended.
    Completed {
        /// With this.
        outcome: Outcome,
        /// For a message: the step that put it, if one did.
        from: Option<usize>,
        /// The implementation's own words. Shown, never compared.
        detail: Option<String>,
    },
}

impl StepState {
    /// Whether it ended with this outcome.
    pub fn is(&self, wanted: &Outcome) -> bool {
        matches!(self, Self::Completed { outcome, .. } if outcome == wanted)
    }

    /// Whether an allowed outcome covers this state. Which processes a step blocks on is compared elsewhere.
    #[must_use]
    pub fn satisfies(&self, allowed: &Outcome) -> bool {
        match (self, allowed) {
            (Self::Pending, Outcome::Blocks(_)) | (Self::NotStarted, Outcome::Never) => true,
            (Self::Completed { outcome, .. }, allowed) => outcome == allowed,
            _ => false,
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProcessExit {
    /// It returned, or called exit.
    Code(i32),
    /// A signal ended it; the name with its SIG.
    Signal(String),
    /// Its entry failed; with which code is the language's own.
    Failed,
    /// It ended, and the system did not show how.
    Unseen,
    /// It was still there when the run was over.
    Running,
}
