//! What an agent is told to do, and what messages are made of on this wire.
//!
//! Data only. The messages that carry orders are `protocol`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What an agent is told to do: the verbs of the language.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Command {
    /// Make a pipe; keep its ends under these names.
    Pipe {
        /// The end that gets.
        reader: String,
        /// The end that puts.
        writer: String,
        /// `json`: text as JSON. `failing`: text as it is, but `unencodable` has no bytes, and the bytes of
        /// `undecodable` are no value. None: bytes as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        codec: Option<String>,
    },
    /// Make a duplex pair. Its halves are called `NAME.r` and `NAME.w`.
    Duplex {
        /// One handle.
        near: String,
        /// The other.
        far: String,
    },
    /// Start a process that runs this agent under the name `child`, and move the handles to it.
    Spawn {
        /// The role.
        child: String,
        /// What it is given; it keeps them under the same names.
        handles: Vec<String>,
        /// What is put into a list, and that into the arguments: it is not given.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        listed: Vec<String>,
    },
    /// Send one message.
    Put {
        /// Through this.
        handle: String,
        /// This.
        payload: WirePayload,
    },
    /// Receive one message.
    Get {
        /// From this.
        handle: String,
    },
    /// Close a handle.
    Close {
        /// This.
        handle: String,
    },
    /// Wait for a child.
    Join {
        /// Its role.
        child: String,
    },
    /// The library's own kill.
    Kill {
        /// Its role.
        child: String,
    },
    /// End this process with this code, now. There is a begin and no end.
    Exit {
        /// 0 to 255.
        code: i32,
    },
    /// Cancel the step that this task is in; its end says `cancelled`.
    Cancel {
        /// The task of this process.
        task: String,
    },
    /// Wait.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
    /// The library's own terminate.
    Terminate {
        /// Its role.
        child: String,
    },
    /// Whether a child is alive: `yes` or `no`.
    Alive {
        /// Its role.
        child: String,
    },
    /// The exit code of a child as far as it is known, without waiting: `running`, or what `join` would say.
    Code {
        /// Its role.
        child: String,
    },
    /// Wait until the child has ended, without reaping it, and with the whole process: the loop must not turn.
    Stall {
        /// Its role.
        child: String,
    },
    /// Wait until the system knows the child's number no longer; the loop must turn.
    Reaped {
        /// Its role.
        child: String,
    },
    /// Reap a child with the system's own call, without the library; or end and reap a program that `exec` started.
    Reap {
        /// Its role, or the name of the program.
        child: String,
    },
    /// Let the entry of this process fail: a panic, an exception. There is a begin and no end.
    Raise,
    /// Start a program without the library: `sh -c 'read x; exit 7'`, with a pipe of this process as its stdin.
    Exec {
        /// Its name.
        ghost: String,
    },
    /// Write the first bytes of a frame to the descriptor, framed as the library does.
    Cut {
        /// Through this.
        handle: String,
        /// The message.
        payload: WirePayload,
        /// Where to stop.
        at: FramePosition,
    },
    /// Write what a cut left out.
    Rest {
        /// Through this.
        handle: String,
    },
    /// Write the header of a message of this length.
    Announce {
        /// Through this.
        handle: String,
        /// The length, which may be one that the library never sends.
        size: u64,
    },
    /// Count this signal from now on.
    Trap {
        /// `SIGUSR1`.
        signal: String,
    },
    /// Ignore this signal from now on.
    Ignore {
        /// `SIGUSR1`.
        signal: String,
    },
    /// Block this signal from now on.
    Block {
        /// `SIGUSR1`.
        signal: String,
    },
    /// Send a signal to a child with the system's own call.
    Signal {
        /// Its role.
        child: String,
        /// `SIGUSR1`.
        signal: String,
    },
    /// Limit the descriptors of this process, so that so many can be opened; or lift the limit.
    Limit {
        /// How many; all, if there is no number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free: Option<u64>,
    },
    /// Count `handles` (the library's live handles here) or `trapped` signals.
    Count {
        /// What.
        what: String,
    },
    /// Enter the scope of these handles.
    Enter {
        /// All of them.
        handles: Vec<String>,
    },
    /// Leave it, which closes them.
    Leave {
        /// All of them.
        handles: Vec<String>,
        /// By an error.
        #[serde(default)]
        raising: bool,
    },
    /// Send a handle as a message.
    Pass {
        /// Through this.
        handle: String,
        /// This.
        passed: String,
    },
    /// What no implementation has: an agent that is asked must refuse. No agent reads it as anything.
    #[serde(rename = "no-such-verb", skip_deserializing)]
    UnknownVerb,
}

/// A place in a frame: so many bytes behind one of its marks, or before its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FramePosition {
    /// From its first byte.
    Bytes(u64),
    /// From the end of the header.
    Header(u64),
    /// Back from its end.
    End(u64),
}

/// A message as it travels on this wire: never the bytes of a large one.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(untagged)]
pub enum WirePayload {
    /// The message is this text in UTF-8.
    Text {
        /// The text.
        text: String,
    },
    /// The message is `noise(seed, len)`.
    Noise {
        /// Who puts it and which in turn: `child#1`.
        seed: String,
        /// Its length.
        len: u64,
    },
}

/// The length of the block that noise repeats: a prime, so that no chunk of a power of two looks like another.
pub const NOISE_BLOCK: usize = 65_521;

/// `len` bytes that tell their seed: the digests SHA-256(`seed:0`), SHA-256(`seed:1`), … one after the other,
/// cut to [`NOISE_BLOCK`] bytes, and that block repeated.
pub fn noise(seed: &str, len: u64) -> Vec<u8> {
    let len = usize::try_from(len).expect("a message fits the address space");
    let mut bytes = Vec::with_capacity(len);
    let mut n = 0_u32;
    while bytes.len() < len.min(NOISE_BLOCK) {
        bytes.extend_from_slice(&Sha256::digest(format!("{seed}:{n}")));
        n += 1;
    }
    bytes.truncate(len.min(NOISE_BLOCK));
    while bytes.len() < len {
        let more = (len - bytes.len()).min(bytes.len() - bytes.len() % NOISE_BLOCK);
        bytes.extend_from_within(..more);
    }
    bytes
}

/// `digest(&noise(seed, len))`, without making the noise.
pub fn noise_digest(seed: &str, len: u64) -> String {
    let block = noise(seed, len.min(NOISE_BLOCK as u64));
    let mut hash = Sha256::new();
    let mut left = len;
    while left > 0 {
        let part = left.min(block.len() as u64);
        hash.update(&block[..part as usize]);
        left -= part;
    }
    hexadecimal(&hash.finalize())
}

/// The digest of a message, in lower-case hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_one_block_repeated_and_cut() {
        let long = noise("child#1", 200_000);
        assert_eq!(long.len(), 200_000);
        assert_eq!(long[..NOISE_BLOCK], noise("child#1", NOISE_BLOCK as u64)[..]);
        assert!(long.iter().enumerate().all(|(i, byte)| *byte == long[i % NOISE_BLOCK]));
        assert_ne!(noise("child#2", 16), noise("child#1", 16));
        assert!(noise("x", 0).is_empty());
        assert_eq!(noise_digest("child#1", 200_000), digest(&long));
        assert_eq!(noise_digest("x", 0), digest(b""));
    }
}
