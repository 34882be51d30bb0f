//! Values of the protocol: the JSON of outcomes, and the payloads that the harness describes.
//! This file has no side effects: every function here computes a value from values.

use nix::errno::Errno;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The outcome of a step, as the protocol spells it.
pub(crate) type Outcome = Value;

/// A generated payload repeats a block of this many bytes.
const NOISE_BLOCK: usize = 65_521;
/// Received messages of at most this many bytes are also reported as text.
const MAX_TEXT: usize = 64;

/// An outcome without further fields, such as `ok` or `eof`.
pub(crate) fn is(word: &str) -> Outcome {
    json!({ "is": word })
}

pub(crate) fn number(n: usize) -> Outcome {
    json!({ "is": "number", "n": n })
}

/// An errno for which the protocol has no outcome of its own.
pub(crate) fn os_error(error: Errno) -> Outcome {
    json!({ "is": "os", "name": format!("{error:?}") })
}

/// As [`os_error`], for errors that the standard library has wrapped.
pub(crate) fn io_error(error: &std::io::Error) -> Outcome {
    error.raw_os_error().map_or_else(|| is("other"), |code| os_error(Errno::from_raw(code)))
}

pub(crate) fn exit(code: i32) -> Outcome {
    json!({ "is": "exit", "code": code })
}

pub(crate) fn signal(name: &str) -> Outcome {
    json!({ "is": "signal", "name": name })
}

/// A received message: its length and digest, and its text if it is short and valid UTF-8.
pub(crate) fn message(bytes: &[u8]) -> Outcome {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut outcome = json!({ "is": "message", "len": bytes.len(), "sha256": digest });
    if bytes.len() <= MAX_TEXT {
        if let Ok(text) = std::str::from_utf8(bytes) {
            outcome["text"] = text.into();
        }
    }
    outcome
}

/// The description of a message to send. Its bytes are generated when they are needed.
pub(crate) enum Payload {
    Text(String),
    Noise { seed: String, length: u64 },
}

impl Payload {
    pub(crate) fn parse(json: &Value) -> Option<Self> {
        if let Some(text) = json["text"].as_str() {
            return Some(Self::Text(text.to_owned()));
        }
        let seed = json["seed"].as_str()?.to_owned();
        Some(Self::Noise { seed, length: json["len"].as_u64()? })
    }

    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Noise { length, .. } => *length,
        }
    }

    /// Appends the bytes of the payload to `buffer`.
    pub(crate) fn append_to(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Text(text) => buffer.extend_from_slice(text.as_bytes()),
            Self::Noise { seed, length } => append_noise(seed, *length as usize, buffer),
        }
    }
}

/// Appends `length` bytes derived from the seed: the SHA-256 digests of `seed:0`, `seed:1`, … are concatenated and cut
/// to one block, and that block is repeated.
fn append_noise(seed: &str, length: usize, buffer: &mut Vec<u8>) {
    let mut block = Vec::with_capacity(NOISE_BLOCK + 32);
    let mut n = 0;
    while block.len() < length.min(NOISE_BLOCK) {
        block.extend_from_slice(&Sha256::digest(format!("{seed}:{n}")));
        n += 1;
    }
    block.truncate(NOISE_BLOCK);
    let mut remaining = length;
    while remaining > 0 {
        let part = remaining.min(block.len());
        buffer.extend_from_slice(&block[..part]);
        remaining -= part;
    }
}
