//! One step of a scenario, and the task that performs it.

use super::{Indices, Outcome, Profile, SourcePosition, Verb};
use ecow::EcoString;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The outcomes that a step may have. Nearly all steps have one, which is stored inline.
pub type Outcomes = SmallVec<[Outcome; 1]>;

/// One step of one process or task, with concrete names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The position in the file. All repetitions of an `each` line have the same position.
    pub position: Arc<SourcePosition>,
    /// The process or task that performs the step. All steps of a task share it.
    pub task_id: Arc<TaskId>,
    /// The action.
    pub verb: Verb,
    /// The time limit of the call, in milliseconds.
    pub within_ms: Option<u32>,
    /// The allowed outcomes; never empty.
    pub expected: Outcomes,
    /// The values of the `each` indices in this repetition, outermost first. Empty outside of an `each` paragraph.
    pub indices: Indices,
}

// A step must stay small, because a scenario has up to 250,000 of them.
const _: () = assert!(size_of::<Step>() <= 128);

impl Step {
    /// Whether every allowed outcome is a refusal, so that the step changes nothing.
    #[must_use]
    pub fn expects_refusal(&self) -> bool {
        self.expected.iter().all(Outcome::is_refusal)
    }

    /// The first profile that this step needs and that `declared` does not contain; `None` if `declared` contains all of
    /// them.
    #[must_use]
    pub fn undeclared_profile(&self, declared: &[String]) -> Option<&'static str> {
        let of_task = self.task_id.task.as_ref().map(|_| Profile::Tasks);
        let mut needed = self.verb.profiles().chain(of_task).map(Profile::word);
        needed.find(|profile| !declared.iter().any(|one| one == profile))
    }

    /// Whether the time limit of a get or a join races with what the step waits for: its line allows both outcomes.
    #[must_use]
    pub fn races_with_its_limit(&self) -> bool {
        let expired = match self.verb {
            Verb::Get { .. } => &Outcome::Timeout,
            Verb::Join { .. } => &Outcome::Running,
            _ => return false,
        };
        self.within_ms.is_some() && self.expected.len() > 1 && self.expected.contains(expired)
    }
}

/// A process, or one task inside it. The steps of a task run one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The name of the process: `main`, `child[3]`.
    pub process: EcoString,
    /// The name of the task inside the process: `reader` in `main/reader`. The process itself has none.
    pub task: Option<EcoString>,
}

impl TaskId {
    /// The task of a process itself, which has no name of its own.
    pub fn process(name: impl Into<EcoString>) -> Self {
        Self { process: name.into(), task: None }
    }

    /// The names that may contain an index.
    pub(super) fn names_mut(&mut self) -> impl Iterator<Item = &mut EcoString> {
        self.task.iter_mut().chain([&mut self.process])
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{}/{task}", self.process),
            None => f.write_str(&self.process),
        }
    }
}
