//! Generates random scripts: up to five processes, four pipes and one duplex, and about twenty-five steps. Most of the
//! steps are legal, and many message sizes are near the limits.
//!
//! The generator does not know the outcomes: each line gets one that the parser accepts, and the model replaces it by
//! the right one. Proptest could not shrink these scripts, since only the model can tell whether a smaller one is
//! meaningful.

use super::end_pool::Ends;
use crate::scenario::{
    ChildAct, Closing, Counted, CutAt, Executable, Item, Line, Outcome, Payload, ProgramStart,
    Script, Side, Stream, StreamName, StreamSource, TaskId, Verb, parse,
};
use ecow::{EcoString, eco_format};
use fastrand::Rng;
use std::collections::BTreeSet;
use thin_vec::ThinVec;

const CHILDREN: [&str; 4] = ["a", "b", "c", "d"];
/// The maximum number of lines, not counting the joins at the end.
const MAX_LINES: usize = 22;
/// The sizes of messages, in bytes.
const SIZES: [u64; 12] =
    [0, 1, 16, 100, 300, (1 << 20) + 1, 2 << 20, 4095, 4096, 65_531, 65_532, 65_537];

/// A message size that exceeds the capacity of every pipe, in bytes.
const LARGE: u64 = 2 << 20;

/// Generates a script that uses the verbs of `core` and of these profiles. The script contains only lines that the
/// parser accepts.
pub fn script(rng: &mut Rng, profiles: &BTreeSet<String>) -> Script {
    let mut generator = Generator {
        rng,
        profiles,
        items: Vec::new(),
        processes: vec!["main".into()],
        ends: Ends::default(),
        pipes: 0,
        duplexes: 0,
        puts: 0,
        streams: 0,
        programs: BTreeSet::new(),
    };
    generator.pipe("main");
    let target = generator.rng.usize(4..MAX_LINES);
    for _ in 0..4 * target {
        if generator.items.len() < target {
            generator.step();
        }
    }
    generator.join_all();
    Script { items: generator.items }
}

struct Generator<'r> {
    rng: &'r mut Rng,
    profiles: &'r BTreeSet<String>,
    items: Vec<Item>,
    /// The processes that have been spawned, and `main`.
    processes: Vec<EcoString>,
    ends: Ends,
    pipes: usize,
    duplexes: usize,
    puts: usize,
    /// How many streams of programs are pipes.
    streams: usize,
    programs: BTreeSet<EcoString>,
}

impl Generator<'_> {
    /// Tries to add a random step of a random process, with the steps that belong to it.
    fn step(&mut self) {
        let process = self.processes[self.rng.usize(0..self.processes.len())].clone();
        let process = process.as_str();
        match self.rng.u8(0..100) {
            0..8 if self.pipes < 4 => self.pipe(process),
            8..12 if self.duplexes < 1 => {
                let duplex = Verb::Duplex { near: "near".into(), far: "far".into() };
                if self.add(process, None, duplex) {
                    self.duplexes += 1;
                    self.ends.add_pipe("far.r", "near.w", process);
                    self.ends.add_pipe("near.r", "far.w", process);
                }
            }
            0..22 if self.has("stdio") && self.rng.u8(0..3) == 0 => self.run(process),
            0..22 => self.spawn(process),
            22..42 => self.put(process),
            42..62 => {
                let handle = self.handle(process, Side::Reader);
                // Little can happen after a get that never returns, so most such gets are left out.
                if self.ends.has_message(&handle) || self.rng.u8(0..4) == 0 {
                    self.get(process, handle);
                }
            }
            62..66 if self.has("tasks") => self.contend(process),
            66..76 => {
                let side = self.side();
                let handle = self.handle(process, side);
                let by = match self.has("drop-handle") && self.rng.u8(0..4) == 0 {
                    true => Closing::Drop,
                    false => Closing::Call,
                };
                self.add(process, None, Verb::Close { handle, by });
            }
            76..82 => {
                let child = self.child();
                // Not in a concurrent task, which might run before the spawn.
                self.add(process, None, Verb::Join { child });
            }
            82..86 => self.signal_child(process),
            86..90 if self.has("tasks") => {
                let task = self.task();
                if self.rng.bool() {
                    let (handle, payload) =
                        (self.handle(process, Side::Writer), Payload::Size(LARGE));
                    self.add(process, Some(task.clone()), Verb::Put { handle, payload });
                }
                let task = TaskId { process: process.into(), task: Some(task) };
                if self.add(process, None, Verb::Until { task_id: task.clone() }) {
                    self.add(process, None, Verb::Cancel { task });
                }
            }
            90..93 => {
                let code = self.rng.i32(0..4);
                self.add(process, None, Verb::Exit { code });
            }
            93..95 if self.has("process") && self.rng.bool() => self.exit_together(process),
            93..95 if self.has("drop") && self.rng.u8(0..4) == 0 => {
                let child = self.child();
                self.add(process, None, Verb::Child { act: ChildAct::Drop, child });
            }
            93..95 if self.has("process") => {
                let act = if self.rng.bool() { ChildAct::Alive } else { ChildAct::Code };
                let child = self.child();
                self.add(process, None, Verb::Child { act, child });
            }
            95..97 if self.has("counts") => {
                self.add(process, None, Verb::Count { what: Counted::Handles });
            }
            _ if self.has("frames") => self.cut(process),
            _ => self.put(process),
        }
    }

    fn has(&self, profile: &str) -> bool {
        self.profiles.contains(profile)
    }

    /// Adds a step that kills, terminates or signals a child once it is blocked, so that it is at the same step in each
    /// run.
    fn signal_child(&mut self, process: &str) {
        let child = self.child();
        let task_id = TaskId::process(child.clone());
        if self.add(process, None, Verb::Until { task_id }) {
            let verb = match self.rng.u8(0..3) {
                1 if self.has("process") => Verb::Child { act: ChildAct::Terminate, child },
                2 if self.has("signals") => Verb::Signal { child, signal: "SIGUSR1".into() },
                0 if self.has("groups") => {
                    // Accepted only if the child is the first of a group.
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
    fn join_all(&mut self) {
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

    /// A child that has been spawned, or the first that will be.
    fn child(&mut self) -> EcoString {
        match self.processes.len() {
            1 => CHILDREN[0].into(),
            count => self.processes[self.rng.usize(1..count)].clone(),
        }
    }

    fn task(&mut self) -> EcoString {
        ["one", "two", "three"][self.rng.usize(0..3)].into()
    }

    fn side(&mut self) -> Side {
        if self.rng.bool() { Side::Reader } else { Side::Writer }
    }

    /// The name of an end that this process owns, or, in one of twelve cases, of an end of any process.
    fn handle(&mut self, process: &str, side: Side) -> EcoString {
        let is_any = self.rng.u8(0..12) == 0;
        let names = self.ends.names(side, (!is_any).then_some(process));
        match (names.len(), side) {
            (0, Side::Reader) => "r0".into(),
            (0, Side::Writer) => "w0".into(),
            (count, _) => names[self.rng.usize(0..count)].as_str().into(),
        }
    }

    fn pipe(&mut self, process: &str) {
        let (reader, writer) = (eco_format!("r{}", self.pipes), eco_format!("w{}", self.pipes));
        let (r, w) = (reader.clone(), writer.clone());
        if self.add(process, None, Verb::Pipe { reader, writer, codec: None }) {
            self.pipes += 1;
            self.ends.add_pipe(&r, &w, process);
        }
    }

    fn spawn(&mut self, process: &str) {
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
    fn run(&mut self, process: &str) {
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

    /// Those of these handles that a spawn shares: writers of pipes, one in three, if the implementation can share. A shared
    /// reader has meaning only where one process gets at a time.
    fn shared(&mut self, handles: &[EcoString]) -> ThinVec<EcoString> {
        let is_writer = |handle: &&EcoString| handle.starts_with('w');
        let mut shared: ThinVec<EcoString> = handles.iter().filter(is_writer).cloned().collect();
        let can_share = self.has("share");
        shared.retain(|_| can_share && self.rng.u8(0..3) == 0);
        shared
    }

    /// Whether a child starts a process group: one in three, if the implementation has groups.
    fn is_in_group(&mut self) -> bool {
        self.has("groups") && self.rng.u8(0..3) == 0
    }

    /// Whether the last line is expected to succeed.
    fn is_ok(&self) -> bool {
        matches!(self.items.last(), Some(Item::Line(line)) if line.expected.contains(&Outcome::Ok))
    }

    fn payload(&mut self) -> Payload {
        self.puts += 1;
        match self.rng.bool() {
            true => Payload::Text(eco_format!("message number {}", self.puts)),
            false => Payload::Size(SIZES[self.rng.usize(0..SIZES.len())]),
        }
    }

    fn put(&mut self, process: &str) {
        let (handle, payload) = (self.handle(process, Side::Writer), self.payload());
        if self.add_somewhere(process, Verb::Put { handle: handle.clone(), payload }) {
            self.ends.count_put(&handle);
        }
    }

    fn get(&mut self, process: &str, handle: EcoString) {
        if self.add_somewhere(process, Verb::Get { handle: handle.clone() }) {
            self.ends.count_get(&handle);
        }
    }

    /// Adds several tasks that put to one end, and gets that unblock them. In half of the scripts, each task begins
    /// only when the previous one is blocked.
    fn contend(&mut self, process: &str) {
        let handle = self.handle(process, Side::Writer);
        let in_sequence = self.rng.bool();
        let mut tasks = vec!["one", "two", "three"];
        self.rng.shuffle(&mut tasks);
        tasks.truncate(self.rng.usize(2..4));
        for (index, task) in tasks.into_iter().enumerate() {
            let payload = match index {
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
            self.get(&owner, reader.as_str().into());
            self.get(&owner, reader.into());
        }
    }

    /// Adds children that all end while their parent is stalled.
    fn exit_together(&mut self, process: &str) {
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
        // The parent stalls until the last child has ended, so that it has observed no exit before.
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

    /// Adds a cut, and the rest in half of the cases.
    fn cut(&mut self, process: &str) {
        let handle = self.handle(process, Side::Writer);
        let at = match self.rng.u8(0..3) {
            0 => CutAt::Bytes(self.rng.u64(1..4)),
            1 => CutAt::Header(self.rng.u64(0..5)),
            _ => CutAt::End(1),
        };
        self.puts += 1;
        let payload = Payload::Text(eco_format!("message number {}", self.puts));
        let cut = Verb::Cut { handle: handle.clone(), payload, at };
        if self.add(process, None, cut) && self.rng.bool() {
            self.add(process, None, Verb::Rest { handle });
        }
    }

    /// Adds a step to a process or to one of its tasks. Returns whether it was added.
    fn add_somewhere(&mut self, process: &str, verb: Verb) -> bool {
        let task = (self.has("tasks") && self.rng.u8(0..4) == 0).then(|| self.task());
        self.add(process, task, verb)
    }

    /// Adds a line if the parser accepts it with the outcome `ok` or `eof`, or else, in one of ten cases, with the
    /// outcome `closed`. Returns whether it was added.
    fn add(&mut self, process: &str, task: Option<EcoString>, verb: Verb) -> bool {
        let task_id = TaskId { process: process.into(), task };
        for expected in [vec![Outcome::Ok, Outcome::Eof], vec![Outcome::Closed]] {
            let is_illegal = expected == [Outcome::Closed];
            if is_illegal && self.rng.u8(0..10) > 0 {
                break;
            }
            let line =
                Line { task_id: task_id.clone(), verb: verb.clone(), within_ms: None, expected };
            self.items.push(Item::Line(line));
            let text = Script { items: self.items.clone() }.to_string();
            if parse("random", &text).is_ok() {
                return true;
            }
            self.items.pop();
        }
        false
    }
}
