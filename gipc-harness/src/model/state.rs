//! The state of the model's transition system: which transitions are possible, and what each of them causes.

use super::Mutation;
use super::history::{Fact, History};
use super::pipe::{Pipe, Wakeup, Wakeups};
use super::process::ProcessState;
use super::program::Program;
use super::race_detector::RaceDetector;
use super::table::Table;
use super::tasks::Tasks;
use super::timers::Timers;
use crate::scenario::{Outcome, PipeEnd, Side, Verb};
use crate::trace::{Release, StepState, Trace};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};

/// Everything that changes while a scenario runs.
#[derive(Clone)]
pub(super) struct State<'p> {
    pub(super) program: &'p Program<'p>,
    pub(super) tasks: Tasks<'p>,
    pub(super) processes: Table<ProcessState>,
    pub(super) pipes: Table<Pipe>,
    pub(super) timers: Timers,
    pub(super) history: History<'p>,
    /// The `until` steps that wait.
    pub(super) untils: BTreeSet<usize>,
    /// What has happened since the last release.
    pub(super) release: Release,
    /// Whether actions that take time are split into several transitions: a process returns after its last step, an exiting
    /// process closes its ends one by one, and a step completes after its work is done.
    pub(super) is_fine_grained: bool,
    /// The steps whose work is done, with their outcomes.
    pub(super) finishing: BTreeMap<usize, (Outcome, Option<usize>)>,
    /// The processes whose steps are done and that have not returned yet, so that a signal may still end them.
    pub(super) returning: BTreeSet<usize>,
    /// The processes that are exiting.
    pub(super) exiting: BTreeSet<usize>,
    /// Whether a program beside the library is running.
    pub(super) has_foreign_program: bool,
    /// Whether a process has ended, or is about to, while children of it run. What happens to them then races with its end.
    pub(super) has_unjoined_children: bool,
    /// A process that is killed at the latest when it returns.
    pub(super) kill_on_return: Option<usize>,
    /// Whether a step gets the outcome of the file if the model would give it another one.
    pub(super) follows_file: bool,
    /// Present only while searching for races.
    pub(super) races: Option<RaceDetector>,
    /// Set only while this step begins: its limit expires before it has done anything.
    pub(super) expiring: Option<usize>,
}

/// One transition: the smallest thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transition {
    /// A step begins.
    Begin(usize),
    /// A step begins that signals a child, and the implementation has already reaped the child.
    BeginReaped(usize),
    /// A step begins whose time limit races with what it waits for, and the limit expires first.
    BeginExpired(usize),
    /// A process whose steps are done returns.
    Return(usize),
    /// An exiting process closes one end.
    CloseEnd(usize, PipeEnd),
    /// An exiting process that has closed all its ends is gone.
    Exit(usize),
    /// A step whose work is done completes.
    Complete(usize),
}

impl<'p> State<'p> {
    /// The initial state of a run: `main` is running.
    pub(super) fn start(program: &'p Program<'p>) -> Self {
        Self::with_history(program, History::of_run(program.step_count()))
    }

    /// The initial state of a run that is compared with the run that gave this trace.
    pub(super) fn start_comparison(program: &'p Program<'p>, trace: &'p Trace) -> Self {
        Self::with_history(program, History::of_comparison(trace))
    }

    /// The initial state of a search, which takes the history at every node.
    pub(super) fn start_search(program: &'p Program<'p>) -> Self {
        Self::with_history(program, History::of_search())
    }

    fn with_history(program: &'p Program<'p>, history: History<'p>) -> Self {
        let pipe = Pipe::unmade(program.capacity, program.choices);
        let mut state = Self {
            program,
            tasks: Tasks::new(program),
            processes: Table::new(&ProcessState::default(), program.processes.len()),
            pipes: Table::new(&pipe, program.pipes.len()),
            timers: Timers::default(),
            history,
            untils: BTreeSet::new(),
            release: Release::default(),
            is_fine_grained: false,
            finishing: BTreeMap::new(),
            returning: BTreeSet::new(),
            exiting: BTreeSet::new(),
            has_foreign_program: false,
            has_unjoined_children: false,
            kill_on_return: None,
            follows_file: false,
            races: None,
            expiring: None,
        };
        state.start_process(0);
        state
    }

    /// Records races from now on. Call it on the initial state.
    pub(super) fn with_race_detector(mut self) -> Self {
        self.races = Some(RaceDetector::new(self.program));
        self
    }

    /// Whether any race was found.
    pub(super) fn has_races(&self) -> bool {
        self.races.as_ref().is_some_and(RaceDetector::has_races)
    }

    pub(super) fn is(&self, mutation: Mutation) -> bool {
        self.program.choices.mutation == Some(mutation)
    }

    /// The transitions that are possible in this state, at most this many of each kind. Those that are least likely to
    /// conflict with others come first.
    pub(super) fn transitions(&self, max: usize) -> impl Iterator<Item = Transition> + '_ {
        let without_ends = |process: &&usize| self.processes[**process].ends.is_empty();
        let exit =
            self.exiting.iter().filter(without_ends).map(|process| Transition::Exit(*process));
        let returns = self.returning.iter().map(|process| Transition::Return(*process));
        let complete = self.finishing.keys().map(|step| Transition::Complete(*step));
        let close = self.exiting.iter().rev().flat_map(|process| {
            let ends = self.processes[*process].ends.iter();
            ends.map(|end| Transition::CloseEnd(*process, *end))
        });
        let begin = self.tasks.ready().map(Transition::Begin);
        let ends = exit.take(max).chain(returns.take(max));
        ends.chain(complete.take(max)).chain(close.take(max)).chain(begin.take(max))
    }

    /// The other way in which a transition may happen, if there are two. A time limit may expire before or after the event
    /// that its step waits for. An implementation may reap a child that has ended at once or when it is joined, and a signal
    /// shows which.
    pub(super) fn alternative(&self, transition: Transition) -> Option<Transition> {
        let Transition::Begin(step) = transition else { return None };
        if self.program.scenario.steps[step].races_with_its_limit() {
            return Some(Transition::BeginExpired(step));
        }
        let child = self.program.step(step).child?;
        let is_open = match self.program.verb(step) {
            Verb::Signal { .. } => self.processes[child].may_be_zombie(),
            Verb::SignalGroup { .. } => self.group_may_be_gone(child),
            _ => false,
        };
        is_open.then_some(Transition::BeginReaped(step))
    }

    /// Makes one transition, with all its consequences.
    pub(super) fn advance(&mut self, transition: Transition) -> Release {
        match transition {
            Transition::Begin(step) => {
                self.release.step = step;
                self.begin(step);
            }
            Transition::BeginReaped(step) => {
                if let Some(child) = self.program.step(step).child {
                    self.processes[child].is_reaped = true;
                    for member in &self.program.processes[child].group_members {
                        self.processes[*member].is_reaped = true;
                    }
                }
                return self.advance(Transition::Begin(step));
            }
            Transition::BeginExpired(step) => {
                self.expiring = Some(step);
                let release = self.advance(Transition::Begin(step));
                self.expiring = None;
                return release;
            }
            Transition::Return(process) => self.finish_return(process),
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

    /// Continues from a state without transitions: completes every `until` whose task is blocked, or else advances the time to
    /// the next timer. Returns `None` if no `until` can complete and no timer is set.
    pub(super) fn settle(&mut self) -> Option<Release> {
        let satisfied = self.satisfied_untils();
        if !satisfied.is_empty() {
            self.complete_untils(&satisfied);
        } else if let Some(step) = self.timers.expire_next() {
            self.time_out(step);
        } else {
            let (step, outcome) = self.open_step_by_file()?;
            self.withdraw(step);
            self.complete(step, outcome);
        }
        Some(std::mem::take(&mut self.release))
    }

    /// The trace of the run so far.
    pub(super) fn into_trace(self) -> Trace {
        self.history.into_trace(self.program)
    }

    /// A hash of everything that determines what can still happen.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        (self.tasks.states(), &self.processes, &self.pipes).hash(&mut hasher);
        (&self.untils, &self.timers, &self.finishing).hash(&mut hasher);
        hasher.finish()
    }

    /// How many parts are copied with the state and hashed for its fingerprint.
    pub(super) fn weight(&self) -> usize {
        let exiting = self.exiting.iter().map(|process| self.processes[*process].ends.len());
        let tables = self.tasks.states().weight() + self.processes.weight() + self.pipes.weight();
        tables + self.tasks.ready().len() + exiting.sum::<usize>()
    }

    fn begin(&mut self, step: usize) {
        let task = self.program.step(step).task;
        self.tasks.release(step);
        self.tasks.begin(task, step);
        self.history.record(Fact::Step(step, StepState::Pending));
        let limit = self.program.scenario.steps[step].within_ms;
        if let Some(limit) = limit.filter(|_| !self.is(Mutation::NoLimit)) {
            self.timers.start(step, limit.into());
        }
        self.record_begin(step);
        self.execute(step);
        if self.expiring == Some(step) && self.tasks.open_step(task) == Some(step) {
            self.time_out(step);
        }
    }

    /// Whether the time limit of a get or a join expires before the step has done anything.
    pub(super) fn is_expired(&self, step: usize) -> bool {
        self.expiring == Some(step) || self.program.expired.contains(&step)
    }

    /// Completes a step without a message.
    pub(super) fn complete(&mut self, step: usize, outcome: Outcome) {
        self.complete_from(step, outcome, None);
    }

    /// Completes a step if it is still open. A step that was cancelled, or whose process is gone, is not open.
    pub(super) fn complete_from(&mut self, step: usize, outcome: Outcome, from: Option<usize>) {
        if let Some(process) = self.end_step(step, outcome, from) {
            self.start_tasks(process);
        }
    }

    /// Completes steps at the same moment: what the completion of one causes comes after the completion of the others.
    fn complete_untils(&mut self, untils: &[usize]) {
        let mut processes = Vec::new();
        for step in untils {
            self.untils.remove(step);
            processes.extend(self.end_step(*step, Outcome::Ok, None));
        }
        for process in processes {
            self.start_tasks(process);
        }
    }

    /// Completes a step, without what follows in its process, which is returned; `None` if the step is not open.
    fn end_step(&mut self, step: usize, outcome: Outcome, from: Option<usize>) -> Option<usize> {
        // Under a mutation, a step may be woken that does not exist.
        let info = self.program.get_step(step)?;
        if self.tasks.open_step(info.task) != Some(step) {
            return None;
        }
        let outcome = self.outcome_by_file(step, outcome)?;
        self.record_completion(step, &outcome, from);
        self.timers.cancel(step);
        let completed = StepState::Completed { outcome, from, detail: None };
        self.history.record(Fact::Step(step, completed));
        self.release.completes.push(step);
        self.tasks.complete(info.task);
        if let Some(child) = info.child {
            self.forget_exit_status(child);
        }
        Some(info.process)
    }

    /// Completes the steps that a pipe has woken.
    pub(super) fn wake(&mut self, wakeups: Wakeups) {
        for Wakeup { step, outcome, from } in wakeups {
            let (outcome, from) = match from.map(|put| (put, self.program.verb(put))) {
                Some((put, Verb::Put { payload, .. })) if self.is_undecodable(put, payload) => {
                    (Outcome::Decode, None)
                }
                Some((_, Verb::Put { payload, .. } | Verb::Cut { payload, .. })) => {
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
        let Some(info) = self.program.get_step(step) else { return false };
        self.tasks.open_step(info.task) == Some(step)
            && self.program.processes[info.process].tasks.len() > 1
    }

    /// Makes a step stop waiting.
    pub(super) fn withdraw(&mut self, step: usize) {
        let info = self.program.step(step);
        if let Some(child) = info.child {
            self.processes[child].joins.retain(|join| *join != step);
        }
        for end in info.ends {
            let wakeups = self.pipes[end.pipe].withdraw(step);
            self.wake(wakeups);
        }
    }

    /// Lets the timer of a step expire.
    fn time_out(&mut self, step: usize) {
        let verb = self.program.verb(step);
        if let (Verb::Get { .. }, true) = (verb, self.program.choices.late_get_waits) {
            let pipe = self.usable_pipe(step, Side::Reader);
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
            for end in self.program.step(step).ends {
                self.pipes[end.pipe].lose_next_message(step);
            }
        }
        self.withdraw(step);
        self.complete(step, outcome);
    }

    /// Each `until` whose task is in a step. A task that is itself in an `until` does not count: it waits for the harness rather
    /// than for the system.
    fn satisfied_untils(&self) -> Vec<usize> {
        let is_blocked = |task: usize| {
            let open = self.tasks.open_step(task);
            open.is_some_and(|open| !matches!(self.program.verb(open), Verb::Until { .. }))
        };
        let is_satisfied = |until: &usize| self.program.step(*until).target.is_some_and(is_blocked);
        self.untils.iter().copied().filter(is_satisfied).collect()
    }
}
