//! The messages in a pipe.

use std::collections::VecDeque;

/// A message in the pipe, or one that a put is still writing.
#[derive(Clone, Debug, Hash)]
pub(super) struct Message {
    /// The step that puts it.
    pub(super) step: usize,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// The complete messages in a pipe, and their total length in bytes. There may be a hundred thousand messages.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Buffer {
    messages: VecDeque<Message>,
    bytes: u64,
}

impl Buffer {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.len;
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self, newest_first: bool) -> Option<Message> {
        let message =
            if newest_first { self.messages.pop_back() } else { self.messages.pop_front() }?;
        self.bytes -= message.len;
        Some(message)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
