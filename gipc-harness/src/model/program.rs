//! A scenario with its names resolved to indices, together with the parameters of a run of the model. All states of one
//! search share one program.

use super::{CAPACITY_MAX, CAPACITY_MIN, Choices};
use crate::scenario::{
    ChildAct, Codec, HandleTable, PipeEnd, PipeId, Scenario, Side, Step, TaskId, Verb,
};
use foldhash::HashMap;
use std::collections::BTreeSet;

/// The length of the longest message header, in bytes.
const MAX_HEADER: u64 = 8;

/// The part of a run that does not change.
pub(super) struct Program<'a> {
    pub(super) scenario: &'a Scenario,
    /// How many bytes a pipe holds.
    pub(super) capacity: u64,
    pub(super) choices: Choices,
    pub(super) tasks: Vec<TaskInfo<'a>>,
    pub(super) processes: Vec<ProcessInfo<'a>>,
    steps: Vec<PackedStep<'a>>,
    pub(super) pipes: Vec<PipeInfo>,
    /// Whether any put may be cancelled or time out.
    pub(super) withdraws_puts: bool,
    /// Whether any process limits its descriptors.
    pub(super) limits_descriptors: bool,
    /// The steps whose time limit expires before they have done anything.
    pub(super) expired: BTreeSet<usize>,
}

/// A task: a process's own sequence of steps, or a concurrent task inside it.
pub(super) struct TaskInfo<'a> {
    pub(super) id: &'a TaskId,
    pub(super) process: usize,
    /// Its steps, in file order.
    pub(super) steps: Vec<usize>,
    /// For a concurrent task: how many steps of its process precede its first step in the file.
    pub(super) starts_after: usize,
}

pub(super) struct ProcessInfo<'a> {
    pub(super) name: &'a str,
    pub(super) tasks: Vec<usize>,
    /// The task that consists of the process's own steps, if it has any.
    pub(super) own_task: Option<usize>,
    /// The processes that its steps spawn.
    pub(super) children: Vec<usize>,
    /// Tasks that wait for its end, ask whether it has ended, or read its exit status afterwards.
    pub(super) status_users: Vec<LastUse>,
    /// Tasks that kill, terminate or signal it.
    pub(super) signallers: Vec<LastUse>,
    /// The processes that may be in the process group of which this one is the first, including itself. Empty if no step
    /// signals that group.
    pub(super) group_members: Vec<usize>,
    /// Whether it is a program started by `run`, to which the choices of the implementation do not apply.
    pub(super) is_program: bool,
}

/// A task, and the position of its last step that makes this use.
pub(super) type LastUse = (usize, usize);

/// Adds a use. The positions of a task come in ascending order, so the last one replaces the earlier ones.
pub(super) fn record_use(uses: &mut Vec<LastUse>, last_use: LastUse) {
    match uses.last_mut() {
        Some(last) if last.0 == last_use.0 => last.1 = last_use.1,
        _ => uses.push(last_use),
    }
}

/// The indices of the things that a step names.
#[derive(Clone, Copy)]
pub(super) struct StepInfo<'a> {
    pub(super) task: usize,
    pub(super) process: usize,
    /// The process that is spawned, joined, signalled or asked about. A program that is started beside the library is not a
    /// process of the model.
    pub(super) child: Option<usize>,
    /// The task that is cancelled or observed.
    pub(super) target: Option<usize>,
    /// The ends of the handle that is read from, written to or closed, whether or not they have been made yet.
    pub(super) ends: &'a [PipeEnd],
}

/// The same in half the memory, since a scenario may have up to 250,000 steps.
#[derive(Clone, Copy)]
struct PackedStep<'a> {
    task: u32,
    process: u32,
    /// `NOTHING` for a step that names no child.
    child: u32,
    /// `NOTHING` for a step that cancels no task.
    target: u32,
    ends: &'a [PipeEnd],
}

/// Stands for no process and no task. There are fewer of them than of steps.
const NOTHING: u32 = u32::MAX;

impl<'a> PackedStep<'a> {
    fn of(info: StepInfo<'a>) -> Self {
        let index = |index: usize| u32::try_from(index).unwrap_or(NOTHING);
        Self {
            task: index(info.task),
            process: index(info.process),
            child: info.child.map_or(NOTHING, index),
            target: info.target.map_or(NOTHING, index),
            ends: info.ends,
        }
    }

    fn unpacked(self) -> StepInfo<'a> {
        let named = |index: u32| (index != NOTHING).then_some(index as usize);
        StepInfo {
            task: self.task as usize,
            process: self.process as usize,
            child: named(self.child),
            target: named(self.target),
            ends: self.ends,
        }
    }
}

/// What the scenario as a whole does with a pipe.
#[derive(Clone, Copy, Default)]
pub(super) struct PipeInfo {
    /// Whether everything that is ever written to it together may exceed the smallest capacity.
    pub(super) may_fill: bool,
    /// Whether a put to it may be cancelled or time out.
    pub(super) put_may_be_withdrawn: bool,
    /// Whether frames are written to it by hand.
    pub(super) is_written_by_hand: bool,
    /// Whether the messages that can be in it may exceed the smallest capacity, so that it matters how much it holds.
    pub(super) depends_on_capacity: bool,
    /// Whether it is one direction of a duplex.
    pub(super) in_duplex: bool,
    pub(super) codec: Option<Codec>,
}

impl<'a> Program<'a> {
    pub(super) fn new(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut names = Names::default();
        names.process("main");
        let mut tasks_of = Vec::with_capacity(scenario.steps.len());
        for (index, step) in scenario.steps.iter().enumerate() {
            let task = names.task(&step.task_id);
            tasks_of.push(task);
            names.tasks[task].steps.push(index);
            if let Verb::Spawn { child, .. }
            | Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::SignalGroup { child, .. } = &step.verb
            {
                names.process(child);
            }
        }
        let packed = |(step, task): (&'a Step, usize)| {
            PackedStep::of(names.step(step, task, &scenario.handles))
        };
        let steps: Vec<PackedStep<'_>> = scenario.steps.iter().zip(tasks_of).map(packed).collect();
        names.find_children(scenario, &steps);
        names.find_group_members(scenario);
        names.find_child_users(scenario, &steps);
        let pipes = pipes(scenario);
        Self {
            scenario,
            capacity,
            choices,
            withdraws_puts: pipes.iter().any(|pipe| pipe.put_may_be_withdrawn),
            tasks: names.tasks,
            processes: names.processes,
            steps,
            pipes,
            expired: BTreeSet::new(),
            limits_descriptors: scenario
                .steps
                .iter()
                .any(|step| matches!(step.verb, Verb::Limit { .. })),
        }
    }

    /// Returns the same program with time limits of these steps that expire before the steps have done anything.
    pub(super) fn with_expired(self, expired: BTreeSet<usize>) -> Self {
        Self { expired, ..self }
    }

    /// The things that a step names.
    pub(super) fn step(&self, step: usize) -> StepInfo<'a> {
        self.steps[step].unpacked()
    }

    /// The things that a step names, or `None` for a step that does not exist. Under a mutation, such a step may be meant.
    pub(super) fn get_step(&self, step: usize) -> Option<StepInfo<'a>> {
        self.steps.get(step).map(|packed| packed.unpacked())
    }

    /// The number of steps.
    pub(super) fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Returns the same program with pipes that hold this many bytes.
    pub(super) fn with_capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }

    pub(super) fn verb(&self, step: usize) -> &'a Verb {
        &self.scenario.steps[step].verb
    }

    pub(super) fn task_id(&self, step: usize) -> &'a TaskId {
        &self.scenario.steps[step].task_id
    }

    /// Whether a step belongs to this process. A step that does not exist, which may be meant under a mutation, counts.
    pub(super) fn is_of(&self, step: usize, process: usize) -> bool {
        self.get_step(step).is_none_or(|info| info.process == process)
    }

    /// Whether it matters how many bytes the pipes hold.
    pub(super) fn depends_on_capacity(&self) -> bool {
        self.pipes.iter().any(|pipe| pipe.depends_on_capacity)
    }

    /// Whether a handle names only one direction of a duplex.
    pub(super) fn is_half(&self, handle: &str) -> bool {
        match self.scenario.handles.ends(handle) {
            [end] => self.pipes[end.pipe].in_duplex,
            _ => false,
        }
    }
}

/// Assigns indices to names, in the order in which they appear.
#[derive(Default)]
struct Names<'a> {
    tasks: Vec<TaskInfo<'a>>,
    task_indices: HashMap<&'a TaskId, usize>,
    processes: Vec<ProcessInfo<'a>>,
    process_indices: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn process(&mut self, name: &'a str) -> usize {
        let next = self.processes.len();
        let index = *self.process_indices.entry(name).or_insert(next);
        if index == next {
            self.processes.push(ProcessInfo {
                name,
                tasks: Vec::new(),
                own_task: None,
                children: Vec::new(),
                status_users: Vec::new(),
                signallers: Vec::new(),
                group_members: Vec::new(),
                is_program: false,
            });
        }
        index
    }

    fn task(&mut self, id: &'a TaskId) -> usize {
        if let Some(task) = self.task_indices.get(id) {
            return *task;
        }
        let process = self.process(&id.process);
        let own_task = self.processes[process].own_task;
        let task = self.tasks.len();
        let starts_after = own_task.map_or(0, |own| self.tasks[own].steps.len());
        self.tasks.push(TaskInfo { id, process, steps: Vec::new(), starts_after });
        self.task_indices.insert(id, task);
        self.processes[process].tasks.push(task);
        if id.task.is_none() {
            self.processes[process].own_task = Some(task);
        }
        task
    }

    fn find_child_users(&mut self, scenario: &Scenario, steps: &[PackedStep<'_>]) {
        for (task, info) in self.tasks.iter().enumerate() {
            for (position, step) in info.steps.iter().enumerate() {
                let verb = &scenario.steps[*step].verb;
                let Some(child) = steps[*step].unpacked().child else { continue };
                if let Verb::SignalGroup { .. } = verb {
                    for member in self.processes[child].group_members.clone() {
                        record_use(&mut self.processes[member].status_users, (task, position));
                        record_use(&mut self.processes[member].signallers, (task, position));
                    }
                }
                if let Verb::Join { .. } | Verb::Child { .. } | Verb::Signal { .. } = verb {
                    record_use(&mut self.processes[child].status_users, (task, position));
                }
                if let Verb::Kill { .. }
                | Verb::Signal { .. }
                | Verb::Child { act: ChildAct::Terminate, .. } = verb
                {
                    record_use(&mut self.processes[child].signallers, (task, position));
                }
            }
        }
    }

    fn find_children(&mut self, scenario: &Scenario, steps: &[PackedStep<'_>]) {
        for (step, packed) in scenario.steps.iter().zip(steps) {
            let info = packed.unpacked();
            if let (Some(child), Verb::Spawn { .. }) = (info.child, &step.verb) {
                self.processes[info.process].children.push(child);
                self.processes[child].is_program =
                    matches!(&step.verb, Verb::Spawn { program: Some(_), .. });
            }
        }
    }

    fn find_group_members(&mut self, scenario: &'a Scenario) {
        for step in scenario.steps.iter() {
            let Verb::SignalGroup { child, .. } = &step.verb else { continue };
            let members = scenario.process_group(child).into_iter();
            let members = members.filter_map(|name| self.process_indices.get(name).copied());
            let members = members.collect();
            self.processes[self.process_indices[child.as_str()]].group_members = members;
        }
    }

    fn step(&self, step: &Step, task: usize, handles: &'a HandleTable) -> StepInfo<'a> {
        let process = |name: &str| self.process_indices.get(name).copied();
        let child = match &step.verb {
            Verb::Spawn { child, .. }
            | Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::SignalGroup { child, .. }
            | Verb::Child { child, .. } => process(child),
            _ => None,
        };
        let target = match &step.verb {
            Verb::Cancel { task } | Verb::Until { task_id: task } => {
                self.task_indices.get(task).copied()
            }
            _ => None,
        };
        let ends = step.verb.handle().map_or(&[][..], |handle| handles.ends(handle));
        StepInfo { task, process: self.tasks[task].process, child, target, ends }
    }
}

fn pipes(scenario: &Scenario) -> Vec<PipeInfo> {
    let handles = &scenario.handles;
    let mut pipes = vec![PipeInfo::default(); handles.pipe_count()];
    let mut written = vec![0; pipes.len()];
    let mut buffered = vec![0; pipes.len()];
    let cancelled: BTreeSet<&TaskId> = scenario
        .steps
        .iter()
        .filter_map(|step| match &step.verb {
            Verb::Cancel { task } => Some(task),
            _ => None,
        })
        .collect();
    for (index, step) in scenario.steps.iter().enumerate() {
        match &step.verb {
            Verb::Pipe { codec, .. } => {
                for end in handles.made_by(index, &step.verb) {
                    pipes[end.pipe].codec = *codec;
                }
            }
            Verb::Duplex { .. } => {
                for end in handles.made_by(index, &step.verb) {
                    pipes[end.pipe].in_duplex = true;
                }
            }
            Verb::Put { handle, payload } | Verb::Cut { handle, payload, .. } => {
                let Some(pipe) = handles.pipe(handle, Side::Writer) else { continue };
                let bytes = payload.len() + MAX_HEADER;
                written[pipe] += bytes;
                // A message that fits into no pipe goes directly from the put to the get.
                buffered[pipe] += if payload.len() <= CAPACITY_MAX { bytes } else { 0 };
                pipes[pipe].is_written_by_hand |= matches!(step.verb, Verb::Cut { .. });
                pipes[pipe].put_may_be_withdrawn |=
                    step.within_ms.is_some() || cancelled.contains(&*step.task_id);
            }
            _ => {}
        }
    }
    for (index, pipe) in pipes.iter_mut().enumerate() {
        pipe.may_fill = written[index] > CAPACITY_MIN;
        pipe.depends_on_capacity = buffered[index] >= CAPACITY_MIN;
    }
    pipes
}

impl StepInfo<'_> {
    /// The pipe that the step reads from or writes to, whether or not it has been made yet.
    pub(super) fn pipe(&self, side: Side) -> Option<PipeId> {
        self.ends.iter().find(|end| end.side == side).map(|end| end.pipe)
    }
}

impl Program<'_> {
    /// All ends that a step uses, whether or not they have been made yet; not those that it makes.
    pub(super) fn used_ends(&self, step: usize) -> impl Iterator<Item = PipeEnd> + '_ {
        let others = match self.verb(step) {
            Verb::Pass { passed, .. } => std::slice::from_ref(passed),
            verb => verb.handed(),
        };
        let others = others.iter().flat_map(|handle| self.scenario.handles.ends(handle));
        self.steps[step].ends.iter().chain(others).copied()
    }
}
