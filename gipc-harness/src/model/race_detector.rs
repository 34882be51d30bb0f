//! Whether a scenario races: one walk with vector clocks.
//!
//! If no two steps that matter to each other are left unordered by what the processes can know, every order of steps
//! comes to the same, and one walk is enough. A clock is taken when a step *begins*: what it learns by waiting must not
//! order it. To find more races than there are costs time and is never wrong; to find fewer is.

use super::CAPACITY_MIN;
use super::state::State;
use crate::scenario::{ChildAct, Counted, Outcome, Step, TaskId, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// No header of a message is longer, in bytes.
const HEADER: u64 = 8;

/// What two steps can both touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    /// Whether a process has a handle of this name at all.
    Name(usize, String),
    /// One end of a pipe, as this process uses it: the process, the pipe, whether it is the end that puts.
    Side(usize, usize, bool),
    /// Whether a pipe has a reader.
    Readers(usize),
    /// What goes through a pipe, and whether somebody waits at it.
    Flow(usize),
    /// How much room a pipe has left, where that can be too little for what is written by hand.
    Room(usize),
    /// Whether the rest of a put that was given up is still to be written.
    Rest(usize),
    /// A process, as a whole.
    Process(usize),
    /// Whether a process has ended.
    Status(usize),
    /// One task_id.
    TaskId(usize),
    /// The descriptors and handles of a process.
    Book(usize),
}

/// How it is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// It matters how it is.
    Read,
    /// It is another afterwards.
    Write,
}

impl Resource {
    fn conflict(&self, one: Access, other: Access) -> bool {
        match (one, other) {
            (Access::Read, Access::Read) => false,
            // That an end goes, or that somebody is hit, commutes with another of the kind.
            (Access::Write, Access::Write) => {
                !matches!(self, Self::Readers(_) | Self::Flow(_) | Self::Rest(_))
            }
            _ => true,
        }
    }
}

type Clock = Rc<Vec<u32>>;

/// What a scenario does with a pipe, in all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PipeTotals {
    /// More is written to it than it surely holds.
    scarce: bool,
    /// A put of it may be given up.
    given_up: bool,
}

/// Who could have known what. One component a task_id, and one a process for its end.
#[derive(Clone, Debug, Default)]
pub(super) struct VectorClocks {
    /// How many task_ids there are: the ends of processes come behind them.
    task_ids: usize,
    now: Vec<Vec<u32>>,
    /// When each step began.
    begun: BTreeMap<usize, Clock>,
    /// What the lines of a process can know from the start.
    born: BTreeMap<usize, Clock>,
    ended: BTreeMap<usize, Clock>,
    /// When the writers of a pipe went.
    went: BTreeMap<usize, Vec<Clock>>,
    /// The last of each kind, by component.
    touched: BTreeMap<Resource, Vec<(usize, u32, Access)>>,
    /// The step that is beginning.
    acting: Option<usize>,
    /// Two steps that matter to each other are not ordered.
    pub(super) races: bool,
}

impl VectorClocks {
    pub(super) fn new(task_ids: usize, processes: usize) -> Self {
        Self { task_ids, now: vec![vec![0; task_ids + processes]; task_ids], ..Self::default() }
    }

    fn touch(&mut self, thing: Resource, component: usize, clock: &[u32], how: Access) {
        let list = self.touched.entry(thing.clone()).or_default();
        self.races |= list.iter().any(|(other, epoch, before)| {
            *other != component && clock[*other] < *epoch && thing.conflict(*before, how)
        });
        match list.iter_mut().find(|entry| entry.0 == component && entry.2 == how) {
            Some(entry) => entry.1 = clock[component],
            None => list.push((component, clock[component], how)),
        }
    }

    fn learn(&mut self, task_id: usize, from: &[u32]) {
        merge(&mut self.now[task_id], from);
    }
}

/// The handles that a step uses.
fn used(verb: &Verb) -> Vec<&String> {
    match verb {
        Verb::Put { handle, .. }
        | Verb::Get { handle }
        | Verb::Close { handle }
        | Verb::Cut { handle, .. }
        | Verb::Rest { handle }
        | Verb::Announce { handle, .. } => vec![handle],
        Verb::Spawn { handles, .. } | Verb::Enter { handles } | Verb::Leave { handles, .. } => {
            handles.iter().collect()
        }
        Verb::Pass { handle, passed } => vec![handle, passed],
        _ => Vec::new(),
    }
}

fn merge(into: &mut [u32], from: &[u32]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = (*into).max(*from);
    }
}

impl<'a> State<'a> {
    /// A step begins: whom it could disturb, and who could disturb it.
    pub(super) fn witness(&mut self, step: usize, spec: &'a Step, process: usize) {
        let Some(mut clocks) = self.clocks.take() else { return };
        let task_id = self.by_task[&spec.task_id];
        clocks.now[task_id][task_id] += 1;
        let clock = Rc::new(clocks.now[task_id].clone());
        clocks.begun.insert(step, Rc::clone(&clock));
        clocks.acting = Some(step);
        for (thing, how) in self.touches(spec, process, task_id) {
            clocks.touch(thing, task_id, &clock, how);
        }
        let closes = match &spec.verb {
            Verb::Close { handle } => std::slice::from_ref(handle),
            Verb::Leave { handles, .. } => handles,
            _ => &[],
        };
        for (pipe, writer) in closes.iter().flat_map(|handle| self.owned(process, handle)) {
            if writer {
                clocks.went.entry(pipe).or_default().push(Rc::clone(&clock));
            }
        }
        self.clocks = Some(clocks);
    }

    fn touches(&self, spec: &'a Step, process: usize, task_id: usize) -> Vec<(Resource, Access)> {
        use Access::{Read, Write};
        let mut all = vec![(Resource::Process(process), Read), (Resource::TaskId(task_id), Read)];
        let ends = |handle: &str| self.handles.get(handle).cloned().unwrap_or_default();
        let one = |handle: &str, writer: bool| ends(handle).into_iter().find(|end| end.1 == writer);
        let book = if self.limited { Write } else { Read };
        let called = |handle: &str| {
            let name = handle.trim_end_matches(".r").trim_end_matches(".w");
            Resource::Name(process, name.to_owned())
        };
        all.extend(used(&spec.verb).into_iter().map(|handle| (called(handle), Read)));
        match &spec.verb {
            Verb::Put { handle, .. }
            | Verb::Cut { handle, .. }
            | Verb::Rest { handle }
            | Verb::Announce { handle, .. }
            | Verb::Pass { handle, .. } => {
                if let Some((pipe, _)) = one(handle, true) {
                    all.push((Resource::Side(process, pipe, true), Write));
                    all.extend([(Resource::Readers(pipe), Read), (Resource::Flow(pipe), Read)]);
                    let by_hand = matches!(spec.verb, Verb::Cut { .. } | Verb::Rest { .. });
                    let scarce = by_hand && self.is_scarce(pipe);
                    all.extend(scarce.then_some((Resource::Room(pipe), Read)));
                }
            }
            Verb::Get { handle } => {
                if let Some((pipe, _)) = one(handle, false) {
                    all.push((Resource::Side(process, pipe, false), Write));
                    all.push((Resource::Flow(pipe), Read));
                    all.extend(self.is_scarce(pipe).then_some((Resource::Room(pipe), Write)));
                    all.extend(self.rest(pipe, Write));
                }
            }
            Verb::Close { handle } => self.goes(process, std::slice::from_ref(handle), &mut all),
            Verb::Leave { handles, .. } => self.goes(process, handles, &mut all),
            Verb::Spawn { handles, .. } => {
                for (pipe, writer) in handles.iter().flat_map(|handle| ends(handle)) {
                    all.push((Resource::Side(process, pipe, writer), Write));
                    all.extend(self.rest(pipe, Read).filter(|_| writer));
                }
                all.push((Resource::Book(process), book));
            }
            Verb::Pipe { reader: one, writer: other, .. }
            | Verb::Duplex { near: one, far: other } => {
                all.extend([(called(one), Write), (called(other), Write)]);
                all.push((Resource::Book(process), book));
            }
            Verb::Limit { .. } | Verb::Count { what: Counted::Handles } => {
                all.push((Resource::Book(process), Write));
            }
            Verb::Exit { .. } | Verb::Raise => {
                all.push((Resource::Process(process), Write));
                if self.processes[process].tracks.len() > 1 {
                    self.hits(process, &mut all);
                }
            }
            Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::Child { act: ChildAct::Terminate, child } => {
                if let Some(child) = self.by_name.get(child) {
                    all.push((Resource::Process(*child), Write));
                    self.hits(*child, &mut all);
                }
            }
            // To wait for the end is another thing than to look whether it has come.
            Verb::Child { act: ChildAct::Alive | ChildAct::Code | ChildAct::Reap, child } => {
                all.extend(self.by_name.get(child).map(|child| (Resource::Status(*child), Read)));
            }
            Verb::Join { child } if spec.within_ms.is_some() => {
                all.extend(self.by_name.get(child).map(|child| (Resource::Status(*child), Read)));
            }
            Verb::Cancel { task } => {
                all.extend(self.by_task.get(task).map(|track| (Resource::TaskId(*track), Write)));
                self.waits_at(self.by_task.get(task).copied(), &mut all);
            }
            _ => {}
        }
        all
    }

    /// Whether all that is ever written to a pipe is more than it surely holds.
    fn is_scarce(&self, pipe: usize) -> bool {
        self.of(pipe).scarce
    }

    /// Who writes the rest of a put that was given up holds the end until the other side has made room.
    fn rest(&self, pipe: usize, how: Access) -> Option<(Resource, Access)> {
        self.of(pipe).given_up.then_some((Resource::Rest(pipe), how))
    }

    /// What the scenario as a whole says of a pipe; looked up once, since a scenario may be long.
    fn of(&self, pipe: usize) -> PipeTotals {
        if let Some(known) = self.wholes.borrow().get(&pipe) {
            return *known;
        }
        let all = &self.scenario.steps;
        let into = |handle: &String| self.ends_at(handle, true) == Some(pipe);
        let cancelled: BTreeSet<&TaskId> = all
            .iter()
            .filter_map(|step| match &step.verb {
                Verb::Cancel { task } => Some(task),
                _ => None,
            })
            .collect();
        let mut whole = PipeTotals::default();
        let mut written = 0;
        for step in all.iter() {
            let (Verb::Put { handle, payload } | Verb::Cut { handle, payload, .. }) = &step.verb
            else {
                continue;
            };
            if into(handle) {
                written += payload.len() + HEADER;
                whole.given_up |= step.within_ms.is_some() || cancelled.contains(&step.task_id);
            }
        }
        whole.scarce = written > CAPACITY_MIN;
        self.wholes.borrow_mut().insert(pipe, whole);
        whole
    }

    fn goes(&self, process: usize, handles: &[String], all: &mut Vec<(Resource, Access)>) {
        for (pipe, writer) in
            handles.iter().flat_map(|name| self.handles.get(name).cloned().unwrap_or_default())
        {
            all.push((Resource::Side(process, pipe, writer), Access::Write));
            all.extend(self.rest(pipe, if writer { Access::Read } else { Access::Write }));
            if self.processes[process].ends.contains(&(pipe, writer)) {
                all.push((Resource::Flow(pipe), Access::Read));
                all.extend((!writer).then_some((Resource::Readers(pipe), Access::Write)));
            }
        }
        let book = if self.limited { Access::Write } else { Access::Read };
        all.push((Resource::Book(process), book));
    }

    /// A process that may be in the middle of something is hit: what goes through its pipes is cut off.
    fn hits(&self, process: usize, all: &mut Vec<(Resource, Access)>) {
        let pipes = self.processes[process].ends.iter();
        all.extend(pipes.map(|(pipe, _)| (Resource::Flow(*pipe), Access::Write)));
    }

    /// What would let a task_id go on that is seen to wait, or that is told to wait no longer.
    fn waits_at(&self, task_id: Option<usize>, all: &mut Vec<(Resource, Access)>) {
        let Some(track) = task_id.map(|task_id| &self.tracks[task_id]) else { return };
        let Some(last) = track.next.checked_sub(1).map(|last| track.steps[last]) else { return };
        let pipe = match &self.scenario.steps[last].verb {
            Verb::Get { handle } => (handle, false),
            Verb::Put { handle, .. } => (handle, true),
            Verb::Join { child } | Verb::Child { child, .. } => {
                let child = self.by_name.get(child);
                return all.extend(child.map(|child| (Resource::Status(*child), Access::Read)));
            }
            _ => return,
        };
        let ends = self.handles.get(pipe.0).into_iter().flatten();
        let pipe = ends.copied().find(|end| end.1 == pipe.1);
        all.extend(pipe.map(|(pipe, _)| (Resource::Flow(pipe), Access::Write)));
    }

    /// A step ends: what its task_id knows from now on.
    pub(super) fn learn(&mut self, step: usize, outcome: &Outcome, from: Option<usize>) {
        let Some(mut clocks) = self.clocks.take() else { return };
        let spec = &self.scenario.steps[step];
        let task_id = self.by_task[&spec.task_id];
        let mut heard: Vec<Clock> =
            from.and_then(|put| clocks.begun.get(&put).cloned()).into_iter().collect();
        match (&spec.verb, outcome) {
            (Verb::Get { handle }, Outcome::Eof | Outcome::Truncated) => {
                let ends = self.handles.get(handle).into_iter().flatten();
                let pipe = ends.copied().find(|end| !end.1).map(|end| end.0);
                let went = pipe.and_then(|pipe| clocks.went.get(&pipe));
                heard.extend(went.into_iter().flatten().cloned());
            }
            // Who tells a child to end does not know when it has.
            (Verb::Child { act: ChildAct::Terminate, .. }, _) => {}
            (Verb::Join { child } | Verb::Child { child, .. }, outcome) => {
                let open = matches!(outcome, Outcome::Running | Outcome::Yes);
                let child = self.by_name.get(child).filter(|_| !open);
                heard.extend(child.and_then(|child| clocks.ended.get(child)).cloned());
            }
            // It ends when nothing moves: all that has begun was before it.
            (Verb::Until { .. }, _) => heard.extend(clocks.now.iter().cloned().map(Rc::new)),
            (_, Outcome::Cancelled) => {
                let acting = clocks.acting.and_then(|acting| clocks.begun.get(&acting));
                heard.extend(acting.cloned());
            }
            _ => {}
        }
        for clock in heard {
            clocks.learn(task_id, &clock);
        }
        self.clocks = Some(clocks);
    }

    /// A process comes: its lines know what the line that spawned it knew.
    pub(super) fn born(&mut self, process: usize) {
        let Some(clocks) = &mut self.clocks else { return };
        let parent = clocks.acting.and_then(|acting| clocks.begun.get(&acting));
        clocks.born.extend(parent.cloned().map(|clock| (process, clock)));
    }

    /// A task_id starts: a task knows what the lines of its process above it knew.
    pub(super) fn begin_lane(&mut self, task_id: usize, own: Option<usize>) {
        let Some(clocks) = &mut self.clocks else { return };
        let born = clocks.born.get(&self.tracks[task_id].process).cloned();
        if let Some(born) = born {
            clocks.learn(task_id, &born);
        }
        if let Some(own) = own.filter(|own| *own != task_id) {
            let own = clocks.now[own].clone();
            clocks.learn(task_id, &own);
        }
    }

    /// A process ends, by itself or because it was hit.
    pub(super) fn bury(&mut self, process: usize, hit: bool) {
        let Some(mut clocks) = self.clocks.take() else { return };
        // Who could have begun a step, and now never will, may have been first in another order.
        let acting = clocks.acting.map(|acting| self.by_task[&self.scenario.steps[acting].task_id]);
        clocks.races |= self.processes[process].tracks.iter().any(|track| {
            let it = &self.tracks[*track];
            let ready = it.started && it.open.is_none() && it.next < it.steps.len();
            ready && acting != Some(*track)
        });
        let mut clock = vec![0; clocks.task_ids + self.processes.len()];
        for track in &self.processes[process].tracks {
            merge(&mut clock, &clocks.now[*track]);
        }
        if let Some(acting) = clocks.acting.and_then(|acting| clocks.begun.get(&acting)) {
            if hit {
                merge(&mut clock, acting);
            }
        }
        if let Some(born) = clocks.born.get(&process) {
            merge(&mut clock, born);
        }
        // Who sees that an end has gone does not know that the process has.
        let went = Rc::new(clock.clone());
        let component = clocks.task_ids + process;
        clock[component] = 1;
        let clock = Rc::new(clock);
        clocks.touch(Resource::Status(process), component, &clock, Access::Write);
        for (pipe, writer) in self.processes[process].ends.clone() {
            clocks.touch(Resource::Flow(pipe), component, &clock, Access::Read);
            let how = if writer { Access::Read } else { Access::Write };
            if let Some((thing, how)) = self.rest(pipe, how) {
                clocks.touch(thing, component, &clock, how);
            }
            if writer {
                clocks.went.entry(pipe).or_default().push(Rc::clone(&went));
            } else {
                clocks.touch(Resource::Readers(pipe), component, &clock, Access::Write);
            }
        }
        clocks.ended.insert(process, clock);
        self.clocks = Some(clocks);
    }
}
