//! Reports a run of the suite while it continues: failures when they occur, the records of failures, and the summary.

use super::console::Console;
use super::junit::Junit;
use super::matrix::{Column, ScenarioInfo};
use super::{ScenarioReport, Tally, github, in_flight, json, terminal};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::error::Error;
use crate::record::Record;
use crate::suite::Suite;
use crate::suite::accept_baseline::{Seen, SeenScenarios, accept};
use crate::suite_run::{FinishedRun, RunEvent, SuiteRun, SuiteRunEnd};
use crate::variant::{Job, Order, Variant};
use crate::verdict::Status;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// The format of a report on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for a person.
    #[default]
    Terminal,
    /// The same, with annotations for GitHub Actions.
    Github,
    /// One JSON object a line, for a program.
    Json,
}

/// The options of a report.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The format on stdout.
    pub format: Format,
    /// The file for JUnit XML, if it is to be written.
    pub junit: Option<PathBuf>,
    /// Whether to update the baseline in the adapter's folder to the results.
    pub accept: bool,
    /// Whether to keep the records of passed runs too.
    pub keep_all: bool,
    /// The folder of the records.
    pub records: PathBuf,
    /// How many times each scenario runs.
    pub repeat: u32,
    /// Which part of all scenarios runs.
    pub shard: Option<(usize, usize)>,
    /// The capacity of each pipe, if it was set; kept in the record.
    pub capacity: Option<u32>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            format: Format::Terminal,
            junit: None,
            accept: false,
            keep_all: false,
            records: "target/gipc-harness".into(),
            repeat: 1,
            shard: None,
            capacity: None,
        }
    }
}

/// The report of one run of the suite.
pub struct RunReporter<'a> {
    console: &'a mut Console,
    options: ReportOptions,
    suite: Suite,
    asked: String,
    adapter_name: String,
    adapter: Option<Arc<Adapter>>,
    environment: Environment,
    tally: Tally,
    stability: Stability,
    /// What was seen of each scenario, for `--accept`.
    seen: SeenScenarios,
    /// The first error of writing a file.
    unwritten: Option<Error>,
    junit: Option<Junit>,
    /// The column of a matrix that the results go to instead of stdout, and the scenarios of the matrix.
    column: Option<(&'a mut Column, &'a BTreeMap<String, ScenarioInfo>)>,
    progress: ProgressBar,
}

impl<'a> RunReporter<'a> {
    /// Starts a report. With a column of a matrix, the results go there.
    pub fn new(
        run: &SuiteRun,
        options: ReportOptions,
        console: &'a mut Console,
        column: Option<(&'a mut Column, &'a BTreeMap<String, ScenarioInfo>)>,
    ) -> Self {
        run.notes().iter().for_each(|note| console.complain(note));
        let planned = run.planned();
        let (heavy, shard) = (run.heavy_left_out(), options.shard);
        Self {
            console,
            suite: run.suite.clone(),
            asked: run.asked.clone(),
            adapter_name: run.adapter_name().to_owned(),
            adapter: run.adapter.clone(),
            environment: run.environment.clone(),
            tally: Tally { planned, heavy, shard, ..Tally::default() },
            stability: Stability::default(),
            seen: run.stale.iter().map(|id| (id.clone(), Seen::gone())).collect(),
            unwritten: None,
            junit: options.junit.is_some().then(Junit::default),
            column,
            progress: progress_bar(planned, options.format),
            options,
        }
    }

    /// Reports what happened. Returns whether it is as expected.
    pub fn handle(&mut self, event: RunEvent) -> bool {
        match event {
            RunEvent::Finished(run) => return self.add(*run),
            RunEvent::Silent(job, notice) => {
                let text = in_flight::silent(&job.scenario, &notice);
                self.progress.suspend(|| self.console.complain(&text));
            }
            RunEvent::Interrupted(job, output) => {
                let text =
                    in_flight::interrupted(&job.scenario, &self.adapter_name, &output.observation);
                let is_shown = self.options.format != Format::Json && self.column.is_none();
                match is_shown {
                    true => self.progress.suspend(|| self.console.line(&text)),
                    false => self.console.complain(&text),
                }
            }
        }
        true
    }

    /// Reports one run. Returns whether it is as expected.
    fn add(&mut self, run: FinishedRun) -> bool {
        let FinishedRun { job, output, mut verdict, time } = run;
        // The lists are about the suite, and about runs without an injected fault.
        let is_listable = !job.is_foreign && matches!(job.variant, Variant::Stepwise(_));
        if self.options.accept && is_listable {
            self.seen.entry(job.scenario.id.clone()).or_default().add(&job.scenario, &verdict);
        }
        let change = verdict.baseline_change.take_if(|_| self.options.accept && is_listable);
        let is_accepted = change.is_some();
        if let Some(change) = change {
            verdict.status = change.status();
            verdict.explain("accepted".into());
        }
        let is_expected = verdict.status.is_expected();
        self.tally.add(&job.scenario.id, &verdict);
        let is_comparable = !verdict.status.is_inconclusive() && verdict.status != Status::Skip;
        if is_comparable && !verdict.flaky {
            self.stability.add(&job, verdict.status, &verdict.trace_text);
        }
        if let Some(line) = job.order_comment.as_ref().filter(|_| !is_expected) {
            verdict
                .notes
                .push(format!("this line in its first comment gives the order:\n    {line}"));
        }
        let is_kept = !is_expected || self.options.keep_all;
        let record = is_kept.then(|| {
            let (asked, capacity) = (&self.asked, self.options.capacity);
            Record::new(&job, &output, asked, capacity, &self.environment)
        });
        let report = ScenarioReport {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            name: self.suite.name_of(&job.scenario.id, &job.path),
            adapter: self.adapter_name.clone(),
            asked: self.asked.clone(),
            flags: job.flags(),
            verdict,
            time,
            record: record.and_then(|record| self.keep(&job, &record)),
        };
        if let Some(junit) = &mut self.junit {
            junit.add(&report);
        }
        match (self.options.format, &mut self.column) {
            (_, Some((column, scenarios))) => {
                if let Some(implementation) = output.implementation() {
                    column.learn(implementation, &self.environment);
                }
                let model = scenarios.get(&report.scenario.id).map_or("", |info| &info.model);
                column.add(&report, model);
            }
            (Format::Json, None) => self.console.line(&json::result(&report).to_string()),
            // The skips that were accepted are listed at the end, and have nothing to show.
            (format, None)
                if !is_expected || is_accepted && report.verdict.status != Status::Skip =>
            {
                self.progress.suspend(|| self.console.line(&terminal::failure(&report)));
                if format == Format::Github && !is_expected {
                    self.console.line(&github::result(&report));
                }
            }
            (Format::Terminal | Format::Github, None) => {}
        }
        self.progress.inc(1);
        is_expected
    }

    /// Writes a record. Returns the path of its file, or `None` if it could not be written.
    fn keep(&mut self, job: &Job, record: &Record) -> Option<PathBuf> {
        let mut folder = self.options.records.join(&self.adapter_name).join(&job.scenario.id);
        let flags = job.variant.flags();
        if !flags.is_empty() {
            folder.push(flags.trim_start_matches('-').replace([' ', ':'], "-"));
        }
        match record.write(&folder) {
            Ok(file) => Some(file),
            Err(error) => {
                // One complaint is enough: the folder is the same for all.
                if !std::mem::replace(&mut self.tally.evidence_lost, true) {
                    let folder = folder.display();
                    let text = format!(
                        "error: cannot keep the evidence in {folder}: {error}; name another folder with --record DIR"
                    );
                    self.progress.suspend(|| self.console.complain(&text));
                }
                None
            }
        }
    }

    /// Ends the report: summary, instability, what was accepted. Returns the counts.
    pub fn finish(mut self, end: SuiteRunEnd) -> Result<Tally, Error> {
        self.progress.finish_and_clear();
        self.tally.interrupted = end.interrupted;
        if end.stopped_at_failure {
            self.tally.planned = self.tally.done();
        }
        self.write_junit(end);
        if self.column.is_none() {
            match self.options.format {
                Format::Json => {
                    let summary = json::summary(&self.adapter_name, &self.tally, &self.environment);
                    self.console.line(&summary.to_string());
                }
                Format::Terminal | Format::Github => {
                    let seconds = end.time.as_secs_f64();
                    self.console.text(&terminal::summary(
                        &self.adapter_name,
                        &self.tally,
                        &self.environment,
                        seconds,
                    ));
                }
            }
        }
        let is_accepted = |id: &str| self.options.accept && self.seen.contains_key(id);
        self.tally.unstable = self.stability.report(self.console, is_accepted);
        let says_stable = self.options.repeat > 1 && self.options.format != Format::Json;
        if self.tally.unstable == 0 && says_stable {
            let count = self.stability.len();
            self.console.line(&format!("  each of {count} scenarios gave one and the same trace"));
        }
        if let (true, Some(adapter)) = (self.options.accept, &self.adapter) {
            for line in accept(&adapter.here, &self.adapter_name, &self.seen)? {
                self.console.line(&format!("  {line}"));
            }
        }
        match self.unwritten {
            Some(error) => Err(error),
            None => Ok(self.tally),
        }
    }

    fn write_junit(&mut self, end: SuiteRunEnd) {
        let (Some(file), Some(junit)) = (&self.options.junit, self.junit.take()) else { return };
        let written = junit
            .text(&self.adapter_name, &self.environment, end.time)
            .and_then(|text| fs::write(file, text).map_err(|error| error.to_string()));
        if let Err(error) = written {
            self.unwritten.get_or_insert(Error::unwritable(file, &error));
        }
    }
}

/// The statuses and traces of each scenario. A scenario with several of either is unstable.
#[derive(Debug, Default)]
struct Stability {
    by_scenario: BTreeMap<String, (BTreeSet<Status>, BTreeSet<String>)>,
}

impl Stability {
    fn add(&mut self, job: &Job, status: Status, trace: &str) {
        // Runs in several orders of one scenario must agree; runs with different faults need not.
        let flags = match &job.variant {
            Variant::Stepwise(Order::Random(_) | Order::Tasks(_)) => String::new(),
            variant => variant.flags(),
        };
        let key = format!("{} {flags}", job.scenario.id).trim_end().to_owned();
        let (statuses, traces) = self.by_scenario.entry(key).or_default();
        statuses.insert(status);
        traces.insert(trace.to_owned());
    }

    fn len(&self) -> usize {
        self.by_scenario.len()
    }

    /// Reports the unstable scenarios. Returns the number of those that `is_accepted` does not contain.
    fn report(&self, console: &mut Console, is_accepted: impl Fn(&str) -> bool) -> usize {
        for (key, (_, traces)) in self.by_scenario.iter().filter(|(_, (_, all))| all.len() > 1) {
            console.complain(&format!("{key} gave {} different traces", traces.len()));
        }
        for (key, (statuses, _)) in self.by_scenario.iter().filter(|(_, (all, _))| all.len() > 1) {
            let statuses: Vec<String> = statuses.iter().map(Status::to_string).collect();
            console.complain(&format!("{key} was {}", statuses.join(" and ")));
        }
        let is_unstable = |(statuses, traces): &(BTreeSet<Status>, BTreeSet<String>)| {
            statuses.len() > 1 || traces.len() > 1
        };
        let id = |key: &str| key.split(' ').next().unwrap_or_default().to_owned();
        let all = self.by_scenario.iter().filter(|(_, all)| is_unstable(all));
        all.filter(|(key, _)| !is_accepted(&id(key))).count()
    }
}

/// A progress bar on stderr, which is shown only if stderr is a terminal.
fn progress_bar(runs: usize, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len}, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
