//! The rules of the partial-order reduction: which agents conflict with a transition, or may enable an agent that waits.
//!
//! The rules may name too many agents, which costs time, but never too few. They hold only for the correct model.

use super::Unjoined;
use super::agent::Agent;
use super::footprint::Footprint;
use super::process::Phase;
use super::program::{LastUse, Program};
use super::state::{State, Transition};
use crate::scenario::{ChildAct, PipeEnd, PipeId, Side, Verb};

/// Collects agents that depend on each other in one state.
pub(super) struct Dependencies<'c, 'p> {
    program: &'p Program<'p>,
    footprint: &'c Footprint,
    state: &'c State<'p>,
    found: Vec<Agent>,
}

impl<'c, 'p> Dependencies<'c, 'p> {
    pub(super) fn new(footprint: &'c Footprint, state: &'c State<'p>) -> Self {
        Self { program: state.program, footprint, state, found: Vec::new() }
    }

    /// The agents that may make a transition that conflicts with this one, now or later.
    pub(super) fn conflicts(&mut self, transition: Transition) -> Vec<Agent> {
        self.add_conflicts(transition);
        std::mem::take(&mut self.found)
    }

    /// The agents without which a task that cannot move stays unable to move.
    pub(super) fn enabling(&mut self, task: usize) -> Vec<Agent> {
        self.add_enabling(task);
        std::mem::take(&mut self.found)
    }

    fn add(&mut self, agent: Agent) {
        self.found.push(agent);
    }

    fn add_enabling(&mut self, task: usize) {
        let process = self.program.tasks[task].process;
        let Some(open) = self.state.tasks.open_step(task) else {
            match self.state.processes[process].phase {
                Phase::NotStarted => {
                    self.add_users(&self.footprint.processes[process].spawners);
                }
                // A concurrent task that may not start yet.
                _ => self.add_siblings(task),
            }
            return;
        };
        self.add_users(&self.footprint.cancellers[task]);
        let info = self.program.step(open);
        match self.program.verb(open) {
            Verb::Get { .. } => {
                info.pipe(Side::Reader).into_iter().for_each(|pipe| self.add_pipe(pipe))
            }
            Verb::Put { .. } => {
                info.pipe(Side::Writer).into_iter().for_each(|pipe| self.add_pipe(pipe))
            }
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
                self.add_users(&self.footprint.processes[process].spawners);
                self.add_conflicts_of_close(end);
            }
            Transition::Exit(process) => self.add_conflicts_of_exit(process),
            Transition::Return(process) => {
                self.add_users(&self.footprint.processes[process].spawners);
                self.add_signallers(process);
                self.add_withdrawn_puts(process);
                if self.state.kills_children(process) {
                    let children: Vec<usize> = self.state.running_children(process).collect();
                    children.into_iter().for_each(|child| self.add_conflicts_of_signal(child));
                }
            }
            Transition::Begin(step)
            | Transition::BeginReaped(step)
            | Transition::BeginExpired(step)
            | Transition::Complete(step) => {
                let info = self.program.step(step);
                self.add_signallers(info.process);
                self.add_users(&self.footprint.cancellers[info.task]);
                self.add_siblings(info.task);
                // A process that waits for its children ends when the last of them ends, and its tasks end with it.
                if let Phase::Waiting(..) = self.state.processes[info.process].phase {
                    self.add_ending_of_children(info.process);
                }
                self.add_withdrawn_puts(info.process);
                if !matches!(transition, Transition::Complete(_)) {
                    self.add_conflicts_of_step(step);
                }
            }
        }
    }

    fn add_conflicts_of_step(&mut self, step: usize) {
        let program = self.program;
        let info = program.step(step);
        for end in self.unmade_ends(step) {
            self.add_pipe(end.pipe);
        }
        match program.verb(step) {
            Verb::Put { .. }
            | Verb::Cut { .. }
            | Verb::Rest { .. }
            | Verb::Announce { .. }
            | Verb::Pass { .. } => {
                info.ends.iter().for_each(|end| self.add_conflicts_of_put(end.pipe));
            }
            Verb::Get { .. } | Verb::GetWithin { .. } => {
                info.ends.iter().for_each(|end| self.add_observers(end.pipe))
            }
            Verb::Close { .. } | Verb::Leave { .. } => {
                program.used_ends(step).for_each(|end| self.add_conflicts_of_close(end));
            }
            Verb::Pipe { .. } | Verb::Duplex { .. } => {
                for end in program.scenario.handles.made_by(step, program.verb(step)) {
                    self.add_users(&self.footprint.pipes[end.pipe].users);
                }
            }
            Verb::Spawn { .. } => {
                for end in program.scenario.handles.made_by(step, program.verb(step)) {
                    self.add_users(&self.footprint.pipes[end.pipe].users);
                }
                program.used_ends(step).for_each(|end| self.add_observers(end.pipe));
                if let Some(child) = info.child {
                    self.add_conflicts_of_second_start(child);
                }
            }
            Verb::Kill { .. }
            | Verb::Signal { .. }
            | Verb::Child { act: ChildAct::Terminate, .. } => {
                if let Some(child) = info.child {
                    self.add_conflicts_of_signal(child);
                    if let Verb::Signal { .. } = program.verb(step) {
                        self.add_ending(child);
                        self.add_users(&self.footprint.processes[child].joiners);
                        self.add_users(&self.footprint.processes[child].observers);
                    }
                }
            }
            Verb::SignalGroup { .. } => {
                let Some(child) = info.child else { return };
                for member in &program.processes[child].group_members {
                    self.add_conflicts_of_signal(*member);
                    self.add_ending(*member);
                    self.add_users(&self.footprint.processes[*member].joiners);
                    self.add_users(&self.footprint.processes[*member].observers);
                }
            }
            Verb::Join { .. } => {
                if let Some(child) = info.child {
                    self.add_users(&self.footprint.processes[child].signallers_by_id);
                }
            }
            Verb::Child { act: ChildAct::Drop, .. } => {}
            Verb::Child { .. } => {
                if let Some(child) = info.child {
                    self.add_ending(child);
                }
            }
            Verb::Cancel { .. } => {
                if let Some(target) = info.target {
                    self.add(Agent::Task(target));
                    self.add_enabling(target);
                }
            }
            Verb::Exit { .. } | Verb::Raise if program.processes[info.process].tasks.len() > 1 => {
                self.add_pipes_of_process(info.process);
            }
            _ => {}
        }
    }

    /// The ends of handles that a step uses, if another step has yet to make them.
    fn unmade_ends(&self, step: usize) -> Vec<PipeEnd> {
        let ends = self.program.used_ends(step);
        ends.filter(|end| !self.state.pipes[end.pipe].is_made()).collect()
    }

    /// Adds what conflicts with a close. Closing a writer commutes with everything that the reader does; closing a reader
    /// conflicts with every put.
    fn add_conflicts_of_close(&mut self, end: PipeEnd) {
        self.add_observers(end.pipe);
        if !end.is_writer() {
            self.add_users(&self.footprint.pipes[end.pipe].users);
        }
    }

    /// Adds what conflicts with a put. It commutes with every get, but not with closing the reader.
    fn add_conflicts_of_put(&mut self, pipe: PipeId) {
        let footprint = self.footprint;
        self.add_observers(pipe);
        self.add_users(&footprint.pipes[pipe].reader_closers);
        for holder in &footprint.pipes[pipe].reader_holders {
            self.add_closing(*holder, pipe);
        }
    }

    /// Adds the agents that notice whether a step waits at a pipe.
    fn add_observers(&mut self, pipe: PipeId) {
        let footprint = self.footprint;
        if !footprint.pipes[pipe].is_simple {
            return self.add_pipe(pipe);
        }
        for holder in &footprint.pipes[pipe].holders {
            self.add_signallers(*holder);
            self.add_withdrawn_puts(*holder);
        }
    }

    /// Adds everything that accesses a pipe in any way.
    fn add_pipe(&mut self, pipe: PipeId) {
        let footprint = self.footprint;
        for (task, position) in &footprint.pipes[pipe].users {
            self.add_users(&[(*task, *position)]);
            self.add_users(&footprint.cancellers[*task]);
        }
        for holder in &footprint.pipes[pipe].holders {
            self.add_signallers(*holder);
            self.add_closing(*holder, pipe);
        }
    }

    /// Adds what may end a process and so close its ends of a pipe.
    fn add_closing(&mut self, process: usize, pipe: PipeId) {
        match self.state.processes[process].phase {
            Phase::NotStarted | Phase::Running => self.add_tasks(process),
            Phase::Waiting(..) => self.add_ending_of_children(process),
            Phase::Exiting(_) => {
                for end in [PipeEnd::reader(pipe), PipeEnd::writer(pipe)] {
                    if self.state.processes[process].ends.contains(&end) {
                        self.add(Agent::CloseEnd(process, end));
                    }
                }
            }
            Phase::Ended(_) | Phase::Forgotten => {}
        }
    }

    /// Adds what conflicts with the end of a process: it completes joins, and other steps may ask about it.
    fn add_conflicts_of_exit(&mut self, process: usize) {
        let footprint = self.footprint;
        self.add_users(&footprint.processes[process].spawners);
        self.add_users(&footprint.processes[process].observers);
        if let Some(parent) = self.state.processes[process].parent {
            // The parent may be waiting for this child before it ends itself.
            if let Phase::Waiting(..) = self.state.processes[parent].phase {
                self.add_signallers(parent);
                self.add_withdrawn_puts(parent);
                self.add_tasks(parent);
            }
        }
        for (task, position) in &footprint.processes[process].joiners {
            let joiner = self.program.tasks[*task].process;
            self.add_users(&footprint.cancellers[*task]);
            self.add_signallers(joiner);
            self.add_withdrawn_puts(joiner);
            if self.program.processes[joiner].tasks.len() > 1 {
                self.add_users(&[(*task, *position)]);
                self.add_siblings(*task);
            }
        }
    }

    /// Adds the other start of a child: a scenario may spawn a child twice, if it expects one of the two to be refused.
    fn add_conflicts_of_second_start(&mut self, child: usize) {
        if let Phase::Exiting(_) = self.state.processes[child].phase {
            for end in &self.state.processes[child].ends {
                self.add(Agent::CloseEnd(child, *end));
            }
        }
        self.add_ending(child);
    }

    /// Adds what conflicts with a signal, which may interrupt whatever the process is doing.
    fn add_conflicts_of_signal(&mut self, process: usize) {
        self.add_signallers(process);
        match self.state.processes[process].phase {
            Phase::NotStarted | Phase::Running => {
                self.add_pipes_of_process(process);
                self.add_tasks(process);
            }
            Phase::Waiting(..) => {
                self.add_pipes_of_process(process);
                self.add_ending_of_children(process);
            }
            _ => {}
        }
    }

    /// Adds what may kill, terminate or signal a process.
    fn add_signallers(&mut self, process: usize) {
        self.add_users(&self.footprint.processes[process].signallers);
        // Its parent may kill it when it returns.
        if self.program.choices.unjoined == Unjoined::Killed {
            self.state.processes[process].parent.into_iter().for_each(|it| self.add_tasks(it));
        }
    }

    /// Adds what may end a process that waits for its children.
    fn add_ending_of_children(&mut self, process: usize) {
        self.add_tasks(process);
        let children: Vec<usize> = self.state.running_children(process).collect();
        children.into_iter().for_each(|child| self.add_ending(child));
    }

    fn add_pipes_of_process(&mut self, process: usize) {
        for end in &self.state.processes[process].ends {
            self.add_pipe(end.pipe);
        }
    }

    /// Adds what may end a process, and what may follow from a request about it.
    fn add_ending(&mut self, process: usize) {
        self.add_signallers(process);
        self.add_users(&self.footprint.processes[process].spawners);
        match self.state.processes[process].phase {
            Phase::NotStarted | Phase::Running => self.add_tasks(process),
            Phase::Waiting(..) => self.add_ending_of_children(process),
            Phase::Exiting(_) => self.add(Agent::Exit(process)),
            Phase::Ended(_) | Phase::Forgotten => {}
        }
    }

    /// Adds the pipes with withdrawn puts. Such a put, if it is still being written, is cut off when its process ends, and
    /// any step may cause that.
    fn add_withdrawn_puts(&mut self, process: usize) {
        if !self.program.withdraws_puts {
            return;
        }
        for end in &self.state.processes[process].ends {
            if self.program.pipes[end.pipe].put_may_be_withdrawn {
                self.add_pipe(end.pipe);
            }
        }
    }

    fn add_tasks(&mut self, process: usize) {
        if self.state.returning.contains(&process) {
            self.add(Agent::Return(process));
        }
        for task in &self.program.processes[process].tasks {
            if !self.state.tasks.is_done(*task) {
                self.add(Agent::Task(*task));
            }
        }
        // A process without steps starts and ends with its spawn.
        if self.state.processes[process].phase == Phase::NotStarted {
            self.add_users(&self.footprint.processes[process].spawners);
        }
    }

    /// Adds the other tasks of the same process, which share its handles, its descriptors and its end.
    fn add_siblings(&mut self, task: usize) {
        let process = &self.program.processes[self.program.tasks[task].process];
        if process.tasks.len() > 1 {
            for sibling in &process.tasks {
                if !self.state.tasks.is_done(*sibling) {
                    self.add(Agent::Task(*sibling));
                }
            }
        }
    }

    /// Adds the tasks whose use is still to come or in progress.
    fn add_users(&mut self, users: &[LastUse]) {
        for (task, position) in users {
            if self.state.tasks.reaches(*task, *position) {
                self.add(Agent::Task(*task));
            }
        }
    }
}
