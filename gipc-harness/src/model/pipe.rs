//! One pipe of the model: messages, the two ends, and the steps that wait at them.
//!
//! Does not know processes or task_ids; `state` tells it when an end goes.

use super::Mutation;
use crate::scenario::Outcome;
use std::collections::VecDeque;

/// A message in the pipe, or one that a put is still writing.
#[derive(Clone, Debug, Hash)]
pub(super) struct Message {
    /// The step that puts it.
    pub(super) step: usize,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// The messages in a pipe, and how many bytes they are: there may be a hundred thousand.
#[derive(Clone, Debug, Default, Hash)]
struct Buffer {
    sent: VecDeque<Message>,
    bytes: u64,
}

impl Buffer {
    fn push(&mut self, message: Message) {
        self.bytes += message.len;
        self.sent.push_back(message);
    }

    fn pop(&mut self, last: bool) -> Option<Message> {
        let message = if last { self.sent.pop_back() } else { self.sent.pop_front() }?;
        self.bytes -= message.len;
        Some(message)
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

/// A step that ended because of what happened at the pipe, with its outcome and the put of its message.
pub(super) type Wakeup = (usize, Outcome, Option<usize>);

/// One direction.
#[derive(Clone, Debug, Hash)]
pub(super) struct Pipe {
    /// The process that holds the end that gets, while it is open.
    pub(super) reader: Option<usize>,
    /// The process that holds the end that puts, while it is open.
    pub(super) writer: Option<usize>,
    capacity: u64,
    fault: Option<Mutation>,
    full: Buffer,
    puts: VecDeque<Message>,
    gets: VecDeque<usize>,
    /// A message of which a part was written by hand, behind all others.
    part: Option<Message>,
    torn: bool,
    /// A length came that no message has.
    impossible: bool,
    /// By a fault: the next message is lost; the end was said already.
    taken: bool,
    said: bool,
}

impl Pipe {
    /// A new pipe; both ends are with its maker.
    pub(super) fn new(maker: usize, capacity: u64, fault: Option<Mutation>) -> Self {
        let capacity = if fault == Some(Mutation::Bottomless) { u64::MAX } else { capacity };
        Self {
            reader: Some(maker),
            writer: Some(maker),
            capacity,
            fault,
            full: Buffer::default(),
            puts: VecDeque::new(),
            gets: VecDeque::new(),
            part: None,
            torn: false,
            impossible: false,
            taken: false,
            said: false,
        }
    }

    /// A put begins: it ends at once, or waits for room or for its turn.
    pub(super) fn put(&mut self, message: Message) -> Vec<Wakeup> {
        if self.reader.is_none() {
            let outcome = if self.is(Mutation::BrokenIsOk) { Outcome::Ok } else { Outcome::Broken };
            return vec![(message.step, outcome, None)];
        }
        self.puts.push_back(message);
        self.flow()
    }

    /// A get begins: it ends at once, or waits for a message.
    pub(super) fn get(&mut self, step: usize) -> Vec<Wakeup> {
        self.gets.push_back(step);
        self.flow()
    }

    /// A part of a message is written; it waits for ever if there is no room, since it is written by hand.
    pub(super) fn cut(&mut self, message: Message) -> Option<Outcome> {
        if self.reader.is_none() {
            return Some(Outcome::Broken);
        }
        if self.in_flight() + message.len > self.capacity {
            return None;
        }
        self.part = Some(message);
        Some(Outcome::Ok)
    }

    /// The rest of it follows.
    pub(super) fn rest(&mut self) -> (Outcome, Vec<Wakeup>) {
        if self.reader.is_none() {
            return (Outcome::Broken, Vec::new());
        }
        let part = self.part.take();
        if let Some(part) = part.filter(|_| !self.is(Mutation::PartIsLost)) {
            self.full.push(part);
        }
        (Outcome::Ok, self.flow())
    }

    /// A header is written that announces so many bytes, of which none will come.
    pub(super) fn announce(&mut self, message: Message, possible: bool) -> (Outcome, Vec<Wakeup>) {
        if self.reader.is_none() {
            return (Outcome::Broken, Vec::new());
        }
        self.impossible |= !possible && !self.is(Mutation::LengthIsBelieved);
        self.part = possible.then_some(message);
        (Outcome::Ok, self.flow())
    }

    /// Whether the next get would find a part of a message.
    pub(super) fn has_part(&self) -> bool {
        self.part.is_some() && self.full.is_empty()
    }

    /// The end that puts is gone. A message that was being written stays half.
    pub(super) fn close_writer(&mut self) -> Vec<Wakeup> {
        self.writer = None;
        if self.is(Mutation::EndLosesMessages) {
            self.full = Buffer::default();
        }
        self.cut_off(true);
        self.torn |= self.part.take().is_some();
        self.flow()
    }

    /// Somebody writes a part of a message, and nothing will follow it.
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// Those who were at work at an end are gone. A message that was being written stays half.
    pub(super) fn cut_off(&mut self, writer: bool) {
        if writer {
            self.torn |= self.puts.front().is_some_and(|put| self.has_begun(put));
            self.puts.clear();
        } else {
            self.gets.clear();
        }
    }

    /// The end that gets is gone.
    pub(super) fn close_reader(&mut self) -> Vec<Wakeup> {
        self.reader = None;
        self.gets.clear();
        self.full = Buffer::default();
        if self.is(Mutation::BrokenIsOk) {
            return Vec::new();
        }
        self.puts.drain(..).map(|put| (put.step, Outcome::Broken, None)).collect()
    }

    /// The step waits no longer: its task was cancelled, its time is over. A put of which a part is on its way
    /// is finished all the same, so that what follows is whole.
    pub(super) fn withdraw(&mut self, step: usize) {
        if self.is(Mutation::CancelledGetTakes) {
            self.lose_next(step);
        }
        self.gets.retain(|get| *get != step);
        let begun = self.puts.front().is_some_and(|put| put.step == step && self.has_begun(put));
        if begun && self.is(Mutation::CancelledPutTears)
            || !begun && !self.is(Mutation::CancelledPutGoes)
        {
            self.puts.retain(|put| put.step != step);
        }
    }

    /// By a fault, a get that gives up takes the next message with it.
    pub(super) fn lose_next(&mut self, step: usize) {
        if self.gets.contains(&step) {
            self.part = None;
            self.taken = true;
        }
    }

    /// By a fault, an end is in use although nobody uses it.
    pub(super) fn lock(&mut self, writer: bool) {
        if writer {
            self.capacity = 0;
        } else {
            self.gets.push_front(usize::MAX);
        }
    }

    /// Whether a put or a get is at work at the end that puts or gets.
    pub(super) fn is_busy(&self, writer: bool) -> bool {
        if writer { !self.puts.is_empty() } else { !self.gets.is_empty() }
    }

    fn is(&self, fault: Mutation) -> bool {
        self.fault == Some(fault)
    }

    fn has_begun(&self, put: &Message) -> bool {
        self.in_flight() < self.capacity && put.len > 0
    }

    fn in_flight(&self) -> u64 {
        self.full.bytes
    }

    /// Moves what can move.
    fn flow(&mut self) -> Vec<Wakeup> {
        let mut woken = Vec::new();
        loop {
            let room = self.capacity.saturating_sub(self.in_flight());
            let awaited = !self.gets.is_empty() && self.full.is_empty();
            if self.puts.front().is_some_and(|put| put.len <= room || awaited) {
                let put = self.puts.pop_front().expect("there is one in front");
                woken.push((put.step, Outcome::Ok, None));
                if !std::mem::take(&mut self.taken) {
                    self.full.push(put);
                }
            } else if !self.gets.is_empty() && !self.full.is_empty() {
                let get = match self.is(Mutation::LastReaderFirst) {
                    true => self.gets.pop_back(),
                    false => self.gets.pop_front(),
                };
                let sent = self.full.pop(self.is(Mutation::LastMessageFirst));
                let (get, sent) = get.zip(sent).expect("there is one in front of each");
                if sent.len == 0 && self.is(Mutation::EmptyIsEof) {
                    woken.push((get, Outcome::Eof, None));
                    continue;
                }
                // The outcome is filled in by `state`, which knows the payload.
                woken.push((get, Outcome::Ok, Some(sent.step)));
            } else if self.impossible && self.full.is_empty() && !self.gets.is_empty() {
                woken.extend(self.gets.drain(..).map(|get| (get, Outcome::Protocol, None)));
            } else if self.writer.is_none() && self.full.is_empty() && !self.gets.is_empty() {
                let once = self.is(Mutation::EofOnce);
                if std::mem::replace(&mut self.said, once) {
                    return woken;
                }
                let torn = self.torn && !self.is(Mutation::TruncatedIsEof);
                let end = if torn { Outcome::Truncated } else { Outcome::Eof };
                woken.extend(self.gets.drain(..).map(|get| (get, end.clone(), None)));
            } else if self.is(Mutation::NothingIsEof) && !self.gets.is_empty() {
                woken.extend(self.gets.drain(..).map(|get| (get, Outcome::Eof, None)));
            } else {
                return woken;
            }
        }
    }
}
