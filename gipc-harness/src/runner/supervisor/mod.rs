//! The supervisor: a separate process between the harness and a run.
//!
//! It starts `main`, becomes the parent of all orphans of the run, and removes the scratch directory. The two sides talk
//! over the supervisor's stdin, which is a socket: the supervisor sends events as lines of JSON, and gets orders as plain
//! lines. When the socket closes for any reason, the supervisor kills and reaps everything below it and ends. A supervisor whose
//! run has ended normally supervises another one.

mod client;
mod left_behind;
mod messages;
mod pool;
mod process;

pub use client::Supervisor;
pub use messages::{LeakedProcess, SOCKET, SupervisorEvent, token};
pub use pool::SupervisorPool;
pub use process::supervisor_main;
