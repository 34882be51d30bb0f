//! The flags of `run`, and those that it shares with `matrix`.

use crate::error::Error;
use crate::report::{Format, ReportOptions};
use crate::suite::{ScenarioFile, Suite};
use crate::suite_run::RunRequest;
use crate::variant::{InjectionSelector, OrderOption, VariantRequest};
use clap::builder::RangedI64ValueParser;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Scenarios by name.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Selection {
    /// An id, a folder, a file, a pattern such as 'close/*', a requirement such as EOF-6, or profile:NAME for the
    /// scenarios that need only core and this profile; `run` also takes records and bundles [default: all scenarios]
    #[arg(value_name = "WHAT")]
    pub(super) names: Vec<String>,
    /// Leave out these scenarios, named in the same ways; may be given several times
    #[arg(long, value_name = "WHAT")]
    pub(super) skip: Vec<String>,
}

/// How many scenarios run, and which.
#[derive(Clone, Debug, Args)]
pub(super) struct Execution {
    /// Also run heavy scenarios, which need much memory, time or many processes
    #[arg(long)]
    pub(super) heavy: bool,
    /// How many scenarios run at once [default: two for each processor]
    #[arg(long, value_name = "N", value_parser = jobs_value())]
    pub(super) jobs: Option<u16>,
    /// Run only the I-th of N parts of the scenarios
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// How many times as long to wait on a slow machine, such as an emulator [default: what `doctor` finds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) slow_factor: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The name or folder of an adapter; `model` starts no process and predicts the outcomes [default: the adapter of the record or in `gipc-harness.toml`, otherwise gipc-core]
    #[arg(long, value_name = "NAME|PATH")]
    adapter: Option<String>,
    #[command(flatten)]
    execution: Execution,
    /// How many times each scenario runs [default: 1, and 10 for a bundle]
    #[arg(long, visible_alias = "times", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Repeat the scenarios for this time, such as `90s` or `10m`, and print how often each verdict occurred
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with_all = ["repeat", "accept"])]
    time_limit: Option<Duration>,
    /// Stop at the first run that is not as expected
    #[arg(long, visible_alias = "fail-fast")]
    until_failure: bool,
    /// Run the scenarios that were not as expected in their last run on this adapter with these flags
    #[arg(long, conflicts_with = "accept")]
    pub(super) last_failed: bool,
    /// List the N slowest scenarios at the end, or ten without a number
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "10", hide_default_value = true)]
    slowest: usize,
    /// Print what the time was spent on: processes, protocol, implementation, the model, and the harness itself
    #[arg(long)]
    timings: bool,
    /// The order in which steps are released: `file`, `random:SEED`, or `all` for every order that makes a difference
    #[arg(long, default_value = "file", value_name = "ORDER", value_parser = str::parse::<OrderOption>)]
    order: OrderOption,
    /// Give each task all of its steps at once
    #[arg(long, alias = "batch", conflicts_with = "order")]
    concurrent: bool,
    /// Judge by the outcomes in the file alone, even where the model disagrees
    #[arg(long, conflicts_with_all = ["concurrent", "kill", "pause", "exhaust_fds"])]
    unchecked: bool,
    /// Kill a process at the K-th begin or end of its steps; `all`: at each of them, in separate runs
    #[arg(long, value_name = "all|ROLE@K", value_parser = selector, conflicts_with_all = ["order", "concurrent"])]
    kill: Option<InjectionSelector>,
    /// Stop a process at this point and continue it; no outcome may change
    #[arg(long, alias = "freeze", value_name = "all|ROLE@K", value_parser = selector, conflicts_with_all = ["order", "concurrent", "kill"])]
    pause: Option<InjectionSelector>,
    /// Let a process run out of descriptors at its K-th pipe, duplex or child; `all`: at each of the first 20. The process
    /// then tries again, and everything that follows must be as if nothing had failed
    #[arg(long, alias = "starve", value_name = "all|ROLE@K", value_parser = selector, conflicts_with_all = ["order", "concurrent", "kill", "pause"])]
    exhaust_fds: Option<InjectionSelector>,
    /// Set the capacity of each pipe, where the system allows it (Linux: 4096 to 1048576)
    #[arg(long, value_name = "BYTES", conflicts_with = "concurrent", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    capacity: Option<u32>,
    /// Keep the processors busy with N other processes during the run
    #[arg(long, default_value_t = 0, value_name = "N")]
    load: u16,
    /// Attach strace to the processes of one scenario before the first step, and write the system calls to FILE
    /// [default: target/gipc-harness/strace.txt]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "target/gipc-harness/strace.txt")]
    pub(super) strace: Option<PathBuf>,
    /// Attach a debugger to the process ROLE of one scenario before its first step: CMD is called with `-p PID`, or
    /// with the pid in place of `{pid}`. The run waits as long as the debugger holds the process
    #[arg(long, num_args = 2, value_names = ["CMD", "ROLE"], conflicts_with = "strace")]
    pub(super) debugger: Vec<String>,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Terminal)]
    format: ReportFormat,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write a report: FILE.html is a page with a diagram of each failure, FILE.md and FILE.json describe this
    /// platform and its results for people and for programs; may be given several times
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    report: Vec<PathBuf>,
    /// Write the failures and skips of this run into the adapter's folder as known
    #[arg(long, conflicts_with_all = ["order", "concurrent", "kill", "pause", "unchecked", "capacity"])]
    accept: bool,
    /// Also keep the records of passed runs
    #[arg(long)]
    keep: bool,
    /// The folder for the records of failures [default: target/gipc-harness]
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// How many seconds to wait where there is no evidence of a stall
    #[arg(long, alias = "patience", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Text for a person
    Terminal,
    /// One JSON object per line
    Json,
    /// Text for a person, with annotations for GitHub Actions
    Github,
}

impl Selection {
    /// The scenarios that are selected, as files.
    pub(super) fn files(&self, suite: &Suite) -> Result<Vec<ScenarioFile>, Error> {
        suite.select_without(&self.names, &self.skip)
    }
}

impl Execution {
    /// The request to run these scenarios.
    pub(super) fn request(&self, selection: &Selection) -> RunRequest {
        RunRequest {
            names: selection.names.clone(),
            skip: selection.skip.clone(),
            heavy: self.heavy,
            jobs: self.jobs.map(usize::from),
            shard: self.shard,
            slow_factor: self.slow_factor,
            ..RunRequest::default()
        }
    }
}

impl Run {
    /// The request for this command line.
    pub(super) fn request(&self) -> RunRequest {
        RunRequest {
            adapter: self.adapter.clone(),
            repeat: self.repeat_or(1),
            time_limit: self.time_limit,
            until_failure: self.until_failure,
            variant: self.variant(),
            unchecked: self.unchecked,
            capacity: self.capacity,
            load: self.load,
            timeout: self.timeout,
            accept: self.accept,
            ..self.execution.request(&self.selection)
        }
    }

    /// The names of the scenarios.
    pub(super) fn names(&self) -> &[String] {
        &self.selection.names
    }

    /// How many times each scenario runs, if neither a number nor a time is given.
    pub(super) fn repeat_or(&self, default: u32) -> u32 {
        match self.time_limit {
            Some(_) => u32::MAX,
            None => self.repeat.unwrap_or(default),
        }
    }

    /// The adapter, if one is named.
    pub(super) fn adapter(&self) -> Option<&str> {
        self.adapter.as_deref()
    }

    /// Whether a tool is to be attached to a process.
    pub(super) fn has_tool(&self) -> bool {
        self.strace.is_some() || !self.debugger.is_empty()
    }

    /// Whether the report is text for a person at a terminal.
    pub(super) fn is_for_people(&self) -> bool {
        self.format == ReportFormat::Terminal
    }

    fn variant(&self) -> VariantRequest {
        match (&self.kill, &self.pause, &self.exhaust_fds) {
            (Some(selector), _, _) => VariantRequest::Kill(selector.clone()),
            (_, Some(selector), _) => VariantRequest::Pause(selector.clone()),
            (_, _, Some(selector)) => VariantRequest::ExhaustFds(selector.clone()),
            _ if self.concurrent => VariantRequest::Concurrent,
            _ => VariantRequest::Order(self.order),
        }
    }

    /// The last requested report with one of these extensions.
    fn report_with(&self, extensions: &[&str]) -> Option<PathBuf> {
        let is_wanted = |file: &&PathBuf| {
            file.extension().is_some_and(|is| extensions.iter().any(|wanted| is == *wanted))
        };
        self.report.iter().rfind(is_wanted).cloned()
    }

    /// The options of the report.
    pub(super) fn report_options(&self) -> ReportOptions {
        let default = ReportOptions::default();
        ReportOptions {
            format: match self.format {
                ReportFormat::Terminal => Format::Terminal,
                ReportFormat::Json => Format::Json,
                ReportFormat::Github => Format::Github,
            },
            junit: self.junit.clone(),
            platform: self.report_with(&["md", "json"]),
            html: self.report_with(&["html"]),
            accept: self.accept,
            keep_all: self.keep,
            records: self.record.clone().unwrap_or(default.records),
            repeat: self.repeat_or(1),
            has_time_limit: self.time_limit.is_some(),
            shard: self.execution.shard,
            capacity: self.capacity,
            slowest: self.slowest,
            timings: self.timings,
        }
    }
}

pub(super) fn jobs_value() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// The file of a report, whose extension chooses what is written.
fn report_file(word: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(word);
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "md" | "json") => Ok(file),
        _ => Err("its name must end in .html, .md or .json, which chooses what is written".into()),
    }
}

fn selector(word: &str) -> Result<InjectionSelector, String> {
    word.parse()
}

/// Reads `2/3`: the second of three parts.
pub(super) fn shard(word: &str) -> Result<(usize, usize), String> {
    let numbers = word.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part, parts)),
        _ => Err("write which part of how many, such as 1/3, 2/3 and 3/3".into()),
    }
}
