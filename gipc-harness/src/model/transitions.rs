//! What each verb does when its step begins.
//!
//! Verbs that start and end processes are in `lifecycle.rs`; what a pipe does with messages is in `pipe.rs`.

use super::Mutation;
use super::buffer::Message;
use super::history::Fact;
use super::process::Phase;
use super::state::State;
use crate::scenario::{Closing, Codec, Counted, Outcome, Payload, Side, Verb};
use crate::trace::{ProcessExit, StepState};
use ecow::EcoString;

impl State<'_> {
    /// Executes a step that has just begun.
    pub(super) fn execute(&mut self, step: usize) {
        let process = self.program.step(step).process;
        if self.names_refused_child(step) {
            return self.complete(step, Outcome::Misuse);
        }
        match self.program.verb(step) {
            Verb::Pipe { .. } | Verb::Duplex { .. } => self.make_pipes(step),
            Verb::Spawn { handles, .. } => self.spawn(step, handles),
            Verb::Put { payload, .. } => self.put(step, payload),
            Verb::Get { .. } => self.get(step),
            Verb::GetWithin { .. } if self.is(Mutation::LimitIsNotChecked) => self.get(step),
            Verb::GetWithin { .. } => self.complete(step, Outcome::Misuse),
            Verb::Close { handle, by } => self.close(step, handle, *by),
            Verb::Join { .. } => self.join(step),
            Verb::Kill { .. } => self.signal(step, "SIGKILL"),
            Verb::Signal { signal, .. } => self.signal_by_id(step, signal),
            Verb::SignalGroup { signal, .. } => self.signal_group(step, signal),
            Verb::Child { act, .. } => self.ask_child(step, *act),
            Verb::Exit { code } => self.exit(step, ProcessExit::Code(*code)),
            Verb::Raise => self.exit(step, ProcessExit::Failed),
            Verb::Exec { .. } => {
                self.has_foreign_program = true;
                self.complete(step, Outcome::Ok);
            }
            Verb::Cut { payload, .. } => self.cut(step, payload),
            Verb::Rest { .. } => self.rest(step),
            Verb::Announce { size, .. } => self.announce(step, *size),
            Verb::Dispose { to, signal } => {
                self.processes[process].signals.set(signal, *to);
                self.complete(step, Outcome::Ok);
            }
            Verb::Limit { free } => {
                self.processes[process].free_descriptors = *free;
                self.complete(step, Outcome::Ok);
            }
            Verb::Count { what } => self.count(step, *what),
            Verb::Enter { .. } => self.complete(step, Outcome::Ok),
            Verb::Leave { handles, raising } => self.leave_scope(step, handles, *raising),
            Verb::Pass { .. } => {
                let is_sent = self.is(Mutation::HandleIsMessage);
                self.complete(step, if is_sent { Outcome::Ok } else { Outcome::Misuse });
            }
            Verb::Until { .. } => {
                self.untils.insert(step);
            }
            Verb::Cancel { .. } => self.cancel(step),
            Verb::Pause { ms } => self.timers.start(step, *ms),
        }
    }

    fn make_pipes(&mut self, step: usize) {
        let process = self.program.step(step).process;
        let ends = self.program.scenario.handles.made_by(step, self.program.verb(step));
        let has_descriptors = self.processes[process].take_descriptors(ends.len() as u64);
        let may_fail = !self.is(Mutation::NoDescriptorLimit) && !self.is_ok_by_file(step);
        if !has_descriptors && may_fail {
            if self.is(Mutation::HalfIsLeft) {
                self.processes[process].free_descriptors = Some(0);
            }
            return self.complete(step, Outcome::Os("EMFILE".into()));
        }
        for end in ends {
            self.pipes[end.pipe].make();
            self.processes[process].ends.insert(end);
        }
        self.complete(step, Outcome::Ok);
    }

    fn put(&mut self, step: usize, payload: &Payload) {
        if self.is_unencodable(step, payload) {
            return self.complete(step, Outcome::Encode);
        }
        if !self.has_side(step, Side::Writer) {
            return self.complete(step, Outcome::Misuse);
        }
        let Some(pipe) = self.usable_pipe(step, Side::Writer) else {
            return self.complete(step, Outcome::Closed);
        };
        if payload.len() > self.program.choices.max_message {
            return self.complete(step, Outcome::TooLarge);
        }
        if self.program.expired.contains(&step) {
            return;
        }
        let wakeups = self.pipes[pipe].put(Message { step, len: payload.len() });
        self.wake(wakeups);
    }

    fn get(&mut self, step: usize) {
        if !self.has_side(step, Side::Reader) {
            return self.complete(step, Outcome::Misuse);
        }
        let Some(pipe) = self.usable_pipe(step, Side::Reader) else {
            return self.complete(step, Outcome::Closed);
        };
        let waits_for_rest =
            self.program.choices.late_get_waits && self.pipes[pipe].has_partial_message();
        if self.is_expired(step) && !waits_for_rest {
            return;
        }
        let wakeups = self.pipes[pipe].get(step);
        self.wake(wakeups);
    }

    fn cut(&mut self, step: usize, payload: &Payload) {
        let outcome = match self.usable_pipe(step, Side::Writer) {
            Some(pipe) => self.pipes[pipe].cut(Message { step, len: payload.len() }),
            None => Some(Outcome::Closed),
        };
        if let Some(outcome) = outcome {
            self.complete(step, outcome);
        }
    }

    fn rest(&mut self, step: usize) {
        let Some(pipe) = self.usable_pipe(step, Side::Writer) else {
            return self.complete(step, Outcome::Closed);
        };
        let (outcome, wakeups) = self.pipes[pipe].rest();
        self.complete(step, outcome);
        self.wake(wakeups);
    }

    fn announce(&mut self, step: usize, size: u64) {
        let Some(pipe) = self.usable_pipe(step, Side::Writer) else {
            return self.complete(step, Outcome::Closed);
        };
        let is_possible = size <= self.program.choices.max_message;
        let (outcome, wakeups) =
            self.pipes[pipe].announce(Message { step, len: size }, is_possible);
        self.complete(step, outcome);
        self.wake(wakeups);
    }

    fn count(&mut self, step: usize, what: Counted) {
        let index = self.program.step(step).process;
        let process = &self.processes[index];
        let is_mutated = self.is(Mutation::CountIsZero)
            || (what == Counted::Handles && self.is(Mutation::ChildHasAll) && index > 0);
        let number = match what {
            _ if is_mutated => 99,
            Counted::Handles => process.ends.len() as u64,
            Counted::Trapped => process.signals.caught,
        };
        self.complete(step, Outcome::Number(number));
    }

    fn close(&mut self, step: usize, handle: &str, by: Closing) {
        let process = self.program.step(step).process;
        let ends = self.held_ends(process, handle);
        let mut all = self.ends(handle).iter();
        if all.any(|end| self.processes[process].closed_unseen.remove(end)) {
            return self.complete(step, Outcome::Os("EBADF".into()));
        }
        let is_busy = ends.iter().any(|end| self.is_busy(process, *end));
        let outcome = if self.program.is_half(handle) && self.is(Mutation::DuplexIsOne) {
            Outcome::Misuse
        } else if ends.is_empty() {
            if self.is(Mutation::ClosedIsOk) { Outcome::Ok } else { Outcome::Closed }
        } else if is_busy && !self.is(Mutation::LockedIsClosed) {
            Outcome::Locked
        } else {
            Outcome::Ok
        };
        // Close the ends first, since completing the step may end the process.
        if outcome == Outcome::Ok {
            self.close_ends(process, &ends);
            if by == Closing::Descriptor {
                self.processes[process].closed_unseen.extend(ends);
            }
        }
        self.complete(step, outcome);
    }

    /// Closes all handles that are not in use. Handles that are already closed do not matter.
    fn leave_scope(&mut self, step: usize, handles: &[EcoString], is_raising: bool) {
        let process = self.program.step(step).process;
        let ends = handles.iter().flat_map(|handle| self.held_ends(process, handle));
        let (busy, free): (Vec<_>, Vec<_>) = ends.partition(|end| self.is_busy(process, *end));
        if !self.is(Mutation::ScopeIsOpen) {
            self.close_ends(process, &free);
        }
        let outcome = match (busy.is_empty(), is_raising) {
            (false, _) => Outcome::Locked,
            (true, true) => Outcome::Raised,
            (true, false) => Outcome::Ok,
        };
        self.complete(step, outcome);
    }

    /// Cancels the step that another task is in. A step whose work is already done completes with its outcome instead.
    fn cancel(&mut self, step: usize) {
        let target = self.program.step(step).target;
        if let Some(open) = target.and_then(|task| self.tasks.open_step(task)) {
            if let Some((outcome, from)) = self.finishing.remove(&open) {
                self.complete_from(open, outcome, from);
            } else {
                self.withdraw(open);
                self.complete(open, Outcome::Cancelled);
            }
        }
        self.complete(step, Outcome::Ok);
    }

    /// Whether a handle can be used in this direction. A handle that does not exist yet passes: the step reports it as
    /// closed.
    fn has_side(&self, step: usize, side: Side) -> bool {
        self.ends_of_step(step).is_empty() || self.end_of_step(step, side).is_some()
    }

    fn is_unencodable(&self, step: usize, payload: &Payload) -> bool {
        is_text(payload, "unencodable") && self.codec_fails(step)
    }

    pub(super) fn is_undecodable(&self, put: usize, payload: &Payload) -> bool {
        is_text(payload, "undecodable") && self.codec_fails(put)
    }

    fn codec_fails(&self, step: usize) -> bool {
        let codec =
            self.end_of_step(step, Side::Writer).and_then(|end| self.program.pipes[end.pipe].codec);
        codec == Some(Codec::Failing) && !self.is(Mutation::CodecIsSilent)
    }

    /// Ends the process of this step. The exit completes when the process is gone.
    fn exit(&mut self, step: usize, exit: ProcessExit) {
        let process = self.program.step(step).process;
        self.end_itself(process, exit, Some(step));
        let is_waiting = matches!(self.processes[process].phase, Phase::Waiting(..));
        if !is_waiting {
            self.history.record(Fact::Step(step, StepState::completed(Outcome::Ok)));
        }
    }
}

fn is_text(payload: &Payload, text: &str) -> bool {
    matches!(payload, Payload::Text(payload) if payload == text)
}
