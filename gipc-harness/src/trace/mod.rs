//! What did happen: each step with its outcome and its cause, and how each process ended.
//!
//! Does not know whether the events came from an implementation or from the model.

use crate::scenario::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod owners;
mod plan;
mod cause;
mod canonical;
mod lanes;
mod observed;

pub use canonical::{canonical, class, outcome_text};
pub use cause::Causes;
pub use lanes::lanes;
pub use observed::{Held, Lacking, Observed, Stop, Tier};
pub use owners::{Last, Owners, PipeEnd};
pub use plan::{Allowed, Course, Moment, Plan, Release, Strike};

/// All that happened in one run, or all that the model says must happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trace {
    /// One entry for each step of the scenario, in its order.
    pub steps: Vec<Taken>,
    /// How each process ended, by its name. A process that never came is not here.
    pub ends: BTreeMap<String, End>,
    /// How many handles each process had left when its lines were done, where that can be counted.
    pub left: BTreeMap<String, u64>,
    /// Rules that the run broke and that no outcome shows, a sentence each.
    pub violations: Vec<String>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Taken {
    /// It never began.
    Never,
    /// It began and did not end.
    Open,
    /// It ended.
    Ended {
        /// With this.
        outcome: Outcome,
        /// For a message: the step that put it, if one did.
        from: Option<usize>,
        /// The implementation's own words. Shown, never compared.
        detail: Option<String>,
    },
}

impl Taken {
    /// Whether it ended with this outcome.
    pub fn is(&self, wanted: &Outcome) -> bool {
        matches!(self, Self::Ended { outcome, .. } if outcome == wanted)
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// It returned, or called exit.
    Exit(i32),
    /// A signal ended it; the name with its SIG.
    Signal(String),
    /// Its entry failed; with which code is the language's own.
    Failed,
    /// It ended, and the system did not show how.
    Unseen,
    /// It was still there when the run was over.
    Running,
}
