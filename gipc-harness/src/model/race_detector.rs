//! Finds out whether a scenario races, by happens-before: one run with vector clocks.
//!
//! If every two steps with conflicting accesses are ordered by what their processes can know, every order of steps gives
//! the same outcomes. A step's clock is taken when it *begins*: what a step learns by waiting must not order the step
//! itself. Finding too many races costs time; finding too few gives wrong answers.

use super::access::{Access, Resource};
use super::program::Program;
use super::vector_clock::VectorClock;
use crate::scenario::PipeId;
use foldhash::{HashMap, HashMapExt};
use std::collections::BTreeSet;

/// How many racing steps are remembered.
const MAX_RACING_STEPS: usize = 32;

/// The happens-before relation of one run, as far as it is needed to order accesses.
///
/// A clock has one component for each task, followed by one for the end of each process.
#[derive(Clone)]
pub(super) struct RaceDetector {
    /// A clock that knows nothing.
    initial: VectorClock,
    /// What each task knows.
    tasks: Vec<VectorClock>,
    /// The step that is beginning.
    acting: Option<Acting>,
    /// The clocks of puts whose messages have not been received.
    sent: HashMap<usize, VectorClock>,
    /// What a process can know from its start.
    started: HashMap<usize, VectorClock>,
    ended: HashMap<usize, VectorClock>,
    /// What the reader of a pipe learns from its end.
    closed_writers: HashMap<PipeId, VectorClock>,
    /// The last accesses of each kind.
    accesses: HashMap<Resource, Vec<Event>>,
    has_races: bool,
    racing_steps: BTreeSet<usize>,
}

#[derive(Clone)]
struct Acting {
    step: usize,
    task: usize,
    clock: VectorClock,
}

/// The last access of one kind to a resource by one component.
#[derive(Clone)]
struct Event {
    component: usize,
    epoch: u32,
    access: Access,
    /// The step that began then, or during which the process ended.
    step: Option<usize>,
}

impl RaceDetector {
    pub(super) fn new(program: &Program<'_>) -> Self {
        let components = program.tasks.len() + program.processes.len();
        let initial = VectorClock::with_components(components);
        Self {
            tasks: vec![initial.clone(); program.tasks.len()],
            initial,
            acting: None,
            sent: HashMap::new(),
            started: HashMap::new(),
            ended: HashMap::new(),
            closed_writers: HashMap::new(),
            accesses: HashMap::new(),
            has_races: false,
            racing_steps: BTreeSet::new(),
        }
    }

    pub(super) fn has_races(&self) -> bool {
        self.has_races
    }

    /// Some of the steps that race, in file order.
    pub(super) fn racing_steps(&self) -> impl Iterator<Item = usize> + '_ {
        self.racing_steps.iter().copied()
    }

    /// A step of a task begins with these accesses.
    pub(super) fn step_began(
        &mut self,
        step: usize,
        task: usize,
        accesses: impl IntoIterator<Item = (Resource, Access)>,
    ) {
        let epoch = self.tasks[task].get(task) + 1;
        self.tasks[task].set(task, epoch);
        let clock = self.tasks[task].clone();
        self.acting = Some(Acting { step, task, clock: clock.clone() });
        for (resource, access) in accesses {
            self.access(resource, access, task, &clock);
        }
    }

    /// The step that is beginning sends a message.
    pub(super) fn message_sent(&mut self) {
        if let Some(acting) = &self.acting {
            self.sent.insert(acting.step, acting.clock.clone());
        }
    }

    /// The step that is beginning closes the writer of a pipe.
    pub(super) fn writer_closed(&mut self, pipe: PipeId) {
        if let Some(acting) = &self.acting {
            let initial = || acting.clock.clone();
            self.closed_writers.entry(pipe).or_insert_with(initial).merge(&acting.clock);
        }
    }

    pub(super) fn message_received(&mut self, task: usize, put: usize) {
        if let Some(clock) = self.sent.remove(&put) {
            self.tasks[task].merge(&clock);
        }
    }

    pub(super) fn end_of_stream_received(&mut self, task: usize, pipe: PipeId) {
        if let Some(clock) = self.closed_writers.get(&pipe) {
            self.tasks[task].merge(clock);
        }
    }

    pub(super) fn exit_observed(&mut self, task: usize, process: usize) {
        if let Some(clock) = self.ended.get(&process) {
            self.tasks[task].merge(clock);
        }
    }

    /// The task is cancelled by the step that is beginning.
    pub(super) fn cancelled(&mut self, task: usize) {
        if let Some(acting) = &self.acting {
            self.tasks[task].merge(&acting.clock);
        }
    }

    /// The task learns that nothing moves: all that has begun was before.
    pub(super) fn quiescence_observed(&mut self, task: usize) {
        let mut all = self.tasks[task].clone();
        for clock in &self.tasks {
            all.merge(clock);
        }
        self.tasks[task] = all;
    }

    /// A process starts: its steps know what the step that spawned it knew.
    pub(super) fn process_started(&mut self, process: usize) {
        if let Some(acting) = &self.acting {
            self.started.insert(process, acting.clock.clone());
        }
    }

    /// A task starts: a concurrent task knows what the preceding steps of its process knew.
    pub(super) fn task_started(&mut self, task: usize, process: usize, own_task: Option<usize>) {
        if let Some(clock) = self.started.get(&process) {
            self.tasks[task].merge(clock);
        }
        if let Some(own) = own_task.filter(|own| *own != task) {
            let clock = self.tasks[own].clone();
            self.tasks[task].merge(&clock);
        }
    }

    /// A process ends with these accesses, closing the writers of these pipes; by itself or killed by the step that is
    /// beginning.
    pub(super) fn process_ended(
        &mut self,
        process: usize,
        tasks: &[usize],
        is_killed: bool,
        accesses: impl IntoIterator<Item = (Resource, Access)>,
        closed_writers: impl IntoIterator<Item = PipeId>,
    ) {
        let components = self.tasks.len();
        let mut clock = self.started.get(&process).unwrap_or(&self.initial).clone();
        for task in tasks {
            clock.merge(&self.tasks[*task]);
        }
        if let Some(acting) = self.acting.as_ref().filter(|_| is_killed) {
            clock.merge(&acting.clock);
        }
        // Seeing that an end is closed does not tell that the process is gone.
        let before_exit = clock.clone();
        clock.set(components + process, 1);
        for (resource, access) in accesses {
            self.access(resource, access, components + process, &clock);
        }
        for pipe in closed_writers {
            let initial = || before_exit.clone();
            self.closed_writers.entry(pipe).or_insert_with(initial).merge(&before_exit);
        }
        self.ended.insert(process, clock);
    }

    /// A step that was ready never begins because its process ended. In another order it would have been first, unless
    /// its own task ended the process.
    pub(super) fn step_prevented(&mut self, step: usize, task: usize) {
        if self.acting.as_ref().is_none_or(|acting| acting.task != task) {
            self.report_race(Some(step));
        }
    }

    fn access(
        &mut self,
        resource: Resource,
        access: Access,
        component: usize,
        clock: &VectorClock,
    ) {
        let step = self.acting.as_ref().map(|acting| acting.step);
        let events = self.accesses.entry(resource).or_default();
        let races = |event: &&Event| {
            event.component != component
                && clock.get(event.component) < event.epoch
                && resource.conflicts(event.access, access)
        };
        let racing: Vec<_> = events.iter().filter(races).map(|event| event.step).collect();
        let epoch = clock.get(component);
        match events.iter_mut().find(|event| event.component == component && event.access == access)
        {
            Some(event) => (event.epoch, event.step) = (epoch, step),
            None => events.push(Event { component, epoch, access, step }),
        }
        for other in racing {
            self.report_race(other);
            self.report_race(step);
        }
    }

    /// A step, and what it races with, may happen in either order.
    pub(super) fn report_race(&mut self, step: Option<usize>) {
        self.has_races = true;
        if self.racing_steps.len() < MAX_RACING_STEPS {
            self.racing_steps.extend(step);
        }
    }
}
