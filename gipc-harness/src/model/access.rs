//! The accesses of each step that another step could notice: the input of the race detector.

use super::program::StepInfo;
use super::state::{State, Transition};
use crate::scenario::{ChildAct, Counted, Outcome, PipeEnd, PipeId, Side, Verb};
use ecow::EcoString;

/// Something that two steps can both access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    /// Whether a process has a handle for an end at all.
    Handle(usize, PipeEnd),
    /// One end of a pipe, as used by one process.
    End(usize, PipeEnd),
    /// One end of a pipe, as used by all processes that share it.
    SharedEnd(PipeEnd),
    /// Whether a pipe has a reader.
    Readers(PipeId),
    /// The messages of a pipe, and whether a step waits at it.
    Messages(PipeId),
    /// How much room a pipe has left, if that may be too little for a frame that is written by hand.
    Room(PipeId),
    /// Whether the rest of a withdrawn put is still to be written.
    WithdrawnPut(PipeId),
    /// A process as a whole.
    Process(usize),
    /// Whether a process has ended.
    ExitStatus(usize),
    /// Whether a process that has ended is reaped.
    Zombie(usize),
    Task(usize),
    /// The descriptors and handles of a process.
    Descriptors(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A resource as one number, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ResourceKey(u64);

impl Resource {
    /// The resource as a number that no other resource has. This works because there are fewer than 2^24 processes, tasks
    /// and pipes.
    pub(super) fn key(self) -> ResourceKey {
        let end = |end: PipeEnd| (end.pipe << 1) | usize::from(end.is_writer());
        let (kind, first, second) = match self {
            Self::Handle(process, of) => (0, process, end(of)),
            Self::End(process, of) => (1, process, end(of)),
            Self::SharedEnd(of) => (2, 0, end(of)),
            Self::Readers(pipe) => (3, 0, pipe),
            Self::Messages(pipe) => (4, 0, pipe),
            Self::Room(pipe) => (5, 0, pipe),
            Self::WithdrawnPut(pipe) => (6, 0, pipe),
            Self::Process(process) => (7, process, 0),
            Self::ExitStatus(process) => (8, process, 0),
            Self::Zombie(process) => (9, process, 0),
            Self::Task(task) => (10, task, 0),
            Self::Descriptors(process) => (11, process, 0),
        };
        ResourceKey((kind << 56) | ((first as u64) << 28) | second as u64)
    }

    /// Whether the order of two accesses can matter.
    pub(super) fn conflicts(self, first: Access, second: Access) -> bool {
        match (first, second) {
            (Access::Read, Access::Read) => false,
            // Closing an end, reaping, and interrupting what is in progress each commute with doing the same again.
            (Access::Write, Access::Write) => !matches!(
                self,
                Self::Readers(_) | Self::Messages(_) | Self::WithdrawnPut(_) | Self::Zombie(_)
            ),
            _ => true,
        }
    }
}

type Accesses = Vec<(Resource, Access)>;

impl State<'_> {
    /// Tells the race detector that a step begins.
    pub(super) fn record_begin(&mut self, step: usize) {
        let Some(mut races) = self.races.take() else { return };
        let info = self.program.step(step);
        let contended = self.accesses(step).into_iter().filter(|(it, _)| !self.is_private(*it));
        races.step_began(step, info.task, contended);
        if self.alternative(Transition::Begin(step)).is_some() {
            races.report_race(Some(step));
        }
        let closed = match self.program.verb(step) {
            Verb::Close { handle, .. } => std::slice::from_ref(handle),
            Verb::Leave { handles, .. } => handles,
            Verb::Put { .. } | Verb::Cut { .. } => {
                races.message_sent();
                &[]
            }
            _ => &[],
        };
        for end in closed.iter().flat_map(|handle| self.held_ends(info.process, handle)) {
            if end.is_writer() {
                races.writer_closed(end.pipe);
            }
        }
        self.races = Some(races);
    }

    /// Tells the race detector what a task learns when its step completes.
    pub(super) fn record_completion(
        &mut self,
        step: usize,
        outcome: &Outcome,
        from: Option<usize>,
    ) {
        let Some(mut races) = self.races.take() else { return };
        let StepInfo { task, child, .. } = self.program.step(step);
        if let Some(put) = from {
            races.message_received(task, put);
        }
        match (self.program.verb(step), outcome) {
            (Verb::Get { .. }, Outcome::Eof | Outcome::Truncated) => {
                if let Some(end) = self.end_of_step(step, Side::Reader) {
                    races.end_of_stream_received(task, end.pipe);
                }
            }
            // A step that terminates a child does not learn when the child ends, nor does a step that finds the child alive.
            (Verb::Child { act: ChildAct::Terminate | ChildAct::Drop, .. }, _)
            | (Verb::Join { .. } | Verb::Child { .. }, Outcome::Running | Outcome::Yes) => {}
            (Verb::Join { .. } | Verb::Child { .. }, _) => {
                if let Some(child) = child {
                    races.exit_observed(task, child);
                }
            }
            (Verb::Until { .. }, _) => races.quiescence_observed(task),
            (_, Outcome::Cancelled) => races.cancelled(task),
            _ => {}
        }
        self.races = Some(races);
    }

    /// Tells the race detector that a process ends, before its ends are closed.
    pub(super) fn record_exit(&mut self, process: usize, is_killed: bool) {
        let Some(mut races) = self.races.take() else { return };
        let tasks = &self.program.processes[process].tasks;
        for task in tasks.iter().copied().filter(|task| self.tasks.is_between_steps(*task)) {
            if let Some(step) = self.tasks.next_step(task) {
                races.step_prevented(step, task);
            }
        }
        let mut accesses = vec![(Resource::ExitStatus(process), Access::Write)];
        for end in &self.processes[process].ends {
            accesses.push((Resource::Messages(end.pipe), Access::Read));
            let waits_for_put = if end.is_writer() { Access::Read } else { Access::Write };
            accesses.extend(self.withdrawn_put(end.pipe, waits_for_put));
            if !end.is_writer() {
                accesses.push((Resource::Readers(end.pipe), Access::Write));
            }
        }
        let writers = self.processes[process].ends.iter().filter(|end| end.is_writer());
        races.process_ended(process, tasks, is_killed, accesses, writers.map(|end| end.pipe));
        self.races = Some(races);
    }

    /// Whether only one task ever accesses a resource, so that no two steps race for it.
    fn is_private(&self, resource: Resource) -> bool {
        let process = |process: usize| &self.program.processes[process];
        let is_single = |of: usize| process(of).tasks.len() == 1;
        match resource {
            Resource::Handle(of, _) | Resource::End(of, _) | Resource::Descriptors(of) => {
                is_single(of)
            }
            // Other tasks of the same process can cancel it.
            Resource::Task(task) => is_single(self.program.tasks[task].process),
            Resource::Process(of) => is_single(of) && process(of).signallers.is_empty(),
            _ => false,
        }
    }

    fn accesses(&self, step: usize) -> Accesses {
        use Access::{Read, Write};
        let StepInfo { task, process, child, target, .. } = self.program.step(step);
        let verb = self.program.verb(step);
        let mut all = Vec::with_capacity(8);
        all.extend([(Resource::Process(process), Read), (Resource::Task(task), Read)]);
        let used = self.program.used_ends(step);
        all.extend(used.map(|end| (Resource::Handle(process, end), Read)));
        match verb {
            Verb::Put { .. }
            | Verb::Cut { .. }
            | Verb::Rest { .. }
            | Verb::Announce { .. }
            | Verb::Pass { .. } => {
                let is_by_hand = matches!(verb, Verb::Cut { .. } | Verb::Rest { .. });
                self.write_accesses(step, is_by_hand, &mut all);
            }
            Verb::Get { .. } => {
                if let Some(end) = self.end_of_step(step, Side::Reader) {
                    let may_fill = self.program.pipes[end.pipe].may_fill;
                    all.push((Resource::End(process, end), Write));
                    all.extend(self.shared_access(end));
                    all.push((Resource::Messages(end.pipe), Read));
                    all.extend(may_fill.then_some((Resource::Room(end.pipe), Write)));
                    all.extend(self.withdrawn_put(end.pipe, Write));
                }
            }
            Verb::Close { handle, .. } => {
                self.close_accesses(process, std::slice::from_ref(handle), &mut all);
            }
            Verb::Leave { handles, .. } => self.close_accesses(process, handles, &mut all),
            Verb::Spawn { handles, .. } => {
                let made = self.program.scenario.handles.made_by(step, verb).into_iter();
                all.extend(made.map(|end| (Resource::Handle(process, end), Write)));
                for end in handles.iter().flat_map(|handle| self.ends(handle)) {
                    all.push((Resource::End(process, *end), Write));
                    all.extend(self.withdrawn_put(end.pipe, Read).filter(|_| end.is_writer()));
                }
                all.push(self.descriptor_access(process));
            }
            Verb::Pipe { reader: first, writer: second, .. }
            | Verb::Duplex { near: first, far: second } => {
                all.extend(self.handle_accesses(process, first, Write));
                all.extend(self.handle_accesses(process, second, Write));
                all.push(self.descriptor_access(process));
            }
            Verb::Limit { .. } | Verb::Count { what: Counted::Handles } => {
                all.push((Resource::Descriptors(process), Write));
            }
            Verb::Exit { .. } | Verb::Raise => {
                all.push((Resource::Process(process), Write));
                if self.program.processes[process].tasks.len() > 1 {
                    self.interruption_accesses(process, &mut all);
                }
            }
            Verb::Kill { .. }
            | Verb::Signal { .. }
            | Verb::Child { act: ChildAct::Terminate, .. } => {
                if let Some(child) = child {
                    all.push((Resource::Process(child), Write));
                    // A child that is about to return either ends by the signal or returns first.
                    all.push((Resource::ExitStatus(child), Read));
                    if let Verb::Signal { .. } = verb {
                        all.push((Resource::Zombie(child), Read));
                    }
                    self.interruption_accesses(child, &mut all);
                }
            }
            Verb::SignalGroup { .. } => {
                let leader = child.into_iter();
                let members = leader.flat_map(|it| &self.program.processes[it].group_members);
                for member in members {
                    all.push((Resource::Process(*member), Write));
                    all.push((Resource::ExitStatus(*member), Read));
                    all.push((Resource::Zombie(*member), Read));
                    self.interruption_accesses(*member, &mut all);
                }
            }
            Verb::Child { act: ChildAct::Drop, .. } => {}
            // The answer to whether a child has ended depends on the moment. Waiting for its end does not.
            Verb::Child { act: ChildAct::Alive | ChildAct::Code, .. } => {
                all.extend(child.map(|child| (Resource::ExitStatus(child), Read)));
            }
            Verb::Join { .. } | Verb::Child { act: ChildAct::Reap | ChildAct::Reaped, .. } => {
                let is_limited = self.program.scenario.steps[step].within_ms.is_some();
                let asks = is_limited || matches!(verb, Verb::Child { act: ChildAct::Reap, .. });
                let child = child.into_iter();
                all.extend(child.clone().map(|child| (Resource::Zombie(child), Write)));
                all.extend(child.filter(|_| asks).map(|child| (Resource::ExitStatus(child), Read)));
            }
            Verb::Cancel { .. } => {
                if let Some(target) = target {
                    all.push((Resource::Task(target), Write));
                    self.wait_accesses(target, &mut all);
                }
            }
            _ => {}
        }
        all
    }

    fn handle_accesses(&self, process: usize, handle: &str, access: Access) -> Accesses {
        let ends = self.program.scenario.handles.ends(handle).iter();
        ends.map(|end| (Resource::Handle(process, *end), access)).collect()
    }

    fn write_accesses(&self, step: usize, is_by_hand: bool, all: &mut Accesses) {
        let process = self.program.step(step).process;
        let Some(end) = self.end_of_step(step, Side::Writer) else { return };
        all.push((Resource::End(process, end), Access::Write));
        all.extend(self.shared_access(end));
        all.push((Resource::Readers(end.pipe), Access::Read));
        all.push((Resource::Messages(end.pipe), Access::Read));
        let needs_room = is_by_hand && self.program.pipes[end.pipe].may_fill;
        all.extend(needs_room.then_some((Resource::Room(end.pipe), Access::Read)));
    }

    /// The access of a put or a get to a shared end, which happens before or after those of other processes.
    fn shared_access(&self, end: PipeEnd) -> Option<(Resource, Access)> {
        let is_shared = self.program.scenario.handles.is_shared(end);
        is_shared.then_some((Resource::SharedEnd(end), Access::Write))
    }

    fn close_accesses(&self, process: usize, handles: &[EcoString], all: &mut Accesses) {
        for end in handles.iter().flat_map(|handle| self.ends(handle)) {
            all.push((Resource::End(process, *end), Access::Write));
            let waits_for_put = if end.is_writer() { Access::Read } else { Access::Write };
            all.extend(self.withdrawn_put(end.pipe, waits_for_put));
            if self.processes[process].ends.contains(end) {
                all.push((Resource::Messages(end.pipe), Access::Read));
                if !end.is_writer() {
                    all.push((Resource::Readers(end.pipe), Access::Write));
                }
            }
        }
        all.push(self.descriptor_access(process));
    }

    /// Adds the accesses of a signal or an exit that interrupts a process inside a step and cuts off the messages in
    /// progress.
    fn interruption_accesses(&self, process: usize, all: &mut Accesses) {
        let ends = self.processes[process].ends.iter();
        all.extend(ends.map(|end| (Resource::Messages(end.pipe), Access::Write)));
    }

    /// Adds the accesses to what would complete the step in which a task waits.
    fn wait_accesses(&self, task: usize, all: &mut Accesses) {
        let Some(step) = self.tasks.last_begun(task) else { return };
        let side = match self.program.verb(step) {
            Verb::Get { .. } => Side::Reader,
            Verb::Put { .. } => Side::Writer,
            Verb::Join { .. } | Verb::Child { .. } => {
                let child = self.program.step(step).child;
                all.extend(child.map(|child| (Resource::ExitStatus(child), Access::Read)));
                return;
            }
            _ => return,
        };
        let end = self.end_of_step(step, side);
        all.extend(end.map(|end| (Resource::Messages(end.pipe), Access::Write)));
    }

    /// The access of completing a withdrawn put, which keeps the end busy until the reader has made room.
    fn withdrawn_put(&self, pipe: PipeId, access: Access) -> Option<(Resource, Access)> {
        let may_be_withdrawn = self.program.pipes[pipe].put_may_be_withdrawn;
        may_be_withdrawn.then_some((Resource::WithdrawnPut(pipe), access))
    }

    fn descriptor_access(&self, process: usize) -> (Resource, Access) {
        let access = if self.program.limits_descriptors { Access::Write } else { Access::Read };
        (Resource::Descriptors(process), access)
    }
}
