//! Groups of lines that random lines alone would hardly ever form.

use super::generate::{CHILDREN, Generator, LARGE};
use crate::scenario::{ChildAct, CutAt, Item, Payload, Side, TaskId, Verb};

impl Generator<'_> {
    /// Ends or signals a child that is blocked: only then is it at the same step each time.
    pub(super) fn signal_child(&mut self, process: &str) {
        let child = self.child();
        let task_id = TaskId::process(child.clone());
        if self.add(process, None, Verb::Until { task_id }) {
            let verb = match self.rng.u8(0..3) {
                1 if self.has("process") => Verb::Child { act: ChildAct::Terminate, child },
                2 if self.has("signals") => Verb::Signal { child, signal: "SIGUSR1".into() },
                _ => Verb::Kill { child },
            };
            self.add(process, None, verb);
        }
    }

    /// Adds several tasks that put to one end, possibly each after the one before is blocked, and gets that unblock them.
    pub(super) fn contend(&mut self, process: &str) {
        let handle = self.handle(process, Side::Writer);
        let in_sequence = self.rng.bool();
        let mut tasks = vec!["one", "two", "three"];
        self.rng.shuffle(&mut tasks);
        tasks.truncate(self.rng.usize(2..4));
        for (place, task) in tasks.into_iter().enumerate() {
            let payload = match place {
                0 => Payload::Size(LARGE),
                _ => self.payload(),
            };
            let put = Verb::Put { handle: handle.clone(), payload };
            if self.add(process, Some(task.into()), put) {
                self.ends.count_put(&handle);
            }
            if in_sequence {
                let task = TaskId { process: process.into(), task: Some(task.into()) };
                self.add(process, None, Verb::Until { task_id: task });
            }
        }
        let reader = self.ends.opposite(&handle);
        if let Some((reader, owner)) =
            reader.and_then(|end| Some((end.clone(), self.ends.owner(&end)?)))
        {
            self.get(&owner, reader.clone());
            self.get(&owner, reader);
        }
    }

    /// Adds children that all end while their parent is stalled.
    pub(super) fn exit_together(&mut self, process: &str) {
        let tasks = self.items.iter().any(|item| {
            matches!(item, Item::Line(line) if line.task_id.process == process && line.task_id.task.is_some())
        });
        if tasks {
            return; // a stall stops the whole process
        }
        let mut children = Vec::new();
        for _ in 0..self.rng.usize(2..4) {
            let Some(child) = CHILDREN.get(self.processes.len() - 1).copied() else { break };
            let child = child.to_owned();
            let (handles, listed) = (Vec::new(), Vec::new());
            if self.add(process, None, Verb::Spawn { child: child.clone(), handles, listed }) {
                self.processes.push(child.clone());
                children.push(child);
            }
        }
        // The last one to end: until then the parent has observed no exit.
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

    pub(super) fn cut(&mut self, process: &str) {
        let handle = self.handle(process, Side::Writer);
        let at = match self.rng.u8(0..3) {
            0 => CutAt::Bytes(self.rng.u64(1..4)),
            1 => CutAt::Header(self.rng.u64(0..5)),
            _ => CutAt::End(1),
        };
        self.puts += 1;
        let payload = Payload::Text(format!("message number {}", self.puts));
        let cut = Verb::Cut { handle: handle.clone(), payload, at };
        if self.add(process, None, cut) && self.rng.bool() {
            self.add(process, None, Verb::Rest { handle });
        }
    }
}
