//! The agent's side of the gipc-harness protocol: what an adapter for a Rust implementation is made of.
//!
//! An agent is the program that the harness starts in every process of a scenario. An author implements
//! [`Implementation`] and calls [`serve`] if the library is asynchronous and runs on tokio, or implements
//! [`BlockingImplementation`] and calls [`serve_blocking`] if its calls block. Both functions conduct the whole
//! conversation with the harness, and perform the actions of the operating system that need no library
//! ([`OsActions`]).
//!
//! The harness uses the message types of this crate too, so that both sides agree on the wire format.

mod blocking;
mod command;
mod connection;
mod foreign_line;
mod implementation;
mod line_decoder;
mod os_actions;
mod payload;
#[cfg(feature = "tokio")]
mod pipes;
mod protocol;
#[cfg(feature = "tokio")]
mod session;
mod signals;
#[cfg(feature = "tokio")]
mod streams;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio")]
mod writer;

pub use blocking::{BlockingImplementation, serve_blocking};
pub use command::{Command, FramePosition, WirePayload, WireStream};
pub use connection::Ending;
pub use implementation::{
    Answer, Completed, Failure, Identity, Implementation, Resources, conclude, message_outcome,
    payload_bytes,
};
pub use line_decoder::LineDecoder;
pub use os_actions::OsActions;
pub use payload::{NOISE_BLOCK, digest, noise, noise_digest};
#[cfg(feature = "tokio")]
pub use pipes::{Pipes, serve_pipes};
pub use protocol::{
    ControlChannel, FromAgent, Hello, ImplementationId, MAX_LINE, OLDEST_PROTOCOL, PROTOCOL,
    SOCKET_VARIABLE, TOKEN_VARIABLE, ToAgent, WireOutcome,
};
#[cfg(feature = "tokio")]
pub use session::serve;
#[cfg(feature = "tokio")]
pub use streams::{GivenEnds, Stream, Streams};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
