//! The state of the model's transition system: which transitions are possible, and what follows from one.

use super::Mutation;
use super::pipe::{Pipe, Wakeup};
use super::process::{Phase, ProcessState};
use super::program::Program;
use super::race_detector::RaceDetector;
use super::tasks::Tasks;
use super::timers::Timers;
use crate::scenario::{Outcome, PipeEnd, PipeId, Side, Verb};
use crate::trace::{ProcessExit, Release, StepState, Trace};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};

/// Everything that changes while a scenario runs.
#[derive(Clone)]
pub(super) struct State<'p> {
    pub(super) program: &'p Program<'p>,
    pub(super) tasks: Tasks<'p>,
    pub(super) processes: Vec<ProcessState>,
    pub(super) pipes: Vec<Pipe>,
    pub(super) timers: Timers,
    pub(super) steps: Vec<StepState>,
    /// The `until` steps that wait.
    pub(super) untils: BTreeSet<usize>,
    /// What has happened since the last release.
    pub(super) release: Release,
    /// Whether actions that take time are several transitions: an exiting process closes its ends one by one, and a
    /// step completes after its work is done.
    pub(super) is_fine_grained: bool,
    /// The steps whose work is done, with their outcomes.
    pub(super) finishing: BTreeMap<usize, (Outcome, Option<usize>)>,
    /// Whether a program beside the library is running.
    pub(super) has_foreign_program: bool,
    /// Whether a process has ended before its children.
    pub(super) has_orphans: bool,
    /// A process that is killed at the latest when it returns.
    pub(super) kill_on_return: Option<usize>,
    /// Set only while races are looked for.
    pub(super) races: Option<RaceDetector>,
}

/// One transition: the smallest thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transition {
    /// A step begins.
    Begin(usize),
    /// An exiting process closes one end.
    CloseEnd(usize, PipeEnd),
    /// An exiting process that has closed all its ends is gone.
    Exit(usize),
    /// A step whose work is done completes.
    Complete(usize),
}

impl<'p> State<'p> {
    /// The initial state: `main` is running.
    pub(super) fn start(program: &'p Program<'p>) -> Self {
        let pipe = Pipe::unmade(program.capacity, program.choices);
        let mut state = Self {
            program,
            tasks: Tasks::new(program),
            processes: vec![ProcessState::default(); program.processes.len()],
            pipes: vec![pipe; program.pipes.len()],
            timers: Timers::default(),
            steps: vec![StepState::NotStarted; program.steps.len()],
            untils: BTreeSet::new(),
            release: Release::default(),
            is_fine_grained: false,
            finishing: BTreeMap::new(),
            has_foreign_program: false,
            has_orphans: false,
            kill_on_return: None,
            races: None,
        };
        state.start_process(0);
        state
    }

    /// Records races from now on; call it on the initial state.
    pub(super) fn with_race_detector(mut self) -> Self {
        self.races = Some(RaceDetector::new(self.program));
        self
    }

    /// Whether a race was found so far.
    pub(super) fn has_races(&self) -> bool {
        self.races.as_ref().is_some_and(RaceDetector::has_races)
    }

    pub(super) fn is(&self, mutation: Mutation) -> bool {
        self.program.choices.mutation == Some(mutation)
    }

    /// The transitions that are possible in this state.
    pub(super) fn transitions(&self) -> Vec<Transition> {
        let mut transitions: Vec<Transition> = self.tasks.ready().map(Transition::Begin).collect();
        for (index, process) in self.processes.iter().enumerate() {
            if matches!(process.phase, Phase::Exiting(_)) {
                transitions
                    .extend(process.ends.iter().map(|end| Transition::CloseEnd(index, *end)));
                transitions.extend(process.ends.is_empty().then_some(Transition::Exit(index)));
            }
        }
        transitions.extend(self.finishing.keys().map(|step| Transition::Complete(*step)));
        transitions
    }

    /// Makes one transition, with all that follows from it.
    pub(super) fn advance(&mut self, transition: Transition) -> Release {
        match transition {
            Transition::Begin(step) => {
                self.release.step = step;
                self.begin(step);
            }
            Transition::CloseEnd(process, end) => self.close_ends(process, &[end]),
            Transition::Exit(process) => self.finish_exit(process),
            Transition::Complete(step) => {
                if let Some((outcome, from)) = self.finishing.remove(&step) {
                    self.complete_from(step, outcome, from);
                }
            }
        }
        std::mem::take(&mut self.release)
    }

    /// Continues a state without transitions: the first `until` whose task is blocked completes, since that task stays
    /// blocked; otherwise the time passes to the next timer. Returns `None` if there is neither.
    pub(super) fn settle(&mut self) -> Option<Release> {
        if let Some(step) = self.satisfied_until() {
            self.untils.remove(&step);
            self.complete(step, Outcome::Ok);
        } else {
            let step = self.timers.expire_next()?;
            self.time_out(step);
        }
        Some(std::mem::take(&mut self.release))
    }

    /// What has happened until now.
    pub(super) fn trace(&self) -> Trace {
        let mut trace = Trace { steps: self.steps.clone(), ..Trace::default() };
        for (info, process) in self.program.processes.iter().zip(&self.processes) {
            let name = info.name.to_owned();
            if let Some(handles) = process.remaining_handles {
                trace.remaining_handles.insert(name.clone(), handles);
            }
            if process.phase != Phase::NotStarted {
                let exit = process.exit().cloned().unwrap_or(ProcessExit::Running);
                trace.exits.insert(name, exit);
            }
        }
        trace
    }

    /// A hash of everything that determines the trace: what has happened, and what can still happen.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        self.tasks.states().hash(&mut hasher);
        self.processes.hash(&mut hasher);
        (&self.pipes, &self.untils, &self.timers).hash(&mut hasher);
        (&self.steps, &self.finishing).hash(&mut hasher);
        hasher.finish()
    }

    fn begin(&mut self, step: usize) {
        let task = self.program.steps[step].task;
        self.tasks.release(step);
        self.tasks.begin(task, step);
        self.steps[step] = StepState::Pending;
        let limit = self.program.scenario.steps[step].within_ms;
        if let Some(limit) = limit.filter(|_| !self.is(Mutation::NoLimit)) {
            self.timers.start(step, limit);
        }
        self.record_begin(step);
        self.execute(step);
    }

    /// A step completes without a message.
    pub(super) fn complete(&mut self, step: usize, outcome: Outcome) {
        self.complete_from(step, outcome, None);
    }

    /// A step completes if it is still open: a step that was cancelled, or whose process is gone, is not.
    pub(super) fn complete_from(&mut self, step: usize, outcome: Outcome, from: Option<usize>) {
        // Under a mutation a step may be woken that does not exist.
        let Some(info) = self.program.steps.get(step).copied() else { return };
        if self.tasks.open_step(info.task) != Some(step) {
            return;
        }
        self.record_completion(step, &outcome, from);
        self.timers.cancel(step);
        self.steps[step] = StepState::Completed { outcome, from, detail: None };
        self.release.completes.push(step);
        self.tasks.complete(info.task);
        self.start_tasks(info.process);
    }

    /// Completes the steps that a pipe has woken.
    pub(super) fn wake(&mut self, wakeups: Vec<Wakeup>) {
        for Wakeup { step, outcome, from } in wakeups {
            let (outcome, from) = match from.map(|put| self.program.verb(put)) {
                Some(Verb::Put { handle, payload }) if self.is_undecodable(handle, payload) => {
                    (Outcome::Decode, None)
                }
                Some(Verb::Put { payload, .. } | Verb::Cut { payload, .. }) => {
                    (Outcome::Message(payload.clone()), from)
                }
                _ => (outcome, from),
            };
            // Only another task of the same process can see that the step has not completed yet.
            if self.is_fine_grained && self.has_concurrent_task(step) {
                self.finishing.insert(step, (outcome, from));
            } else {
                self.complete_from(step, outcome, from);
            }
        }
    }

    fn has_concurrent_task(&self, step: usize) -> bool {
        let Some(info) = self.program.steps.get(step) else { return false };
        self.tasks.open_step(info.task) == Some(step)
            && self.program.processes[info.process].tasks.len() > 1
    }

    /// Whether a put or a get is in progress at an end.
    pub(super) fn is_busy(&self, end: PipeEnd) -> bool {
        let uses_end = |step: &usize| match self.program.verb(*step) {
            Verb::Put { handle, .. } if end.is_writer() => {
                self.program.pipe(handle, Side::Writer) == Some(end.pipe)
            }
            Verb::Get { handle } if !end.is_writer() => {
                self.program.pipe(handle, Side::Reader) == Some(end.pipe)
            }
            _ => false,
        };
        self.pipes[end.pipe].is_busy(end.side) || self.finishing.keys().any(uses_end)
    }

    /// The pipe ends that a handle stands for; none before its step has made it.
    pub(super) fn ends(&self, handle: &str) -> &'p [PipeEnd] {
        let ends = self.program.scenario.handles.ends(handle);
        match ends.first() {
            Some(end) if self.pipes[end.pipe].is_made() => ends,
            _ => &[],
        }
    }

    /// The end of this side that a handle stands for; none before its step has made it.
    pub(super) fn end(&self, handle: &str, side: Side) -> Option<PipeEnd> {
        self.ends(handle).iter().copied().find(|end| end.side == side)
    }

    /// The ends of a handle that a process holds open.
    pub(super) fn held_ends(&self, process: usize, handle: &str) -> Vec<PipeEnd> {
        let held = &self.processes[process].ends;
        self.ends(handle).iter().copied().filter(|end| held.contains(end)).collect()
    }

    /// The pipe that a process can get from or put to through a handle.
    pub(super) fn usable_pipe(&self, process: usize, handle: &str, side: Side) -> Option<PipeId> {
        let end = self.end(handle, side)?;
        let is_held = self.processes[process].ends.contains(&end);
        let is_mutated =
            self.is(Mutation::ClosedIsOk) || (self.is(Mutation::ChildHasAll) && process > 0);
        (is_held || is_mutated).then_some(end.pipe)
    }

    /// A step stops waiting.
    pub(super) fn withdraw(&mut self, step: usize) {
        for process in &mut self.processes {
            process.joins.retain(|join| *join != step);
        }
        for pipe in 0..self.pipes.len() {
            let wakeups = self.pipes[pipe].withdraw(step);
            self.wake(wakeups);
        }
    }

    /// A step's timer expires.
    fn time_out(&mut self, step: usize) {
        let process = self.program.steps[step].process;
        let verb = self.program.verb(step);
        if let (Verb::Get { handle }, true) = (verb, self.program.choices.late_get_waits) {
            let pipe = self.usable_pipe(process, handle, Side::Reader);
            if pipe.is_some_and(|pipe| self.pipes[pipe].has_partial_message()) {
                return;
            }
        }
        let outcome = match verb {
            Verb::Pause { .. } => Outcome::Ok,
            Verb::Join { .. } => Outcome::Running,
            _ => Outcome::Timeout,
        };
        if self.is(Mutation::LimitTakes) {
            self.pipes.iter_mut().for_each(|pipe| pipe.lose_next_message(step));
        }
        self.withdraw(step);
        self.complete(step, outcome);
    }

    /// The first `until` whose task is in a step. A task that is itself in an `until` does not count: it waits for the
    /// harness, not for the system.
    fn satisfied_until(&self) -> Option<usize> {
        let is_blocked = |task: usize| {
            let open = self.tasks.open_step(task);
            open.is_some_and(|open| !matches!(self.program.verb(open), Verb::Until { .. }))
        };
        self.untils
            .iter()
            .copied()
            .find(|until| self.program.steps[*until].target.is_some_and(is_blocked))
    }
}
