//! The crate on one page: what it is, and where to find it.
//!
//! `pipe` (and below it `frame`, bytes; `codec`, values; `end`, who may use it now; `outlet`, a put under way; `channel`,
//! the descriptor), `duplex`, `command` and `process` (and below them
//! `entry`, where a child begins; `handoff`, how handles reach it), `platform` (what differs between systems), `error`.
//!
#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("gipc-core moves file descriptors between processes: it is for Unix systems only");

mod channel;
mod codec;
mod command;
mod duplex;
mod end;
mod entry;
mod error;
mod frame;
mod handoff;
mod messages;
mod outlet;
mod pipe;
mod platform;
mod process;

pub use codec::{Codec, CodecError, Postcard, Raw};
pub use command::Command;
pub use duplex::{Duplex, duplex};
pub use end::live_handles;
pub use entry::{Entry, Listed, Parent, Start, init, init_before_main};
pub use error::Error;
pub use frame::MAX_MESSAGE;
pub use handoff::Handle;
pub use messages::Messages;
pub use pipe::{Reader, Writer, pipe};
pub use process::{Exit, Process};
