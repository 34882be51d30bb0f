//! What should happen: processes, steps, and the outcome that each step must have.
//!
//! Knows nothing of how a scenario is performed, nor that processes exist.

use std::fmt;

mod words;
mod parse;
mod expand;
mod check;
mod print;
#[cfg(test)]
mod tests;

pub use parse::{OUTCOMES, ParseError, VERBS, parse};

/// One question: who does what, in which order, and what must come of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The path below `scenarios/` without its ending: `close/eof-after-close`.
    pub id: String,
    /// The file as it was read; errors and failure screens quote it.
    pub text: String,
    /// The layout: comments, blank lines, `each` heads and lines as written.
    pub script: Script,
    /// The steps in story order, with every `each` written out.
    pub steps: Vec<Step>,
}

/// A scenario file as its author laid it out; `print` gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// One entry a line of the file.
    pub items: Vec<Item>,
}

/// One line of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `# …`, without the `#` and the blank that follows it.
    Comment(String),
    /// An empty line: the end of a paragraph.
    Blank,
    /// `each i in 1..1000, j in 1..10`: the head of a paragraph.
    Each(Vec<Index>),
    /// `who what => outcome`, with its indices still in it.
    Line(Line),
}

/// `i in 1..1000`, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name between the brackets.
    pub name: String,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// A step as written, before `each` is written out. Names may carry `[i]`, `[i+1]` or `[i-1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who, as written.
    pub lane: Lane,
    /// What, as written.
    pub verb: Verb,
    /// `within 50ms`.
    pub within_ms: Option<u64>,
    /// After `=>`; empty where nothing was written, which means `ok`.
    pub expected: Vec<Outcome>,
}

/// Where in the file a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The first column of what is done, from 1.
    pub what: usize,
    /// The first column and the length of what stands after `=>`, if anything does.
    pub outcome: Option<(usize, usize)>,
}

/// One step of one process or task, with concrete names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is written. All repetitions of an `each` share a place.
    pub place: Place,
    /// Who does it.
    pub lane: Lane,
    /// What is done.
    pub verb: Verb,
    /// The time limit of the call, in milliseconds.
    pub within_ms: Option<u64>,
    /// The outcomes allowed; never empty.
    pub expected: Vec<Outcome>,
    /// Which repetition of an `each` this is.
    pub indices: Vec<(String, u64)>,
}

/// A process, or one task inside it: what does its steps in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The process: `main`, `child[3]`.
    pub process: String,
    /// The task inside it: `reader` in `main/reader`.
    pub task: Option<String>,
}

/// What a step does. Handles and processes are named; `near.r` is one half of a duplex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes a pipe and names its ends.
    Pipe {
        /// The end that gets.
        reader: String,
        /// The end that puts.
        writer: String,
    },
    /// Makes two crossed pipes and names the two handles.
    Duplex {
        /// One handle.
        near: String,
        /// The other.
        far: String,
    },
    /// Starts a process and moves handles to it.
    Spawn {
        /// The new process.
        child: String,
        /// What it is given.
        handles: Vec<String>,
    },
    /// Sends one message.
    Put {
        /// A writer or a duplex.
        handle: String,
        /// The message.
        payload: Payload,
    },
    /// Receives one message.
    Get {
        /// A reader or a duplex.
        handle: String,
    },
    /// Closes a handle.
    Close {
        /// Any handle.
        handle: String,
    },
    /// Waits for a child to end and tells how it did.
    Join {
        /// The child.
        child: String,
    },
    /// Ends a child with the library's own method, which sends SIGKILL.
    Kill {
        /// The child.
        child: String,
    },
    /// Ends its own process at once with this code.
    Exit {
        /// The code, 0 to 255.
        code: i32,
    },
    /// Holds until the step that another lane is in is open for good, or until something else happens.
    Until {
        /// The lane that must block.
        lane: Lane,
    },
    /// Cancels the step that a task of the same process is in.
    Cancel {
        /// The task.
        task: Lane,
    },
    /// Waits; only in a scenario with a `within`.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{}/{task}", self.process),
            None => f.write_str(&self.process),
        }
    }
}

impl Lane {
    /// The lane of a process itself.
    pub fn process(name: impl Into<String>) -> Self {
        Self { process: name.into(), task: None }
    }
}

impl Scenario {
    /// The first sentence of its comment: what must hold.
    pub fn about(&self) -> String {
        let text = self.head().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        match text.find(". ") {
            Some(end) => text[..=end].to_owned(),
            None => text,
        }
    }

    /// The requirements it asks: its `# covers` lines.
    pub fn covers(&self) -> Vec<&str> {
        self.head()
            .filter_map(|line| line.strip_prefix("covers "))
            .flat_map(str::split_whitespace)
            .collect()
    }

    /// Why it is heavy, if it is: its `# heavy: …` line. A heavy one runs only when asked for.
    pub fn heavy(&self) -> Option<&str> {
        self.head().find_map(|line| line.strip_prefix("heavy: "))
    }

    /// The first comment block.
    fn head(&self) -> impl Iterator<Item = &str> {
        self.script.items.iter().map_while(|item| match item {
            Item::Comment(text) => Some(text.as_str()),
            _ => None,
        })
    }
}
