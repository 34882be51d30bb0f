//! Cooperative child processes, and pipes that carry messages, on tokio.
//!
//! ```no_run
//! use gipc_core::{Command, Exit, entry, init, pipe};
//!
//! entry! {
//!     /// Says hello, and how often.
//!     async fn greet(start: Start<String>) -> usize {
//!         let Ok(w) = start.writer(0) else { return 0 };
//!         let message = format!("hello {}", start.args);
//!         usize::from(w.put(message.as_bytes()).await.is_ok())
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     init!(greet); // a child goes its way here
//!     tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!         let (r, w) = pipe()?;
//!         let child = Command::new(greet())?.handle(w).spawn(&"world".to_owned())?;
//!         assert_eq!(r.get().await?.as_deref(), Some(&b"hello world"[..]));
//!         assert_eq!(r.get().await?, None); // the child was the only writer, and it is gone
//!         assert_eq!(child.join().await?, Exit::Returned(1));
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
//! Where to find it: `pipe` (and below it `frame`, bytes; `codec`, values; `end`, who may use it now), `duplex`,
//! `process` (and below it `entry`, where a child begins; `handoff`, how handles reach it), `platform` (what differs
//! between systems), `error`.

#[cfg(not(unix))]
compile_error!("gipc-core moves file descriptors between processes: it is for Unix systems only");

mod codec;
mod duplex;
mod end;
mod entry;
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
pub use entry::{Entry, Listed, Parent, Start, init, init_before_main};
pub use error::Error;
pub use frame::MAX_MESSAGE;
pub use handoff::Handle;
pub use messages::Messages;
pub use pipe::{Reader, Writer, pipe};
pub use process::{Command, Exit, Process};
