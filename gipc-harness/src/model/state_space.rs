//! All that can come of a scenario: its outcomes where it races, and the orders of releases that differ.
//!
//! Visits states, not orders: a state that was reached before is not walked again. What cannot be bounded is said to be
//! unknown, never guessed.

use super::simulation::{trace, walk};
use super::state::{State, Transition};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::{ChildAct, Scenario, TaskId, Verb};
use crate::trace::{Allowed, ProcessExit, StepState, Trace};
use std::collections::{BTreeSet, HashSet};

/// Beyond so many states, or outcomes, the set is not enumerated.
const STATES: usize = 4_000;
const OUTCOMES: usize = 1_000;

/// Sizes of pipes at which a scenario with races is compared with itself.
const BETWEEN: [u64; 7] =
    [CAPACITY_MAX, 64 << 10, 4 << 10, 32 << 10, 128 << 10, 256 << 10, 512 << 10];

/// So many releases at most may differ in order, and so many orders are walked, for all of them to be walked.
const RELEASES: usize = 8;
const ORDERS: usize = 2_000;

/// Every trace that is right: one, unless the scenario races.
pub(super) fn allowed(scenario: &Scenario, choices: Choices) -> Allowed {
    let start = State::start(scenario, CAPACITY_MIN, choices);
    let (state, _) = walk(start.with_clocks(), &ReleaseOrder::File);
    let story = state.trace();
    if !state.races() {
        return Allowed::one(story);
    }
    let mut traces = HashSet::from([story.clone()]);
    let complete = [CAPACITY_MIN, CAPACITY_MAX].into_iter().all(|capacity| {
        let (more, complete) = at(scenario, choices, capacity);
        traces.extend(more);
        complete && traces.len() <= OUTCOMES
    });
    traces.remove(&story);
    let mut traces: Vec<Trace> = traces.into_iter().collect();
    traces.sort_by(|a, b| (&a.steps, &a.exits).cmp(&(&b.steps, &b.exits)));
    traces.insert(0, story);
    Allowed { traces, complete }
}

/// All that can come of it with pipes of this size, and whether that is all.
fn at(scenario: &Scenario, choices: Choices, capacity: u64) -> (HashSet<Trace>, bool) {
    let mut found = Visited::default();
    let mut state = State::start(scenario, capacity, choices);
    state.piecemeal = true;
    let complete = found.visit(state, &IndependentSteps::of(scenario));
    (found.traces, complete)
}

/// Whether it is of no matter how much a pipe holds.
pub(super) fn is_portable(scenario: &Scenario, choices: Choices) -> bool {
    let story = |capacity| State::start(scenario, capacity, choices).with_clocks();
    let (state, _) = walk(story(CAPACITY_MIN), &ReleaseOrder::File);
    if !state.races() {
        // More room never makes it stop, so the two ends of the range are enough.
        return state.trace() == walk(story(CAPACITY_MAX), &ReleaseOrder::File).0.trace();
    }
    let small = at(scenario, choices, CAPACITY_MIN);
    BETWEEN.into_iter().all(|capacity| at(scenario, choices, capacity) == small)
}

#[derive(Default)]
struct Visited {
    seen: HashSet<u64>,
    traces: HashSet<Trace>,
}

impl Visited {
    /// Whether all was visited.
    fn visit(&mut self, state: State<'_>, calm: &IndependentSteps) -> bool {
        let mut open = vec![state];
        while let Some(mut state) = open.pop() {
            if !self.seen.insert(state.fingerprint()) {
                continue;
            }
            if self.seen.len() > STATES || self.traces.len() > OUTCOMES {
                return false;
            }
            let mut moves = state.moves();
            if let Some(alone) = moves.iter().copied().find(|one| calm.may_go_alone(&state, *one)) {
                moves = vec![alone];
            }
            match moves.pop() {
                None if state.settle().is_some() => open.push(state),
                None => drop(self.traces.insert(state.trace())),
                Some(last) => {
                    for other in moves {
                        let mut next = state.clone();
                        next.advance(other);
                        open.push(next);
                    }
                    state.advance(last);
                    open.push(state);
                }
            }
        }
        true
    }
}

/// Steps that no step of another task_id can be in the way of, now or later: their order is of no matter.
struct IndependentSteps {
    /// Processes with one task_id, which nobody hits.
    processes: BTreeSet<String>,
    /// Whether anybody looks whether somebody waits, or ends a wait.
    watched: bool,
}

impl IndependentSteps {
    fn of(scenario: &Scenario) -> Self {
        let mut processes: BTreeSet<String> =
            scenario.steps.iter().map(|step| step.task_id.process.clone()).collect();
        let mut watched = false;
        for step in scenario.steps.iter() {
            match &step.verb {
                Verb::Kill { child }
                | Verb::Signal { child, .. }
                | Verb::Child { act: ChildAct::Terminate, child } => {
                    processes.remove(child);
                    watched = true;
                }
                Verb::Until { .. } | Verb::Cancel { .. } | Verb::Limit { .. } => watched = true,
                _ => {}
            }
            watched |= step.within_ms.is_some();
            if step.task_id.task.is_some() {
                processes.remove(&step.task_id.process);
            }
        }
        Self { processes, watched }
    }

    fn may_go_alone(&self, state: &State<'_>, one: Transition) -> bool {
        let Transition::Step(step) = one else { return false };
        let spec = &state.scenario.steps[step];
        self.processes.contains(&spec.task_id.process)
            && match &spec.verb {
                Verb::Pipe { .. } | Verb::Duplex { .. } => true,
                Verb::Get { .. } | Verb::Join { .. } | Verb::Spawn { .. } => !self.watched,
                _ => false,
            }
    }
}

/// All orders of releases that differ, or none if there are too many. Two orders that only swap steps which commute are
/// one; each is given by the task_ids whose turn it is.
pub(super) fn orders(scenario: &Scenario, choices: Choices) -> Option<Vec<Vec<TaskId>>> {
    let task_id = |step: &usize| scenario.steps[*step].task_id.clone();
    let state = State::start(scenario, CAPACITY_MIN, choices);
    let (story, plan) = walk(state.clone().with_clocks(), &ReleaseOrder::File);
    if !story.races() {
        return Some(vec![plan.releases.iter().map(|release| task_id(&release.step)).collect()]);
    }
    let mut walk = OrderSearch::default();
    walk.visit(state, BTreeSet::new(), &mut Vec::new()).then_some(())?;
    Some(walk.orders.iter().map(|order| order.iter().map(task_id).collect()).collect())
}

#[derive(Default)]
struct OrderSearch {
    orders: Vec<Vec<usize>>,
    /// The releases whose order matters somewhere.
    matter: BTreeSet<usize>,
}

impl OrderSearch {
    /// Sleep sets: what was tried before in this state need not be tried after a step that commutes with it.
    fn visit(
        &mut self,
        mut state: State<'_>,
        asleep: BTreeSet<usize>,
        path: &mut Vec<usize>,
    ) -> bool {
        let ready: Vec<usize> = state.ready.iter().copied().collect();
        if ready.is_empty() {
            if state.settle().is_some() {
                return self.visit(state, asleep, path);
            }
            self.orders.push(path.clone());
            return self.orders.len() <= ORDERS;
        }
        let mut asleep = asleep;
        for step in ready.iter().copied() {
            if asleep.contains(&step) {
                continue;
            }
            let mut still = BTreeSet::new();
            for other in ready.iter().copied().filter(|other| *other != step) {
                if commute(&state, step, other) {
                    still.extend(asleep.contains(&other).then_some(other));
                } else {
                    self.matter.extend([step, other]);
                }
            }
            if self.matter.len() > RELEASES {
                return false;
            }
            let mut next = state.clone();
            next.advance(Transition::Step(step));
            path.push(step);
            if !self.visit(next, still, path) {
                return false;
            }
            path.pop();
            asleep.insert(step);
        }
        true
    }
}

/// Whether two steps that may begin come to the same in either order.
fn commute(state: &State<'_>, one: usize, other: usize) -> bool {
    let after = |first: usize, second: usize| {
        let mut state = state.clone();
        state.advance(Transition::Step(first));
        let still = state.ready.contains(&second);
        still.then(|| {
            state.advance(Transition::Step(second));
            state.fingerprint()
        })
    };
    let (there, back) = (after(one, other), after(other, one));
    there.is_some() && there == back
}

/// Whether a scenario stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlock {
    /// Never.
    Cannot,
    /// In some orders.
    Can,
    /// Always.
    Must,
    /// Only where a pipe holds less than so many bytes.
    Below(u64),
    /// There are too many outcomes to say.
    Unknown,
}

/// Asks the model whether, and for which pipes, something waits for ever.
pub(super) fn deadlock(scenario: &Scenario, choices: Choices) -> Deadlock {
    let stops =
        |capacity| stops(&trace(State::start(scenario, capacity, choices), &ReleaseOrder::File));
    let allowed = allowed(scenario, choices);
    let among = allowed.traces.iter().filter(|trace| self::stops(trace)).count();
    match (stops(CAPACITY_MIN), stops(CAPACITY_MAX)) {
        _ if !allowed.complete => Deadlock::Unknown,
        _ if allowed.traces.len() > 1 && among > 0 && among < allowed.traces.len() => Deadlock::Can,
        // More room never makes a scenario without races stop.
        (true, false) => {
            let (mut low, mut high) = (CAPACITY_MIN, CAPACITY_MAX);
            while low + 1 < high {
                let middle = low.midpoint(high);
                if stops(middle) { low = middle } else { high = middle }
            }
            Deadlock::Below(high)
        }
        (true, true) => Deadlock::Must,
        (false, _) => Deadlock::Cannot,
    }
}

/// Whether somebody who is still there waits.
fn stops(trace: &Trace) -> bool {
    trace.exits.values().any(|end| *end == ProcessExit::Running)
        && trace.steps.contains(&StepState::Pending)
}
