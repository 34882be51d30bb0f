//! What happened in a run, in the order in which it happened. (A trace has the steps in file order and no times.)

use serde::{Deserialize, Serialize};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// A step was released, or its agent reported that it has begun.
    Started(usize),
    /// A step returned.
    Completed(usize),
    /// A process ended.
    Exited(String),
    /// The run stopped moving for the first time.
    Stalled,
}

impl Occurrence {
    /// The step, if it is one that started or returned.
    #[must_use]
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Started(step) | Self::Completed(step) => Some(*step),
            Self::Exited(_) | Self::Stalled => None,
        }
    }
}

/// A process that still existed when its run was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The name of the process, or its pid and command line if it is not one of the scenario.
    pub process: String,
    /// Its process id.
    pub pid: i32,
    /// The process that has to reap it, named in the same way. `None` if the process that started it has ended, so that the
    /// supervisor is its parent.
    pub parent: Option<String>,
    /// Whether it had ended and was not reaped.
    pub is_zombie: bool,
    /// Its command line.
    pub command: String,
}
