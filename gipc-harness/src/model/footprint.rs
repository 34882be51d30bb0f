//! Which tasks use what, in the program as a whole: the static part of partial-order reduction.

use super::program::{LastUse, Program, record_use};
use crate::scenario::{ChildAct, PipeEnd, Verb};
use std::collections::BTreeSet;

/// For each pipe, process and task: what may still affect it.
pub(super) struct Footprint {
    pub(super) pipes: Vec<PipeUse>,
    pub(super) processes: Vec<ProcessUse>,
    /// For each task, the tasks that cancel it.
    pub(super) cancellers: Vec<Vec<LastUse>>,
}

/// How the program uses one pipe.
#[derive(Default)]
pub(super) struct PipeUse {
    /// Tasks with steps that name one of its ends.
    pub(super) users: Vec<LastUse>,
    /// Tasks with steps that close its reader.
    pub(super) reader_closers: Vec<LastUse>,
    /// Processes that may hold one of its ends, and close it when they end.
    pub(super) holders: BTreeSet<usize>,
    pub(super) reader_holders: BTreeSet<usize>,
    /// Whether it behaves like a channel of a Kahn process network: each process that uses or holds it has a single task, no
    /// end of it is shared, no put to it is ever withdrawn, and no frame that is written by hand can find the pipe full.
    pub(super) is_simple: bool,
}

/// How the program uses one process.
#[derive(Default)]
pub(super) struct ProcessUse {
    pub(super) spawners: Vec<LastUse>,
    /// Tasks that kill, terminate or signal it.
    pub(super) signallers: Vec<LastUse>,
    /// Tasks that signal it by its process id, and so learn whether it still exists.
    pub(super) signallers_by_id: Vec<LastUse>,
    /// Tasks that wait for its end.
    pub(super) joiners: Vec<LastUse>,
    /// Tasks that learn whether it has ended, without waiting.
    pub(super) observers: Vec<LastUse>,
}

impl Footprint {
    pub(super) fn of(program: &Program<'_>) -> Self {
        let mut footprint = Self {
            pipes: program.pipes.iter().map(|_| PipeUse::default()).collect(),
            processes: program.processes.iter().map(|_| ProcessUse::default()).collect(),
            cancellers: vec![Vec::new(); program.tasks.len()],
        };
        for (task, info) in program.tasks.iter().enumerate() {
            for (position, step) in info.steps.iter().enumerate() {
                footprint.add(program, *step, (task, position));
            }
        }
        footprint.find_simple_pipes(program);
        footprint
    }

    fn add(&mut self, program: &Program<'_>, step: usize, user: LastUse) {
        let verb = program.verb(step);
        let table = &program.scenario.handles;
        let info = program.step(step);
        let closes = matches!(verb, Verb::Close { .. } | Verb::Leave { .. });
        for end in program.used_ends(step) {
            record_use(&mut self.pipes[end.pipe].users, user);
            if closes && !end.is_writer() {
                record_use(&mut self.pipes[end.pipe].reader_closers, user);
            }
        }
        match verb {
            Verb::Pipe { .. } | Verb::Duplex { .. } => {
                for end in table.made_by(step, verb) {
                    record_use(&mut self.pipes[end.pipe].users, user);
                    self.add_holder(end, info.process);
                }
            }
            Verb::Spawn { handles: given, .. } => {
                let Some(child) = info.child else { return };
                record_use(&mut self.processes[child].spawners, user);
                for end in table.made_by(step, verb) {
                    record_use(&mut self.pipes[end.pipe].users, user);
                    self.add_holder(end, info.process);
                }
                for end in given.iter().flat_map(|handle| table.ends(handle)) {
                    self.add_holder(*end, child);
                }
            }
            Verb::Kill { .. } | Verb::Child { act: ChildAct::Terminate, .. } => {
                if let Some(child) = info.child {
                    record_use(&mut self.processes[child].signallers, user);
                }
            }
            Verb::Signal { .. } => {
                if let Some(child) = info.child {
                    record_use(&mut self.processes[child].signallers, user);
                    record_use(&mut self.processes[child].signallers_by_id, user);
                    record_use(&mut self.processes[child].observers, user);
                }
            }
            Verb::SignalGroup { .. } => {
                let Some(child) = info.child else { return };
                for member in &program.processes[child].group_members {
                    record_use(&mut self.processes[*member].signallers, user);
                    record_use(&mut self.processes[*member].signallers_by_id, user);
                    record_use(&mut self.processes[*member].observers, user);
                }
            }
            Verb::Join { .. } | Verb::Child { act: ChildAct::Stall | ChildAct::Reaped, .. } => {
                if let Some(child) = info.child {
                    record_use(&mut self.processes[child].joiners, user);
                }
            }
            Verb::Child { act: ChildAct::Alive | ChildAct::Code | ChildAct::Reap, .. } => {
                if let Some(child) = info.child {
                    record_use(&mut self.processes[child].observers, user);
                }
            }
            Verb::Cancel { .. } => {
                if let Some(target) = info.target {
                    record_use(&mut self.cancellers[target], user);
                }
            }
            _ => {}
        }
    }

    fn add_holder(&mut self, end: PipeEnd, process: usize) {
        self.pipes[end.pipe].holders.insert(process);
        if !end.is_writer() {
            self.pipes[end.pipe].reader_holders.insert(process);
        }
    }

    fn find_simple_pipes(&mut self, program: &Program<'_>) {
        let has_one_task = |process: usize| program.processes[process].tasks.len() <= 1;
        let handles = &program.scenario.handles;
        for (id, (pipe, info)) in self.pipes.iter_mut().zip(&program.pipes).enumerate() {
            let ends = [PipeEnd::reader(id), PipeEnd::writer(id)];
            let users = pipe.users.iter().map(|(task, _)| program.tasks[*task].process);
            pipe.is_simple = users.chain(pipe.holders.iter().copied()).all(has_one_task)
                && ends.iter().all(|end| !handles.is_shared(*end))
                && !info.put_may_be_withdrawn
                && !(info.is_written_by_hand && info.may_fill);
        }
    }
}
