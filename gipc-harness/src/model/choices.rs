//! What a caller of the model decides: the choices that the specification leaves to an implementation, and the order in
//! which steps are released.

use super::Mutation;
use crate::scenario::TaskId;
use serde::{Deserialize, Serialize};

/// The choices of an implementation where the specification allows several. The snapshots of the suite are made with the
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// The longest message, in bytes; a longer one is refused before anything is written.
    pub max_message: u64,
    /// Whether a get that has received part of a message waits for the rest even beyond its time limit. Otherwise it times
    /// out, and the next get continues with that message.
    pub late_get_waits: bool,
    /// How many free descriptors a start needs. With fewer, it fails.
    pub start_needs: u64,
    /// What happens to a put that is cancelled, or times out, after its first byte was written.
    #[serde(default)]
    pub after_cancel: AfterCancel,
    /// What happens to the children of a process that ends without having joined them.
    #[serde(default)]
    pub unjoined: Unjoined,
    /// Whether a start from a thread without an event loop is refused.
    #[serde(default)]
    pub refuses_threads: bool,
    /// A deliberate error of the model. A scenario is useful only if some mutation changes its outcomes.
    #[serde(skip)]
    pub mutation: Option<Mutation>,
}

// MSG-13 allows both.
/// What an implementation does with a put that is cancelled, or times out, after its first byte was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCancel {
    /// It writes the rest of the message in the background; the end stays locked until then.
    #[default]
    Complete,
    /// It leaves the message incomplete, and every later put on that end is refused as poisoned.
    Poison,
}

// SPAWN-12 only requires that this is documented.
/// What happens to the children of a process that ends by itself without having joined them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjoined {
    /// They go on.
    #[default]
    Left,
    /// They are killed when the process returns. They go on if it exits.
    Killed,
    /// The process ends only after they have ended, whether it returns or exits.
    Joined,
    /// The process returns only after they have ended. They go on if it exits.
    JoinedOnReturn,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            max_message: (1 << 31) - 1,
            late_get_waits: false,
            start_needs: 2,
            after_cancel: AfterCancel::default(),
            unjoined: Unjoined::default(),
            refuses_threads: false,
            mutation: None,
        }
    }
}

/// Which of the ready steps is released next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReleaseOrder {
    /// The one that comes first in the file.
    #[default]
    File,
    /// A random order with this seed: each task has a priority, which changes at a few random steps.
    Random(u64),
    /// The next step of each of these tasks in turn; when the list is exhausted, or a task is not ready, file order.
    Given(Vec<TaskId>),
}
