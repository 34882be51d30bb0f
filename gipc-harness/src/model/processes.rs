//! Processes of the model: how they come, what they own, and how they end.
//!
//! Which step is next is `state`'s business.

use super::Mutation;
use super::pipe::Pipe;
use super::state::State;
use crate::scenario::{ChildAct, Outcome, Verb};
use crate::trace::ProcessExit;
use std::collections::BTreeSet;

impl State<'_> {
    /// A process comes into being; its task_ids may start.
    pub(super) fn come(&mut self, process: usize) {
        self.processes[process].come = true;
        self.born(process);
        if process > 0 {
            self.release.starts.push(self.processes[process].name.to_string());
        }
        self.start_tracks(process);
    }

    /// Starts the task_ids whose time has come; a process without any line left returns.
    pub(super) fn start_tracks(&mut self, process: usize) {
        let tracks = self.processes[process].tracks.clone();
        let done = tracks.iter().find(|track| !self.tracks[**track].task).map_or(0, |own| {
            self.tracks[*own].next - usize::from(self.tracks[*own].open.is_some())
        });
        let own = tracks.iter().copied().find(|track| !self.tracks[*track].task);
        for index in &tracks {
            let track = &mut self.tracks[*index];
            if !track.started && (!track.task || done >= track.after) {
                track.started = true;
                self.ready.extend(track.steps.first());
                self.begin_lane(*index, own);
            }
        }
        let over = |track: &usize| {
            let track = &self.tracks[*track];
            track.open.is_none() && track.next == track.steps.len()
        };
        if tracks.iter().all(over) {
            let it = &self.processes[process];
            if it.end.is_none() && !self.leaving.contains_key(&process) {
                self.left.insert(it.name.to_string(), it.ends.len() as u64);
            }
            let killed = self.doomed == Some(process);
            self.leave(
                process,
                if killed { ProcessExit::Signal("SIGKILL".into()) } else { ProcessExit::Code(0) },
            );
        }
    }

    pub(super) fn pipe(&mut self, maker: usize) -> usize {
        self.pipes.push(Pipe::new(maker, self.capacity, self.choices.mutation));
        let pipe = self.pipes.len() - 1;
        self.processes[maker].ends.extend([(pipe, true), (pipe, false)]);
        pipe
    }

    /// The pipe behind one end of a handle, if the process holds that end open.
    pub(super) fn own(&self, process: usize, handle: &str, writer: bool) -> Option<usize> {
        let ends = self.handles.get(handle)?;
        let (pipe, _) = ends.iter().find(|end| end.1 == writer)?;
        let has = self.processes[process].ends.contains(&(*pipe, writer));
        let may = self.is(Mutation::ClosedIsOk) || (self.is(Mutation::ChildHasAll) && process > 0);
        (has || may).then_some(*pipe)
    }

    /// The ends of a handle that the process holds open.
    pub(super) fn owned(&self, process: usize, handle: &str) -> Vec<(usize, bool)> {
        let ends = self.handles.get(handle).cloned().unwrap_or_default();
        ends.into_iter().filter(|end| self.processes[process].ends.contains(end)).collect()
    }

    pub(super) fn spawn(&mut self, step: usize, process: usize, child: &str, handles: &[String]) {
        let given: Vec<_> = handles.iter().map(|handle| self.owned(process, handle)).collect();
        let all: BTreeSet<_> = given.iter().flatten().copied().collect();
        let half =
            |ends: &Vec<_>| ends.len() == 1 && !handles.iter().all(|name| !name.contains('.'));
        let refused = if given.iter().any(half) && self.is(Mutation::DuplexIsOne) {
            Some(Outcome::Misuse)
        } else if given.iter().any(Vec::is_empty) {
            Some(Outcome::Closed)
        } else if all.len() < given.iter().map(Vec::len).sum() {
            Some(Outcome::Misuse)
        } else if all.iter().any(|(pipe, writer)| self.is_busy(*pipe, *writer)) {
            Some(Outcome::Locked)
        } else {
            None
        };
        if let Some(outcome) = refused {
            self.end(step, outcome, None);
            return self.take_from_refused(process, all);
        }
        // Two are the ends of what tells parent and child of each other.
        if self.processes[process].free.is_some_and(|free| free < self.choices.start_needs) {
            self.end(step, Outcome::Os("EMFILE".into()), None);
            return self.take_from_refused(process, all);
        }
        let child = self.process(child);
        self.processes[child].parent = Some(process);
        if self.is(Mutation::SignalsAreInherited) {
            self.processes[child].deaf = self.processes[process].deaf.clone();
            self.processes[child].trapped = self.processes[process].trapped.clone();
        }
        for (pipe, writer) in all {
            if self.is(Mutation::LockTravels) {
                self.pipes[pipe].lock(writer);
            }
            if !self.is(Mutation::GivenStays) {
                self.processes[process].ends.remove(&(pipe, writer));
            }
            self.processes[child].ends.insert((pipe, writer));
            let owner =
                if writer { &mut self.pipes[pipe].writer } else { &mut self.pipes[pipe].reader };
            *owner = Some(child);
        }
        self.end(step, Outcome::Ok, None);
        self.come(child);
    }

    /// By a fault, what a refused start was given is gone.
    fn take_from_refused(&mut self, process: usize, ends: BTreeSet<(usize, bool)>) {
        if self.is(Mutation::RefusedTakes) {
            self.let_go(process, ends.into_iter().collect());
        }
    }

    pub(super) fn close(&mut self, step: usize, process: usize, handle: &str) {
        let ends = self.owned(process, handle);
        let busy = ends.iter().any(|(pipe, writer)| self.is_busy(*pipe, *writer));
        let outcome = if handle.contains('.') && self.is(Mutation::DuplexIsOne) {
            Outcome::Misuse
        } else if ends.is_empty() {
            if self.is(Mutation::ClosedIsOk) { Outcome::Ok } else { Outcome::Closed }
        } else if busy && !self.is(Mutation::LockedIsClosed) {
            Outcome::Locked
        } else {
            Outcome::Ok
        };
        // First, since the end of the step may be the end of the process.
        if outcome == Outcome::Ok {
            self.let_go(process, ends);
        }
        self.end(step, outcome, None);
    }

    pub(super) fn let_go(&mut self, process: usize, ends: Vec<(usize, bool)>) {
        for (pipe, writer) in ends {
            self.processes[process].ends.remove(&(pipe, writer));
            if !self.is(Mutation::CloseKeeps) {
                if let Some(free) = &mut self.processes[process].free {
                    *free += 1;
                }
            }
            // A copy with somebody who was not given it.
            let fault =
                if writer { Mutation::WritersAreInherited } else { Mutation::ReadersAreInherited };
            let others = self.processes.iter().enumerate();
            let mut others =
                others.filter(|(other, it)| *other != process && it.come && it.end.is_none());
            if self.is(fault) && (self.ghost || others.next().is_some()) {
                continue;
            }
            let pipe = &mut self.pipes[pipe];
            let woken = if writer { pipe.close_writer() } else { pipe.close_reader() };
            self.wake(woken);
        }
    }

    /// A process ends: what it was in stays open, what it held is let go, who waits for it goes on.
    pub(super) fn leave(&mut self, process: usize, end: ProcessExit) {
        let is_leaving = self.leaving.contains_key(&process);
        if self.processes[process].end.is_some() || !self.processes[process].come || is_leaving {
            return;
        }
        self.bury(process, matches!(end, ProcessExit::Signal(_)));
        self.orphans |= self
            .processes
            .iter()
            .any(|other| other.parent == Some(process) && other.come && other.end.is_none());
        for track in self.processes[process].tracks.clone() {
            let track = &mut self.tracks[track];
            if let Some(next) = track.steps.get(track.next) {
                self.ready.remove(next);
            }
            if let Some(open) = track.open.take() {
                self.timers.retain(|timer| timer.1 != open);
                self.untils.retain(|until| *until != open);
                self.ending.remove(&open);
            }
            track.next = track.steps.len();
        }
        let ends = self.processes[process].ends.clone();
        if self.piecemeal {
            for (pipe, writer) in &ends {
                self.pipes[*pipe].cut_off(*writer);
            }
            self.leaving.insert(process, (end, ends));
            return;
        }
        // First, so that nobody is told of an end before it is one.
        self.processes[process].end = Some(end.clone());
        self.release.exits.push(self.processes[process].name.to_string());
        self.let_go(process, ends.into_iter().collect());
        self.tell(process, &end);
    }

    /// A process that is leaving lets go of one end.
    pub(super) fn drop_end(&mut self, process: usize, one: (usize, bool)) {
        if let Some((_, ends)) = self.leaving.get_mut(&process) {
            ends.remove(&one);
            self.let_go(process, vec![one]);
        }
    }

    /// A process that was leaving is gone.
    pub(super) fn gone(&mut self, process: usize) {
        if let Some((end, _)) = self.leaving.remove(&process) {
            self.processes[process].end = Some(end.clone());
            self.release.exits.push(self.processes[process].name.to_string());
            self.tell(process, &end);
        }
    }

    /// Who waits for a process goes on.
    fn tell(&mut self, process: usize, end: &ProcessExit) {
        let told = usize::from(!self.is(Mutation::JoinIsLost))
            * if self.is(Mutation::SecondJoinIsLost) { 1 } else { usize::MAX };
        for join in std::mem::take(&mut self.processes[process].joins).into_iter().take(told) {
            let waits = |act| matches!(&self.scenario.steps[join].verb, Verb::Child { act: a, .. } if *a == act);
            let outcome = match waits(ChildAct::Stall) || waits(ChildAct::Reaped) {
                true if self.is(Mutation::ZombiesStay) && waits(ChildAct::Reaped) => continue,
                true => Outcome::Ok,
                false => self.joined(end),
            };
            self.end(join, outcome, None);
        }
    }

    /// What a join says of this end.
    pub(super) fn joined(&self, end: &ProcessExit) -> Outcome {
        match end {
            ProcessExit::Code(_) | ProcessExit::Failed if self.is(Mutation::CodeIsLost) => {
                Outcome::Exit(0)
            }
            ProcessExit::Code(code) => Outcome::Exit(*code),
            ProcessExit::Signal(_) if self.is(Mutation::SignalIsKill) => {
                Outcome::Signal("SIGKILL".into())
            }
            ProcessExit::Signal(name) => Outcome::Signal(name.clone()),
            ProcessExit::Failed => Outcome::Raised,
            ProcessExit::Unseen | ProcessExit::Running => Outcome::Running,
        }
    }
}
