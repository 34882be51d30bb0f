//! Explores random scenarios: generates and filters them, executes them until one fails, and shrinks it while it still
//! fails.

mod end_pool;
mod findings;
mod generate;
#[cfg(test)]
mod reduction_tests;
mod search;
mod shrink;
mod viable;

pub use findings::{Failure, Findings};
pub use generate::script;
pub use search::{ExploreRequest, explore};
pub use shrink::shrink;
pub use viable::with_outcomes;
