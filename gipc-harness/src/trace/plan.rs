//! What the model says, as data: when to let each step go, for a conductor to follow, and what may come, for a judge.

use super::Trace;
use serde::{Deserialize, Serialize};

/// The order in which steps are released, and what is over after each release.
///
/// It tells a conductor when to go on, and nothing of what is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The releases.
    pub releases: Vec<Release>,
}

/// One release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The step that is let go.
    pub step: usize,
    /// The steps that end before the next release; earlier ones that were open among them.
    pub ends: Vec<usize>,
    /// The processes that come into being before the next release.
    pub comes: Vec<String>,
    /// The processes that end before the next release.
    pub leaves: Vec<String>,
}

impl Release {
    /// Takes in what is over before the next release, too.
    pub fn extend(&mut self, more: Self) {
        self.ends.extend(more.ends);
        self.comes.extend(more.comes);
        self.leaves.extend(more.leaves);
    }
}

/// Every trace that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The story's first; never empty. More than one where steps race.
    pub traces: Vec<Trace>,
    /// Whether these are all; if not, a trace that is not among them may be right, or not.
    pub whole: bool,
}

impl Allowed {
    /// Only this one.
    #[must_use]
    pub fn one(trace: Trace) -> Self {
        Self { traces: vec![trace], whole: true }
    }

    /// What the story comes to.
    #[must_use]
    pub fn story(&self) -> &Trace {
        &self.traces[0]
    }
}

/// A process is killed by the harness: in the middle of its own doing, as far as it can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// The step it is in, or has just ended.
    pub step: usize,
    /// Which of both.
    pub moment: Moment,
}

/// A moment of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Its agent has said that it begins.
    Begin,
    /// Its agent has said how it ended.
    End,
}

/// How a scenario is to be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// One step at a time, by this plan.
    Step(Plan),
    /// Each lane is told all its steps at once, and nobody waits for anybody but by what the steps do.
    Batch,
    /// One step at a time; and a process is killed there.
    Kill(Plan, Strike),
    /// One step at a time; and a process is stopped there, and let go on.
    Freeze(Plan, Strike),
}
