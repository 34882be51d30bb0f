//! The choices of an implementation where the specification allows several behaviours, as declared in its manifest.

use schemars::JsonSchema;
use serde::Deserialize;

/// The choices of an implementation where the specification allows several behaviours. Every choice may be left out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeclaredChoices {
    /// Whether a new child temporarily holds handles that it was not given. Random scenarios are executed
    /// concurrently only for `atomic`. If left out, nothing is assumed.
    pub spawn: Option<Spawn>,
    /// What happens after a put was cancelled in the middle of its message. A scenario that is written for the other
    /// choice is skipped. If left out, `complete` is assumed.
    pub after_cancel: Option<AfterCancel>,
    /// What happens if the time limit of a get passes after a part of the message has arrived. If left out: `resumes`.
    pub late_get: Option<LateGet>,
    /// The length of the longest message that the implementation sends, in bytes. If left out: 2147483647. A scenario
    /// that expects another limit is skipped.
    pub max_message: Option<u64>,
    /// The number of free descriptors without which a process cannot be started. If left out: 2. An implementation that
    /// only forks needs 0. A scenario that expects another number is skipped.
    pub start_needs: Option<u64>,
    /// What becomes of the children of a process that ends by itself without having joined them. A scenario that is
    /// written for another choice is skipped. If left out: `left`.
    pub unjoined: Option<Unjoined>,
    /// Whether a start that is called from a thread without an event loop works. If left out: `works`.
    pub from_thread: Option<FromThread>,
}

/// What happens if a start is called from a thread without an event loop.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FromThread {
    /// It works like any other.
    Works,
    /// It is refused before a process exists.
    Refused,
}

/// What becomes of children that their parent has not joined when it ends by itself.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unjoined {
    /// They continue.
    Left,
    /// They are killed when their parent returns. They continue if it exits.
    Killed,
    /// Their parent ends only after they have ended, whether it returns or exits.
    Joined,
    /// Their parent returns only after they have ended. They continue if it exits.
    JoinedOnReturn,
}

/// How handles reach a child.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spawn {
    /// The child never holds a handle that it was not given.
    Atomic,
    /// The child starts as a copy of its parent, and then closes the handles that it was not given.
    Forked,
}

/// What follows a put that was cancelled in the middle of its message.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCancel {
    /// The rest of the message is written, and the handle stays usable.
    Complete,
    /// Nothing is written any more: every later put to the handle fails.
    Poison,
}

/// What a get with a time limit does once a part of the message has arrived.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateGet {
    /// The get waits for the rest of the message, even after its time limit.
    Waits,
    /// The get returns `timeout`, and the next get continues with the same message.
    Resumes,
}
