//! What the model says, as data: when to let each step go, for a conductor to follow, and what may come, for a judge.

use super::{ProcessExit, StepState, Trace};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
    /// Races that do not influence each other, where there are too many combinations to list: then every correct trace
    /// is the first one with one alternative of each race, and `traces` contains every alternative at least once.
    pub races: Vec<Race>,
}

/// Several steps whose order is not determined: exactly one of the alternatives happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// At least two; all of them name the same steps and processes.
    pub alternatives: Vec<Alternative>,
}

/// One way in which a race can end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternative {
    /// The states of steps, by their indices.
    pub steps: Vec<(usize, StepState)>,
    /// How processes end, by their names; `None` if a process does not start.
    pub exits: Vec<(String, Option<ProcessExit>)>,
    /// How many handles processes have left, by their names; `None` if that is not counted.
    pub remaining_handles: Vec<(String, Option<u64>)>,
}

impl Alternative {
    /// Makes this alternative happen in a trace.
    fn apply(&self, trace: &mut Trace) {
        for (step, state) in &self.steps {
            trace.steps[*step] = state.clone();
        }
        set(&mut trace.exits, &self.exits);
        set(&mut trace.remaining_handles, &self.remaining_handles);
    }

    /// In how many places a trace agrees with this alternative.
    fn agreement(&self, trace: &Trace) -> usize {
        let is_same = |step: usize, state: &StepState| match (&trace.steps[step], state) {
            (
                StepState::Completed { outcome, .. },
                StepState::Completed { outcome: expected, .. },
            ) => outcome == expected,
            (observed, expected) => observed == expected,
        };
        let steps = self.steps.iter().filter(|(step, state)| is_same(*step, state)).count();
        let exits = self.exits.iter().filter(|(name, exit)| trace.exits.get(name) == exit.as_ref());
        steps + exits.count()
    }
}

fn set<T: Clone>(map: &mut BTreeMap<String, T>, values: &[(String, Option<T>)]) {
    for (name, value) in values {
        match value {
            Some(value) => map.insert(name.clone(), value.clone()),
            None => map.remove(name),
        };
    }
}

impl Allowed {
    /// Only this one.
    #[must_use]
    pub fn one(trace: Trace) -> Self {
        Self { traces: vec![trace], complete: true, races: Vec::new() }
    }

    /// Whether every correct trace is known, either listed or as a combination of races.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.complete || !self.races.is_empty()
    }

    /// The traces to compare a run with. Where only races are known, their combination that is nearest to the run is
    /// added, and the result counts as complete.
    #[must_use]
    pub fn near(&self, observed: &Trace) -> Cow<'_, Self> {
        if self.complete || self.races.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut nearest = self.traces[0].clone();
        for race in &self.races {
            // The first of several that agree equally well.
            let alternatives = race.alternatives.iter().rev();
            if let Some(best) = alternatives.max_by_key(|other| other.agreement(observed)) {
                best.apply(&mut nearest);
            }
        }
        let mut traces = self.traces.clone();
        if !traces.contains(&nearest) {
            traces.push(nearest);
        }
        Cow::Owned(Self { traces, complete: true, races: Vec::new() })
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
