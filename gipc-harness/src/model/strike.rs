//! A process is killed from outside while it begins a step, or when it has ended one: what the others must then see.
//!
//! A strike at a begin races with the step itself, so there are several answers; one at an end has one.

use super::walk::walk;
use super::world::{Move, World};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, Order};
use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{Allowed, End, Moment, Plan, Release, Strike, Taken};
use std::collections::BTreeSet;

/// How far a step came before its process was gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Far {
    /// Nothing had happened.
    Nowhere,
    /// Some bytes were written.
    Halfway,
    /// It had happened, but nobody was told.
    Untold,
    /// It had happened.
    Whole,
    /// It had happened, and the process was about to return, if it was its last.
    Returning,
}

/// Where processes can be struck: at each begin and end of each step that the model comes to.
///
/// Not `main`, and nobody who spawns, and not where somebody would then return before its children: what becomes of
/// children without a parent is each library's own affair. Nobody who is signalled by number either, since the number
/// may be another's by then. Nor while a step begins that ends another of its own: how far each came is a race of its own.
pub(super) fn strikes(scenario: &Scenario, choices: Choices) -> Vec<Strike> {
    let (world, plan) = walk(World::start(scenario, CAPACITY_MIN, choices), &Order::Story);
    let trace = world.trace();
    let mut spared = BTreeSet::from(["main"]);
    for step in &scenario.steps {
        match &step.verb {
            Verb::Spawn { .. } => drop(spared.insert(&step.lane.process)),
            Verb::Signal { child, .. } => drop(spared.insert(child)),
            _ => {}
        }
    }
    let mut strikes = Vec::new();
    for release in &plan.releases {
        let step = &scenario.steps[release.step];
        if spared.contains(step.lane.process.as_str()) || matches!(step.verb, Verb::Until { .. }) {
            continue;
        }
        let ended = matches!(trace.steps[release.step], Taken::Ended { .. });
        let last = matches!(step.verb, Verb::Exit { .. } | Verb::Raise);
        let is_beside = |end: &usize| {
            *end != release.step && scenario.steps[*end].lane.process == step.lane.process
        };
        if !release.ends.iter().any(is_beside) {
            strikes.push(Strike { step: release.step, moment: Moment::Begin });
        }
        if ended && !last {
            strikes.push(Strike { step: release.step, moment: Moment::End });
        }
    }
    strikes.retain(|strike| {
        manners(scenario, *strike).iter().all(|far| {
            let start = World::start(scenario, CAPACITY_MIN, choices);
            !hit(start, *strike, *far).0.orphans
        })
    });
    strikes
}

fn manners(scenario: &Scenario, strike: Strike) -> &'static [Far] {
    match (strike.moment, &scenario.steps[strike.step].verb) {
        (Moment::End, _) => &[Far::Returning, Far::Whole],
        (Moment::Begin, Verb::Put { .. }) => {
            &[Far::Nowhere, Far::Halfway, Far::Untold, Far::Returning, Far::Whole]
        }
        (Moment::Begin, _) => &[Far::Nowhere, Far::Untold, Far::Returning, Far::Whole],
    }
}

/// What may then come of the scenario, and the plan to get there.
pub(super) fn struck(scenario: &Scenario, choices: Choices, strike: Strike) -> (Allowed, Plan) {
    let mut traces = Vec::new();
    let mut first = None;
    // What a small pipe holds up may be in a large one by then.
    for capacity in [CAPACITY_MIN, CAPACITY_MAX] {
        for far in manners(scenario, strike) {
            let (world, plan) = hit(World::start(scenario, capacity, choices), strike, *far);
            first.get_or_insert(plan);
            let trace = world.trace();
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
    }
    (Allowed { traces, whole: true }, first.unwrap_or_default())
}

fn hit(mut world: World<'_>, strike: Strike, far: Far) -> (World<'_>, Plan) {
    let spec = &world.scenario.steps[strike.step];
    let lane = world.by_lane[&spec.lane];
    let process = world.tracks[lane].process;
    let mut releases: Vec<Release> = Vec::new();
    let mut done = false;
    // Of a process that is hit at its last step, how it ended is a race: it may have returned.
    world.doomed = matches!(far, Far::Returning | Far::Untold).then_some(process);
    loop {
        let next = world.ready.first().copied();
        let begins = next == Some(strike.step) && strike.moment == Moment::Begin && !done;
        let mut release = match next {
            Some(step) if begins && matches!(far, Far::Nowhere | Far::Halfway) => {
                done = true;
                world.ready.remove(&step);
                // Nobody can see the end of its own exit: that it is gone is that end.
                world.taken[step] = match &spec.verb {
                    Verb::Exit { .. } | Verb::Raise => {
                        Taken::Ended { outcome: Outcome::Ok, from: None, detail: None }
                    }
                    _ => Taken::Open,
                };
                if let (Far::Halfway, Verb::Put { handle, .. }) = (far, &spec.verb) {
                    if let Some(pipe) = world.own(process, handle, true) {
                        world.pipes[pipe].tear();
                    }
                }
                world.strike(process, step)
            }
            Some(step) => world.advance(Move::Step(step)),
            None => match world.settle() {
                Some(release) => release,
                None => break,
            },
        };
        let ended = world.taken[strike.step] != Taken::Never && !done;
        let hits = ended && (strike.moment == Moment::Begin || world.tracks[lane].open.is_none());
        if hits {
            done = true;
            let ends = matches!(spec.verb, Verb::Exit { .. } | Verb::Raise);
            let more = world.strike(process, strike.step);
            if far == Far::Untold && !ends {
                world.taken[strike.step] = Taken::Open;
            }
            release.extend(more);
        }
        // A step that was cut off by the strike ends for nobody.
        release.ends.retain(|step| matches!(world.taken[*step], Taken::Ended { .. }));
        match releases.last_mut() {
            Some(last) if next.is_none() => Release::extend(last, release),
            _ => releases.push(release),
        }
    }
    (world, Plan { releases })
}

impl World<'_> {
    /// The process is killed from outside.
    fn strike(&mut self, process: usize, step: usize) -> Release {
        self.release.step = step;
        self.leave(process, End::Signal("SIGKILL".into()));
        std::mem::take(&mut self.release)
    }
}
