//! What the model says, as data: when to let each step go, for a conductor to follow, and what may come, for a judge.

use super::Trace;
use serde::{Deserialize, Serialize};

/// The order in which steps are released, and what is over after each release.
///
/// It tells a conductor when to go on, and nothing of what is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The releases.
    pub releases: Vec<Release>,
}

/// One release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The step that is let go.
    pub step: usize,
    /// The steps that end before the next release; earlier ones that were open among them.
    pub completes: Vec<usize>,
    /// The processes that come into being before the next release.
    pub starts: Vec<String>,
    /// The processes that end before the next release.
    pub exits: Vec<String>,
}

impl Release {
    /// Takes in what is over before the next release, too.
    pub fn extend(&mut self, more: Self) {
        self.completes.extend(more.completes);
        self.starts.extend(more.starts);
        self.exits.extend(more.exits);
    }
}

/// Every trace that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The story's first; never empty. More than one where steps race.
    pub traces: Vec<Trace>,
    /// Whether these are all; if not, a trace that is not among them may be right, or not.
    pub complete: bool,
}

impl Allowed {
    /// Only this one.
    #[must_use]
    pub fn one(trace: Trace) -> Self {
        Self { traces: vec![trace], complete: true }
    }

    /// What the story comes to.
    #[must_use]
    pub fn story(&self) -> &Trace {
        &self.traces[0]
    }
}

/// A process is killed by the harness: in the middle of its own doing, as far as it can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionPoint {
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
pub enum ExecutionMode {
    /// One step at a time, by this plan.
    Stepwise(Schedule),
    /// Each task_id is told all its steps at once, and nobody waits for anybody but by what the steps do.
    Concurrent,
    /// One step at a time; and a process is killed there.
    Kill(Schedule, InjectionPoint),
    /// One step at a time; and a process is stopped there, and let go on.
    Pause(Schedule, InjectionPoint),
}
