//! The walk over a scenario in story order: which step is next, what comes of it, what it wakes.

use super::pipe::{Pipe, Woken};
use super::{Choices, Fault, Order};
use crate::scenario::{Codec, Lane, Outcome, Scenario, Verb};
use crate::trace::{End, Plan, Release, Taken, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// One lane: its steps in order, and how far it is.
pub(super) struct Track {
    pub(super) process: usize,
    pub(super) task: bool,
    pub(super) steps: Vec<usize>,
    pub(super) next: usize,
    pub(super) open: Option<usize>,
    /// A task: how many lines of its process stand above its first one.
    pub(super) after: usize,
    pub(super) started: bool,
}

pub(super) struct Process {
    pub(super) name: String,
    pub(super) tracks: Vec<usize>,
    pub(super) come: bool,
    pub(super) end: Option<End>,
    pub(super) ends: BTreeSet<(usize, bool)>,
    pub(super) joins: Vec<usize>,
    /// Signals that are counted, and how many came.
    pub(super) trapped: BTreeSet<String>,
    pub(super) caught: u64,
    /// Signals that do nothing, or wait.
    pub(super) deaf: BTreeSet<String>,
    /// How many descriptors it may open more; no number is no limit.
    pub(super) free: Option<u64>,
}

/// Everything there is while a scenario is walked.
pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) capacity: u64,
    pub(super) choices: Choices,
    pub(super) tracks: Vec<Track>,
    pub(super) by_lane: BTreeMap<&'a Lane, usize>,
    pub(super) processes: Vec<Process>,
    pub(super) by_name: BTreeMap<String, usize>,
    pub(super) pipes: Vec<Pipe>,
    /// The ends a handle stands for: the pipe, and whether it is the end that puts. The writer comes first.
    pub(super) handles: BTreeMap<String, Vec<(usize, bool)>>,
    /// The writers of values.
    pub(super) codecs: BTreeMap<String, Codec>,
    pub(super) ready: BTreeSet<usize>,
    pub(super) untils: Vec<usize>,
    pub(super) timers: BTreeSet<(u64, usize)>,
    pub(super) now_ms: u64,
    /// Whether there is a program beside the library.
    pub(super) ghost: bool,
    pub(super) taken: Vec<Taken>,
    pub(super) release: Release,
    /// The handles that processes had when they returned.
    pub(super) left: BTreeMap<String, u64>,
}

impl<'a> World<'a> {
    /// Walks the scenario to its end or to where nothing moves any more.
    pub(super) fn run(
        scenario: &'a Scenario,
        capacity: u64,
        choices: Choices,
        order: Order,
    ) -> (Trace, Plan) {
        let mut world = Self::new(scenario, capacity, choices);
        let mut chance = match order {
            Order::Story => None,
            Order::Random(seed) => Some(fastrand::Rng::with_seed(seed)),
        };
        let mut releases = Vec::new();
        world.come(0);
        loop {
            if let Some(step) = world.next(&mut chance) {
                world.release = Release { step, ..std::mem::take(&mut world.release) };
                world.begin(step);
                world.settle_untils();
                releases.push(std::mem::take(&mut world.release));
            } else if let Some((at, step)) = world.timers.pop_first() {
                world.now_ms = at;
                world.ring(step);
                world.settle_untils();
                // What a timer ends belongs to the release before it: nothing could be let go meanwhile.
                if let Some(last) = releases.last_mut() {
                    let more = std::mem::take(&mut world.release);
                    last.ends.extend(more.ends);
                    last.comes.extend(more.comes);
                    last.leaves.extend(more.leaves);
                }
            } else {
                break;
            }
        }
        let ends = world
            .processes
            .into_iter()
            .filter(|process| process.come)
            .map(|process| (process.name, process.end.unwrap_or(End::Running)))
            .collect();
        let (left, violations) = (world.left, Vec::new());
        (Trace { steps: world.taken, ends, left, violations }, Plan { releases })
    }

    /// The first step that may begin, or any. By a fault only if no neighbour of its process waits.
    fn next(&mut self, chance: &mut Option<fastrand::Rng>) -> Option<usize> {
        if let Some(chance) = chance {
            let step = chance.choice(&self.ready).copied()?;
            self.ready.remove(&step);
            return Some(step);
        }
        if !self.is(Fault::OneTaskAtATime) {
            return self.ready.pop_first();
        }
        let free = |step: &&usize| {
            let process = self.tracks[self.by_lane[&self.scenario.steps[**step].lane]].process;
            self.processes[process].tracks.iter().all(|track| self.tracks[*track].open.is_none())
        };
        let step = self.ready.iter().find(free).copied()?;
        self.ready.remove(&step);
        Some(step)
    }

    fn new(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut world = Self {
            scenario,
            capacity,
            choices,
            tracks: Vec::new(),
            by_lane: BTreeMap::new(),
            processes: Vec::new(),
            by_name: BTreeMap::new(),
            pipes: Vec::new(),
            handles: BTreeMap::new(),
            codecs: BTreeMap::new(),
            ready: BTreeSet::new(),
            untils: Vec::new(),
            timers: BTreeSet::new(),
            now_ms: 0,
            ghost: false,
            taken: vec![Taken::Never; scenario.steps.len()],
            release: Release::default(),
            left: BTreeMap::new(),
        };
        world.process("main");
        for (index, step) in scenario.steps.iter().enumerate() {
            let track = world.track(&step.lane);
            world.tracks[track].steps.push(index);
            if let Verb::Spawn { child, .. } = &step.verb {
                world.process(child);
            }
        }
        world
    }

    pub(super) fn process(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.processes.len();
        self.by_name.insert(name.to_owned(), index);
        self.processes.push(Process {
            name: name.to_owned(),
            tracks: Vec::new(),
            come: false,
            end: None,
            ends: BTreeSet::new(),
            joins: Vec::new(),
            trapped: BTreeSet::new(),
            caught: 0,
            deaf: BTreeSet::new(),
            free: None,
        });
        index
    }

    fn track(&mut self, lane: &'a Lane) -> usize {
        if let Some(track) = self.by_lane.get(lane) {
            return *track;
        }
        let process = self.process(&lane.process);
        let own = Lane::process(&lane.process);
        let after = self.by_lane.get(&own).map_or(0, |own| self.tracks[*own].steps.len());
        let track = self.tracks.len();
        self.tracks.push(Track {
            process,
            task: lane.task.is_some(),
            steps: Vec::new(),
            next: 0,
            open: None,
            after,
            started: false,
        });
        self.by_lane.insert(lane, track);
        self.processes[process].tracks.push(track);
        track
    }

    pub(super) fn is(&self, fault: Fault) -> bool {
        self.choices.fault == Some(fault)
    }

    fn begin(&mut self, step: usize) {
        let spec = &self.scenario.steps[step];
        let track = self.by_lane[&spec.lane];
        self.tracks[track].next += 1;
        self.tracks[track].open = Some(step);
        self.taken[step] = Taken::Open;
        if let Some(limit) = spec.within_ms.filter(|_| !self.is(Fault::NoLimit)) {
            self.timers.insert((self.now_ms + limit, step));
        }
        let process = self.tracks[track].process;
        self.act(step, spec, process);
    }

    pub(super) fn wake(&mut self, woken: Vec<Woken>) {
        for (step, outcome, from) in woken {
            match from.map(|put| &self.scenario.steps[put].verb) {
                Some(Verb::Put { handle, payload }) if self.is_undecodable(handle, payload) => {
                    self.end(step, Outcome::Decode, None);
                }
                Some(Verb::Put { payload, .. } | Verb::Cut { payload, .. }) => {
                    self.end(step, Outcome::Message(payload.clone()), from);
                }
                _ => self.end(step, outcome, from),
            }
        }
    }

    /// A step ends, if it is still open: one whose process is gone, or that was cancelled, is not.
    pub(super) fn end(&mut self, step: usize, outcome: Outcome, from: Option<usize>) {
        // By a fault somebody may be woken who is not there.
        let Some(spec) = self.scenario.steps.get(step) else { return };
        let track = self.by_lane[&spec.lane];
        if self.tracks[track].open != Some(step) {
            return;
        }
        self.tracks[track].open = None;
        self.timers.retain(|timer| timer.1 != step);
        self.taken[step] = Taken::Ended { outcome, from, detail: None };
        self.release.ends.push(step);
        let next = self.tracks[track].steps.get(self.tracks[track].next).copied();
        self.ready.extend(next);
        self.start_tracks(self.tracks[track].process);
    }

    pub(super) fn withdraw(&mut self, step: usize) {
        for pipe in &mut self.pipes {
            pipe.withdraw(step);
        }
        for process in &mut self.processes {
            process.joins.retain(|join| *join != step);
        }
    }

    fn ring(&mut self, step: usize) {
        let process = self.tracks[self.by_lane[&self.scenario.steps[step].lane]].process;
        if let Verb::Get { handle } = &self.scenario.steps[step].verb {
            let pipe = self.own(process, handle, false);
            let part = pipe.is_some_and(|pipe| self.pipes[pipe].has_part());
            if part && self.choices.late_get_waits {
                return;
            }
        }
        let outcome = match self.scenario.steps[step].verb {
            Verb::Pause { .. } => Outcome::Ok,
            Verb::Join { .. } => Outcome::Running,
            _ => Outcome::Timeout,
        };
        if self.is(Fault::LimitTakes) {
            self.pipes.iter_mut().for_each(|pipe| pipe.lose_next(step));
        }
        self.withdraw(step);
        self.end(step, outcome, None);
    }

    /// Ends each `until` whose lane is in a step. What could move has moved, so that lane is blocked.
    fn settle_untils(&mut self) {
        loop {
            let met =
                self.untils.iter().position(|until| match &self.scenario.steps[*until].verb {
                    Verb::Until { lane } => self
                        .by_lane
                        .get(lane)
                        .is_some_and(|track| self.tracks[*track].open.is_some()),
                    _ => false,
                });
            let Some(met) = met else { return };
            let step = self.untils.remove(met);
            self.end(step, Outcome::Ok, None);
        }
    }
}
