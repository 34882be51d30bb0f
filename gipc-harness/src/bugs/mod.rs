//! Bugs that were reported against real libraries: each a scenario that fails on a release with the bug and passes on one
//! without it.
//!
//! The first comment of the scenario says which releases these are, and how the failure looks. Where a release cannot be
//! installed, the record of an earlier run stands for it, and is judged again.

mod bug_file;
mod bug_run;

pub use bug_file::BugFile;
pub use bug_run::{BugResult, Seen, run_bug};
