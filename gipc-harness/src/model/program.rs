//! A scenario with its names resolved to indices, together with the parameters of a run of the model. All states of one
//! search share one program.

use super::Choices;
use crate::scenario::{Codec, PipeId, Scenario, Side, Step, TaskId, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// The length of the longest message header, in bytes.
const MAX_HEADER: u64 = 8;

/// What does not change while the model runs a scenario.
pub(super) struct Program<'a> {
    pub(super) scenario: &'a Scenario,
    /// How many bytes a pipe holds.
    pub(super) capacity: u64,
    pub(super) choices: Choices,
    pub(super) tasks: Vec<TaskInfo<'a>>,
    pub(super) processes: Vec<ProcessInfo<'a>>,
    pub(super) steps: Vec<StepInfo>,
    pub(super) pipes: Vec<PipeInfo>,
    /// Whether any process limits its descriptors.
    pub(super) limits_descriptors: bool,
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
    /// The task that carries the process's own steps, if it has any.
    pub(super) own_task: Option<usize>,
}

/// The indices of what a step names.
#[derive(Clone, Copy)]
pub(super) struct StepInfo {
    pub(super) task: usize,
    pub(super) process: usize,
    /// The process that is spawned, joined, signalled or asked about. A program that is started beside the library is
    /// not a process of the model.
    pub(super) child: Option<usize>,
    /// The task that is cancelled or observed.
    pub(super) target: Option<usize>,
}

/// What the scenario as a whole does with a pipe.
#[derive(Clone, Copy, Default)]
pub(super) struct PipeInfo {
    /// All that is ever written to it together may exceed the smallest capacity.
    pub(super) may_fill: bool,
    /// A put to it may be cancelled or time out.
    pub(super) put_may_be_withdrawn: bool,
    /// It is one direction of a duplex.
    pub(super) in_duplex: bool,
    pub(super) codec: Option<Codec>,
}

impl<'a> Program<'a> {
    pub(super) fn new(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut names = Names::default();
        names.process("main");
        for (index, step) in scenario.steps.iter().enumerate() {
            let task = names.task(&step.task_id);
            names.tasks[task].steps.push(index);
            if let Verb::Spawn { child, .. }
            | Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. } = &step.verb
            {
                names.process(child);
            }
        }
        let steps = scenario.steps.iter().map(|step| names.step(step)).collect();
        Self {
            scenario,
            capacity,
            choices,
            tasks: names.tasks,
            processes: names.processes,
            steps,
            pipes: pipes(scenario),
            limits_descriptors: scenario
                .steps
                .iter()
                .any(|step| matches!(step.verb, Verb::Limit { .. })),
        }
    }

    pub(super) fn verb(&self, step: usize) -> &'a Verb {
        &self.scenario.steps[step].verb
    }

    pub(super) fn task_id(&self, step: usize) -> &'a TaskId {
        &self.scenario.steps[step].task_id
    }

    /// The pipe that a handle reads from or writes to, whether or not it has been made yet.
    pub(super) fn pipe(&self, handle: &str, side: Side) -> Option<PipeId> {
        self.scenario.handles.pipe(handle, side)
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
    task_indices: BTreeMap<&'a TaskId, usize>,
    processes: Vec<ProcessInfo<'a>>,
    process_indices: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn process(&mut self, name: &'a str) -> usize {
        let next = self.processes.len();
        let index = *self.process_indices.entry(name).or_insert(next);
        if index == next {
            self.processes.push(ProcessInfo { name, tasks: Vec::new(), own_task: None });
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

    fn step(&self, step: &Step) -> StepInfo {
        let task = self.task_indices[&step.task_id];
        let process = |name: &str| self.process_indices.get(name).copied();
        let child = match &step.verb {
            Verb::Spawn { child, .. }
            | Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::Child { child, .. } => process(child),
            _ => None,
        };
        let target = match &step.verb {
            Verb::Cancel { task } | Verb::Until { task_id: task } => {
                self.task_indices.get(task).copied()
            }
            _ => None,
        };
        StepInfo { task, process: self.tasks[task].process, child, target }
    }
}

fn pipes(scenario: &Scenario) -> Vec<PipeInfo> {
    let handles = &scenario.handles;
    let mut pipes = vec![PipeInfo::default(); handles.pipe_count()];
    let mut written = vec![0; pipes.len()];
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
                written[pipe] += payload.len() + MAX_HEADER;
                pipes[pipe].put_may_be_withdrawn |=
                    step.within_ms.is_some() || cancelled.contains(&step.task_id);
            }
            _ => {}
        }
    }
    for (pipe, written) in pipes.iter_mut().zip(written) {
        pipe.may_fill = written > super::CAPACITY_MIN;
    }
    pipes
}
