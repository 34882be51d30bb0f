//! What the operating system shows of a run: the process tree, what threads sleep in, the holders of pipes, and signals.
//!
//! This module only observes processes and sends signals. It does not decide what an observation means for a run.

pub mod open_files;
pub mod pipe_holders;
pub mod platform;
pub mod process_handle;
pub mod process_tree;
pub mod signals;
pub mod snapshot;
mod syscall_table;
mod syscalls;
mod thread_state;
