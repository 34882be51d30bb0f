//! Cooperative child processes, and pipes that carry messages, on tokio.
//!
//! ```no_run
//! use gipc_core::{Command, Handle, Start};
//!
//! async fn child(start: Start) -> i32 {
//!     let [Handle::Writer(w)] = &start.handles[..] else { return 2 };
//!     if w.put(b"hello").await.is_ok() { 0 } else { 1 }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     gipc_core::init(&[gipc_core::entry("child", child)]); // a child goes its way here
//!     tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!         let (r, w) = gipc_core::pipe()?;
//!         let process = Command::new("child").handle(w).spawn()?;
//!         assert_eq!(r.get().await?.as_deref(), Some(&b"hello"[..]));
//!         assert_eq!(r.get().await?, None); // the child was the only writer, and it is gone
//!         process.join().await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! What it promises:
//!
//! - a message arrives whole or not at all, and the end of a pipe is told from half a message;
//! - a handle has one owner: giving it to a child takes it from the parent, and nobody else ever gets a copy;
//! - nothing waits but the task that asked: no call here blocks the runtime, but [`Command::spawn`] for the one to
//!   two milliseconds in which the system starts a program;
//! - whatever future is dropped in the middle, no message is lost or spoiled;
//! - no child stays a zombie, and no signal goes to a stranger.
//!
//! Where to find it: `pipe` (and below it `frame`, bytes; `end`, who may use it now), `duplex`, `process` (and below
//! it `handoff`, how handles reach the child), `platform` (what differs between systems), `error`.

#[cfg(not(unix))]
compile_error!("gipc-core moves file descriptors between processes: it is for Unix systems only");

mod codec;
mod duplex;
mod end;
mod error;
mod frame;
mod handoff;
mod messages;
mod pipe;
mod platform;
mod process;

pub use codec::{Codec, CodecError, Postcard, Raw};
pub use duplex::{Duplex, duplex};
pub use end::live_handles;
pub use error::Error;
pub use frame::MAX_MESSAGE;
pub use handoff::{Entry, Handle, Start, entry, init};
pub use messages::Messages;
pub use pipe::{Reader, Writer, pipe};
pub use process::{Command, Exit, Process};
