//! One walk over a scenario: which step is let go next, and the plan that comes of it.

use super::state::{State, Transition};
use super::{Mutation, ReleaseOrder};
use crate::scenario::TaskId;
use crate::trace::{Release, Schedule, Trace};
use std::collections::BTreeMap;

/// How many task_ids lose their turn somewhere on a random walk. Few changes at random places find most orders that matter.
const CHANGES: usize = 3;

/// Walks to the end, or to where nothing moves any more.
pub(super) fn walk<'a>(mut state: State<'a>, order: &ReleaseOrder) -> (State<'a>, Schedule) {
    let mut turn = Scheduler::new(&state, order);
    let mut releases: Vec<Release> = Vec::new();
    loop {
        if let Some(step) = turn.next(&state) {
            releases.push(state.advance(Transition::Step(step)));
        } else if let Some(more) = state.settle() {
            // What ends by itself belongs to the release before it: nothing could be let go meanwhile.
            if let Some(last) = releases.last_mut() {
                last.extend(more);
            }
        } else {
            return (state, Schedule { releases });
        }
    }
}

/// The trace of a walk.
pub(super) fn trace(state: State<'_>, order: &ReleaseOrder) -> Trace {
    walk(state, order).0.trace()
}

/// Whose turn it is.
enum Scheduler<'o> {
    Story,
    /// Every task_id has a rank; at some steps the task_id whose turn it is falls behind all others.
    Random {
        chance: fastrand::Rng,
        ranks: BTreeMap<TaskId, u64>,
        changes: Vec<usize>,
        steps: usize,
    },
    Given(std::slice::Iter<'o, TaskId>),
}

impl<'o> Scheduler<'o> {
    fn new(state: &State<'_>, order: &'o ReleaseOrder) -> Self {
        match order {
            ReleaseOrder::File => Self::Story,
            ReleaseOrder::Given(task_ids) => Self::Given(task_ids.iter()),
            ReleaseOrder::Random(seed) => {
                let mut chance = fastrand::Rng::with_seed(*seed);
                let steps = state.scenario.steps.len();
                let changes = (0..CHANGES).map(|_| chance.usize(0..steps.max(1))).collect();
                let task_ids = state.scenario.steps.iter().map(|step| step.task_id.clone());
                let mut ranks: BTreeMap<TaskId, u64> =
                    task_ids.map(|task_id| (task_id, 0)).collect();
                ranks.values_mut().for_each(|rank| *rank = chance.u64(1 << 32..));
                Self::Random { chance, ranks, changes, steps: 0 }
            }
        }
    }

    /// The step that is let go now, of those that may begin.
    fn next(&mut self, state: &State<'_>) -> Option<usize> {
        let task_id = |step: usize| &state.scenario.steps[step].task_id;
        match self {
            Self::Story => first(state),
            Self::Given(task_ids) => {
                let mut ready = state.ready.iter().copied();
                let named =
                    task_ids.next().and_then(|named| ready.find(|step| task_id(*step) == named));
                // What the order does not say, or cannot be, goes as in the story.
                named.or_else(|| first(state))
            }
            Self::Random { chance, ranks, changes, steps } => {
                let ready = state.ready.iter().copied();
                let step = ready.max_by_key(|step| ranks.get(task_id(*step)).copied())?;
                *steps += 1;
                if changes.contains(steps) {
                    ranks.insert(task_id(step).clone(), chance.u64(..1 << 32));
                }
                Some(step)
            }
        }
    }
}

/// The step that stands first. By a fault only if no neighbour of its process waits.
fn first(state: &State<'_>) -> Option<usize> {
    let free = |step: &usize| {
        let process = state.tracks[state.by_task[&state.scenario.steps[*step].task_id]].process;
        state.processes[process].tracks.iter().all(|track| state.tracks[*track].open.is_none())
    };
    let mut ready = state.ready.iter().copied();
    if state.is(Mutation::OneTaskAtATime) { ready.find(free) } else { ready.next() }
}
