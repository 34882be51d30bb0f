//! One pipe of the model: the messages in it, its two ends, and the steps that wait at them.
//!
//! A pipe knows nothing about tasks and processes; `State` tells it when an end is closed.

use super::buffer::{Buffer, Message};
use super::{AfterCancel, Choices, Mutation};
use crate::scenario::{Outcome, Side};
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// A step that completes because of what happened at a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wakeup {
    pub(super) step: usize,
    pub(super) outcome: Outcome,
    /// The put of the message that a get receives. `State`, which knows the payload, fills in the outcome.
    pub(super) from: Option<usize>,
}

/// The steps that one change wakes: seldom more than one.
pub(super) type Wakeups = SmallVec<[Wakeup; 1]>;

impl Wakeup {
    fn new(step: usize, outcome: Outcome) -> Self {
        Self { step, outcome, from: None }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pipe {
    is_made: bool,
    has_reader: bool,
    has_writer: bool,
    capacity: u64,
    after_cancel_poisons: bool,
    mutation: Option<Mutation>,
    buffer: Buffer,
    /// Puts that have begun: the first is being written, the others wait for their turn.
    puts: VecDeque<Message>,
    /// Gets that wait.
    gets: VecDeque<usize>,
    /// An incomplete message after all others. Its rest may follow.
    partial: Option<Message>,
    /// Whether the pipe ends inside a message.
    is_truncated: bool,
    /// Whether an impossible length was announced.
    is_malformed: bool,
    /// Whether a put was given up inside its message. Later puts at this end are refused.
    is_poisoned: bool,
    /// Whether the next message is lost. Only under a mutation.
    loses_next: bool,
    /// Whether the end was already reported. Only under a mutation.
    eof_reported: bool,
}

/// Hashes what determines what can still happen. Without a reader, nothing in the pipe matters.
impl Hash for Pipe {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.is_made, self.has_reader, self.has_writer, self.is_poisoned).hash(hasher);
        if self.has_reader {
            (&self.buffer, &self.puts, &self.gets, &self.partial).hash(hasher);
            (self.is_truncated, self.is_malformed, self.capacity).hash(hasher);
            (self.loses_next, self.eof_reported).hash(hasher);
        }
    }
}

impl Pipe {
    /// A pipe that no step has made yet.
    pub(super) fn unmade(capacity: u64, choices: Choices) -> Self {
        let unbounded = choices.mutation == Some(Mutation::UnboundedPipe);
        Self {
            is_made: false,
            has_reader: false,
            has_writer: false,
            capacity: if unbounded { u64::MAX } else { capacity },
            after_cancel_poisons: choices.after_cancel == AfterCancel::Poison,
            mutation: choices.mutation,
            buffer: Buffer::default(),
            puts: VecDeque::new(),
            gets: VecDeque::new(),
            partial: None,
            is_truncated: false,
            is_malformed: false,
            is_poisoned: false,
            loses_next: false,
            eof_reported: false,
        }
    }

    /// Makes the pipe, with both ends open.
    pub(super) fn make(&mut self) {
        (self.is_made, self.has_reader, self.has_writer) = (true, true, true);
    }

    pub(super) fn is_made(&self) -> bool {
        self.is_made
    }

    /// Begins a put, which completes at once, or waits for room or for its turn.
    pub(super) fn put(&mut self, message: Message) -> Wakeups {
        if self.is_poisoned {
            return smallvec![Wakeup::new(message.step, Outcome::Poisoned)];
        }
        if !self.has_reader {
            let outcome = if self.is(Mutation::BrokenIsOk) { Outcome::Ok } else { Outcome::Broken };
            return smallvec![Wakeup::new(message.step, outcome)];
        }
        self.puts.push_back(message);
        self.transfer()
    }

    /// Begins a get, which completes at once or waits for a message.
    pub(super) fn get(&mut self, step: usize) -> Wakeups {
        self.gets.push_back(step);
        self.transfer()
    }

    /// Writes part of a message by hand. Returns `None` if there is no room: such a write waits forever.
    pub(super) fn cut(&mut self, message: Message) -> Option<Outcome> {
        if !self.has_reader {
            return Some(Outcome::Broken);
        }
        if self.buffer.bytes() + message.len > self.capacity {
            return None;
        }
        self.partial = Some(message);
        Some(Outcome::Ok)
    }

    /// Writes the rest of a message that was cut.
    pub(super) fn rest(&mut self) -> (Outcome, Wakeups) {
        if !self.has_reader {
            return (Outcome::Broken, Wakeups::new());
        }
        let message = self.partial.take().filter(|_| !self.is(Mutation::PartIsLost));
        if let Some(message) = message {
            self.buffer.push(message);
        }
        (Outcome::Ok, self.transfer())
    }

    /// Writes a header whose message never follows.
    pub(super) fn announce(&mut self, message: Message, is_possible: bool) -> (Outcome, Wakeups) {
        if !self.has_reader {
            return (Outcome::Broken, Wakeups::new());
        }
        self.is_malformed |= !is_possible && !self.is(Mutation::BadLengthAccepted);
        self.partial = is_possible.then_some(message);
        (Outcome::Ok, self.transfer())
    }

    /// Whether the next get would find an incomplete message.
    pub(super) fn has_partial_message(&self) -> bool {
        self.partial.is_some() && self.buffer.is_empty()
    }

    /// Records that the last holder of an end has closed it.
    pub(super) fn close(&mut self, side: Side) -> Wakeups {
        match side {
            Side::Writer => self.close_writer(),
            Side::Reader => self.close_reader(),
        }
    }

    fn close_writer(&mut self) -> Wakeups {
        self.has_writer = false;
        if self.is(Mutation::EndLosesMessages) {
            self.buffer = Buffer::default();
        }
        self.abandon(Side::Writer, |_| true);
        self.is_truncated |= self.partial.take().is_some();
        self.transfer()
    }

    fn close_reader(&mut self) -> Wakeups {
        self.has_reader = false;
        self.gets.clear();
        self.buffer = Buffer::default();
        if self.is(Mutation::BrokenIsOk) {
            return Wakeups::new();
        }
        self.puts.drain(..).map(|put| Wakeup::new(put.step, Outcome::Broken)).collect()
    }

    /// Records that part of a message is written and nothing will follow it.
    pub(super) fn truncate(&mut self) {
        self.is_truncated = true;
    }

    /// Removes the steps of a process that were waiting at an end, because the process does not hold the end any more.
    /// Another process may still hold it.
    pub(super) fn leave(&mut self, side: Side, is_gone: impl Fn(usize) -> bool) -> Wakeups {
        self.abandon(side, is_gone);
        self.transfer()
    }

    fn abandon(&mut self, side: Side, is_gone: impl Fn(usize) -> bool) {
        match side {
            Side::Writer => {
                let first = self.puts.front().filter(|put| is_gone(put.step));
                self.is_truncated |= first.is_some_and(|put| self.has_begun(put));
                self.puts.retain(|put| !is_gone(put.step));
            }
            Side::Reader => self.gets.retain(|get| !is_gone(*get)),
        }
    }

    /// Makes a step stop waiting because its task was cancelled or its time limit has expired. A put that has written part
    /// of its message still completes, or else poisons the end.
    pub(super) fn withdraw(&mut self, step: usize) -> Wakeups {
        if self.is(Mutation::CancelledGetTakes) {
            self.lose_next_message(step);
        }
        self.gets.retain(|get| *get != step);
        let has_begun =
            self.puts.front().is_some_and(|put| put.step == step && self.has_begun(put));
        if has_begun && self.after_cancel_poisons {
            return self.poison();
        }
        let drops_put = if has_begun {
            self.is(Mutation::CancelledPutIsTorn)
        } else {
            !self.is(Mutation::QueuedPutIsKept)
        };
        if drops_put {
            self.puts.retain(|put| put.step != step);
        }
        Wakeups::new()
    }

    /// Leaves the message of the first put incomplete. The puts after it, which have written nothing, are refused.
    fn poison(&mut self) -> Wakeups {
        self.is_poisoned = true;
        self.partial = self.puts.pop_front();
        self.puts.drain(..).map(|put| Wakeup::new(put.step, Outcome::Poisoned)).collect()
    }

    /// Lets a get that gives up take the next message with it. Only under a mutation.
    pub(super) fn lose_next_message(&mut self, step: usize) {
        if self.gets.contains(&step) {
            self.partial = None;
            self.loses_next = true;
        }
    }

    /// Locks an end although nothing uses it. Only under a mutation.
    pub(super) fn lock(&mut self, side: Side) {
        match side {
            Side::Writer => self.capacity = 0,
            Side::Reader => self.gets.push_front(usize::MAX),
        }
    }

    /// Whether one of these puts and gets is in progress at an end.
    pub(super) fn is_busy(&self, side: Side, is_counted: impl Fn(usize) -> bool) -> bool {
        match side {
            Side::Writer => self.puts.iter().any(|put| is_counted(put.step)),
            Side::Reader => self.gets.iter().any(|get| is_counted(*get)),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether a put, if it is the first in turn, has written part of its message.
    fn has_begun(&self, put: &Message) -> bool {
        self.buffer.bytes() < self.capacity && put.len > 0
    }

    /// Moves messages until every remaining put and get has to wait.
    fn transfer(&mut self) -> Wakeups {
        let mut wakeups = Wakeups::new();
        loop {
            if let Some(put) = self.next_put() {
                wakeups.push(Wakeup::new(put.step, Outcome::Ok));
                if !std::mem::take(&mut self.loses_next) {
                    self.buffer.push(put);
                }
            } else if let Some(wakeup) = self.next_get() {
                wakeups.push(wakeup);
            } else {
                wakeups.extend(self.end_of_stream());
                return wakeups;
            }
        }
    }

    /// Takes the first put if there is room for its message, or if a get is waiting for it.
    fn next_put(&mut self) -> Option<Message> {
        let room = self.capacity.saturating_sub(self.buffer.bytes());
        let is_awaited = !self.gets.is_empty() && self.buffer.is_empty();
        let fits = self.puts.front().is_some_and(|put| put.len <= room || is_awaited);
        if fits { self.puts.pop_front() } else { None }
    }

    /// Completes the first get if there is a message for it.
    fn next_get(&mut self) -> Option<Wakeup> {
        if self.gets.is_empty() {
            return None;
        }
        let message = self.buffer.pop(self.is(Mutation::LastMessageFirst))?;
        let get = if self.is(Mutation::LastReaderFirst) {
            self.gets.pop_back()
        } else {
            self.gets.pop_front()
        }?;
        if message.len == 0 && self.is(Mutation::EmptyIsEof) {
            return Some(Wakeup::new(get, Outcome::Eof));
        }
        Some(Wakeup { step: get, outcome: Outcome::Ok, from: Some(message.step) })
    }

    /// Completes the gets that wait for a message that will never come.
    fn end_of_stream(&mut self) -> Wakeups {
        if self.gets.is_empty() || !self.buffer.is_empty() {
            return Wakeups::new();
        }
        let outcome = if self.is_malformed {
            Outcome::Protocol
        } else if !self.has_writer {
            let once = self.is(Mutation::EofOnce);
            if std::mem::replace(&mut self.eof_reported, once) {
                return Wakeups::new();
            }
            let is_truncated = self.is_truncated && !self.is(Mutation::TruncatedIsEof);
            if is_truncated { Outcome::Truncated } else { Outcome::Eof }
        } else if self.is(Mutation::NothingIsEof) {
            Outcome::Eof
        } else {
            return Wakeups::new();
        };
        self.gets.drain(..).map(|get| Wakeup::new(get, outcome.clone())).collect()
    }
}
