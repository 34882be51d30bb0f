//! One scenario, many executions: stepwise in some order, concurrent, or with a fault that is injected.
//!
//! A variant is data. [`Edits`] hold what it changes in the scenario; the scenario of the file stays as it is. The model
//! says which outcomes each may have. Nothing is executed here.

mod choices;
mod concurrency;
mod edits;
mod fd_exhaustion;
mod job;
mod selection;

pub use choices::{ChoiceExemption, declared_choices};
pub use concurrency::can_run_concurrently;
pub use edits::Edits;
pub use job::{Job, JobSet};
pub use selection::{InjectionSelector, OrderOption, VariantRequest};

use crate::model::ReleaseOrder;
use crate::scenario::{Scenario, TaskId};
use crate::trace::InjectionPoint;
use serde::{Deserialize, Serialize};

/// One way to execute a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// One step at a time.
    Stepwise(Order),
    /// Each task gets all of its steps at once.
    Concurrent,
    /// Stepwise, and a process is killed at a point.
    Kill {
        /// The process.
        role: String,
        /// Which of its points this is, counted from 1.
        number: usize,
        /// The point.
        at: InjectionPoint,
    },
    /// Stepwise, and a process is stopped and continued at a point.
    Pause {
        /// The process.
        role: String,
        /// Which of its points this is, counted from 1.
        number: usize,
        /// The point.
        at: InjectionPoint,
    },
    /// Stepwise, and a process has no free descriptor for a pipe, duplex or child.
    ExhaustFds {
        /// The process.
        role: String,
        /// Which of its attempts fails, counted from 1.
        number: usize,
        /// The step that makes the pipe, duplex or child.
        step: usize,
    },
}

/// An order of releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The order of the file, or that of its `# order:` line.
    File,
    /// A random order with this seed.
    Random(u64),
    /// The order of these tasks, one after the other.
    Tasks(Vec<TaskId>),
}

impl Order {
    /// The same order in the terms of the model.
    pub(crate) fn release_order(&self, scenario: &Scenario) -> ReleaseOrder {
        match self {
            Self::File => scenario
                .order()
                .and_then(Result::ok)
                .map_or(ReleaseOrder::File, ReleaseOrder::Given),
            Self::Random(seed) => ReleaseOrder::Random(*seed),
            Self::Tasks(tasks) => ReleaseOrder::Given(tasks.clone()),
        }
    }
}

impl Default for Variant {
    fn default() -> Self {
        Self::Stepwise(Order::File)
    }
}

impl Variant {
    /// Whether this executes the scenario as its file describes it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The flags of `run` that execute this variant; empty for the default.
    #[must_use]
    pub fn flags(&self) -> String {
        match self {
            Self::Stepwise(Order::File) => String::new(),
            Self::Stepwise(Order::Random(seed)) => format!("--order random:{seed}"),
            Self::Stepwise(Order::Tasks(_)) => "--order all".into(),
            Self::Concurrent => "--concurrent".into(),
            Self::Kill { role, number, .. } => format!("--kill {role}@{number}"),
            Self::Pause { role, number, .. } => format!("--pause {role}@{number}"),
            Self::ExhaustFds { role, number, .. } => format!("--exhaust-fds {role}@{number}"),
        }
    }
}
