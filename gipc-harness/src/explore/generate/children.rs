//! Generates what a process does to its children: starts, programs, signals, and ends that occur together.

use super::{CHILDREN, Generator};
use crate::scenario::{
    ChildAct, Executable, Item, Line, ProgramStart, Stream, StreamName, StreamSource, TaskId, Verb,
};
use ecow::{EcoString, eco_format};
use thin_vec::ThinVec;

impl Generator<'_> {
    /// Adds a step that kills, terminates or signals a child once it is blocked, so that the child is in the same step in
    /// each run.
    pub(super) fn signal_child(&mut self, process: &str) {
        let child = self.child();
        let task_id = TaskId::process(child.clone());
        if self.add(process, None, Verb::Until { task_id }) {
            let verb = match self.rng.u8(0..3) {
                1 if self.has("process") => Verb::Child { act: ChildAct::Terminate, child },
                2 if self.has("signals") => Verb::Signal { child, signal: "SIGUSR1".into() },
                0 if self.has("groups") => {
                    // The parser accepts this only if the child is the first of a group.
                    let child = child.clone();
                    let group = Verb::SignalGroup { child, signal: "SIGTERM".into() };
                    if self.add(process, None, group) {
                        return;
                    }
                    Verb::Kill { child: self.child() }
                }
                _ => Verb::Kill { child },
            };
            self.add(process, None, verb);
        }
    }

    /// Adds a join for every child, the last one first.
    pub(super) fn join_all(&mut self) {
        let spawns = self.items.iter().filter_map(|item| match item {
            Item::Line(Line { task_id, verb: Verb::Spawn { child, .. }, .. }) => {
                Some((task_id.process.clone(), child.clone()))
            }
            _ => None,
        });
        for (parent, child) in spawns.collect::<Vec<_>>().into_iter().rev() {
            self.add(&parent, None, Verb::Join { child });
        }
    }

    pub(super) fn spawn(&mut self, process: &str) {
        let Some(child) = CHILDREN.get(self.processes.len() - 1).copied() else { return };
        let count = self.rng.usize(0..4);
        let handles: ThinVec<EcoString> = (0..count)
            .map(|_| {
                let side = self.side();
                self.handle(process, side)
            })
            .collect();
        let (given, shared) = (handles.clone(), self.shared(&handles));
        let kept = shared.clone();
        let (listed, in_group) = (ThinVec::new(), self.is_in_group());
        let from_thread = !in_group && self.has("threads") && self.rng.u8(0..4) == 0;
        let (child, program) = (EcoString::from(child), None);
        let name = child.clone();
        let spawn =
            Verb::Spawn { child: name, handles, shared, listed, program, in_group, from_thread };
        if self.add(process, None, spawn) && self.is_ok() {
            self.processes.push(child.clone());
            for end in given {
                match kept.contains(&end) {
                    true => self.ends.share(&end, &child),
                    false => self.ends.give(&end, &child),
                }
            }
        }
    }

    /// Starts a program. A process of the implementation makes pipes for its streams, and a program gives it ends.
    pub(super) fn run(&mut self, process: &str) {
        let Some(child) = CHILDREN.get(self.processes.len() - 1).copied() else { return };
        let mut streams: Vec<Stream> = Vec::new();
        for name in StreamName::ALL {
            if self.rng.bool() {
                continue;
            }
            let source = match self.programs.contains(process) {
                true => StreamSource::Given { handle: self.handle(process, name.side()) },
                false => {
                    self.streams += 1;
                    let (reader, writer) =
                        (eco_format!("sr{}", self.streams), eco_format!("sw{}", self.streams));
                    StreamSource::Pipe { reader, writer }
                }
            };
            streams.push(Stream { name, source });
        }
        let program = ProgramStart { executable: Executable::Script, streams };
        let handles: ThinVec<EcoString> = program.given_to_child().map(EcoString::from).collect();
        let (shared, listed, started) = (ThinVec::new(), ThinVec::new(), program.clone());
        let (child, program, in_group) =
            (EcoString::from(child), Some(Box::new(program)), self.is_in_group());
        let (name, from_thread) = (child.clone(), false);
        let run =
            Verb::Spawn { child: name, handles, shared, listed, program, in_group, from_thread };
        if self.add(process, None, run) && self.is_ok() {
            self.processes.push(child.clone());
            self.programs.insert(child.clone());
            for (reader, writer) in started.pipes() {
                self.ends.add_pipe(reader, writer, process);
            }
            for end in started.given_to_child() {
                self.ends.give(end, &child);
            }
        }
    }

    /// Chooses which of these handles a spawn shares: one in three writers of pipes, if the implementation can share.
    /// Sharing a reader makes sense only if one process gets at a time.
    fn shared(&mut self, handles: &[EcoString]) -> ThinVec<EcoString> {
        let is_writer = |handle: &&EcoString| handle.starts_with('w');
        let mut shared: ThinVec<EcoString> = handles.iter().filter(is_writer).cloned().collect();
        let can_share = self.has("share");
        shared.retain(|_| can_share && self.rng.u8(0..3) == 0);
        shared
    }

    /// Chooses whether a child starts a process group: one in three does, if the implementation has groups.
    fn is_in_group(&mut self) -> bool {
        self.has("groups") && self.rng.u8(0..3) == 0
    }

    /// Adds children that all end while their parent is stalled.
    pub(super) fn exit_together(&mut self, process: &str) {
        let has_tasks = self.items.iter().any(|item| {
            matches!(item, Item::Line(line) if line.task_id.process == process && line.task_id.task.is_some())
        });
        if has_tasks {
            return; // a stall blocks the whole process
        }
        let mut children = Vec::new();
        for _ in 0..self.rng.usize(2..4) {
            let Some(child) = CHILDREN.get(self.processes.len() - 1).copied() else { break };
            let child = EcoString::from(child);
            let (handles, shared, listed) = (ThinVec::new(), ThinVec::new(), ThinVec::new());
            let (name, program, in_group) = (child.clone(), None, self.is_in_group());
            let from_thread = false;
            let spawn = Verb::Spawn {
                child: name,
                handles,
                shared,
                listed,
                program,
                in_group,
                from_thread,
            };
            if self.add(process, None, spawn) {
                self.processes.push(child.clone());
                children.push(child);
            }
        }
        // The parent stalls until the last child has ended, so it has observed no exit before that.
        let Some(child) = children.last().cloned() else { return };
        self.add(process, None, Verb::Child { act: ChildAct::Stall, child });
        for child in &children {
            let code = self.rng.i32(0..4);
            self.add(child, None, Verb::Exit { code });
        }
        self.rng.shuffle(&mut children);
        for child in children {
            self.add(process, None, Verb::Join { child });
        }
    }
}
