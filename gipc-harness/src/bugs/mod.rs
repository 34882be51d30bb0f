//! Bugs that were reported against real libraries. Each is a scenario that fails on a release with the bug and passes on a
//! release without it.
//!
//! The first comment of the scenario says which releases these are, and what the failure looks like. If a release cannot be
//! installed, the record of an earlier run takes its place, and is judged again.

mod bug_file;
mod bug_run;

pub use bug_file::BugFile;
pub use bug_run::{BugResult, Seen, run_bug};
