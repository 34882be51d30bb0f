//! The messages between harness and agent, protocol version 2: one JSON object per line.
//!
//! Both sides ignore unknown fields. An unknown message is a fault. Sizes and lengths are in bytes.

use crate::command::Command;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of these messages. Version 2 added the profiles `stdio` and `drop`.
pub const PROTOCOL: u32 = 2;
/// The oldest version of which the harness accepts agents.
pub const OLDEST_PROTOCOL: u32 = 1;
/// The longest line that either side may send, in bytes.
pub const MAX_LINE: usize = 64 * 1024;
/// The environment variable that holds the path of the harness's Unix socket.
pub const SOCKET_VARIABLE: &str = "GIPC_HARNESS_SOCKET";
/// The environment variable that holds the token of this run.
pub const TOKEN_VARIABLE: &str = "GIPC_HARNESS_TOKEN";

/// A message from an agent to the harness.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// The first line of every connection.
    Hello(Hello),
    /// A step begins. The agent writes this line before it calls the implementation.
    Begin {
        /// The number of the step.
        id: usize,
        /// The process that writes this line.
        pid: i32,
    },
    /// A step has returned.
    End {
        /// The number of the step.
        id: usize,
        /// The process that writes this line.
        pid: i32,
        /// What the step returned.
        outcome: WireOutcome,
        /// The implementation's own words, for people; the harness never compares them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// After `pipe` and `duplex`: the descriptor of each end (`r`, `near.w`) that has one.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        descriptors: BTreeMap<String, i32>,
    },
    /// The implementation has no such feature. Replaces `end`, with or without a `begin` before.
    Unsupported {
        /// The number of the step.
        id: usize,
        /// Why.
        reason: String,
    },
    /// The answer to `ping`.
    Pong {
        /// The number that the ping carried.
        n: u64,
    },
    /// After `finish`, if the implementation counts its handles: what this process still has.
    Left {
        /// The number of live handles.
        handles: u64,
    },
    /// The agent itself failed, or received a line that it does not understand.
    Fault {
        /// What happened.
        reason: String,
    },
}

/// The first message of an agent: which process it is, and what it can do.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hello {
    /// The protocol version that the agent speaks.
    pub protocol: u32,
    /// The token from the environment.
    pub token: String,
    /// The name of this process in the scenario.
    pub role: String,
    /// The process id.
    pub pid: i32,
    /// The implementation under test.
    pub implementation: ImplementationId,
    /// The profiles that the agent supports: `core`, `tasks`, …
    pub profiles: Vec<String>,
    /// Which thread answers on this connection.
    pub control: ControlChannel,
}

/// The name and the version of an implementation.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImplementationId {
    /// For example `gipc`.
    pub name: String,
    /// For example `1.8.0`.
    pub version: String,
}

/// Which thread of the agent answers the harness, and so what a pong proves.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ControlChannel {
    /// The event loop that runs the implementation. A pong proves that this loop turns.
    Loop,
    /// A separate thread. A pong proves nothing about the implementation.
    Thread,
}

/// What a step returned, as an agent reports it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum WireOutcome {
    /// The call succeeded.
    Ok,
    /// A message arrived.
    Message {
        /// Its length.
        len: u64,
        /// Its SHA-256 digest in lower-case hexadecimal.
        sha256: String,
        /// The message itself, if it is at most 64 bytes of UTF-8.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The child exited with this code.
    Exit {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended the child.
    Signal {
        /// For example `SIGKILL`.
        name: String,
    },
    /// An error of the operating system that no other variant names.
    Os {
        /// For example `EMFILE`.
        name: String,
    },
    /// End of file between two messages.
    Eof,
    /// End of file inside a message.
    Truncated,
    /// The handle is closed, or moved to another process.
    Closed,
    /// Another task is using the handle.
    Locked,
    /// The reading end of the pipe is closed everywhere.
    Broken,
    /// The time limit passed.
    Timeout,
    /// The step was cancelled.
    Cancelled,
    /// A cancelled put left half a message in the pipe, so nothing more can be sent.
    Poisoned,
    /// The implementation refused the call as a wrong use.
    Misuse,
    /// The implementation refused the message as too long.
    TooLarge,
    /// The bytes in the pipe are not a message.
    Protocol,
    /// The codec cannot encode the value.
    Encode,
    /// The codec cannot decode the bytes.
    Decode,
    /// The entry of the child failed (a panic, an exception).
    Raised,
    /// True.
    Yes,
    /// False.
    No,
    /// A count.
    Number {
        /// The count.
        n: u64,
    },
    /// The child has not ended.
    Running,
    /// Something else; `detail` says what.
    Other,
}

/// A message from the harness to an agent.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToAgent {
    /// The harness accepted the hello.
    Welcome {
        /// The protocol version of this connection.
        protocol: u32,
    },
    /// The harness did not accept the hello, and closes the connection.
    Reject {
        /// Why.
        reason: String,
    },
    /// Perform this command. Steps of one task run one after the other; steps of different tasks run concurrently.
    Step {
        /// The number of the step; the answers carry it.
        id: usize,
        /// The task; without it, the main line of the process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// What to do.
        #[serde(rename = "do")]
        command: Command,
        /// The time limit of the call, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
    },
    /// Answer with `pong` and the same number.
    Ping {
        /// The number.
        n: u64,
    },
    /// The script of this process is done: return from its entry, and let the implementation close what is open.
    Finish,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::WirePayload;

    #[test]
    fn a_step_is_one_line_of_json() {
        let command = Command::Put {
            handle: "w".into(),
            payload: WirePayload::Noise { seed: "main#1".into(), len: 9 },
        };
        let step = ToAgent::Step { id: 3, task: None, command, within_ms: None };
        let line = r#"{"type":"step","id":3,"do":{"verb":"put","handle":"w","payload":{"seed":"main#1","len":9}}}"#;
        assert_eq!(serde_json::to_string(&step).unwrap(), line);
        assert_eq!(serde_json::from_str::<ToAgent>(line).unwrap(), step);
    }

    #[test]
    fn an_end_with_fields_of_older_agents_is_still_understood() {
        let line =
            r#"{"type":"end","id":1,"pid":2,"outcome":{"is":"ok"},"effect":"all","child":7}"#;
        let end = FromAgent::End {
            id: 1,
            pid: 2,
            outcome: WireOutcome::Ok,
            detail: None,
            descriptors: BTreeMap::new(),
        };
        assert_eq!(serde_json::from_str::<FromAgent>(line).unwrap(), end);
    }

    #[test]
    fn the_verb_that_no_implementation_has_survives_a_record() {
        let step =
            ToAgent::Step { id: 0, task: None, command: Command::UnknownVerb, within_ms: None };
        let line = serde_json::to_string(&step).unwrap();
        assert!(line.contains("no-such-verb"), "{line}");
        assert_eq!(serde_json::from_str::<ToAgent>(&line).unwrap(), step);
    }
}
