//! One walk over a scenario: which step is let go next, and the plan that comes of it.

use super::world::{Move, World};
use super::{Fault, Order};
use crate::scenario::Lane;
use crate::trace::{Plan, Release, Trace};
use std::collections::BTreeMap;

/// How many lanes lose their turn somewhere on a random walk. Few changes at random places find most orders that matter.
const CHANGES: usize = 3;

/// Walks to the end, or to where nothing moves any more.
pub(super) fn walk<'a>(mut world: World<'a>, order: &Order) -> (World<'a>, Plan) {
    let mut turn = Turn::new(&world, order);
    let mut releases: Vec<Release> = Vec::new();
    loop {
        if let Some(step) = turn.next(&world) {
            releases.push(world.advance(Move::Step(step)));
        } else if let Some(more) = world.settle() {
            // What ends by itself belongs to the release before it: nothing could be let go meanwhile.
            if let Some(last) = releases.last_mut() {
                last.extend(more);
            }
        } else {
            return (world, Plan { releases });
        }
    }
}

/// The trace of a walk.
pub(super) fn trace(world: World<'_>, order: &Order) -> Trace {
    walk(world, order).0.trace()
}

/// Whose turn it is.
enum Turn<'o> {
    Story,
    /// Every lane has a rank; at some steps the lane whose turn it is falls behind all others.
    Random {
        chance: fastrand::Rng,
        ranks: BTreeMap<Lane, u64>,
        changes: Vec<usize>,
        steps: usize,
    },
    Given(std::slice::Iter<'o, Lane>),
}

impl<'o> Turn<'o> {
    fn new(world: &World<'_>, order: &'o Order) -> Self {
        match order {
            Order::Story => Self::Story,
            Order::Given(lanes) => Self::Given(lanes.iter()),
            Order::Random(seed) => {
                let mut chance = fastrand::Rng::with_seed(*seed);
                let steps = world.scenario.steps.len();
                let changes = (0..CHANGES).map(|_| chance.usize(0..steps.max(1))).collect();
                let lanes = world.scenario.steps.iter().map(|step| step.lane.clone());
                let mut ranks: BTreeMap<Lane, u64> = lanes.map(|lane| (lane, 0)).collect();
                ranks.values_mut().for_each(|rank| *rank = chance.u64(1 << 32..));
                Self::Random { chance, ranks, changes, steps: 0 }
            }
        }
    }

    /// The step that is let go now, of those that may begin.
    fn next(&mut self, world: &World<'_>) -> Option<usize> {
        let lane = |step: usize| &world.scenario.steps[step].lane;
        match self {
            Self::Story => first(world),
            Self::Given(lanes) => {
                let mut ready = world.ready.iter().copied();
                let named = lanes.next().and_then(|named| ready.find(|step| lane(*step) == named));
                // What the order does not say, or cannot be, goes as in the story.
                named.or_else(|| first(world))
            }
            Self::Random { chance, ranks, changes, steps } => {
                let ready = world.ready.iter().copied();
                let step = ready.max_by_key(|step| ranks.get(lane(*step)).copied())?;
                *steps += 1;
                if changes.contains(steps) {
                    ranks.insert(lane(step).clone(), chance.u64(..1 << 32));
                }
                Some(step)
            }
        }
    }
}

/// The step that stands first. By a fault only if no neighbour of its process waits.
fn first(world: &World<'_>) -> Option<usize> {
    let free = |step: &usize| {
        let process = world.tracks[world.by_lane[&world.scenario.steps[*step].lane]].process;
        world.processes[process].tracks.iter().all(|track| world.tracks[*track].open.is_none())
    };
    let mut ready = world.ready.iter().copied();
    if world.is(Fault::OneTaskAtATime) { ready.find(free) } else { ready.next() }
}
