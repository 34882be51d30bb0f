#![doc = include_str!("../README.md")]

// Where things are: `pipe`, `reader`, `writer` and `duplex`. They use `messages`, `codec` and `bounded` (values), `frame`
// (bytes on the wire), `writer_state` (the turn of a put), `growth` (its large pipes), `end` (whose turn it is) and `channel` (the
// descriptor). `command`, `process` and `exit` use `entry` and `arrival` (how a child begins), `handles`, `handoff` and
// `stdin` (what it is given), `control` and `report` (the socket to it). All use `error`, and `platform`: what differs
// between systems.

#[cfg(not(unix))]
compile_error!("gipc-core moves file descriptors between processes: it is for Unix systems only");

mod arrival;
mod bounded;
mod channel;
mod codec;
mod command;
mod control;
mod duplex;
mod end;
mod entry;
mod error;
mod exit;
mod frame;
mod growth;
mod handles;
mod handoff;
mod messages;
mod writer_state;
mod pipe;
mod platform;
mod process;
mod reader;
mod report;
mod stdin;
mod writer;

pub use codec::{Codec, CodecError, Message, Postcard, Raw};
pub use command::Command;
pub use duplex::{Duplex, duplex, duplex_of};
pub use entry::{Entry, Listed, Parent, Start, init, init_before_main};
pub use error::Error;
pub use exit::{Exit, ExitError};
pub use frame::MAX_MESSAGE;
#[doc(hidden)]
pub use handles::Bundle;
pub use handles::{Handle, Handles};
pub use messages::{MessageSink, Messages};
pub use pipe::{pipe, pipe_of};
pub use process::Process;
pub use reader::Reader;
pub use stdin::Stdin;
pub use writer::Writer;
