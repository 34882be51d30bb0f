//! What a step does, as data. How a verb is written is in `grammar`; what it does is defined by the model.

use super::{Payload, ProgramStart, TaskId};
use ecow::EcoString;
use thin_vec::ThinVec;

/// What a step does. There may be hundreds of thousands of verbs, so data that few of them have is behind a pointer.
///
/// Handles and processes are given by name; `near.r` is one half of a duplex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes a pipe and names its two ends.
    Pipe {
        /// The reading end.
        reader: EcoString,
        /// The writing end.
        writer: EcoString,
        /// How values are encoded. Without a codec the pipe carries bytes.
        codec: Option<Codec>,
    },
    /// Makes two pipes in opposite directions and names the two handles.
    Duplex {
        /// The first handle, which writes to `far` and reads from it.
        near: EcoString,
        /// The second handle, which writes to `near` and reads from it.
        far: EcoString,
    },
    /// Starts a child process and gives handles to it.
    Spawn {
        /// The new process.
        child: EcoString,
        /// The handles that the child gets. Those that are not in `shared` move to it.
        handles: ThinVec<EcoString>,
        /// Those of `handles` that its parent keeps as well.
        shared: ThinVec<EcoString>,
        /// Handles inside a list argument, which therefore do not move.
        listed: ThinVec<EcoString>,
        /// For `run`: the child is a program, and `handles` are the ends that become its standard streams. `None` for
        /// `spawn`, whose child is a process of the implementation.
        program: Option<Box<ProgramStart>>,
        /// Whether the child is the first process of a new process group, instead of one of its parent's group.
        in_group: bool,
        /// Whether the start is called from a thread of its own, in which no event loop runs.
        from_thread: bool,
    },
    /// Sends one message.
    Put {
        /// A writer or a duplex.
        handle: EcoString,
        /// The message.
        payload: Payload,
    },
    /// Receives one message.
    Get {
        /// A reader or a duplex.
        handle: EcoString,
    },
    /// Receives with a limit that is not a time; the implementation must refuse it.
    GetWithin {
        /// A reader or a duplex.
        handle: EcoString,
        /// The limit.
        limit: EcoString,
    },
    /// Closes a handle.
    Close {
        /// Any handle.
        handle: EcoString,
        /// How it is closed.
        by: Closing,
    },
    /// Waits until a child ends, and returns how it ended.
    Join {
        /// The child.
        child: EcoString,
    },
    /// Kills a child with the implementation's own method, which sends SIGKILL.
    Kill {
        /// The child.
        child: EcoString,
    },
    /// Ends its own process at once.
    Exit {
        /// The exit code, 0 to 255.
        code: i32,
    },
    /// Waits until another task is in a step that blocks, or until this can no longer happen.
    Until {
        /// The task that must block.
        task_id: TaskId,
    },
    /// Cancels the step that another task of the same process is in.
    Cancel {
        /// The other task.
        task: TaskId,
    },
    /// Waits for a fixed time. Allowed only in a scenario that has a `within`.
    Pause {
        /// The time in milliseconds.
        ms: u64,
    },
    /// Does something to a child, or asks about it.
    Child {
        /// The action or the question.
        act: ChildAct,
        /// The child.
        child: EcoString,
    },
    /// Makes the entry function of its own process fail in the usual way of its language: a panic, an exception.
    Raise,
    /// Starts a program without the implementation. It exits with code 7 once it is reaped.
    Exec {
        /// The name of the program in the scenario.
        ghost: EcoString,
    },
    /// Writes the first part of a frame.
    Cut {
        /// A writer.
        handle: EcoString,
        /// The message in the frame.
        payload: Payload,
        /// The position at which the written part ends.
        at: Box<CutAt>,
    },
    /// Writes the part of a frame that `cut` left out.
    Rest {
        /// The writer of the `cut`.
        handle: EcoString,
    },
    /// Writes the header of a message without the message.
    Announce {
        /// A writer.
        handle: EcoString,
        /// The message length in the header, in bytes.
        size: u64,
    },
    /// Decides what a signal does to its own process.
    Dispose {
        /// The effect of the signal from now on.
        to: Disposition,
        /// The signal, with its `SIG`.
        signal: EcoString,
    },
    /// Sends a signal to a child with the system call.
    Signal {
        /// The child.
        child: EcoString,
        /// The signal, with its `SIG`.
        signal: EcoString,
    },
    /// Sends a signal to the process group of a child with the system call.
    SignalGroup {
        /// The child, which is the first process of the group.
        child: EcoString,
        /// The signal, with its `SIG`.
        signal: EcoString,
    },
    /// Limits how many more descriptors its own process can open.
    Limit {
        /// The number of descriptors that are still free. `None` removes the limit.
        free: Option<u64>,
    },
    /// Counts something in its own process.
    Count {
        /// The things that are counted.
        what: Counted,
    },
    /// Enters the scope of handles.
    Enter {
        /// Any handles.
        handles: Vec<EcoString>,
    },
    /// Leaves the scope of handles, which closes them.
    Leave {
        /// The handles that were entered.
        handles: Vec<EcoString>,
        /// Whether an error leaves the scope.
        raising: bool,
    },
    /// Sends a handle as a message; the implementation must refuse it.
    Pass {
        /// The writer.
        handle: EcoString,
        /// The handle that is sent.
        passed: EcoString,
    },
}

impl Verb {
    /// The handle that the step reads from, writes to or closes.
    #[must_use]
    pub fn handle(&self) -> Option<&str> {
        match self {
            Self::Put { handle, .. }
            | Self::Get { handle }
            | Self::GetWithin { handle, .. }
            | Self::Close { handle, .. }
            | Self::Cut { handle, .. }
            | Self::Rest { handle }
            | Self::Announce { handle, .. }
            | Self::Pass { handle, .. } => Some(handle),
            _ => None,
        }
    }

    /// The handles that the step hands to a child, enters or leaves.
    #[must_use]
    pub fn handed(&self) -> &[EcoString] {
        match self {
            Self::Spawn { handles, .. } => handles,
            Self::Enter { handles } | Self::Leave { handles, .. } => handles,
            _ => &[],
        }
    }

    /// All handles that the step uses, in the order in which they are written; not those that it makes.
    pub fn handles(&self) -> impl Iterator<Item = &str> {
        self.handle().into_iter().chain(self.handed().iter().map(EcoString::as_str))
    }

    /// All names of handles, processes and tasks, in the order in which they are written.
    pub(super) fn names_mut(&mut self) -> Vec<&mut EcoString> {
        match self {
            Self::Pipe { reader: one, writer: other, .. }
            | Self::Duplex { near: one, far: other }
            | Self::Pass { handle: one, passed: other } => vec![one, other],
            Self::Spawn { child, handles, shared, listed, program, .. } => {
                let streams = program.iter_mut().flat_map(|program| program.names_mut());
                let given = handles.iter_mut().chain(shared).chain(listed);
                [child].into_iter().chain(given).chain(streams).collect()
            }
            Self::Put { handle: name, .. }
            | Self::Get { handle: name }
            | Self::GetWithin { handle: name, .. }
            | Self::Close { handle: name, .. }
            | Self::Cut { handle: name, .. }
            | Self::Rest { handle: name }
            | Self::Announce { handle: name, .. }
            | Self::Join { child: name }
            | Self::Kill { child: name }
            | Self::Child { child: name, .. }
            | Self::Signal { child: name, .. }
            | Self::SignalGroup { child: name, .. }
            | Self::Exec { ghost: name } => vec![name],
            Self::Until { task_id } | Self::Cancel { task: task_id } => {
                task_id.names_mut().collect()
            }
            Self::Enter { handles } | Self::Leave { handles, .. } => handles.iter_mut().collect(),
            Self::Exit { .. }
            | Self::Pause { .. }
            | Self::Raise
            | Self::Dispose { .. }
            | Self::Limit { .. }
            | Self::Count { .. } => Vec::new(),
        }
    }

    /// The message that the verb sends, if it sends one.
    pub(super) fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Self::Put { payload, .. } | Self::Cut { payload, .. } => Some(payload),
            _ => None,
        }
    }
}

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Text as JSON.
    Json,
    /// Text as it is, except that encoding `"unencodable"` and decoding `"undecodable"` fail.
    Failing,
}

/// How a handle is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// By the implementation's own close.
    Call,
    /// By dropping the last reference to the handle, without calling close.
    Drop,
    /// By closing its descriptor with the system call, without the knowledge of the implementation.
    Descriptor,
}

/// What is done to a child, or asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildAct {
    /// Terminates it with the implementation's own method, which sends SIGTERM.
    Terminate,
    /// Asks whether it is alive.
    Alive,
    /// Asks for its exit code, without waiting.
    Code,
    /// Blocks the whole process until the child has ended. No task runs during that time, and the child is not reaped.
    Stall,
    /// Waits until nothing is left of the child, not even a zombie. Other tasks run during that time.
    Reaped,
    /// Reaps the child with the system call, without the knowledge of the implementation.
    Reap,
    /// Drops the implementation's object for the child. The child keeps running.
    Drop,
}

/// The position at which a frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAt {
    /// After this many bytes, header included.
    Bytes(u64),
    /// This many bytes after the header.
    Header(u64),
    /// This many bytes before the end of the frame.
    End(u64),
}

/// The effect of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The signal is counted.
    Trap,
    /// The signal has no effect.
    Ignore,
    /// The signal stays pending.
    Block,
}

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The live handles of the implementation: two for a pipe.
    Handles,
    /// The signals that were trapped.
    Trapped,
}
