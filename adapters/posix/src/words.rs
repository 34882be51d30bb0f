//! The words of the protocol: what outcomes look like, and what payloads are made of.
//! Does nothing: every function here makes a value from values.

use nix::errno::Errno;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What came of a step, as the harness wants to hear it.
pub(crate) type Outcome = Value;

/// Noise repeats a block of this length.
const NOISE_BLOCK: usize = 65_521;
/// The longest message that is told as text too.
const SHORT: usize = 64;

/// An outcome of one word.
pub(crate) fn is(word: &str) -> Outcome {
    json!({ "is": word })
}

pub(crate) fn number(n: usize) -> Outcome {
    json!({ "is": "number", "n": n })
}

/// What the system said, where the protocol has no better word.
pub(crate) fn system(error: Errno) -> Outcome {
    json!({ "is": "os", "name": format!("{error:?}") })
}

/// As [`system`], for errors that come by way of the standard library.
pub(crate) fn system_io(error: &std::io::Error) -> Outcome {
    error.raw_os_error().map_or_else(|| is("other"), |code| system(Errno::from_raw(code)))
}

pub(crate) fn exit(code: i32) -> Outcome {
    json!({ "is": "exit", "code": code })
}

pub(crate) fn signal(name: &str) -> Outcome {
    json!({ "is": "signal", "name": name })
}

/// A message that arrived: its length, its digest, and itself if it is short and text.
pub(crate) fn message(bytes: &[u8]) -> Outcome {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut said = json!({ "is": "message", "len": bytes.len(), "sha256": digest });
    if bytes.len() <= SHORT {
        if let Ok(text) = std::str::from_utf8(bytes) {
            said["text"] = text.into();
        }
    }
    said
}

/// A message to be sent, as it was ordered; its bytes are made when they are needed.
pub(crate) enum Payload {
    Text(String),
    Noise { seed: String, length: u64 },
}

impl Payload {
    pub(crate) fn parse(words: &Value) -> Option<Self> {
        if let Some(text) = words["text"].as_str() {
            return Some(Self::Text(text.to_owned()));
        }
        let seed = words["seed"].as_str()?.to_owned();
        Some(Self::Noise { seed, length: words["len"].as_u64()? })
    }

    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Noise { length, .. } => *length,
        }
    }

    /// Appends its bytes.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Text(text) => into.extend_from_slice(text.as_bytes()),
            Self::Noise { seed, length } => noise(seed, *length as usize, into),
        }
    }
}

/// Appends so many bytes that tell their seed: digests of `seed:0`, `seed:1`, … cut to a block that is repeated.
fn noise(seed: &str, length: usize, into: &mut Vec<u8>) {
    let mut block = Vec::with_capacity(NOISE_BLOCK + 32);
    let mut n = 0;
    while block.len() < length.min(NOISE_BLOCK) {
        block.extend_from_slice(&Sha256::digest(format!("{seed}:{n}")));
        n += 1;
    }
    block.truncate(NOISE_BLOCK);
    let mut left = length;
    while left > 0 {
        let part = left.min(block.len());
        into.extend_from_slice(&block[..part]);
        left -= part;
    }
}
