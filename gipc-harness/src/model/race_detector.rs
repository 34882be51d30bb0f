//! Detects whether a scenario races, by happens-before in one run with vector clocks.
//!
//! If what the processes can know orders every two steps with conflicting accesses, every order of steps gives the same
//! outcomes. A step's clock is taken when it *begins*: what a step learns by waiting must not order the step itself. Finding
//! races that do not exist costs time; missing a race gives wrong answers.

use super::access::{Access, Resource, ResourceKey};
use super::program::Program;
use super::vector_clock::VectorClock;
use crate::scenario::PipeId;
use foldhash::{HashMap, HashMapExt};
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// How many racing steps are remembered.
const MAX_RACING_STEPS: usize = 32;

/// The happens-before relation of one run, as far as accesses need it.
///
/// A clock has one component for each task, followed by one for the end of each process.
#[derive(Clone)]
pub(super) struct RaceDetector {
    /// A clock that knows no events.
    initial: VectorClock,
    /// What each task knows.
    tasks: Vec<Knowledge>,
    /// The step that is beginning.
    acting: Option<Acting>,
    /// The clocks of puts whose messages have not been received.
    sent: HashMap<usize, Knowledge>,
    /// What a process can know when it starts.
    started: HashMap<usize, Knowledge>,
    ended: HashMap<usize, Knowledge>,
    /// What the reader of a pipe learns when it sees the end of the stream.
    closed_writers: HashMap<PipeId, Knowledge>,
    /// The last accesses of each kind.
    accesses: HashMap<ResourceKey, SmallVec<[Event; 1]>>,
    has_races: bool,
    racing_steps: BTreeSet<usize>,
}

#[derive(Clone)]
struct Acting {
    step: usize,
    task: usize,
    knowledge: Knowledge,
}

/// What one component knows: the number of its own last event, and what it has learnt about the others.
///
/// Most events of a task teach it nothing, so thousands of them share one clock.
#[derive(Clone)]
struct Knowledge {
    component: u32,
    epoch: u32,
    /// The component's own entry in it is out of date.
    learnt: VectorClock,
}

impl Knowledge {
    /// How many events of a component are known.
    fn of(&self, component: u32) -> u32 {
        match component == self.component {
            true => self.epoch,
            false => self.learnt.get(component as usize),
        }
    }

    fn learn(&mut self, other: &Self) {
        other.add_to(&mut self.learnt);
    }

    /// Adds everything that is known to a clock.
    fn add_to(&self, clock: &mut VectorClock) {
        clock.merge(&self.learnt);
        if clock.get(self.component as usize) < self.epoch {
            clock.set(self.component as usize, self.epoch);
        }
    }
}

/// The last access of one kind to a resource by one component.
#[derive(Clone)]
struct Event {
    component: u32,
    epoch: u32,
    /// The step that began at this event, or during which the process ended; `NO_STEP` if no step did.
    step: u32,
    access: Access,
}

/// Stands for no step. `u32` keeps events small, since there may be several for each step.
const NO_STEP: u32 = u32::MAX;

impl RaceDetector {
    pub(super) fn new(program: &Program<'_>) -> Self {
        let components = program.tasks.len() + program.processes.len();
        let initial = VectorClock::with_components(components);
        let nothing = |component| Knowledge { component, epoch: 0, learnt: initial.clone() };
        Self {
            tasks: (0..index(program.tasks.len())).map(nothing).collect(),
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

    /// Records that a step of a task begins with these accesses.
    pub(super) fn step_began(
        &mut self,
        step: usize,
        task: usize,
        accesses: impl IntoIterator<Item = (Resource, Access)>,
    ) {
        self.tasks[task].epoch += 1;
        let knowledge = self.tasks[task].clone();
        self.acting = Some(Acting { step, task, knowledge: knowledge.clone() });
        for (resource, access) in accesses {
            self.access(resource, access, &knowledge);
        }
    }

    /// Records that the step that is beginning sends a message.
    pub(super) fn message_sent(&mut self) {
        if let Some(acting) = &self.acting {
            self.sent.insert(acting.step, acting.knowledge.clone());
        }
    }

    /// Records that the step that is beginning closes the writer of a pipe.
    pub(super) fn writer_closed(&mut self, pipe: PipeId) {
        if let Some(acting) = &self.acting {
            note_closed(&mut self.closed_writers, pipe, &acting.knowledge);
        }
    }

    pub(super) fn message_received(&mut self, task: usize, put: usize) {
        if let Some(knowledge) = self.sent.remove(&put) {
            self.tasks[task].learn(&knowledge);
        }
    }

    pub(super) fn end_of_stream_received(&mut self, task: usize, pipe: PipeId) {
        if let Some(knowledge) = self.closed_writers.get(&pipe) {
            self.tasks[task].learn(knowledge);
        }
    }

    pub(super) fn exit_observed(&mut self, task: usize, process: usize) {
        if let Some(knowledge) = self.ended.get(&process) {
            self.tasks[task].learn(knowledge);
        }
    }

    /// Records that the step that is beginning cancels the task.
    pub(super) fn cancelled(&mut self, task: usize) {
        if let Some(acting) = &self.acting {
            self.tasks[task].learn(&acting.knowledge);
        }
    }

    /// Records that a task learns that nothing moves: everything that has begun came before.
    pub(super) fn quiescence_observed(&mut self, task: usize) {
        let mut all = self.tasks[task].learnt.clone();
        for knowledge in &self.tasks {
            knowledge.add_to(&mut all);
        }
        self.tasks[task].learnt = all;
    }

    /// Records that a process starts. Its steps know what the step that spawned it knew.
    pub(super) fn process_started(&mut self, process: usize) {
        if let Some(acting) = &self.acting {
            self.started.insert(process, acting.knowledge.clone());
        }
    }

    /// Records that a task starts. A concurrent task knows what the preceding steps of its process knew.
    pub(super) fn task_started(&mut self, task: usize, process: usize, own_task: Option<usize>) {
        if let Some(knowledge) = self.started.get(&process) {
            self.tasks[task].learn(knowledge);
        }
        if let Some(own) = own_task.filter(|own| *own != task) {
            let knowledge = self.tasks[own].clone();
            self.tasks[task].learn(&knowledge);
        }
    }

    /// Records that a process ends with these accesses and closes the writers of these pipes. It ends by itself, or the step
    /// that is beginning kills it.
    pub(super) fn process_ended(
        &mut self,
        process: usize,
        tasks: &[usize],
        is_killed: bool,
        accesses: impl IntoIterator<Item = (Resource, Access)>,
        closed_writers: impl IntoIterator<Item = PipeId>,
    ) {
        let component = index(self.tasks.len() + process);
        let mut learnt = self.initial.clone();
        if let Some(knowledge) = self.started.get(&process) {
            knowledge.add_to(&mut learnt);
        }
        for task in tasks {
            self.tasks[*task].add_to(&mut learnt);
        }
        if let Some(acting) = self.acting.as_ref().filter(|_| is_killed) {
            acting.knowledge.add_to(&mut learnt);
        }
        let knowledge = Knowledge { component, epoch: 1, learnt };
        for (resource, access) in accesses {
            self.access(resource, access, &knowledge);
        }
        // A reader that sees that an end is closed does not learn from it that the process is gone.
        for pipe in closed_writers {
            note_closed(
                &mut self.closed_writers,
                pipe,
                &Knowledge { epoch: 0, ..knowledge.clone() },
            );
        }
        self.ended.insert(process, knowledge);
    }

    /// Records that a ready step never begins because its process ended. In another order the step would have begun first,
    /// unless its own task ended the process.
    pub(super) fn step_prevented(&mut self, step: usize, task: usize) {
        if self.acting.as_ref().is_none_or(|acting| acting.task != task) {
            self.report_race(Some(step));
        }
    }

    fn access(&mut self, resource: Resource, access: Access, knowledge: &Knowledge) {
        let step = self.acting.as_ref().map_or(NO_STEP, |acting| index(acting.step));
        let (component, epoch) = (knowledge.component, knowledge.epoch);
        let events = self.accesses.entry(resource.key()).or_default();
        let races = |event: &&Event| {
            event.component != component
                && resource.conflicts(event.access, access)
                && knowledge.of(event.component) < event.epoch
        };
        let racing: Vec<u32> = events.iter().filter(races).map(|event| event.step).collect();
        match events.iter_mut().find(|event| event.component == component && event.access == access)
        {
            Some(event) => (event.epoch, event.step) = (epoch, step),
            None => events.push(Event { component, epoch, step, access }),
        }
        for other in racing {
            for step in [other, step] {
                self.report_race((step != NO_STEP).then_some(step as usize));
            }
        }
    }

    /// Records that a step may happen before or after the one that is beginning.
    pub(super) fn report_race(&mut self, step: Option<usize>) {
        self.has_races = true;
        if self.racing_steps.len() < MAX_RACING_STEPS {
            self.racing_steps.extend(step);
        }
    }
}

/// Adds what one more holder of the writer knew when it closed the writer.
fn note_closed(
    closed_writers: &mut HashMap<PipeId, Knowledge>,
    pipe: PipeId,
    knowledge: &Knowledge,
) {
    match closed_writers.get_mut(&pipe) {
        Some(known) => known.learn(knowledge),
        None => {
            closed_writers.insert(pipe, knowledge.clone());
        }
    }
}

/// Stores an index in half the memory. A scenario has at most 250,000 steps, and fewer tasks and processes.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NO_STEP)
}
