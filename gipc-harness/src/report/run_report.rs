//! The report of a run that was started from a program.

use super::{ScenarioReport, Tally, json, summary, terminal};
use crate::environment::Environment;
use crate::suite_run::{FinishedRun, SuiteRun, SuiteRunEnd};
use crate::verdict::Verdict;
use std::fmt;
use std::time::Duration;

/// What a run of scenarios found. Its text is the screen that the command prints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The name of the adapter.
    pub adapter: String,
    /// The scenarios in the order in which they ended, once for each time that they ran.
    pub results: Vec<ScenarioResult>,
    /// What was found about the system.
    pub environment: Environment,
    /// How long the run took.
    pub time: Duration,
    asked: String,
    tally: Tally,
}

/// The verdict on one run of a scenario, and how long it took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScenarioResult {
    /// The id of the scenario.
    pub id: String,
    /// The verdict, with its reasons and the trace.
    pub verdict: Verdict,
    /// How long it took.
    pub time: Duration,
    report: ScenarioReport,
}

impl Report {
    pub(crate) fn of(run: &SuiteRun) -> Self {
        let tally =
            Tally { planned: run.planned(), heavy: run.heavy_left_out(), ..Tally::default() };
        Self {
            adapter: run.adapter_name().to_owned(),
            results: Vec::new(),
            environment: run.environment.clone(),
            time: Duration::ZERO,
            asked: run.asked.clone(),
            tally,
        }
    }

    /// Adds a run. Returns whether it is as expected.
    pub(crate) fn add(&mut self, run: FinishedRun) -> bool {
        let FinishedRun { job, verdict, time, .. } = run;
        self.tally.add(&job.scenario.id, &verdict);
        let is_expected = verdict.status.is_expected();
        let report = ScenarioReport {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            name: job.scenario.id.clone(),
            adapter: self.adapter.clone(),
            asked: self.asked.clone(),
            flags: job.flags(),
            verdict: verdict.clone(),
            time,
            record: None,
        };
        self.results.push(ScenarioResult { id: job.scenario.id.clone(), verdict, time, report });
        is_expected
    }

    pub(crate) fn end(&mut self, end: SuiteRunEnd) {
        self.time = end.time;
        self.tally.interrupted = end.interrupted;
    }

    /// Whether every verdict is as expected: passed, skipped with a reason, or a known failure.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.exit_code() == 0
    }

    /// The exit code of the command for this run.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.tally.exit_code()
    }

    /// Panics with the screen of each failure, unless every verdict is as expected.
    #[track_caller]
    pub fn assert_expected(&self) {
        assert!(self.is_expected(), "\n{self}");
    }

    /// The same lines that `run --format json` writes: one object for each scenario, and the summary.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let results = self.results.iter().map(|result| json::result(&result.report).to_string());
        let summary = json::summary(&self.adapter, &self.tally, &self.environment).to_string();
        results.chain([summary]).map(|line| line + "\n").collect()
    }
}

impl ScenarioResult {
    /// The text that explains the verdict of a failure, with the scenario and what was observed.
    #[must_use]
    pub fn screen(&self) -> String {
        terminal::failure(&self.report)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.results.iter().filter(|result| !result.verdict.status.is_expected());
        for failure in failures {
            writeln!(f, "{}", failure.screen())?;
        }
        let seconds = self.time.as_secs_f64();
        f.write_str(&summary::summary(&self.adapter, &self.tally, &self.environment, seconds))
    }
}
