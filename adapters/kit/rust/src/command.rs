//! The commands that the harness sends: the verbs of the scenario language, and what comes with them.

use serde::{Deserialize, Serialize};

/// What an agent is told to do.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Command {
    /// Make a pipe, and keep its ends under these names.
    Pipe {
        /// The name of the reading end.
        reader: String,
        /// The name of the writing end.
        writer: String,
        /// `json`: text encoded as JSON. `failing`: text as it is, but `unencodable` cannot be encoded and
        /// `undecodable` cannot be decoded. Without it: bytes as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        codec: Option<String>,
    },
    /// Make a duplex pair. The halves of a handle are called `NAME.r` and `NAME.w`.
    Duplex {
        /// The name of one handle.
        near: String,
        /// The name of the other.
        far: String,
    },
    /// Start a process that runs this agent under the role `child`, and give the handles to it.
    Spawn {
        /// The role.
        child: String,
        /// The handles that the child gets; it keeps them under the same names. Those that are not shared move.
        handles: Vec<String>,
        /// Those of `handles` that this process keeps as well.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shared: Vec<String>,
        /// Handles inside a list in the arguments, which are not given.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        listed: Vec<String>,
        /// Whether it is the first of a new process group, instead of one of the group of this process.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_group: bool,
        /// Whether the start is called from a new thread of the system, in which no event loop or runtime runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_thread: bool,
    },
    /// Start a program through the implementation's own interface for programs.
    Run {
        /// The role.
        child: String,
        /// The program, which is a path, and its arguments.
        argv: Vec<String>,
        /// Standard input. Without it: as the implementation does by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdin: Option<WireStream>,
        /// Standard output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdout: Option<WireStream>,
        /// Standard error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stderr: Option<WireStream>,
        /// Whether it is the first of a new process group, instead of one of the group of this process.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_group: bool,
    },
    /// Drop the implementation's object for a child, without waiting for the child or ending it.
    Drop {
        /// The role of the child.
        child: String,
    },
    /// Send one message.
    Put {
        /// The handle to send through.
        handle: String,
        /// The message.
        payload: WirePayload,
    },
    /// Receive one message.
    Get {
        /// The handle to receive from.
        handle: String,
    },
    /// Receive with this text as the time limit, which the implementation must refuse.
    GetWithin {
        /// The handle to receive from.
        handle: String,
        /// The text.
        limit: String,
    },
    /// Close a handle.
    Close {
        /// The handle.
        handle: String,
    },
    /// Drop the last reference to a handle, without a call of the implementation, and run the garbage collector if the
    /// language has one. No later command names the handle.
    DropHandle {
        /// The handle.
        handle: String,
    },
    /// Close the descriptor of a handle with the system call, unseen by the implementation.
    CloseDescriptor {
        /// The handle, an end of a pipe.
        handle: String,
    },
    /// Wait until a child has ended.
    Join {
        /// The role of the child.
        child: String,
    },
    /// Call the implementation's own kill.
    Kill {
        /// The role of the child.
        child: String,
    },
    /// End this process at once. The step has a begin and no end.
    Exit {
        /// 0 to 255.
        code: i32,
    },
    /// Cancel the step that a task is in. The cancelled step ends with `cancelled`.
    Cancel {
        /// A task of this process.
        task: String,
    },
    /// Sleep.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
    /// Call the implementation's own terminate.
    Terminate {
        /// The role of the child.
        child: String,
    },
    /// Ask whether a child is alive: `yes` or `no`.
    Alive {
        /// The role of the child.
        child: String,
    },
    /// Ask for the exit code of a child without waiting: `running`, or what `join` would return.
    Code {
        /// The role of the child.
        child: String,
    },
    /// Block the whole process until the child has ended, without reaping it. The event loop must not turn.
    Stall {
        /// The role of the child.
        child: String,
    },
    /// Wait until the pid of the child no longer exists. The event loop must turn.
    Reaped {
        /// The role of the child.
        child: String,
    },
    /// Reap a child with the system's own call; or end and reap a program that `exec` started.
    Reap {
        /// The role of the child, or the name of the program.
        child: String,
    },
    /// Let the entry of this process fail (a panic, an exception). The step has a begin and no end.
    Raise,
    /// Start `sh -c 'read x; exit 7'` without the implementation, with a pipe of this process as its stdin.
    Exec {
        /// A name for the program.
        ghost: String,
    },
    /// Write the first bytes of a frame to the descriptor, framed as the implementation does.
    Cut {
        /// The handle to write to.
        handle: String,
        /// The message in the frame.
        payload: WirePayload,
        /// Where the written part ends.
        at: FramePosition,
    },
    /// Write what a cut left out.
    Rest {
        /// The handle to write to.
        handle: String,
    },
    /// Write the header of a message of this length, and nothing else.
    Announce {
        /// The handle to write to.
        handle: String,
        /// The length in bytes, which may be one that the implementation never sends.
        size: u64,
    },
    /// Count this signal from now on.
    Trap {
        /// For example `SIGUSR1`.
        signal: String,
    },
    /// Ignore this signal from now on.
    Ignore {
        /// For example `SIGUSR1`.
        signal: String,
    },
    /// Block this signal from now on.
    Block {
        /// For example `SIGUSR1`.
        signal: String,
    },
    /// Send a signal to a child with the system's own call.
    Signal {
        /// The role of the child.
        child: String,
        /// For example `SIGUSR1`.
        signal: String,
    },
    /// Send a signal to the process group of a child with the system's own call.
    SignalGroup {
        /// The role of the child, which is the first process of its group.
        child: String,
        /// For example `SIGTERM`.
        signal: String,
    },
    /// Limit the descriptors of this process, or lift the limit.
    Limit {
        /// How many more descriptors can be opened; without it, the original limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free: Option<u64>,
    },
    /// Count `handles` (the live handles of the implementation in this process) or `trapped` signals.
    Count {
        /// `handles` or `trapped`.
        what: String,
    },
    /// Enter a scope that closes these handles at its end.
    Enter {
        /// All handles of the scope.
        handles: Vec<String>,
    },
    /// Leave the scope.
    Leave {
        /// All handles of the scope.
        handles: Vec<String>,
        /// Whether an error leaves the scope.
        #[serde(default)]
        raising: bool,
    },
    /// Send a handle as a message.
    Pass {
        /// The handle to send through.
        handle: String,
        /// The handle that is sent.
        passed: String,
    },
    /// A verb that no implementation has, which the harness sends to see that an agent refuses it. The sessions of this
    /// crate do; the schema does not list it.
    #[serde(rename = "no-such-verb")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    UnknownVerb,
}

impl Command {
    /// The profile that an agent must declare to be asked for this command.
    #[must_use]
    pub fn profile(&self) -> &'static str {
        match self {
            Self::Pipe { codec: Some(_), .. } => "codec",
            Self::Spawn { from_thread: true, .. } => "threads",
            Self::Spawn { listed, .. } if !listed.is_empty() => "oddities",
            Self::Spawn { shared, .. } if !shared.is_empty() => "share",
            Self::Spawn { in_group: true, .. }
            | Self::Run { in_group: true, .. }
            | Self::SignalGroup { .. } => "groups",
            Self::Pipe { .. }
            | Self::Duplex { .. }
            | Self::Spawn { .. }
            | Self::Put { .. }
            | Self::Get { .. }
            | Self::Close { .. }
            | Self::Join { .. }
            | Self::Kill { .. }
            | Self::Exit { .. } => "core",
            Self::UnknownVerb => "none",
            Self::Cancel { .. } | Self::Pause { .. } => "tasks",
            Self::Terminate { .. }
            | Self::Alive { .. }
            | Self::Code { .. }
            | Self::Stall { .. }
            | Self::Reaped { .. }
            | Self::Reap { .. }
            | Self::Raise
            | Self::Exec { .. } => "process",
            Self::Cut { .. } | Self::Rest { .. } | Self::Announce { .. } => "frames",
            Self::Trap { .. } | Self::Ignore { .. } | Self::Block { .. } | Self::Signal { .. } => {
                "signals"
            }
            Self::Count { what } if what == "trapped" => "signals",
            Self::Count { .. } => "counts",
            Self::Limit { .. } => "limits",
            Self::Enter { .. } | Self::Leave { .. } => "scope",
            Self::Pass { .. } | Self::GetWithin { .. } | Self::CloseDescriptor { .. } => "oddities",
            Self::Run { .. } => "stdio",
            Self::Drop { .. } => "drop",
            Self::DropHandle { .. } => "drop-handle",
        }
    }
}

/// A position in a frame, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FramePosition {
    /// This many bytes after the start of the frame.
    Bytes(u64),
    /// This many bytes after the end of the header.
    Header(u64),
    /// This many bytes before the end of the frame.
    End(u64),
}

impl FramePosition {
    /// The offset from the start of a frame with these lengths, never behind its end.
    #[must_use]
    pub fn offset(self, header_len: usize, frame_len: usize) -> usize {
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        match self {
            Self::Bytes(count) => bytes(count),
            Self::Header(count) => header_len.saturating_add(bytes(count)),
            Self::End(count) => frame_len.saturating_sub(bytes(count)),
        }
        .min(frame_len)
    }
}

/// A standard stream of a program that is started.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WireStream {
    /// A new pipe, whose other end this process keeps under this name. Messages in it have a header of four bytes, the
    /// length with the most significant byte first, whatever the implementation writes into its own pipes.
    Pipe(String),
    /// This handle, an end of such a pipe. It moves to the program.
    Given(String),
}

/// A message as commands carry it: a short text, or the recipe of a long message.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum WirePayload {
    /// The message is this text in UTF-8.
    Text {
        /// The text.
        text: String,
    },
    /// The message is `noise(seed, len)`.
    Noise {
        /// Which process puts it, and its number there: `child#1`.
        seed: String,
        /// The length in bytes.
        len: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_position_is_inside_the_frame() {
        assert_eq!(FramePosition::Bytes(2).offset(4, 10), 2);
        assert_eq!(FramePosition::Header(1).offset(4, 10), 5);
        assert_eq!(FramePosition::End(1).offset(4, 10), 9);
        assert_eq!(FramePosition::Bytes(u64::MAX).offset(4, 10), 10);
        assert_eq!(FramePosition::Header(u64::MAX).offset(4, 10), 10);
        assert_eq!(FramePosition::End(u64::MAX).offset(4, 10), 0);
    }
}
