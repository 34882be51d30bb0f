//! What each verb does in the model.
//!
//! Which step is next, and what its end lets go, is `state`'s business.

use super::Mutation;
use super::pipe::Message;
use super::state::State;
use crate::scenario::{ChildAct, Codec, Counted, Disposition, Outcome, Payload, Step, Verb};
use crate::trace::{ProcessExit, StepState};
use std::rc::Rc;

/// Signals that end no process: by what they do, or because a child ignores them.
const NO_END: [&str; 6] = ["SIGSTOP", "SIGCONT", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGWINCH"];

impl<'a> State<'a> {
    pub(super) fn act(&mut self, step: usize, spec: &'a Step, process: usize) {
        match &spec.verb {
            Verb::Pipe { reader, writer, codec } => {
                if !self.opens(step, process, 2) {
                    return;
                }
                let pipe = self.pipe(process);
                self.codecs.extend(codec.map(|codec| (writer.clone(), codec)));
                let handles = Rc::make_mut(&mut self.handles);
                handles.insert(reader.clone(), vec![(pipe, false)]);
                handles.insert(writer.clone(), vec![(pipe, true)]);
                self.end(step, Outcome::Ok, None);
            }
            Verb::Duplex { near, far } => {
                if !self.opens(step, process, 4) {
                    return;
                }
                let (there, back) = (self.pipe(process), self.pipe(process));
                let handles = Rc::make_mut(&mut self.handles);
                for (name, out, back) in [(near, there, back), (far, back, there)] {
                    handles.insert(name.clone(), vec![(out, true), (back, false)]);
                    handles.insert(format!("{name}.w"), vec![(out, true)]);
                    handles.insert(format!("{name}.r"), vec![(back, false)]);
                }
                self.end(step, Outcome::Ok, None);
            }
            Verb::Spawn { child, handles, .. } => self.spawn(step, process, child, handles),
            Verb::Put { handle, payload } if self.is_unencodable(handle, payload) => {
                self.end(step, Outcome::Encode, None);
            }
            Verb::Put { handle, .. } if !self.leads(handle, true) => {
                self.end(step, Outcome::Misuse, None);
            }
            Verb::Get { handle } if !self.leads(handle, false) => {
                self.end(step, Outcome::Misuse, None);
            }
            Verb::Put { handle, payload } => match self.own(process, handle, true) {
                Some(_) if payload.len() > self.choices.max_message => {
                    self.end(step, Outcome::TooLarge, None);
                }
                Some(pipe) => {
                    let woken = self.pipes[pipe].put(Message { step, len: payload.len() });
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
                    Some(_) if self.is(Mutation::JoinIsLost) => {}
                    Some(end) => {
                        let outcome = self.joined(&end);
                        self.end(step, outcome, None);
                    }
                    None => self.processes[child].joins.push(step),
                }
            }
            Verb::Kill { child } => self.signal(step, child, "SIGKILL"),
            Verb::Signal { child, signal } => self.signal(step, child, signal),
            Verb::Child { act, child } => self.child(step, *act, child),
            Verb::Exit { code } => {
                self.taken[step] =
                    StepState::Completed { outcome: Outcome::Ok, from: None, detail: None };
                self.leave(process, ProcessExit::Code(*code));
            }
            Verb::Raise => {
                self.taken[step] =
                    StepState::Completed { outcome: Outcome::Ok, from: None, detail: None };
                self.leave(process, ProcessExit::Failed);
            }
            Verb::Exec { .. } => {
                self.ghost = true;
                self.end(step, Outcome::Ok, None);
            }
            Verb::Cut { handle, payload, .. } => {
                let message = Message { step, len: payload.len() };
                let outcome = match self.own(process, handle, true) {
                    Some(pipe) => self.pipes[pipe].cut(message),
                    None => Some(Outcome::Closed),
                };
                if let Some(outcome) = outcome {
                    self.end(step, outcome, None);
                }
            }
            Verb::Rest { handle } => match self.own(process, handle, true) {
                Some(pipe) => {
                    let (outcome, woken) = self.pipes[pipe].rest();
                    self.end(step, outcome, None);
                    self.wake(woken);
                }
                None => self.end(step, Outcome::Closed, None),
            },
            Verb::Announce { handle, size } => match self.own(process, handle, true) {
                Some(pipe) => {
                    let message = Message { step, len: *size };
                    let possible = *size <= self.choices.max_message;
                    let (outcome, woken) = self.pipes[pipe].announce(message, possible);
                    self.end(step, outcome, None);
                    self.wake(woken);
                }
                None => self.end(step, Outcome::Closed, None),
            },
            Verb::Dispose { to, signal } => {
                let process = &mut self.processes[process];
                let (into, out_of) = match to {
                    Disposition::Trap => (&mut process.trapped, &mut process.deaf),
                    Disposition::Ignore | Disposition::Block => {
                        (&mut process.deaf, &mut process.trapped)
                    }
                };
                out_of.remove(signal);
                into.insert(signal.clone());
                self.end(step, Outcome::Ok, None);
            }
            Verb::Limit { free } => {
                self.processes[process].free = *free;
                self.end(step, Outcome::Ok, None);
            }
            Verb::Count { what } => {
                let number = match what {
                    _ if self.is(Mutation::CountIsZero) => 99,
                    Counted::Handles if self.is(Mutation::ChildHasAll) && process > 0 => 99,
                    Counted::Handles => self.processes[process].ends.len() as u64,
                    Counted::Trapped => self.processes[process].caught,
                };
                self.end(step, Outcome::Number(number), None);
            }
            Verb::Enter { .. } => self.end(step, Outcome::Ok, None),
            Verb::Leave { handles, raising } => self.leave_scope(step, process, handles, *raising),
            Verb::Pass { .. } if self.is(Mutation::HandleIsMessage) => {
                self.end(step, Outcome::Ok, None)
            }
            Verb::Pass { .. } => self.end(step, Outcome::Misuse, None),
            Verb::Until { .. } => self.untils.push(step),
            Verb::Cancel { task } => {
                let open = self.by_task.get(task).and_then(|track| self.tracks[*track].open);
                let done = open.and_then(|open| self.ending.remove(&open));
                match (open, done) {
                    (Some(open), Some((outcome, from))) => self.end(open, outcome, from),
                    (Some(open), None) => {
                        self.withdraw(open);
                        self.end(open, Outcome::Cancelled, None);
                    }
                    (None, _) => {}
                }
                self.end(step, Outcome::Ok, None);
            }
            Verb::Pause { ms } => {
                self.timers.insert((self.now_ms + ms, step));
            }
        }
    }

    /// Whether a handle goes that way: a reader does not put.
    fn leads(&self, handle: &str, writer: bool) -> bool {
        self.handles.get(handle).is_none_or(|ends| ends.iter().any(|end| end.1 == writer))
    }

    /// Uses up descriptors, or says that there are not enough.
    fn opens(&mut self, step: usize, process: usize, wanted: u64) -> bool {
        let free = self.processes[process].free;
        let left = free.map(|free| free.checked_sub(wanted));
        match left {
            None => true,
            Some(Some(left)) => {
                self.processes[process].free = Some(left);
                true
            }
            Some(None) if self.is(Mutation::NoDescriptorLimit) => true,
            Some(None) => {
                if self.is(Mutation::HalfIsLeft) {
                    self.processes[process].free = Some(0);
                }
                self.end(step, Outcome::Os("EMFILE".into()), None);
                false
            }
        }
    }

    fn child(&mut self, step: usize, act: ChildAct, name: &str) {
        let end = match self.by_name.get(name) {
            Some(child) => self.processes[*child].end.clone(),
            // A program beside the library, which ends when it is reaped.
            None => Some(ProcessExit::Code(7)),
        };
        match (act, end) {
            (ChildAct::Terminate, _) => self.signal(step, name, "SIGTERM"),
            (ChildAct::Alive, Some(_)) if self.is(Mutation::AliveForEver) => {
                self.end(step, Outcome::Yes, None);
            }
            (ChildAct::Reap, Some(_)) if self.is(Mutation::StrangerIsLost) => {
                self.end(step, Outcome::Exit(0), None);
            }
            (ChildAct::Reaped, _) if self.is(Mutation::ZombiesStay) => {}
            (ChildAct::Alive, None) => self.end(step, Outcome::Yes, None),
            (ChildAct::Alive, Some(_)) => self.end(step, Outcome::No, None),
            (ChildAct::Code, None) => self.end(step, Outcome::Running, None),
            (ChildAct::Code | ChildAct::Reap, Some(end)) => {
                let outcome = self.joined(&end);
                self.end(step, outcome, None);
            }
            (ChildAct::Stall | ChildAct::Reaped, Some(_)) => self.end(step, Outcome::Ok, None),
            (ChildAct::Stall | ChildAct::Reaped | ChildAct::Reap, None) => {
                let child = self.process(name);
                self.processes[child].joins.push(step);
            }
        }
    }

    /// A signal comes to a process, if it is there. To be stopped and continued changes no outcome.
    fn signal(&mut self, step: usize, child: &str, signal: &str) {
        let child = self.process(child);
        if self.is(Mutation::Interrupted) && self.processes[child].trapped.contains(signal) {
            self.leave(child, ProcessExit::Failed);
        }
        let counts = !self.is(Mutation::TrapsAreLost);
        let process = &mut self.processes[child];
        if process.trapped.contains(signal) {
            process.caught += u64::from(process.end.is_none() && counts);
        } else if !process.deaf.contains(signal)
            && !NO_END.contains(&signal)
            && self.choices.mutation != Some(Mutation::Deaf)
        {
            self.leave(child, ProcessExit::Signal(signal.to_owned()));
        }
        self.end(step, Outcome::Ok, None);
    }

    fn is_unencodable(&self, handle: &str, payload: &Payload) -> bool {
        !self.is(Mutation::CodecIsSilent)
            && self.codecs.get(handle) == Some(&Codec::Failing)
            && *payload == Payload::Text("unencodable".into())
    }

    pub(super) fn is_undecodable(&self, handle: &str, payload: &Payload) -> bool {
        !self.is(Mutation::CodecIsSilent)
            && self.codecs.get(handle) == Some(&Codec::Failing)
            && *payload == Payload::Text("undecodable".into())
    }

    /// All are closed that can be; those that are closed already do not matter.
    fn leave_scope(&mut self, step: usize, process: usize, handles: &[String], raising: bool) {
        let ends: Vec<_> = handles.iter().flat_map(|handle| self.owned(process, handle)).collect();
        let (busy, free): (Vec<_>, Vec<_>) =
            ends.into_iter().partition(|(pipe, writer)| self.is_busy(*pipe, *writer));
        if !self.is(Mutation::ScopeIsOpen) {
            self.let_go(process, free);
        }
        self.end(
            step,
            match (busy.is_empty(), raising) {
                (false, _) => Outcome::Locked,
                (true, true) => Outcome::Raised,
                (true, false) => Outcome::Ok,
            },
            None,
        );
    }
}
