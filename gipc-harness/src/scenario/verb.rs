//! What a step does, as data. How it is spelt is `spelling`'s business, what it means the model's.

use super::{Payload, TaskId};

/// What a step does. Handles and processes are named; `near.r` is one half of a duplex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes a pipe and names its ends.
    Pipe {
        /// The end that gets.
        reader: String,
        /// The end that puts.
        writer: String,
        /// How values become bytes; bytes as they are if none is named.
        codec: Option<Codec>,
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
        /// What is put into a list beside them, and so is not given.
        listed: Vec<String>,
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
    /// Holds until the step that another task_id is in is open for good, or until something else happens.
    Until {
        /// The task_id that must block.
        task_id: TaskId,
    },
    /// Cancels the step that a task of the same process is in.
    Cancel {
        /// The task.
        task: TaskId,
    },
    /// Waits; only in a scenario with a `within`.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
    /// Does something with a child, or asks about it.
    Child {
        /// What.
        act: ChildAct,
        /// The child.
        child: String,
    },
    /// The entry of its own process fails, as its language has it: a panic, an exception.
    Raise,
    /// Starts a program that is no business of the library's; it ends with code 7 once it is reaped.
    Exec {
        /// Its name here.
        ghost: String,
    },
    /// Writes a frame up to a point, and no more.
    Cut {
        /// A writer.
        handle: String,
        /// The message.
        payload: Payload,
        /// Where it stops.
        at: CutAt,
    },
    /// Writes what a `cut` left out.
    Rest {
        /// The same writer.
        handle: String,
    },
    /// Writes the header of a message of this length, and no message.
    Announce {
        /// A writer.
        handle: String,
        /// The length.
        size: u64,
    },
    /// Decides what a signal does to its own process.
    Dispose {
        /// What.
        to: Disposition,
        /// The signal, with its SIG.
        signal: String,
    },
    /// Sends a signal by the system's own call.
    Signal {
        /// The child.
        child: String,
        /// The signal, with its SIG.
        signal: String,
    },
    /// Lets its own process open so many descriptors more; all that it may, if there is no number.
    Limit {
        /// How many.
        free: Option<u64>,
    },
    /// Counts something in its own process.
    Count {
        /// What.
        what: Counted,
    },
    /// Enters the scope of handles.
    Enter {
        /// Any handles.
        handles: Vec<String>,
    },
    /// Leaves the scope of handles, which closes them.
    Leave {
        /// The same handles.
        handles: Vec<String>,
        /// Whether it is left by an error.
        raising: bool,
    },
    /// Sends a handle as a message, which must not be.
    Pass {
        /// Through this.
        handle: String,
        /// This.
        passed: String,
    },
}

/// How values become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Text as JSON.
    Json,
    /// Text as it is; but `"unencodable"` has no bytes, and the bytes of `"undecodable"` are no value.
    Failing,
}

/// What is done with a child, or asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildAct {
    /// Ends it with the library's own method, which sends SIGTERM.
    Terminate,
    /// Asks whether it is alive.
    Alive,
    /// Asks for its exit code, without waiting.
    Code,
    /// Waits until it has ended, with the whole process: no task runs meanwhile, and nobody is reaped.
    Stall,
    /// Waits until nothing is left of it, not even a zombie; other tasks run meanwhile.
    Reaped,
    /// Reaps it behind the library's back.
    Reap,
}

/// Where a frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAt {
    /// After so many bytes, header included.
    Bytes(u64),
    /// So many bytes behind the header.
    Header(u64),
    /// So many bytes before its end.
    End(u64),
}

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is counted.
    Trap,
    /// Nothing.
    Ignore,
    /// It waits.
    Block,
}

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The library's live handles: two for a pipe.
    Handles,
    /// The signals that were trapped.
    Trapped,
}
