//! The walk over a scenario in story order: which step is next, what comes of it, what it wakes.

use super::pipe::{Pipe, Wakeup};
use super::race_detector::{PipeTotals, VectorClocks};
use super::{Choices, Mutation};
use crate::scenario::{Codec, Outcome, Scenario, TaskId, Verb};
use crate::trace::{ProcessExit, Release, StepState, Trace};
use foldhash::fast::FixedState;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::rc::Rc;

/// One task_id: its steps in order, and how far it is.
#[derive(Clone)]
pub(super) struct TaskState {
    pub(super) process: usize,
    pub(super) task: bool,
    pub(super) steps: Rc<Vec<usize>>,
    pub(super) next: usize,
    pub(super) open: Option<usize>,
    /// A task: how many lines of its process stand above its first one.
    pub(super) after: usize,
    pub(super) started: bool,
}

#[derive(Clone)]
pub(super) struct Process {
    pub(super) name: Rc<str>,
    pub(super) parent: Option<usize>,
    pub(super) tracks: Vec<usize>,
    pub(super) come: bool,
    pub(super) end: Option<ProcessExit>,
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
#[derive(Clone)]
pub(super) struct State<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) capacity: u64,
    pub(super) choices: Choices,
    pub(super) tracks: Vec<TaskState>,
    pub(super) by_task: Rc<BTreeMap<&'a TaskId, usize>>,
    pub(super) processes: Vec<Process>,
    pub(super) by_name: Rc<BTreeMap<String, usize>>,
    pub(super) pipes: Vec<Pipe>,
    /// The ends a handle stands for: the pipe, and whether it is the end that puts. The writer comes first.
    pub(super) handles: Rc<BTreeMap<String, Vec<(usize, bool)>>>,
    /// The writers of values.
    pub(super) codecs: BTreeMap<String, Codec>,
    pub(super) ready: BTreeSet<usize>,
    pub(super) untils: Vec<usize>,
    pub(super) timers: BTreeSet<(u64, usize)>,
    pub(super) now_ms: u64,
    /// Whether there is a program beside the library.
    pub(super) ghost: bool,
    /// Whether descriptors are limited anywhere.
    pub(super) limited: bool,
    pub(super) taken: Vec<StepState>,
    pub(super) release: Release,
    /// The handles that processes had when they returned.
    pub(super) left: BTreeMap<String, u64>,
    /// Whether what takes time takes it: an exit lets go of its ends one by one, and a step ends after its work is done.
    pub(super) piecemeal: bool,
    /// The steps whose work is done, and what they will come to.
    pub(super) ending: BTreeMap<usize, (Outcome, Option<usize>)>,
    /// Those who are leaving: how, and what they have not yet let go.
    pub(super) leaving: BTreeMap<usize, (ProcessExit, BTreeSet<(usize, bool)>)>,
    /// Whether somebody left before its children did.
    pub(super) orphans: bool,
    /// A process that is killed when it returns, at the latest.
    pub(super) doomed: Option<usize>,
    /// Who could have known what; kept only when races are looked for.
    pub(super) clocks: Option<VectorClocks>,
    /// What of each pipe was looked up for that.
    pub(super) wholes: Rc<RefCell<BTreeMap<usize, PipeTotals>>>,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transition {
    /// A step begins.
    Step(usize),
    /// A process that is leaving lets go of this end.
    Drop(usize, (usize, bool)),
    /// A process that has let go of everything is gone.
    Gone(usize),
    /// A step whose work is done ends.
    End(usize),
}

impl<'a> State<'a> {
    /// The scenario at its beginning: `main` has come.
    pub(super) fn start(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut state = Self::new(scenario, capacity, choices);
        state.come(0);
        state
    }

    /// What can happen next: the steps that may begin, and what exits have not yet let go.
    pub(super) fn moves(&self) -> Vec<Transition> {
        let steps = self.ready.iter().map(|step| Transition::Step(*step));
        let leaving = self.leaving.iter().flat_map(|(process, (_, ends))| {
            let gone = ends.is_empty().then_some(Transition::Gone(*process));
            ends.iter().map(|end| Transition::Drop(*process, *end)).chain(gone)
        });
        let ends = self.ending.keys().map(|step| Transition::End(*step));
        steps.chain(leaving).chain(ends).collect()
    }

    /// Lets one thing happen, with all that follows from it.
    pub(super) fn advance(&mut self, next: Transition) -> Release {
        match next {
            Transition::Step(step) => {
                self.ready.remove(&step);
                self.release = Release { step, ..std::mem::take(&mut self.release) };
                self.begin(step);
            }
            Transition::Drop(process, end) => self.drop_end(process, end),
            Transition::Gone(process) => self.gone(process),
            Transition::End(step) => {
                if let Some((outcome, from)) = self.ending.remove(&step) {
                    self.end(step, outcome, from);
                }
            }
        }
        std::mem::take(&mut self.release)
    }

    /// When nothing can move: the first `until` whose task_id is in a step holds, since that step stays open. If there is
    /// none, the time passes until the next limit or pause is over. `None` if there is neither.
    pub(super) fn settle(&mut self) -> Option<Release> {
        if let Some(step) = self.met() {
            self.untils.retain(|until| *until != step);
            self.end(step, Outcome::Ok, None);
        } else {
            let (at, step) = self.timers.pop_first()?;
            self.now_ms = at;
            self.ring(step);
        }
        Some(std::mem::take(&mut self.release))
    }

    /// What has happened until now.
    pub(super) fn trace(&self) -> Trace {
        let here = self.processes.iter().filter(|process| process.come);
        let ends = here.map(|process| {
            (process.name.to_string(), process.end.clone().unwrap_or(ProcessExit::Running))
        });
        let (ends, left) = (ends.collect(), self.left.clone());
        Trace {
            steps: self.taken.clone(),
            exits: ends,
            remaining_handles: left,
            violations: Vec::new(),
        }
    }

    /// A number for all that decides what can still happen, and what has.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = FixedState::default().build_hasher();
        for track in &self.tracks {
            (track.next, track.open, track.started).hash(&mut hash);
        }
        for process in &self.processes {
            (process.come, &process.end, &process.ends, &process.joins).hash(&mut hash);
            (&process.trapped, process.caught, &process.deaf, process.free).hash(&mut hash);
        }
        (&self.pipes, &self.handles, &self.untils, &self.timers).hash(&mut hash);
        (self.now_ms, &self.taken, &self.left, &self.leaving, &self.ending).hash(&mut hash);
        hash.finish()
    }

    fn new(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut state = Self {
            scenario,
            capacity,
            choices,
            tracks: Vec::new(),
            by_task: Rc::default(),
            processes: Vec::new(),
            by_name: Rc::default(),
            pipes: Vec::new(),
            handles: Rc::default(),
            codecs: BTreeMap::new(),
            ready: BTreeSet::new(),
            untils: Vec::new(),
            timers: BTreeSet::new(),
            now_ms: 0,
            ghost: false,
            limited: scenario.steps.iter().any(|step| matches!(step.verb, Verb::Limit { .. })),
            taken: vec![StepState::NotStarted; scenario.steps.len()],
            release: Release::default(),
            left: BTreeMap::new(),
            piecemeal: false,
            ending: BTreeMap::new(),
            leaving: BTreeMap::new(),
            orphans: false,
            doomed: None,
            clocks: None,
            wholes: Rc::default(),
        };
        state.process("main");
        for (index, step) in scenario.steps.iter().enumerate() {
            let track = state.track(&step.task_id);
            Rc::make_mut(&mut state.tracks[track].steps).push(index);
            if let Verb::Spawn { child, .. } = &step.verb {
                state.process(child);
            }
        }
        state
    }

    pub(super) fn process(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.processes.len();
        Rc::make_mut(&mut self.by_name).insert(name.to_owned(), index);
        self.processes.push(Process {
            name: name.into(),
            parent: None,
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

    fn track(&mut self, task_id: &'a TaskId) -> usize {
        if let Some(track) = self.by_task.get(task_id) {
            return *track;
        }
        let process = self.process(&task_id.process);
        let own = TaskId::process(&task_id.process);
        let after = self.by_task.get(&own).map_or(0, |own| self.tracks[*own].steps.len());
        let track = self.tracks.len();
        self.tracks.push(TaskState {
            process,
            task: task_id.task.is_some(),
            steps: Rc::default(),
            next: 0,
            open: None,
            after,
            started: false,
        });
        Rc::make_mut(&mut self.by_task).insert(task_id, track);
        self.processes[process].tracks.push(track);
        track
    }

    pub(super) fn is(&self, fault: Mutation) -> bool {
        self.choices.mutation == Some(fault)
    }

    /// Whether a race was found.
    pub(super) fn races(&self) -> bool {
        self.clocks.as_ref().is_some_and(|clocks| clocks.races)
    }

    /// Looks for races from now on; before anything has happened.
    pub(super) fn with_clocks(mut self) -> Self {
        self.clocks = Some(VectorClocks::new(self.tracks.len(), self.processes.len()));
        self
    }

    fn begin(&mut self, step: usize) {
        let spec = &self.scenario.steps[step];
        let track = self.by_task[&spec.task_id];
        self.tracks[track].next += 1;
        self.tracks[track].open = Some(step);
        self.taken[step] = StepState::Pending;
        if let Some(limit) = spec.within_ms.filter(|_| !self.is(Mutation::NoLimit)) {
            self.timers.insert((self.now_ms + limit, step));
        }
        let process = self.tracks[track].process;
        self.witness(step, spec, process);
        self.act(step, spec, process);
    }

    pub(super) fn wake(&mut self, woken: Vec<Wakeup>) {
        for (step, outcome, from) in woken {
            let (outcome, from) = match from.map(|put| &self.scenario.steps[put].verb) {
                Some(Verb::Put { handle, payload }) if self.is_undecodable(handle, payload) => {
                    (Outcome::Decode, None)
                }
                Some(Verb::Put { payload, .. } | Verb::Cut { payload, .. }) => {
                    (Outcome::Message(payload.clone()), from)
                }
                _ => (outcome, from),
            };
            // Only a neighbour in the same process can see that it is not over yet.
            if self.piecemeal && self.has_neighbours(step) {
                self.ending.insert(step, (outcome, from));
            } else {
                self.end(step, outcome, from);
            }
        }
    }

    fn has_neighbours(&self, step: usize) -> bool {
        let Some(spec) = self.scenario.steps.get(step) else { return false };
        let track = &self.tracks[self.by_task[&spec.task_id]];
        track.open == Some(step) && self.processes[track.process].tracks.len() > 1
    }

    /// Whether somebody is at work at the end of a pipe that puts or gets.
    pub(super) fn is_busy(&self, pipe: usize, writer: bool) -> bool {
        let at_it = |step: &usize| match &self.scenario.steps[*step].verb {
            Verb::Put { handle, .. } if writer => self.ends_at(handle, true) == Some(pipe),
            Verb::Get { handle } if !writer => self.ends_at(handle, false) == Some(pipe),
            _ => false,
        };
        self.pipes[pipe].is_busy(writer) || self.ending.keys().any(at_it)
    }

    /// The pipe of which this handle is that end.
    pub(super) fn ends_at(&self, handle: &str, writer: bool) -> Option<usize> {
        self.handles.get(handle)?.iter().find(|end| end.1 == writer).map(|end| end.0)
    }

    /// A step ends, if it is still open: one whose process is gone, or that was cancelled, is not.
    pub(super) fn end(&mut self, step: usize, outcome: Outcome, from: Option<usize>) {
        // By a fault somebody may be woken who is not there.
        let Some(spec) = self.scenario.steps.get(step) else { return };
        let track = self.by_task[&spec.task_id];
        if self.tracks[track].open != Some(step) {
            return;
        }
        self.learn(step, &outcome, from);
        self.tracks[track].open = None;
        self.timers.retain(|timer| timer.1 != step);
        self.taken[step] = StepState::Completed { outcome, from, detail: None };
        self.release.completes.push(step);
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
        let process = self.tracks[self.by_task[&self.scenario.steps[step].task_id]].process;
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
        if self.is(Mutation::LimitTakes) {
            self.pipes.iter_mut().for_each(|pipe| pipe.lose_next(step));
        }
        self.withdraw(step);
        self.end(step, outcome, None);
    }

    /// The first `until` whose task_id is in a step. Who is in an `until` itself does not wait for the system, but for the
    /// harness.
    fn met(&self) -> Option<usize> {
        let waits = |task_id: &TaskId| {
            let open = self.by_task.get(task_id).and_then(|track| self.tracks[*track].open);
            open.is_some_and(|open| !matches!(self.scenario.steps[open].verb, Verb::Until { .. }))
        };
        let mut untils: Vec<usize> = self.untils.clone();
        untils.sort_unstable();
        untils.into_iter().find(|until| {
            matches!(&self.scenario.steps[*until].verb, Verb::Until { task_id } if waits(task_id))
        })
    }
}
