#![doc = include_str!("../README.md")]

// Where things are: `pipe`, `reader` and `writer` (below them `messages`, `frame`: bytes on the wire, `codec` and `bounded`: values, `end`: whose turn it is,
// `outlet`: the turn of a put, `growth`: its large pipes, `channel`: the descriptor), `duplex`, `command` and `process` (below them `arrival` and
// `entry`: how a child begins, `exit`: how it ended, `control` and `report`: the socket to it, `handles` and `handoff`: how handles reach it,
// `stdin`), `platform` (what differs between systems), `error`.

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
mod outlet;
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
pub use messages::Messages;
pub use pipe::{pipe, pipe_of};
pub use process::Process;
pub use reader::Reader;
pub use stdin::Stdin;
pub use writer::Writer;
