//! The lines between harness and agent, protocol 1: one JSON object a line.
//!
//! Data only: nothing here knows a socket, or which answer is right. Unknown fields are ignored,
//! unknown messages are a fault. Sizes and lengths are bytes.

use super::command::Command;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of these messages.
pub const PROTOCOL: u32 = 1;
/// The longest line either side may send.
pub const MAX_LINE: usize = 64 * 1024;
/// The variable that carries the path of the harness's socket.
pub const SOCKET_VARIABLE: &str = "GIPC_HARNESS_SOCKET";
/// The variable that carries the token of this run.
pub const TOKEN_VARIABLE: &str = "GIPC_HARNESS_TOKEN";

/// From an agent to the harness.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// The first line of every connection.
    Hello(Hello),
    /// Written before the library is called.
    Begin {
        /// Of the step.
        id: usize,
        /// Of the process that writes this line.
        pid: i32,
    },
    /// Written after the library answered.
    End {
        /// Of the step.
        id: usize,
        /// Of the process that writes this line.
        pid: i32,
        /// What came of it.
        outcome: WireOutcome,
        /// What a failed step left behind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effect: Option<Effect>,
        /// The library's own words; never compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// After `pipe` and `duplex`: the descriptor of each end (`r`, `near.w`), where there is one.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        descriptors: BTreeMap<String, i32>,
        /// After `spawn`: the pid of the child, if the library tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<i32>,
    },
    /// The implementation has no such thing. Ends the step without a begin.
    Unsupported {
        /// Of the step.
        id: usize,
        /// Why.
        reason: String,
    },
    /// The answer to `ping`.
    Pong {
        /// The number that the ping carried.
        n: u64,
    },
    /// After `finish`, by an agent whose library can count: what this process still has.
    Left {
        /// The library's live handles.
        handles: u64,
    },
    /// The agent itself is at fault, or was told something it cannot follow.
    Fault {
        /// What happened.
        reason: String,
    },
}

/// Who an agent is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
pub struct Hello {
    /// The version it speaks.
    pub protocol: u32,
    /// What the environment gave it.
    pub token: String,
    /// The name of its process in the scenario.
    pub role: String,
    /// Its process.
    pub pid: i32,
    /// The library it drives.
    pub implementation: ImplementationId,
    /// What it can do: `core`, `tasks`, …
    pub profiles: Vec<String>,
    /// Whether this connection is served by the library's own event loop.
    pub control: Control,
}

/// A name and a version.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
pub struct ImplementationId {
    /// `gipc`.
    pub name: String,
    /// `1.8.0`.
    pub version: String,
}

/// What a pong proves.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The loop that runs the library turns.
    Loop,
    /// Nothing: a thread of its own answers.
    Thread,
}

/// What a failed step left behind.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// As if it had not been tried.
    None,
    /// As if it had succeeded.
    All,
    /// Nobody can say.
    Unknown,
}

/// The outcome of a step, as an agent says it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum WireOutcome {
    /// It succeeded.
    Ok,
    /// A message arrived.
    Message {
        /// Its length.
        len: u64,
        /// Its digest, in lower-case hexadecimal.
        sha256: String,
        /// The message itself, if it is at most 64 bytes of UTF-8.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A child that ended with this code.
    Exit {
        /// 0 to 255.
        code: i32,
    },
    /// A child that a signal ended.
    Signal {
        /// `SIGKILL`.
        name: String,
    },
    /// An error of the operating system that has no name below.
    Os {
        /// `EMFILE`.
        name: String,
    },
    /// The clean end.
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
    /// It was cancelled.
    Cancelled,
    /// A cancelled put left half a message.
    Poisoned,
    /// Refused as nonsense.
    Misuse,
    /// Refused as too long.
    TooLarge,
    /// The bytes on the pipe are not a message.
    Protocol,
    /// The value has no bytes.
    Encode,
    /// The bytes are no value.
    Decode,
    /// The entry of the child failed.
    Raised,
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// So many.
    Number {
        /// How many.
        n: u64,
    },
    /// The child has not ended.
    Running,
    /// Something else; `detail` says what.
    Other,
}

/// From the harness to an agent.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToAgent {
    /// The hello was right.
    Welcome {
        /// The version that is spoken from now on.
        protocol: u32,
    },
    /// The hello was not right; the harness closes the connection.
    Reject {
        /// Why.
        reason: String,
    },
    /// Do this. Steps of one task come one after the other; steps of different tasks run side by side.
    Step {
        /// Names the step in the answers.
        id: usize,
        /// The task, or none for the process itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// What to do.
        #[serde(rename = "do")]
        order: Command,
        /// The time limit of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
    },
    /// Answer with `pong` and the same number.
    Ping {
        /// The number.
        n: u64,
    },
    /// The script of this process is done: return from it, and let the library close what is open.
    Finish,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::command::WirePayload;

    #[test]
    fn a_step_is_one_line_of_json() {
        let order = Command::Put {
            handle: "w".into(),
            payload: WirePayload::Noise { seed: "main#1".into(), len: 9 },
        };
        let step = ToAgent::Step { id: 3, task: None, order, within_ms: None };
        let line = r#"{"type":"step","id":3,"do":{"verb":"put","handle":"w","payload":{"seed":"main#1","len":9}}}"#;
        assert_eq!(serde_json::to_string(&step).unwrap(), line);
        assert_eq!(serde_json::from_str::<ToAgent>(line).unwrap(), step);
    }
}
