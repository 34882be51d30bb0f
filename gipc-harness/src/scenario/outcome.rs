//! What a step can come to, and what a message is, as data.

use serde::{Deserialize, Serialize};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// Goes as it is written.
    Text(String),
    /// So many bytes of noise that say who put them and which in turn.
    Size(u64),
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

/// What a step came to, or must come to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It succeeded, and there is nothing more to say.
    Ok,
    /// A message arrived.
    Message(Payload),
    /// The clean end: nothing more will come.
    Eof,
    /// The end in the middle of a message.
    Truncated,
    /// The handle is closed or was given away.
    Closed,
    /// The handle is in use.
    Locked,
    /// Nobody can read any more.
    Broken,
    /// The time limit passed.
    Timeout,
    /// The step was cancelled.
    Cancelled,
    /// A cancelled put left half a message, and nothing may follow it.
    Poisoned,
    /// Refused: the call makes no sense here.
    Misuse,
    /// Refused: the message is longer than the implementation sends.
    TooLarge,
    /// The bytes on the pipe are not a message.
    Protocol,
    /// The value has no bytes.
    Encode,
    /// The bytes are no value.
    Decode,
    /// A child whose entry failed.
    Raised,
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// So many.
    Number(u64),
    /// A child that has not ended.
    Running,
    /// A child that ended with this code.
    Exit(i32),
    /// A child that this signal ended, with its SIG.
    Signal(String),
    /// An error of the operating system, by its name: `EMFILE`.
    Os(String),
    /// Began and never ends. The names of those it waits for, if the author gave them.
    Blocks(Vec<String>),
    /// Never begins.
    Never,
    /// An error that has no name here; the agent's own words.
    Other(String),
}
