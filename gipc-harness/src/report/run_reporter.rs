//! Reports a run of the suite while it continues: progress, failures when they occur, the records of failures, and the
//! summary. Also remembers how long the scenarios took.

use super::console::Console;
use super::html::HtmlReport;
use super::junit::Junit;
use super::matrix::{Column, ScenarioInfo};
use super::platform::PlatformReport;
use super::progress::Progress;
use super::rates::Rates;
use super::stability::Stability;
use super::time_split::{self, CpuTime, TimeSplit};
use super::{
    LastRuns, RunTimes, ScenarioReport, Tally, github, in_flight, json, summary, terminal,
};
use crate::adapter::Adapter;
use crate::diagram::{Run, svg};
use crate::environment::Environment;
use crate::error::Error;
use crate::record::Record;
use crate::runner::Phase;
use crate::suite::Suite;
use crate::suite::accept_baseline::{Seen, SeenScenarios, accept};
use crate::suite_run::{FinishedRun, RunEvent, SuiteRun, SuiteRunEnd};
use crate::variant::{Job, Variant};
use crate::verdict::Status;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The format of a report on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for a person.
    #[default]
    Terminal,
    /// The same, with annotations for GitHub Actions.
    Github,
    /// One JSON object per line, for a program.
    Json,
}

/// The options of a report.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The format on stdout.
    pub format: Format,
    /// The file for JUnit XML, if one is requested.
    pub junit: Option<PathBuf>,
    /// The file for a platform report, if one is requested.
    pub platform: Option<PathBuf>,
    /// The file for the HTML page, if one is requested.
    pub html: Option<PathBuf>,
    /// Whether to update the baseline in the adapter's folder to match the results.
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
    /// Whether the time decides how many runs there are. The report then says how often each scenario ended in each way.
    pub has_time_limit: bool,
    /// How many of the slowest scenarios are listed at the end.
    pub slowest: usize,
    /// Whether to say what the time was spent on.
    pub timings: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            format: Format::Terminal,
            junit: None,
            platform: None,
            html: None,
            accept: false,
            keep_all: false,
            records: "target/gipc-harness".into(),
            repeat: 1,
            shard: None,
            capacity: None,
            has_time_limit: false,
            slowest: 0,
            timings: false,
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
    rates: Rates,
    stability: Stability,
    /// What was seen of each scenario, for `--accept`.
    seen: SeenScenarios,
    /// The first error of writing a file.
    unwritten: Option<Error>,
    junit: Option<Junit>,
    platform: Option<PlatformReport>,
    html: Option<HtmlReport>,
    /// The column of a matrix that the results go to instead of stdout, and the scenarios of the matrix.
    column: Option<(&'a mut Column, &'a BTreeMap<String, ScenarioInfo>)>,
    progress: Progress,
    last_runs: LastRuns,
    times: RunTimes,
    split: TimeSplit,
    at_once: usize,
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
        let mut split = TimeSplit::default();
        split.sum.add(Phase::Model, run.prediction_time());
        let planned = run.planned();
        let (heavy, shard) = (run.heavy_left_out(), options.shard);
        let last_runs = LastRuns::of(&run.suite, run.adapter.as_deref());
        let names = run.jobs().iter().map(|job| lasting_name(&run.suite, job));
        let names: Vec<String> = names.collect();
        let names: Vec<String> = names.iter().cycle().take(planned).cloned().collect();
        // If lines for a program go to a terminal, progress bars must not interrupt them.
        let is_visible = options.format != Format::Json || !io::stdout().is_terminal();
        let (adapter, seconds) = (run.adapter_name(), last_runs.seconds());
        let progress = Progress::new(adapter, &names, seconds, run.at_once(), is_visible);
        Self {
            console,
            suite: run.suite.clone(),
            asked: run.asked.clone(),
            adapter_name: run.adapter_name().to_owned(),
            adapter: run.adapter.clone(),
            environment: run.environment.clone(),
            tally: Tally { planned, heavy, shard, ..Tally::default() },
            rates: Rates::default(),
            stability: Stability::default(),
            seen: run.stale.iter().map(|id| (id.clone(), Seen::gone())).collect(),
            unwritten: None,
            junit: options.junit.is_some().then(Junit::default),
            platform: options.platform.as_deref().map(PlatformReport::new),
            html: options.html.is_some().then(HtmlReport::default),
            column,
            progress,
            last_runs,
            times: RunTimes::default(),
            split,
            at_once: run.at_once(),
            options,
        }
    }

    /// Reports an event. Returns whether it is as expected.
    pub fn handle(&mut self, event: RunEvent) -> bool {
        let began = Instant::now();
        let is_expected = self.report(event);
        self.split.sum.add(Phase::Reporting, began.elapsed());
        is_expected
    }

    fn report(&mut self, event: RunEvent) -> bool {
        match event {
            RunEvent::Started(job) => self.progress.start(&job, &lasting_name(&self.suite, &job)),
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
        let FinishedRun { job, output, mut verdict, time, timings } = run;
        self.split.add(&timings);
        // The lists are only about scenarios of the suite and runs without an injected fault.
        let is_listable = !job.is_foreign && matches!(job.variant, Variant::Stepwise(_));
        if self.options.accept && is_listable {
            self.seen.entry(job.scenario.id.clone()).or_default().add(&job.scenario, &verdict);
        }
        let is_accepting = self.options.accept && is_listable;
        // The manifest already has an entry for such a failure, without its sort or its reason.
        let is_unexplained = verdict.status.is_failure() && verdict.baseline_change.is_none();
        if let Some(change) = verdict.baseline_change.take_if(|_| is_accepting) {
            verdict.status = change.status();
            verdict.explain("accepted".into());
        } else if is_accepting && is_unexplained {
            verdict.status = Status::Known;
            verdict.explain("accepted before, without a sort or a reason".into());
        }
        let is_expected = verdict.status.is_expected();
        self.tally.add(&job.scenario.id, &verdict);
        let name = lasting_name(&self.suite, &job);
        self.times.add(&name, &job.flags(), time.as_secs_f64(), is_expected);
        let key = format!("{} {}", job.scenario.id, job.flags());
        let (count, all) = self.rates.add(key.trim_end(), &verdict);
        // With a time limit, a failure is shown the first time, and only counted after that.
        let is_repeated = self.options.has_time_limit && count > 1;
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
        if let Some(platform) = &mut self.platform {
            let implementation = output.implementation();
            let named = implementation.map(|is| format!("{} {}", is.name, is.version));
            platform.add(&report, named);
        }
        if let Some(html) = &mut self.html {
            if let Some(implementation) = output.implementation() {
                let text = format!("{} {}", implementation.name, implementation.version);
                html.set_implementation(text);
            }
            let run = Run::observed(&job, &output.observation, &report.verdict, &report.adapter);
            html.add(&report, || svg::inline(&run.diagram(false)));
        }
        match (self.options.format, &mut self.column) {
            (_, Some((column, scenarios))) => {
                if let Some(implementation) = output.implementation() {
                    column.learn(&implementation, &self.environment);
                }
                let model = scenarios.get(&report.scenario.id).map_or("", |info| &info.model);
                column.add(&report, model);
            }
            (Format::Json, None) => {
                let mut result = json::result(&report);
                if self.options.timings {
                    result["timings"] = time_split::of_run(&timings);
                }
                self.progress.suspend(|| self.console.verbatim(&format!("{result}\n")));
            }
            (_, None) if !is_expected && is_repeated => {
                if count.is_power_of_two() {
                    let status = report.verdict.status;
                    let line = format!("{}  {status} in {count} of {all} runs so far", report.name);
                    self.progress.suspend(|| self.console.line(&line));
                }
            }
            // Failures that are accepted are listed at the end.
            (format, None) if !is_expected => {
                self.progress.suspend(|| self.console.line(&terminal::failure(&report)));
                if format == Format::Github {
                    self.console.verbatim(&format!("{}\n", github::result(&report)));
                }
            }
            (Format::Terminal | Format::Github, None) => {}
        }
        self.progress.end(&job, is_expected);
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
                // One complaint is enough, since the folder is the same for all records.
                if !std::mem::replace(&mut self.tally.evidence_lost, true) {
                    let folder = folder.display();
                    let text = format!(
                        "error: cannot write the record to {folder}: {error}; choose another folder with --record DIR"
                    );
                    self.progress.suspend(|| self.console.complain(&text));
                }
                None
            }
        }
    }

    /// Ends the report: summary, instability, what was accepted. Returns the counts.
    pub fn finish(mut self, end: SuiteRunEnd) -> Result<Tally, Error> {
        self.progress.finish();
        self.remember();
        self.tally.interrupted = end.interrupted;
        if end.stopped_at_failure || self.options.has_time_limit {
            self.tally.planned = self.tally.done();
        }
        self.write_junit(end);
        if let Some(platform) = &self.platform {
            let written =
                platform.write(&self.adapter_name, &self.tally, &self.environment, end.time);
            if let Err(error) = written {
                self.unwritten.get_or_insert(error);
            }
        }
        self.write_html(end);
        if self.column.is_none() {
            match self.options.format {
                Format::Json => {
                    let mut summary =
                        json::summary(&self.adapter_name, &self.tally, &self.environment);
                    if self.options.timings {
                        summary["timings"] = self.split.json(CpuTime::now());
                    }
                    self.console.verbatim(&format!("{summary}\n"));
                }
                Format::Terminal | Format::Github => {
                    let seconds = end.time.as_secs_f64();
                    let slowest = self.times.slowest(self.options.slowest);
                    if !slowest.is_empty() {
                        self.console.text(&summary::slowest(&slowest));
                    }
                    if self.options.timings {
                        let table = self.split.table(CpuTime::now(), seconds, self.at_once);
                        self.console.text(&table);
                    }
                    if self.options.has_time_limit {
                        self.console.text(&format!("\n{}\n", self.rates.text().trim_end()));
                    }
                    self.console.text(&summary::summary(
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
        let count = self.stability.len();
        if self.tally.unstable == 0 && says_stable && count > 0 {
            self.console.line(&match count {
                1 => "  the scenario had the same trace in every run".into(),
                _ => format!("  each of {count} scenarios had the same trace in every run"),
            });
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

    /// Remembers what ran. If that fails, it matters only for failures, which `--last-failed` would miss.
    fn remember(&mut self) {
        let Err(error) = self.last_runs.remember(&self.times) else { return };
        if !self.tally.unexpected.is_empty() {
            let file = self.last_runs.file().unwrap_or(Path::new("")).display();
            self.console.complain(&format!(
                "cannot remember the failures for --last-failed in {file}: {error}; choose another folder with GIPC_HARNESS_CACHE"
            ));
        }
    }

    fn write_html(&mut self, end: SuiteRunEnd) {
        let (Some(file), Some(html)) = (&self.options.html, self.html.take()) else { return };
        let page = html.page(&self.adapter_name, &self.tally, &self.environment, end.time);
        if let Err(error) = fs::write(file, page) {
            self.unwritten.get_or_insert(Error::unwritable(file, &error));
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

fn lasting_name(suite: &Suite, job: &Job) -> String {
    suite.lasting_name_of(&job.scenario.id, &job.path)
}
