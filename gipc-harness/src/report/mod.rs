//! Reports for people and programs: terminal, JSON, JUnit XML, an HTML page, annotations of GitHub and the matrix; and what
//! is remembered of the last runs. `verdict` makes the verdicts.

pub mod console;
mod document;
mod file_check;
pub mod github;
pub mod html;
pub(crate) mod in_flight;
pub mod json;
pub mod junit;
mod last_runs;
pub mod matrix;
pub mod platform;
mod progress;
mod rates;
mod remaining_time;
mod run_report;
#[cfg(test)]
mod reviewed;
mod run_reporter;
mod stability;
pub mod summary;
mod tally;
pub mod terminal;
mod time_split;
mod wrap;

pub use file_check::check_writable;
pub use last_runs::{LastRuns, RunTimes};
pub use run_report::{Report, ScenarioResult};
pub use run_reporter::{Format, ReportOptions, RunReporter};
pub use tally::Tally;

use crate::scenario::Scenario;
use crate::verdict::Verdict;
use std::path::PathBuf;
use std::time::Duration;

/// The verdict of one run of a scenario, with what a report shows beside it.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// The scenario as it was executed.
    pub scenario: Scenario,
    /// The file of the scenario.
    pub path: PathBuf,
    /// The name by which the command line finds the scenario: its id in the suite, or its path.
    pub name: String,
    /// The adapter's name.
    pub adapter: String,
    /// The adapter as the command line gave it: a name or a path.
    pub asked: String,
    /// The flags with which `run` executes the scenario in the same way.
    pub flags: String,
    /// The verdict on the run.
    pub verdict: Verdict,
    /// How long the run took; zero if it was not measured.
    pub time: Duration,
    /// The file of the record, if one was kept.
    pub record: Option<PathBuf>,
}
