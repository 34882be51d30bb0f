//! A process is killed from outside while it begins a step, or when it has ended one: what the others must then see.
//!
//! A strike at a begin races with the step itself, so there are several answers; one at an end has one.

use super::simulation::walk;
use super::state::{State, Transition};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{Allowed, InjectionPoint, Moment, ProcessExit, Release, Schedule, StepState};
use std::collections::BTreeSet;

/// How far a step came before its process was gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing had happened.
    Nowhere,
    /// Some bytes were written.
    Halfway,
    /// It had happened, but nobody was told.
    Untold,
    /// It had happened.
    PipeTotals,
    /// It had happened, and the process was about to return, if it was its last.
    Returning,
}

/// Where processes can be struck: at each begin and end of each step that the model comes to.
///
/// Not `main`, and nobody who spawns, and not where somebody would then return before its children: what becomes of
/// children without a parent is each library's own affair. Nobody who is signalled by number either, since the number
/// may be another's by then. Nor while a step begins that ends another of its own: how far each came is a race of its own.
pub(super) fn injection_points(scenario: &Scenario, choices: Choices) -> Vec<InjectionPoint> {
    let (state, plan) = walk(State::start(scenario, CAPACITY_MIN, choices), &ReleaseOrder::File);
    let trace = state.trace();
    let mut spared = BTreeSet::from(["main"]);
    for step in scenario.steps.iter() {
        match &step.verb {
            Verb::Spawn { .. } => drop(spared.insert(&step.task_id.process)),
            Verb::Signal { child, .. } => drop(spared.insert(child)),
            _ => {}
        }
    }
    let mut strikes = Vec::new();
    for release in &plan.releases {
        let step = &scenario.steps[release.step];
        if spared.contains(step.task_id.process.as_str()) || matches!(step.verb, Verb::Until { .. })
        {
            continue;
        }
        let ended = matches!(trace.steps[release.step], StepState::Completed { .. });
        let last = matches!(step.verb, Verb::Exit { .. } | Verb::Raise);
        let is_beside = |end: &usize| {
            *end != release.step && scenario.steps[*end].task_id.process == step.task_id.process
        };
        if !release.completes.iter().any(is_beside) {
            strikes.push(InjectionPoint { step: release.step, moment: Moment::Begin });
        }
        if ended && !last {
            strikes.push(InjectionPoint { step: release.step, moment: Moment::End });
        }
    }
    strikes.retain(|strike| {
        manners(scenario, *strike).iter().all(|far| {
            let start = State::start(scenario, CAPACITY_MIN, choices);
            !hit(start, *strike, *far).0.orphans
        })
    });
    strikes
}

fn manners(scenario: &Scenario, strike: InjectionPoint) -> &'static [Progress] {
    match (strike.moment, &scenario.steps[strike.step].verb) {
        (Moment::End, _) => &[Progress::Returning, Progress::PipeTotals],
        (Moment::Begin, Verb::Put { .. }) => &[
            Progress::Nowhere,
            Progress::Halfway,
            Progress::Untold,
            Progress::Returning,
            Progress::PipeTotals,
        ],
        (Moment::Begin, _) => {
            &[Progress::Nowhere, Progress::Untold, Progress::Returning, Progress::PipeTotals]
        }
    }
}

/// What may then come of the scenario, and the plan to get there.
pub(super) fn allowed_if_killed(
    scenario: &Scenario,
    choices: Choices,
    strike: InjectionPoint,
) -> (Allowed, Schedule) {
    let mut traces = Vec::new();
    let mut first = None;
    // What a small pipe holds up may be in a large one by then.
    for capacity in [CAPACITY_MIN, CAPACITY_MAX] {
        for far in manners(scenario, strike) {
            let (state, plan) = hit(State::start(scenario, capacity, choices), strike, *far);
            first.get_or_insert(plan);
            let trace = state.trace();
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
    }
    (Allowed { traces, complete: true }, first.unwrap_or_default())
}

fn hit(mut state: State<'_>, strike: InjectionPoint, far: Progress) -> (State<'_>, Schedule) {
    let spec = &state.scenario.steps[strike.step];
    let task_id = state.by_task[&spec.task_id];
    let process = state.tracks[task_id].process;
    let mut releases: Vec<Release> = Vec::new();
    let mut done = false;
    // Of a process that is hit at its last step, how it ended is a race: it may have returned.
    state.doomed = matches!(far, Progress::Returning | Progress::Untold).then_some(process);
    loop {
        let next = state.ready.first().copied();
        let begins = next == Some(strike.step) && strike.moment == Moment::Begin && !done;
        let mut release = match next {
            Some(step) if begins && matches!(far, Progress::Nowhere | Progress::Halfway) => {
                done = true;
                state.ready.remove(&step);
                // Nobody can see the end of its own exit: that it is gone is that end.
                state.taken[step] = match &spec.verb {
                    Verb::Exit { .. } | Verb::Raise => {
                        StepState::Completed { outcome: Outcome::Ok, from: None, detail: None }
                    }
                    _ => StepState::Pending,
                };
                if let (Progress::Halfway, Verb::Put { handle, .. }) = (far, &spec.verb) {
                    if let Some(pipe) = state.own(process, handle, true) {
                        state.pipes[pipe].tear();
                    }
                }
                state.strike(process, step)
            }
            Some(step) => state.advance(Transition::Step(step)),
            None => match state.settle() {
                Some(release) => release,
                None => break,
            },
        };
        let ended = state.taken[strike.step] != StepState::NotStarted && !done;
        let hits =
            ended && (strike.moment == Moment::Begin || state.tracks[task_id].open.is_none());
        if hits {
            done = true;
            let ends = matches!(spec.verb, Verb::Exit { .. } | Verb::Raise);
            let more = state.strike(process, strike.step);
            if far == Progress::Untold && !ends {
                state.taken[strike.step] = StepState::Pending;
            }
            release.extend(more);
        }
        // A step that was cut off by the strike ends for nobody.
        release.completes.retain(|step| matches!(state.taken[*step], StepState::Completed { .. }));
        match releases.last_mut() {
            Some(last) if next.is_none() => Release::extend(last, release),
            _ => releases.push(release),
        }
    }
    (state, Schedule { releases })
}

impl State<'_> {
    /// The process is killed from outside.
    fn strike(&mut self, process: usize, step: usize) -> Release {
        self.release.step = step;
        self.leave(process, ProcessExit::Signal("SIGKILL".into()));
        std::mem::take(&mut self.release)
    }
}
