//! The operating system's side of a run: process trees, what threads sleep in, who holds which pipe, and process
//! descriptors. Only observes and signals; what an observation means for a run is decided elsewhere.

pub mod pipe_holders;
pub mod platform;
pub mod process_tree;
pub mod snapshot;
mod syscalls;
