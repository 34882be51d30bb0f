//! Enumerates all orders of releases that differ, by sleep sets.

use super::program::Program;
use super::simulation::run;
use super::state::{State, Transition};
use super::{CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::{Scenario, TaskId};
use std::collections::BTreeSet;

/// The maximum number of releases whose order may matter.
const MAX_DEPENDENT_RELEASES: usize = 8;
/// The maximum number of orders that are enumerated.
const MAX_ORDERS: usize = 2_000;

/// All orders of releases, each as the tasks that are released in turn, or `None` if there are too many. Orders that
/// differ only in the sequence of steps that commute count as one.
pub(super) fn orders(scenario: &Scenario, choices: Choices) -> Option<Vec<Vec<TaskId>>> {
    let task_id = |step: &usize| TaskId::clone(&scenario.steps[*step].task_id);
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let start = State::start(&program).with_race_detector();
    let (end, schedule) = run(start, &ReleaseOrder::File);
    if !end.has_races() {
        let releases = schedule.releases.iter();
        return Some(vec![releases.map(|release| task_id(&release.step)).collect()]);
    }
    let mut search = OrderSearch::default();
    search.visit(State::start_search(&program), BTreeSet::new()).then_some(())?;
    Some(search.orders.iter().map(|order| order.iter().map(task_id).collect()).collect())
}

#[derive(Default)]
struct OrderSearch {
    orders: Vec<Vec<usize>>,
    /// The releases that lead to the current state.
    path: Vec<usize>,
    /// The releases whose order matters in some state.
    dependent: BTreeSet<usize>,
}

impl OrderSearch {
    /// Visits all orders that continue from this state. `sleeping` are steps that were tried before: while only steps follow
    /// that commute with such a step, it need not be tried again. Returns `false` if a bound was reached.
    fn visit(&mut self, mut state: State<'_>, mut sleeping: BTreeSet<usize>) -> bool {
        let ready: Vec<usize> = state.tasks.ready().collect();
        if ready.is_empty() {
            if state.settle().is_some() {
                return self.visit(state, sleeping);
            }
            self.orders.push(self.path.clone());
            return self.orders.len() <= MAX_ORDERS;
        }
        for step in ready.iter().copied() {
            if sleeping.contains(&step) {
                continue;
            }
            let independent = self.independent_of(&state, step, &ready);
            if self.dependent.len() > MAX_DEPENDENT_RELEASES {
                return false;
            }
            let mut next = state.clone();
            next.advance(Transition::Begin(step));
            self.path.push(step);
            if !self.visit(next, sleeping.intersection(&independent).copied().collect()) {
                return false;
            }
            self.path.pop();
            sleeping.insert(step);
        }
        true
    }

    /// The ready steps that commute with a step.
    fn independent_of(
        &mut self,
        state: &State<'_>,
        step: usize,
        ready: &[usize],
    ) -> BTreeSet<usize> {
        let mut independent = BTreeSet::new();
        for other in ready.iter().copied().filter(|other| *other != step) {
            if commute(state, step, other) {
                independent.insert(other);
            } else {
                self.dependent.extend([step, other]);
            }
        }
        independent
    }
}

/// Whether two ready steps lead to the same state, with the same outcomes, in either order.
fn commute(state: &State<'_>, one: usize, other: usize) -> bool {
    let after = |first: usize, second: usize| {
        let mut state = state.clone();
        state.history.take();
        state.advance(Transition::Begin(first));
        state.tasks.is_ready(second).then(|| {
            state.advance(Transition::Begin(second));
            (state.fingerprint(), state.history.take())
        })
    };
    let result = after(one, other);
    result.is_some() && result == after(other, one)
}
