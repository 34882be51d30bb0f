//! The order in which a run releases steps, and the faults that it injects.

use super::Occurrence;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The order in which steps are released, and what must have happened before each next release.
///
/// A schedule tells an executor when to go on. It does not say which outcomes are correct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The releases, first to last.
    pub releases: Vec<Release>,
}

/// The release of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The step that is released.
    pub step: usize,
    /// The steps that return before the next release. They may include steps that were released earlier.
    pub completes: SmallVec<[usize; 1]>,
    /// The processes that start before the next release.
    pub starts: Vec<String>,
    /// The processes that end before the next release.
    pub exits: Vec<String>,
}

impl Release {
    /// Adds what another release waits for.
    pub fn extend(&mut self, other: Self) {
        self.completes.extend(other.completes);
        self.starts.extend(other.starts);
        self.exits.extend(other.exits);
    }
}

/// The point at which the harness kills or pauses a process: when the agent reports the begin or the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionPoint {
    /// The step that the process is in, or that has just returned.
    pub step: usize,
    /// Whether the step has begun or has returned.
    pub moment: Moment,
}

/// A moment of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// The agent has reported that the step begins.
    Begin,
    /// The agent has reported the outcome of the step.
    End,
}

/// How a scenario is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionMode {
    /// One step at a time, according to this schedule.
    Stepwise(Schedule),
    /// Each task receives all its steps at once, and only the steps themselves order the tasks.
    Concurrent,
    /// One step at a time, and the process of a step is killed at this point.
    Kill(Schedule, InjectionPoint),
    /// One step at a time, and the process of a step is stopped at this point and continued.
    Pause(Schedule, InjectionPoint),
}

impl Schedule {
    /// What happens in a run that follows the schedule, in order.
    #[must_use]
    pub fn history(&self) -> Vec<Occurrence> {
        let occurrences = self.releases.iter().flat_map(|release| {
            let completed = release.completes.iter().copied().map(Occurrence::Completed);
            let exited = release.exits.iter().cloned().map(Occurrence::Exited);
            std::iter::once(Occurrence::Started(release.step)).chain(completed).chain(exited)
        });
        occurrences.collect()
    }
}
