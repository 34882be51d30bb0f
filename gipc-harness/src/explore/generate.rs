//! Scripts at random: up to five processes, four tasks, four pipes and twenty-five steps; mostly legal, some not; sizes
//! around the boundaries.
//!
//! What they must come to is not known here: each line is written so that it can be read, and the model fills it in. A
//! generator of our own and not proptest's: nothing of its shrinking could be used, since whether a smaller script can
//! be meant is the model's to say.

use crate::scenario::{ChildAct, CutAt, Item, Lane, Line, Outcome, Payload, Script, Verb, parse};
use fastrand::Rng;

const PROCESSES: [&str; 5] = ["main", "a", "b", "c", "d"];
const SIZES: [u64; 12] =
    [0, 1, 16, 100, 300, (1 << 20) + 1, 2 << 20, 4095, 4096, 65_531, 65_532, 65_537];

/// One script. Lines that the language refuses are left out as they come.
pub fn script(rng: &mut Rng) -> Script {
    let mut maker = Maker { rng, items: Vec::new(), pipes: 0, duplexes: 0, puts: 0 };
    maker.pipe("main");
    for _ in 0..maker.rng.usize(8..25) {
        maker.step();
    }
    maker.join_all();
    Script { items: maker.items }
}

struct Maker<'r> {
    rng: &'r mut Rng,
    items: Vec<Item>,
    pipes: usize,
    duplexes: usize,
    puts: usize,
}

impl Maker<'_> {
    fn step(&mut self) {
        let process = self.process();
        match self.rng.u8(0..100) {
            0..8 if self.pipes < 4 => self.pipe(process),
            8..12 if self.duplexes < 1 => {
                self.duplexes += 1;
                self.add(process, None, Verb::Duplex { near: "near".into(), far: "far".into() });
            }
            0..22 => self.spawn(process),
            22..44 => self.put(process),
            44..68 => {
                let handle = self.handle('r');
                self.add_somewhere(process, Verb::Get { handle });
            }
            68..78 => {
                let kind = if self.rng.bool() { 'r' } else { 'w' };
                let handle = self.handle(kind);
                self.add(process, None, Verb::Close { handle });
            }
            78..84 => {
                let child = self.child();
                self.add(process, None, Verb::Join { child });
            }
            84..88 => {
                // Only what is seen to wait can be hit at a moment that is the same each time.
                let child = self.child();
                let lane = Lane::process(child.clone());
                if self.add(process, None, Verb::Until { lane }) {
                    let verb = match self.rng.u8(0..3) {
                        0 => Verb::Kill { child },
                        1 => Verb::Child { act: ChildAct::Terminate, child },
                        _ => Verb::Signal { child, signal: "SIGUSR1".into() },
                    };
                    self.add(process, None, verb);
                }
            }
            88..92 => {
                let task = Lane { process: process.into(), task: Some(self.task()) };
                if self.add(process, None, Verb::Until { lane: task.clone() }) {
                    self.add(process, None, Verb::Cancel { task });
                }
            }
            92..95 => {
                let code = self.rng.i32(0..4);
                self.add(process, None, Verb::Exit { code });
            }
            _ => self.cut(process),
        }
    }

    /// Every parent waits for its children, the youngest first.
    fn join_all(&mut self) {
        let spawns = self.items.iter().filter_map(|item| match item {
            Item::Line(Line { lane, verb: Verb::Spawn { child, .. }, .. }) => {
                Some((lane.process.clone(), child.clone()))
            }
            _ => None,
        });
        for (parent, child) in spawns.collect::<Vec<_>>().into_iter().rev() {
            self.add(&parent, None, Verb::Join { child });
        }
    }

    fn process(&mut self) -> &'static str {
        PROCESSES[self.rng.usize(0..PROCESSES.len())]
    }

    fn child(&mut self) -> String {
        PROCESSES[self.rng.usize(1..PROCESSES.len())].into()
    }

    fn task(&mut self) -> String {
        if self.rng.bool() { "one".into() } else { "two".into() }
    }

    fn handle(&mut self, kind: char) -> String {
        match self.rng.usize(0..self.pipes + 2 * self.duplexes) {
            n if n < self.pipes => format!("{kind}{n}"),
            n if n == self.pipes => format!("near.{kind}"),
            _ => format!("far.{kind}"),
        }
    }

    fn pipe(&mut self, process: &str) {
        let (reader, writer) = (format!("r{}", self.pipes), format!("w{}", self.pipes));
        if self.add(process, None, Verb::Pipe { reader, writer, codec: None }) {
            self.pipes += 1;
        }
    }

    fn spawn(&mut self, process: &str) {
        let child = self.child();
        let count = self.rng.usize(0..3);
        let handles = (0..count)
            .map(|_| {
                let kind = if self.rng.bool() { 'r' } else { 'w' };
                self.handle(kind)
            })
            .collect();
        self.add(process, None, Verb::Spawn { child, handles, listed: Vec::new() });
    }

    fn payload(&mut self) -> Payload {
        self.puts += 1;
        match self.rng.bool() {
            true => Payload::Text(format!("message number {}", self.puts)),
            false => Payload::Size(SIZES[self.rng.usize(0..SIZES.len())]),
        }
    }

    fn put(&mut self, process: &str) {
        let (handle, payload) = (self.handle('w'), self.payload());
        self.add_somewhere(process, Verb::Put { handle, payload });
    }

    fn cut(&mut self, process: &str) {
        let handle = self.handle('w');
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
    fn add_somewhere(&mut self, process: &str, verb: Verb) {
        let task = (self.rng.u8(0..4) == 0).then(|| self.task());
        self.add(process, task, verb);
    }

    /// Adds a line if the language takes it: with an outcome that leaves all open, or else as a use of what is gone.
    fn add(&mut self, process: &str, task: Option<String>, verb: Verb) -> bool {
        let lane = Lane { process: process.into(), task };
        let open = vec![Outcome::Ok, Outcome::Eof];
        for expected in [open, vec![Outcome::Closed]] {
            let illegal = expected == [Outcome::Closed];
            if illegal && self.rng.u8(0..10) > 0 {
                break;
            }
            let line = Line { lane: lane.clone(), verb: verb.clone(), within_ms: None, expected };
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
