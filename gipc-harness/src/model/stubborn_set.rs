//! Partial-order reduction: chooses, in each state, a set of transitions such that no other transition has to be tried
//! there.
//!
//! The sets are strong stubborn sets (Valmari): whatever happens outside of the set neither conflicts with an enabled
//! transition of the set, nor enables a disabled one. Exploring only the set still reaches every state in which nothing
//! can happen any more, with every history. Time passes only in such states, so timers play no role here.

use super::footprint::Footprint;
use super::process::Phase;
use super::program::{LastUse, Program, handles};
use super::state::{State, Transition};
use crate::scenario::{ChildAct, PipeEnd, PipeId, Side, Verb};
use std::collections::BTreeSet;

/// How many transitions of each kind are tried as the first member of a set.
const MAX_SEEDS: usize = 8;

/// Chooses stubborn sets for the states of one program.
pub(super) struct StubbornSets<'p> {
    program: &'p Program<'p>,
    footprint: Footprint,
}

/// Something that makes transitions, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Agent {
    Task(usize),
    /// An exiting process closes an end.
    CloseEnd(usize, PipeEnd),
    /// An exiting process that has closed its ends is gone.
    Exit(usize),
}

impl<'p> StubbornSets<'p> {
    pub(super) fn new(program: &'p Program<'p>) -> Self {
        Self { program, footprint: Footprint::of(program) }
    }

    /// The transitions to explore, or none if nothing can happen. `recent` are the agents that have moved last or
    /// could have: as long as one of them can move on its own, no other set needs to be tried, and paths that differ only
    /// in what these agents did soon meet again. `work` counts the agents that are considered.
    pub(super) fn choose(
        &self,
        state: &State<'_>,
        recent: &Recent,
        work: &mut usize,
    ) -> Vec<Transition> {
        let mut best = Vec::new();
        let others = state.transitions(MAX_SEEDS).map(|transition| self.agent(transition));
        for seed in recent.agents.iter().copied().chain(others) {
            let limit = if best.is_empty() { usize::MAX } else { best.len() };
            let mut closure = Closure::new(self, state, limit);
            if let Some(set) = closure.of(seed) {
                best = set;
            }
            *work += 1 + closure.work;
            if best.len() == 1 {
                break;
            }
        }
        best
    }

    fn agent(&self, transition: Transition) -> Agent {
        match transition {
            Transition::Begin(step) | Transition::Complete(step) => {
                Agent::Task(self.program.steps[step].task)
            }
            Transition::CloseEnd(process, end) => Agent::CloseEnd(process, end),
            Transition::Exit(process) => Agent::Exit(process),
        }
    }

    /// The agents to try first after one transition of a set was made.
    pub(super) fn moved(&self, recent: &mut Recent, set: &[Transition]) {
        for transition in set {
            let agent = self.agent(*transition);
            recent.agents.retain(|other| *other != agent);
            recent.agents.insert(0, agent);
        }
        recent.agents.truncate(MAX_SEEDS);
    }
}

/// The agents that were involved in the last transitions, the last one first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    agents: Vec<Agent>,
}

/// One stubborn set while it is computed.
struct Closure<'c, 'p> {
    sets: &'c StubbornSets<'p>,
    state: &'c State<'p>,
    members: BTreeSet<Agent>,
    /// Members whose conflicts have not been added yet.
    pending: Vec<Agent>,
    enabled: Vec<Transition>,
    /// A set with as many enabled transitions is of no use.
    limit: usize,
    /// How many agents have been considered.
    work: usize,
}

impl<'c, 'p> Closure<'c, 'p> {
    fn new(sets: &'c StubbornSets<'p>, state: &'c State<'p>, limit: usize) -> Self {
        let (members, pending, enabled) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { sets, state, members, pending, enabled, limit, work: 0 }
    }

    /// The enabled transitions of the stubborn set that this agent leads to; `None` if it is not enabled itself, or if
    /// there are too many.
    fn of(&mut self, seed: Agent) -> Option<Vec<Transition>> {
        self.enabled_transition(seed)?;
        self.add(seed);
        while let Some(agent) = self.pending.pop() {
            match self.enabled_transition(agent) {
                Some(transition) => {
                    self.enabled.push(transition);
                    if self.enabled.len() >= self.limit {
                        return None;
                    }
                    self.add_conflicts(transition);
                }
                None => self.add_enabling(agent),
            }
        }
        Some(std::mem::take(&mut self.enabled))
    }

    fn add(&mut self, agent: Agent) {
        self.work += 1;
        if self.members.insert(agent) {
            self.pending.push(agent);
        }
    }

    fn enabled_transition(&self, agent: Agent) -> Option<Transition> {
        match agent {
            Agent::CloseEnd(process, end) => {
                let state = &self.state.processes[process];
                let is_exiting = matches!(state.phase, Phase::Exiting(_));
                (is_exiting && state.ends.contains(&end))
                    .then_some(Transition::CloseEnd(process, end))
            }
            Agent::Exit(process) => {
                let state = &self.state.processes[process];
                let is_exiting = matches!(state.phase, Phase::Exiting(_));
                (is_exiting && state.ends.is_empty()).then_some(Transition::Exit(process))
            }
            Agent::Task(task) => match self.state.tasks.open_step(task) {
                Some(open) => {
                    let is_finishing = self.state.finishing.contains_key(&open);
                    is_finishing.then_some(Transition::Complete(open))
                }
                None => {
                    let next = self.state.tasks.next_step(task)?;
                    self.state.tasks.is_ready(next).then_some(Transition::Begin(next))
                }
            },
        }
    }

    /// Adds everything without which a disabled agent stays disabled.
    fn add_enabling(&mut self, agent: Agent) {
        match agent {
            Agent::Task(task) => self.add_enabling_of_task(task),
            Agent::Exit(process) => {
                let is_closing = |agent: &Agent| matches!(agent, Agent::CloseEnd(closer, _) if *closer == process);
                if !self.members.iter().any(is_closing) {
                    let first = self.state.processes[process].ends.first().copied();
                    if let Some(end) = first {
                        self.add(Agent::CloseEnd(process, end));
                    }
                }
            }
            Agent::CloseEnd(..) => {}
        }
    }

    fn add_enabling_of_task(&mut self, task: usize) {
        let process = self.sets.program.tasks[task].process;
        let Some(open) = self.state.tasks.open_step(task) else {
            match self.state.processes[process].phase {
                Phase::NotStarted => {
                    self.add_users(&self.sets.footprint.processes[process].spawners);
                }
                // A concurrent task that is not due yet.
                _ => self.add_siblings(task),
            }
            return;
        };
        self.add_users(&self.sets.footprint.cancellers[task]);
        let info = self.sets.program.steps[open];
        match self.sets.program.verb(open) {
            Verb::Get { handle } => self.add_pipe_of(handle, Side::Reader),
            Verb::Put { handle, .. } => self.add_pipe_of(handle, Side::Writer),
            Verb::Join { .. } | Verb::Child { .. } => {
                if let Some(child) = info.child {
                    self.add_ending(child);
                }
            }
            _ => {}
        }
    }

    /// Adds everything that conflicts with an enabled transition, now or later.
    fn add_conflicts(&mut self, transition: Transition) {
        match transition {
            Transition::CloseEnd(process, end) => {
                self.add_users(&self.sets.footprint.processes[process].spawners);
                self.add_conflicts_of_close(end);
            }
            Transition::Exit(process) => self.add_conflicts_of_exit(process),
            Transition::Begin(step) | Transition::Complete(step) => {
                let info = self.sets.program.steps[step];
                self.add_users(&self.sets.footprint.processes[info.process].signallers);
                self.add_users(&self.sets.footprint.cancellers[info.task]);
                self.add_siblings(info.task);
                self.add_withdrawn_puts(info.process);
                if let Transition::Begin(step) = transition {
                    self.add_conflicts_of_step(step);
                }
            }
        }
    }

    fn add_conflicts_of_step(&mut self, step: usize) {
        let program = self.sets.program;
        let info = program.steps[step];
        for end in self.unmade_ends(program.verb(step)) {
            self.add_pipe(end.pipe);
        }
        match program.verb(step) {
            Verb::Put { handle, .. }
            | Verb::Cut { handle, .. }
            | Verb::Rest { handle }
            | Verb::Announce { handle, .. }
            | Verb::Pass { handle, .. } => {
                for end in program.scenario.handles.ends(handle) {
                    self.add_conflicts_of_put(end.pipe);
                }
            }
            Verb::Get { handle } => {
                for end in program.scenario.handles.ends(handle) {
                    self.add_observers(end.pipe);
                }
            }
            Verb::Close { handle } => self.add_conflicts_of_closes(std::slice::from_ref(handle)),
            Verb::Leave { handles, .. } => self.add_conflicts_of_closes(handles),
            Verb::Pipe { .. } | Verb::Duplex { .. } => {
                for end in program.scenario.handles.made_by(step, program.verb(step)) {
                    self.add_users(&self.sets.footprint.pipes[end.pipe].users);
                }
            }
            Verb::Spawn { handles, .. } => {
                for end in handles.iter().flat_map(|handle| program.scenario.handles.ends(handle)) {
                    self.add_observers(end.pipe);
                }
                if let Some(child) = info.child {
                    self.add_conflicts_of_second_start(child);
                }
            }
            Verb::Kill { .. }
            | Verb::Signal { .. }
            | Verb::Child { act: ChildAct::Terminate, .. } => {
                if let Some(child) = info.child {
                    self.add_conflicts_of_signal(child);
                }
            }
            Verb::Child { .. } => {
                if let Some(child) = info.child {
                    self.add_ending(child);
                }
            }
            Verb::Cancel { .. } => {
                if let Some(target) = info.target {
                    self.add(Agent::Task(target));
                    self.add_enabling_of_task(target);
                }
            }
            Verb::Exit { .. } | Verb::Raise if program.processes[info.process].tasks.len() > 1 => {
                self.add_pipes_of_process(info.process);
            }
            _ => {}
        }
    }

    /// The ends of handles that a step uses, if another step has yet to make them.
    fn unmade_ends(&self, verb: &Verb) -> Vec<PipeEnd> {
        let table = &self.sets.program.scenario.handles;
        let ends = handles(verb).into_iter().flat_map(|handle| table.ends(handle));
        ends.copied().filter(|end| !self.state.pipes[end.pipe].is_made()).collect()
    }

    fn add_conflicts_of_closes(&mut self, handles: &[String]) {
        let table = &self.sets.program.scenario.handles;
        for end in handles.iter().flat_map(|handle| table.ends(handle)) {
            self.add_conflicts_of_close(*end);
        }
    }

    /// Closing a writer commutes with all that the reader does; closing a reader conflicts with every put.
    fn add_conflicts_of_close(&mut self, end: PipeEnd) {
        self.add_observers(end.pipe);
        if !end.is_writer() {
            self.add_users(&self.sets.footprint.pipes[end.pipe].users);
        }
    }

    /// A put commutes with every get, but not with closing the reader.
    fn add_conflicts_of_put(&mut self, pipe: PipeId) {
        let footprint = &self.sets.footprint.pipes[pipe];
        self.add_observers(pipe);
        self.add_users(&footprint.reader_closers);
        for holder in &footprint.reader_holders {
            self.add_closing(*holder, pipe);
        }
    }

    /// Adds what notices whether a step waits at a pipe.
    fn add_observers(&mut self, pipe: PipeId) {
        let footprint = &self.sets.footprint;
        if !footprint.pipes[pipe].is_simple {
            return self.add_pipe(pipe);
        }
        for holder in &footprint.pipes[pipe].holders {
            self.add_users(&footprint.processes[*holder].signallers);
            self.add_withdrawn_puts(*holder);
        }
    }

    /// Adds everything that accesses a pipe in any way.
    fn add_pipe(&mut self, pipe: PipeId) {
        let footprint = &self.sets.footprint;
        for (task, position) in &footprint.pipes[pipe].users {
            self.add_users(&[(*task, *position)]);
            self.add_users(&footprint.cancellers[*task]);
        }
        for holder in &footprint.pipes[pipe].holders {
            self.add_users(&footprint.processes[*holder].signallers);
            self.add_closing(*holder, pipe);
        }
    }

    fn add_pipe_of(&mut self, handle: &str, side: Side) {
        if let Some(pipe) = self.sets.program.pipe(handle, side) {
            self.add_pipe(pipe);
        }
    }

    /// Adds what may lead a process to close its ends of a pipe by ending.
    fn add_closing(&mut self, process: usize, pipe: PipeId) {
        match self.state.processes[process].phase {
            Phase::NotStarted | Phase::Running => self.add_tasks(process),
            Phase::Exiting(_) => {
                for end in [PipeEnd::reader(pipe), PipeEnd::writer(pipe)] {
                    if self.state.processes[process].ends.contains(&end) {
                        self.add(Agent::CloseEnd(process, end));
                    }
                }
            }
            Phase::Ended(_) => {}
        }
    }

    /// The end of a process completes joins, and is seen by those who ask.
    fn add_conflicts_of_exit(&mut self, process: usize) {
        let footprint = &self.sets.footprint;
        self.add_users(&footprint.processes[process].spawners);
        self.add_users(&footprint.processes[process].observers);
        for (task, position) in &footprint.processes[process].joiners {
            let joiner = self.sets.program.tasks[*task].process;
            self.add_users(&footprint.cancellers[*task]);
            self.add_users(&footprint.processes[joiner].signallers);
            self.add_withdrawn_puts(joiner);
            if self.sets.program.processes[joiner].tasks.len() > 1 {
                self.add_users(&[(*task, *position)]);
                self.add_siblings(*task);
            }
        }
    }

    /// A scenario may spawn a child twice, if it expects one of the two to be refused.
    fn add_conflicts_of_second_start(&mut self, child: usize) {
        if let Phase::Exiting(_) = self.state.processes[child].phase {
            for end in &self.state.processes[child].ends {
                self.add(Agent::CloseEnd(child, *end));
            }
        }
        self.add_ending(child);
    }

    /// A signal may interrupt whatever the process is doing.
    fn add_conflicts_of_signal(&mut self, process: usize) {
        self.add_users(&self.sets.footprint.processes[process].signallers);
        if matches!(self.state.processes[process].phase, Phase::NotStarted | Phase::Running) {
            self.add_pipes_of_process(process);
            self.add_tasks(process);
        }
    }

    fn add_pipes_of_process(&mut self, process: usize) {
        for end in &self.state.processes[process].ends {
            self.add_pipe(end.pipe);
        }
    }

    /// Adds what may bring about the end of a process, and what may follow from a request about it.
    fn add_ending(&mut self, process: usize) {
        self.add_users(&self.sets.footprint.processes[process].signallers);
        self.add_users(&self.sets.footprint.processes[process].spawners);
        match self.state.processes[process].phase {
            Phase::NotStarted | Phase::Running => self.add_tasks(process),
            Phase::Exiting(_) => self.add(Agent::Exit(process)),
            Phase::Ended(_) => {}
        }
    }

    /// A withdrawn put that is still being written is cut off when its process ends, which any step may bring about.
    fn add_withdrawn_puts(&mut self, process: usize) {
        for end in &self.state.processes[process].ends {
            if self.sets.program.pipes[end.pipe].put_may_be_withdrawn {
                self.add_pipe(end.pipe);
            }
        }
    }

    fn add_tasks(&mut self, process: usize) {
        for task in &self.sets.program.processes[process].tasks {
            if !self.state.tasks.is_done(*task) {
                self.add(Agent::Task(*task));
            }
        }
        // A process without steps starts and ends with its spawn.
        if self.state.processes[process].phase == Phase::NotStarted {
            self.add_users(&self.sets.footprint.processes[process].spawners);
        }
    }

    /// Tasks of one process share its handles, its descriptors and its end.
    fn add_siblings(&mut self, task: usize) {
        let process = &self.sets.program.processes[self.sets.program.tasks[task].process];
        if process.tasks.len() > 1 {
            for sibling in &process.tasks {
                if !self.state.tasks.is_done(*sibling) {
                    self.add(Agent::Task(*sibling));
                }
            }
        }
    }

    /// Adds those of these tasks that have the use still ahead of them, or are in it.
    fn add_users(&mut self, users: &[LastUse]) {
        self.work += users.len();
        for (task, position) in users {
            if self.state.tasks.reaches(*task, *position) {
                self.add(Agent::Task(*task));
            }
        }
    }
}
