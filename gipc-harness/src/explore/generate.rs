//! Scripts at random: up to five processes, four tasks, four pipes and twenty-five steps; mostly legal, some not; sizes
//! around the boundaries.
//!
//! What they must come to is not known here: each line is written so that it can be read, and the model fills it in. A
//! generator of our own and not proptest's: nothing of its shrinking could be used, since whether a smaller script can
//! be meant is the model's to say.

use crate::scenario::{
    ChildAct, Counted, CutAt, Item, Line, Outcome, Payload, Script, TaskId, Verb, parse,
};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

const CHILDREN: [&str; 4] = ["a", "b", "c", "d"];
/// The most lines, the final joins aside.
const MOST: usize = 22;
const SIZES: [u64; 12] =
    [0, 1, 16, 100, 300, (1 << 20) + 1, 2 << 20, 4095, 4096, 65_531, 65_532, 65_537];

/// More than any pipe holds.
const LARGE: u64 = 2 << 20;

/// The end that puts what this one gets.
fn writer_of(reader: &str) -> String {
    match reader {
        "near.r" => "far.w".into(),
        "far.r" => "near.w".into(),
        _ => reader.replacen('r', "w", 1),
    }
}

/// The end that gets what this one puts.
fn reader_of(writer: &str) -> String {
    match writer {
        "near.w" => "far.r".into(),
        "far.w" => "near.r".into(),
        _ => writer.replacen('w', "r", 1),
    }
}

/// One script. Lines that the language refuses are left out as they come.
///
/// Only verbs of these profiles are used; `core` always is.
pub fn script(rng: &mut Rng, profiles: &BTreeSet<String>) -> Script {
    let owners = BTreeMap::new();
    let processes = vec!["main".to_owned()];
    let mut maker = Maker {
        rng,
        profiles,
        items: Vec::new(),
        processes,
        owners,
        inside: BTreeMap::new(),
        pipes: 0,
        duplexes: 0,
        puts: 0,
    };
    maker.pipe("main");
    let wanted = maker.rng.usize(4..MOST);
    for _ in 0..4 * wanted {
        if maker.items.len() < wanted {
            maker.step();
        }
    }
    maker.join_all();
    Script { items: maker.items }
}

struct Maker<'r> {
    rng: &'r mut Rng,
    profiles: &'r BTreeSet<String>,
    items: Vec<Item>,
    /// Those that have come.
    processes: Vec<String>,
    /// Who has each end, as far as the story goes.
    owners: BTreeMap<String, String>,
    /// What was put at each end and not got, as far as the story goes.
    inside: BTreeMap<String, i32>,
    pipes: usize,
    duplexes: usize,
    puts: usize,
}

impl Maker<'_> {
    fn step(&mut self) {
        let process = self.processes[self.rng.usize(0..self.processes.len())].clone();
        let process = process.as_str();
        match self.rng.u8(0..100) {
            0..8 if self.pipes < 4 => self.pipe(process),
            8..12 if self.duplexes < 1 => {
                let duplex = Verb::Duplex { near: "near".into(), far: "far".into() };
                if self.add(process, None, duplex) {
                    self.duplexes += 1;
                    for end in ["near.r", "near.w", "far.r", "far.w"] {
                        self.owners.insert(end.into(), process.into());
                    }
                }
            }
            0..22 => self.spawn(process),
            22..42 => self.put(process),
            42..62 => {
                let handle = self.handle(process, 'r');
                // A get of nothing ends most stories: it is made now and then.
                if self.inside.get(&writer_of(&handle)).is_some_and(|puts| *puts > 0)
                    || self.rng.u8(0..4) == 0
                {
                    self.get(process, handle);
                }
            }
            62..66 if self.has("tasks") => self.crowd(process),
            66..76 => {
                let kind = if self.rng.bool() { 'r' } else { 'w' };
                let handle = self.handle(process, kind);
                self.add(process, None, Verb::Close { handle });
            }
            76..82 => {
                let child = self.child();
                // By its own parent's line: a task might ask before there is a child.
                self.add(process, None, Verb::Join { child });
            }
            82..86 => self.hit(process),
            86..90 if self.has("tasks") => {
                let task = self.task();
                if self.rng.bool() {
                    let (handle, payload) = (self.handle(process, 'w'), Payload::Size(LARGE));
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
            93..95 if self.has("process") && self.rng.bool() => self.together(process),
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

    /// Only what is seen to wait can be hit at a moment that is the same each time.
    fn hit(&mut self, process: &str) {
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

    /// Every parent waits for its children, the youngest first.
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

    /// One that has come, but main; or the first that will, if there is none.
    fn child(&mut self) -> String {
        match self.processes.len() {
            1 => CHILDREN[0].into(),
            many => self.processes[self.rng.usize(1..many)].clone(),
        }
    }

    fn task(&mut self) -> String {
        ["one", "two", "three"][self.rng.usize(0..3)].into()
    }

    /// An end that this process has; now and then any.
    fn handle(&mut self, process: &str, kind: char) -> String {
        let is = |end: &str| end.starts_with(kind) || end.ends_with(&format!(".{kind}"));
        let any = self.rng.u8(0..12) == 0;
        let ends: Vec<&String> = self
            .owners
            .iter()
            .filter(|(end, owner)| is(end) && (any || owner.as_str() == process))
            .map(|(end, _)| end)
            .collect();
        match ends.len() {
            0 => format!("{kind}0"),
            many => ends[self.rng.usize(0..many)].clone(),
        }
    }

    fn pipe(&mut self, process: &str) {
        let (reader, writer) = (format!("r{}", self.pipes), format!("w{}", self.pipes));
        let (r, w) = (reader.clone(), writer.clone());
        if self.add(process, None, Verb::Pipe { reader, writer, codec: None }) {
            self.pipes += 1;
            self.owners.extend([(r, process.to_owned()), (w, process.to_owned())]);
        }
    }

    fn spawn(&mut self, process: &str) {
        let Some(child) = CHILDREN.get(self.processes.len() - 1).copied() else { return };
        let count = self.rng.usize(0..4);
        let handles: Vec<String> = (0..count)
            .map(|_| {
                let kind = if self.rng.bool() { 'r' } else { 'w' };
                self.handle(process, kind)
            })
            .collect();
        let given = handles.clone();
        let spawn = Verb::Spawn { child: child.into(), handles, listed: Vec::new() };
        if self.add(process, None, spawn) && self.is_ok() {
            self.processes.push(child.to_owned());
            for end in given {
                self.owners.insert(end, child.to_owned());
            }
        }
    }

    /// Whether the last line is expected to do what it says.
    fn is_ok(&self) -> bool {
        matches!(self.items.last(), Some(Item::Line(line)) if line.expected.contains(&Outcome::Ok))
    }

    fn payload(&mut self) -> Payload {
        self.puts += 1;
        match self.rng.bool() {
            true => Payload::Text(format!("message number {}", self.puts)),
            false => Payload::Size(SIZES[self.rng.usize(0..SIZES.len())]),
        }
    }

    fn put(&mut self, process: &str) {
        let (handle, payload) = (self.handle(process, 'w'), self.payload());
        if self.add_somewhere(process, Verb::Put { handle: handle.clone(), payload }) {
            *self.inside.entry(handle).or_default() += 1;
        }
    }

    fn get(&mut self, process: &str, handle: String) {
        let writer = writer_of(&handle);
        if self.add_somewhere(process, Verb::Get { handle }) {
            *self.inside.entry(writer).or_default() -= 1;
        }
    }

    /// Several at one end; or each is seen to wait before the next comes. Then somebody lets them go on.
    fn crowd(&mut self, process: &str) {
        let handle = self.handle(process, 'w');
        let led = self.rng.bool();
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
                *self.inside.entry(handle.clone()).or_default() += 1;
            }
            if led {
                let task = TaskId { process: process.into(), task: Some(task.into()) };
                self.add(process, None, Verb::Until { task_id: task });
            }
        }
        let reader = reader_of(&handle);
        if let Some(owner) = self.owners.get(&reader).cloned() {
            self.get(&owner, reader.clone());
            self.get(&owner, reader);
        }
    }

    /// Children that all end while their parent cannot look.
    fn together(&mut self, process: &str) {
        let tasks = self.items.iter().any(|item| {
            matches!(item, Item::Line(line) if line.task_id.process == process && line.task_id.task.is_some())
        });
        if tasks {
            return; // the whole process waits
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
        // The last to end: until then the parent has seen nobody's end.
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

    fn cut(&mut self, process: &str) {
        let handle = self.handle(process, 'w');
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

    /// Adds it to a process or to one of its tasks.
    fn add_somewhere(&mut self, process: &str, verb: Verb) -> bool {
        let task = (self.has("tasks") && self.rng.u8(0..4) == 0).then(|| self.task());
        self.add(process, task, verb)
    }

    /// Adds a line if the language takes it: with an outcome that leaves all open, or else as a use of what is gone.
    fn add(&mut self, process: &str, task: Option<String>, verb: Verb) -> bool {
        let task_id = TaskId { process: process.into(), task };
        let open = vec![Outcome::Ok, Outcome::Eof];
        for expected in [open, vec![Outcome::Closed]] {
            let illegal = expected == [Outcome::Closed];
            if illegal && self.rng.u8(0..10) > 0 {
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
