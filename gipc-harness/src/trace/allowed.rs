//! The traces that are correct for a scenario.

use super::{ProcessExit, StepState, Trace};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The correct traces of a scenario, as far as the model has found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The correct traces. The first one is that of file order; there are more if steps race. The list is empty only in
    /// a job that is not complete.
    pub traces: Vec<Trace>,
    /// Whether the list contains every correct trace. If not, a missing trace may still be correct.
    pub complete: bool,
    /// Races that do not influence each other, if there are too many combinations to list. Then every correct trace is the
    /// first one with one alternative of each race, and `traces` contains every alternative at least once.
    pub races: Vec<Race>,
}

impl Allowed {
    /// Exactly one correct trace.
    #[must_use]
    pub fn one(trace: Trace) -> Self {
        Self { traces: vec![trace], complete: true, races: Vec::new() }
    }

    /// Whether every correct trace is known, either listed or as a combination of races.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.complete || !self.races.is_empty()
    }

    /// The traces to compare a run with. If only races are known, their combination that is nearest to the run is added, and
    /// the result counts as complete.
    #[must_use]
    pub fn near(&self, observed: &Trace) -> Cow<'_, Self> {
        if self.complete || self.races.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut nearest = self.traces[0].clone();
        for race in &self.races {
            // Takes the first of several alternatives that agree equally well.
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

    /// The correct trace if the steps are released in file order.
    #[must_use]
    pub fn in_file_order(&self) -> &Trace {
        &self.traces[0]
    }
}

/// Several steps whose order is not determined: exactly one of the alternatives happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// The alternatives, at least two. All of them name the same steps and processes.
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

    /// The number of places in which a trace agrees with this alternative.
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::as_in_file_order(Some(ProcessExit::Code(0)))]
    #[case::another_end(Some(ProcessExit::Code(1)))]
    #[case::not_started(None)]
    fn the_alternative_whose_exits_were_seen_is_near(#[case] exit: Option<ProcessExit>) {
        let exits = [Some(ProcessExit::Code(0)), Some(ProcessExit::Code(1)), None];
        let of = |exit: Option<ProcessExit>| Trace {
            exits: exit.map(|exit| ("child".to_owned(), exit)).into_iter().collect(),
            ..Trace::default()
        };
        let alternatives = exits.clone().map(|exit| Alternative {
            exits: vec![("child".to_owned(), exit)],
            ..Alternative::default()
        });
        let races = vec![Race { alternatives: alternatives.into() }];
        let [first, ..] = exits;
        let allowed = Allowed { races, complete: false, ..Allowed::one(of(first)) };
        let seen = of(exit);
        assert_eq!(allowed.near(&seen).traces.last(), Some(&seen));
    }
}
