//! Generates random scripts: up to five processes, four pipes and one duplex, and about twenty-five steps. Most of the steps
//! are legal, and many message sizes are near the limits.
//!
//! The generator does not know the outcomes: it gives each line one that the parser accepts, and the model replaces it by
//! the right one. Proptest could not shrink these scripts, since only the model can tell whether a smaller one is
//! meaningful.

mod children;

use super::end_pool::Ends;
use crate::scenario::{
    ChildAct, Closing, Counted, CutAt, Item, Line, Outcome, Payload, Script, Side, TaskId, Verb,
    parse,
};
use ecow::{EcoString, eco_format};
use fastrand::Rng;
use std::collections::BTreeSet;

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
    // The model enumerates every order of a script with such a limit, which takes time.
    let limits = if rng.u8(0..8) == 0 { 2 } else { 0 };
    let mut generator = Generator {
        rng,
        limits,
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
    /// How many more time limits may race with what their steps wait for.
    limits: u32,
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
                let has_message = self.ends.has_message(&handle);
                if has_message && self.rng.bool() {
                    self.race(process, Verb::Get { handle: handle.clone() });
                }
                if has_message || self.rng.u8(0..4) == 0 {
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
                let is_limited =
                    self.rng.bool() && self.race(process, Verb::Join { child: child.clone() });
                if !is_limited {
                    self.add(process, None, Verb::Join { child });
                }
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

    /// A child that has been spawned, or the name of the first child.
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

    /// Adds a get or a join whose time limit may expire before or after what it waits for, if the script may have one more
    /// of them. Returns whether it was added.
    fn race(&mut self, process: &str, verb: Verb) -> bool {
        if self.limits == 0 {
            return false;
        }
        let limit = Some(self.rng.u32(0..4));
        let expired = match verb {
            Verb::Join { .. } => Outcome::Running,
            _ => Outcome::Timeout,
        };
        let task_id = TaskId::process(process);
        let expected = vec![Outcome::Eof, expired];
        let is_added = self.push(Line { task_id, verb, within_ms: limit, expected });
        self.limits -= u32::from(is_added);
        is_added
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

    /// Adds a cut, and in half of the cases the rest.
    fn cut(&mut self, process: &str) {
        let handle = self.handle(process, Side::Writer);
        let at = match self.rng.u8(0..3) {
            0 => CutAt::Bytes(self.rng.u64(1..4)),
            1 => CutAt::Header(self.rng.u64(0..5)),
            _ => CutAt::End(1),
        };
        self.puts += 1;
        let payload = Payload::Text(eco_format!("message number {}", self.puts));
        let cut = Verb::Cut { handle: handle.clone(), payload, at: Box::new(at) };
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
            let (task_id, verb) = (task_id.clone(), verb.clone());
            if self.push(Line { task_id, verb, within_ms: None, expected }) {
                return true;
            }
        }
        false
    }

    /// Adds a line if the parser accepts it. Returns whether it was added.
    fn push(&mut self, line: Line) -> bool {
        self.items.push(Item::Line(line));
        let text = Script { items: self.items.clone() }.to_string();
        let is_accepted = parse("random", &text).is_ok();
        if !is_accepted {
            self.items.pop();
        }
        is_accepted
    }
}
