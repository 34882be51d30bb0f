//! Reports for people and programs. How a verdict was reached is not known here.

pub mod console;
pub mod json;
pub mod junit;
pub mod matrix;
mod run_reporter;
mod tally;
pub mod terminal;

pub use run_reporter::{Format, ReportOptions, RunReporter};
pub use tally::Tally;

use crate::scenario::Scenario;
use crate::verdict::Verdict;
use std::path::PathBuf;

/// One run of a scenario, with what a report says beside the verdict.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// The scenario as it was executed.
    pub scenario: Scenario,
    /// Its file.
    pub path: PathBuf,
    /// The adapter's name.
    pub adapter: String,
    /// The adapter as it was asked for: a name or a path.
    pub asked: String,
    /// The flags of `run` that execute it in the same way.
    pub flags: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// The file of the record, if one was kept.
    pub record: Option<PathBuf>,
}
