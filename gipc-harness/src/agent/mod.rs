//! The other side of the protocol: what the adapter of a Rust implementation is made of.
//!
//! An adapter is a type that does orders ([`Implementation`]) and a main that calls [`serve`]. What the orders mean to the
//! harness, and which answers are right, is not known here.

mod session;
pub mod gipc_core;
mod os_actions;
#[cfg(test)]
mod tests;
mod writer;

pub use session::serve;

use crate::adapter::command::{Command, WirePayload, digest, noise};
use crate::adapter::protocol::{Control, Effect, ImplementationId, WireOutcome};
use std::collections::BTreeMap;
use std::future::Future;

/// An implementation, as one process of a scenario uses it.
pub trait Implementation: 'static {
    /// Does one order and says what came of it.
    ///
    /// Orders of different tasks are done side by side on one thread. Dropping the future cancels the order, as a
    /// time limit does. `exit`, `raise`, `cancel` and `pause` never arrive here.
    fn perform(&self, order: Command) -> impl Future<Output = Answer>;

    /// How many live handles the library has in this process, if it can say. Asked when the script is done.
    fn left(&self) -> Option<u64> {
        None
    }
}

/// What came of an order, or that the implementation has no such thing.
pub type Answer = Result<Done, Unsupported>;

/// An order was carried out, well or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The outcome.
    pub said: WireOutcome,
    /// What a failed one left behind.
    pub effect: Option<Effect>,
    /// The library's own words.
    pub detail: Option<String>,
    /// After `pipe` and `duplex`: the descriptor of each end.
    pub descriptors: BTreeMap<String, i32>,
    /// After `spawn`: the child's pid.
    pub child: Option<i32>,
}

impl From<WireOutcome> for Done {
    fn from(said: WireOutcome) -> Self {
        Self { said, effect: None, detail: None, descriptors: BTreeMap::new(), child: None }
    }
}

/// Why an order cannot be asked of this implementation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported(pub String);

/// Who an agent says it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The library and its version.
    pub implementation: ImplementationId,
    /// What it can do.
    pub profiles: Vec<String>,
    /// Whether the library runs on the thread that serves the conversation.
    pub control: Control,
}

/// Why a conversation ended. The process should then return or fail, so that the library closes what is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The script of this process is done.
    Finished,
    /// The harness is gone, or does not want this process.
    Gone,
    /// The entry is to fail, as its language has it.
    Raised,
}

/// The bytes of a message that is to be put.
#[must_use]
pub fn bytes(content: &WirePayload) -> Vec<u8> {
    match content {
        WirePayload::Text { text } => text.clone().into_bytes(),
        WirePayload::Noise { seed, len } => noise(seed, *len),
    }
}

/// What to say of a message that was got.
#[must_use]
pub fn message(bytes: &[u8]) -> WireOutcome {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 64).map(str::to_owned);
    WireOutcome::Message { len: bytes.len() as u64, sha256: digest(bytes), text }
}
