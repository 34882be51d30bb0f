//! Processes, lanes and handles of the model, and the walk over a scenario.

use super::Choices;
use super::pipe::{Pipe, Sent, Woken};
use crate::scenario::{Lane, Outcome, Payload, Scenario, Step, Verb};
use crate::trace::{End, Plan, Release, Taken, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// One lane: its steps in order, and how far it is.
struct Track {
    process: usize,
    task: bool,
    steps: Vec<usize>,
    next: usize,
    open: Option<usize>,
    /// A task: how many lines of its process stand above its first one.
    after: usize,
    started: bool,
}

struct Process {
    name: String,
    tracks: Vec<usize>,
    come: bool,
    end: Option<End>,
    ends: BTreeSet<(usize, bool)>,
    joins: Vec<usize>,
}

/// Everything there is while a scenario is walked.
pub(super) struct World<'a> {
    scenario: &'a Scenario,
    capacity: u64,
    choices: Choices,
    tracks: Vec<Track>,
    by_lane: BTreeMap<&'a Lane, usize>,
    processes: Vec<Process>,
    by_name: BTreeMap<String, usize>,
    pipes: Vec<Pipe>,
    /// The ends a handle stands for: the pipe, and whether it is the end that puts. The writer comes first.
    handles: BTreeMap<String, Vec<(usize, bool)>>,
    ready: BTreeSet<usize>,
    untils: Vec<usize>,
    timers: BTreeSet<(u64, usize)>,
    now_ms: u64,
    taken: Vec<Taken>,
    release: Release,
}

impl<'a> World<'a> {
    /// Walks the scenario to its end or to where nothing moves any more.
    pub(super) fn run(scenario: &'a Scenario, capacity: u64, choices: Choices) -> (Trace, Plan) {
        let mut world = Self::new(scenario, capacity, choices);
        let mut releases = Vec::new();
        world.come(0);
        loop {
            if let Some(step) = world.ready.pop_first() {
                world.release = Release { step, ..std::mem::take(&mut world.release) };
                world.begin(step);
                world.settle_untils();
                releases.push(std::mem::take(&mut world.release));
            } else if let Some((at, step)) = world.timers.pop_first() {
                world.now_ms = at;
                world.ring(step);
                world.settle_untils();
                // What a timer ends belongs to the release before it: nothing could be let go meanwhile.
                if let Some(last) = releases.last_mut() {
                    let more = std::mem::take(&mut world.release);
                    last.ends.extend(more.ends);
                    last.comes.extend(more.comes);
                    last.leaves.extend(more.leaves);
                }
            } else {
                break;
            }
        }
        let ends = world
            .processes
            .into_iter()
            .filter(|process| process.come)
            .map(|process| (process.name, process.end.unwrap_or(End::Running)))
            .collect();
        (Trace { steps: world.taken, ends, violations: Vec::new() }, Plan { releases })
    }

    fn new(scenario: &'a Scenario, capacity: u64, choices: Choices) -> Self {
        let mut world = Self {
            scenario,
            capacity,
            choices,
            tracks: Vec::new(),
            by_lane: BTreeMap::new(),
            processes: Vec::new(),
            by_name: BTreeMap::new(),
            pipes: Vec::new(),
            handles: BTreeMap::new(),
            ready: BTreeSet::new(),
            untils: Vec::new(),
            timers: BTreeSet::new(),
            now_ms: 0,
            taken: vec![Taken::Never; scenario.steps.len()],
            release: Release::default(),
        };
        world.process("main");
        for (index, step) in scenario.steps.iter().enumerate() {
            let track = world.track(&step.lane);
            world.tracks[track].steps.push(index);
            if let Verb::Spawn { child, .. } = &step.verb {
                world.process(child);
            }
        }
        world
    }

    fn process(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.processes.len();
        self.by_name.insert(name.to_owned(), index);
        self.processes.push(Process {
            name: name.to_owned(),
            tracks: Vec::new(),
            come: false,
            end: None,
            ends: BTreeSet::new(),
            joins: Vec::new(),
        });
        index
    }

    fn track(&mut self, lane: &'a Lane) -> usize {
        if let Some(track) = self.by_lane.get(lane) {
            return *track;
        }
        let process = self.process(&lane.process);
        let own = Lane::process(&lane.process);
        let after = self.by_lane.get(&own).map_or(0, |own| self.tracks[*own].steps.len());
        let track = self.tracks.len();
        self.tracks.push(Track {
            process,
            task: lane.task.is_some(),
            steps: Vec::new(),
            next: 0,
            open: None,
            after,
            started: false,
        });
        self.by_lane.insert(lane, track);
        self.processes[process].tracks.push(track);
        track
    }

    /// A process comes into being; its lanes may start.
    fn come(&mut self, process: usize) {
        self.processes[process].come = true;
        if process > 0 {
            self.release.comes.push(self.processes[process].name.clone());
        }
        self.start_tracks(process);
    }

    /// Starts the lanes whose time has come; a process without any line left returns.
    fn start_tracks(&mut self, process: usize) {
        let tracks = self.processes[process].tracks.clone();
        let done = tracks.iter().find(|track| !self.tracks[**track].task).map_or(0, |own| {
            self.tracks[*own].next - usize::from(self.tracks[*own].open.is_some())
        });
        for track in &tracks {
            let track = &mut self.tracks[*track];
            if !track.started && (!track.task || done >= track.after) {
                track.started = true;
                self.ready.extend(track.steps.first());
            }
        }
        let over = |track: &usize| {
            let track = &self.tracks[*track];
            track.open.is_none() && track.next == track.steps.len()
        };
        if tracks.iter().all(over) {
            self.leave(process, End::Exit(0));
        }
    }

    fn begin(&mut self, step: usize) {
        let spec = &self.scenario.steps[step];
        let track = self.by_lane[&spec.lane];
        self.tracks[track].next += 1;
        self.tracks[track].open = Some(step);
        self.taken[step] = Taken::Open;
        if let Some(limit) = spec.within_ms {
            self.timers.insert((self.now_ms + limit, step));
        }
        let process = self.tracks[track].process;
        self.act(step, spec, process);
    }

    fn act(&mut self, step: usize, spec: &'a Step, process: usize) {
        match &spec.verb {
            Verb::Pipe { reader, writer } => {
                let pipe = self.pipe(process);
                self.handles.insert(reader.clone(), vec![(pipe, false)]);
                self.handles.insert(writer.clone(), vec![(pipe, true)]);
                self.end(step, Outcome::Ok, None);
            }
            Verb::Duplex { near, far } => {
                let (there, back) = (self.pipe(process), self.pipe(process));
                for (name, out, back) in [(near, there, back), (far, back, there)] {
                    self.handles.insert(name.clone(), vec![(out, true), (back, false)]);
                    self.handles.insert(format!("{name}.w"), vec![(out, true)]);
                    self.handles.insert(format!("{name}.r"), vec![(back, false)]);
                }
                self.end(step, Outcome::Ok, None);
            }
            Verb::Spawn { child, handles } => self.spawn(step, process, child, handles),
            Verb::Put { handle, payload } => match self.own(process, handle, true) {
                Some(_) if payload.len() > self.choices.max_message => {
                    self.end(step, Outcome::TooLarge, None);
                }
                Some(pipe) => {
                    let woken = self.pipes[pipe].put(Sent { step, len: payload.len() });
                    self.wake(woken);
                }
                None => self.end(step, Outcome::Closed, None),
            },
            Verb::Get { handle } => match self.own(process, handle, false) {
                Some(pipe) => {
                    let woken = self.pipes[pipe].get(step);
                    self.wake(woken);
                }
                None => self.end(step, Outcome::Closed, None),
            },
            Verb::Close { handle } => self.close(step, process, handle),
            Verb::Join { child } => {
                let child = self.process(child);
                match self.processes[child].end.clone() {
                    Some(end) => self.end(step, joined(&end), None),
                    None => self.processes[child].joins.push(step),
                }
            }
            Verb::Kill { child } => {
                let child = self.process(child);
                self.leave(child, End::Signal("SIGKILL".into()));
                self.end(step, Outcome::Ok, None);
            }
            Verb::Exit { code } => {
                self.taken[step] = Taken::Ended { outcome: Outcome::Ok, from: None, detail: None };
                self.leave(process, End::Exit(*code));
            }
            Verb::Until { .. } => self.untils.push(step),
            Verb::Cancel { task } => {
                let open = self.by_lane.get(task).and_then(|track| self.tracks[*track].open);
                if let Some(open) = open {
                    self.withdraw(open);
                    self.end(open, Outcome::Cancelled, None);
                }
                self.end(step, Outcome::Ok, None);
            }
            Verb::Pause { ms } => {
                self.timers.insert((self.now_ms + ms, step));
            }
        }
    }

    fn pipe(&mut self, maker: usize) -> usize {
        self.pipes.push(Pipe::new(maker, self.capacity));
        let pipe = self.pipes.len() - 1;
        self.processes[maker].ends.extend([(pipe, true), (pipe, false)]);
        pipe
    }

    /// The pipe behind one end of a handle, if the process holds that end open.
    fn own(&self, process: usize, handle: &str, writer: bool) -> Option<usize> {
        let ends = self.handles.get(handle)?;
        let (pipe, _) = ends.iter().find(|end| end.1 == writer)?;
        self.processes[process].ends.contains(&(*pipe, writer)).then_some(*pipe)
    }

    /// The ends of a handle that the process holds open.
    fn owned(&self, process: usize, handle: &str) -> Vec<(usize, bool)> {
        let ends = self.handles.get(handle).cloned().unwrap_or_default();
        ends.into_iter().filter(|end| self.processes[process].ends.contains(end)).collect()
    }

    fn spawn(&mut self, step: usize, process: usize, child: &str, handles: &[String]) {
        let given: Vec<_> = handles.iter().map(|handle| self.owned(process, handle)).collect();
        let all: BTreeSet<_> = given.iter().flatten().copied().collect();
        let refused = if given.iter().any(Vec::is_empty) {
            Some(Outcome::Closed)
        } else if all.len() < given.iter().map(Vec::len).sum() {
            Some(Outcome::Misuse)
        } else if all.iter().any(|(pipe, writer)| self.pipes[*pipe].is_busy(*writer)) {
            Some(Outcome::Locked)
        } else {
            None
        };
        if let Some(outcome) = refused {
            return self.end(step, outcome, None);
        }
        let child = self.process(child);
        for (pipe, writer) in all {
            self.processes[process].ends.remove(&(pipe, writer));
            self.processes[child].ends.insert((pipe, writer));
            let owner =
                if writer { &mut self.pipes[pipe].writer } else { &mut self.pipes[pipe].reader };
            *owner = Some(child);
        }
        self.end(step, Outcome::Ok, None);
        self.come(child);
    }

    fn close(&mut self, step: usize, process: usize, handle: &str) {
        let ends = self.owned(process, handle);
        let outcome = if ends.is_empty() {
            Outcome::Closed
        } else if ends.iter().any(|(pipe, writer)| self.pipes[*pipe].is_busy(*writer)) {
            Outcome::Locked
        } else {
            Outcome::Ok
        };
        let closes = outcome == Outcome::Ok;
        self.end(step, outcome, None);
        if closes {
            self.let_go(process, ends);
        }
    }

    fn let_go(&mut self, process: usize, ends: Vec<(usize, bool)>) {
        for (pipe, writer) in ends {
            self.processes[process].ends.remove(&(pipe, writer));
            let pipe = &mut self.pipes[pipe];
            let woken = if writer { pipe.close_writer() } else { pipe.close_reader() };
            self.wake(woken);
        }
    }

    /// A process ends: what it was in stays open, what it held is let go, who waits for it goes on.
    fn leave(&mut self, process: usize, end: End) {
        if self.processes[process].end.is_some() || !self.processes[process].come {
            return;
        }
        self.processes[process].end = Some(end.clone());
        self.release.leaves.push(self.processes[process].name.clone());
        for track in self.processes[process].tracks.clone() {
            let track = &mut self.tracks[track];
            if let Some(next) = track.steps.get(track.next) {
                self.ready.remove(next);
            }
            if let Some(open) = track.open.take() {
                self.timers.retain(|timer| timer.1 != open);
                self.untils.retain(|until| *until != open);
            }
            track.next = track.steps.len();
        }
        let ends = self.processes[process].ends.iter().copied().collect();
        self.let_go(process, ends);
        for join in std::mem::take(&mut self.processes[process].joins) {
            self.end(join, joined(&end), None);
        }
    }

    fn wake(&mut self, woken: Vec<Woken>) {
        for (step, outcome, from) in woken {
            let outcome = match from.map(|put| &self.scenario.steps[put].verb) {
                Some(Verb::Put { payload, .. }) => Outcome::Message(payload.clone()),
                _ => outcome,
            };
            self.end(step, outcome, from);
        }
    }

    /// A step ends, if it is still open: one whose process is gone, or that was cancelled, is not.
    fn end(&mut self, step: usize, outcome: Outcome, from: Option<usize>) {
        let track = self.by_lane[&self.scenario.steps[step].lane];
        if self.tracks[track].open != Some(step) {
            return;
        }
        self.tracks[track].open = None;
        self.timers.retain(|timer| timer.1 != step);
        self.taken[step] = Taken::Ended { outcome, from, detail: None };
        self.release.ends.push(step);
        let next = self.tracks[track].steps.get(self.tracks[track].next).copied();
        self.ready.extend(next);
        self.start_tracks(self.tracks[track].process);
    }

    fn withdraw(&mut self, step: usize) {
        for pipe in &mut self.pipes {
            pipe.withdraw(step);
        }
        for process in &mut self.processes {
            process.joins.retain(|join| *join != step);
        }
    }

    fn ring(&mut self, step: usize) {
        let outcome = match self.scenario.steps[step].verb {
            Verb::Pause { .. } => Outcome::Ok,
            Verb::Join { .. } => Outcome::Running,
            _ => Outcome::Timeout,
        };
        self.withdraw(step);
        self.end(step, outcome, None);
    }

    /// Ends each `until` whose lane is in a step. What could move has moved, so that lane is blocked.
    fn settle_untils(&mut self) {
        loop {
            let met =
                self.untils.iter().position(|until| match &self.scenario.steps[*until].verb {
                    Verb::Until { lane } => self
                        .by_lane
                        .get(lane)
                        .is_some_and(|track| self.tracks[*track].open.is_some()),
                    _ => false,
                });
            let Some(met) = met else { return };
            let step = self.untils.remove(met);
            self.end(step, Outcome::Ok, None);
        }
    }
}

impl Payload {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Size(size) => *size,
        }
    }

    /// Whether it is the empty message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn joined(end: &End) -> Outcome {
    match end {
        End::Exit(code) => Outcome::Exit(*code),
        End::Signal(name) => Outcome::Signal(name.clone()),
        End::Unseen | End::Running => Outcome::Running,
    }
}
