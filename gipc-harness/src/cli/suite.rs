//! Performing many scenarios: how many at once, how often, under which load, and what is reported when.
//!
//! Does not know how one is performed, nor what is right.

use super::busy::Load;
use super::judge::record;
use super::library::{Library, Source};
use super::out::Out;
use super::ways::{Job, Point, ways};
use super::{Format, Run, Stopped, load, own_program};
use crate::adapter::{Adapter, LateGet, MODEL};
use crate::environment::{self, Environment};
use crate::model::{self, Choices};
use crate::report::{Result as Told, Tally, json, terminal};
use crate::run::platform::allow_many_descriptors;
use crate::run::{Settings, perform};
use crate::scenario::Scenario;
use crate::trace::{Course, Observed, Trace};
use crate::verdict::{Verdict, Word, blame, hold_to_its_word, judge};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Nothing heard for so long starts a look at the kernel. Never a verdict.
const TRIGGER: Duration = Duration::from_millis(20);

/// What an adapter chose where it could.
#[must_use]
pub fn choices(adapter: &Adapter) -> Choices {
    let (declared, suite) = (&adapter.manifest.choices, Choices::default());
    Choices {
        fault: None,
        max_message: declared.max_message.unwrap_or(suite.max_message),
        late_get_waits: declared
            .late_get
            .map_or(suite.late_get_waits, |late| late == LateGet::Waits),
    }
}

/// Performs a scenario on a runtime that has one thread and nothing else to do. Only so is a silence one: whoever waits
/// for it comes after all that is there has been read, however seldom this thread is let run.
fn on_its_own(
    scenario: &Scenario,
    course: &Course,
    adapter: &Adapter,
    settings: &Settings,
) -> std::io::Result<Observed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(perform(scenario, course, adapter, settings))
}

/// Performs one scenario, for `show` and `explore`.
pub(super) fn once(
    scenario: &Scenario,
    course: &Course,
    adapter: &Adapter,
    exe: PathBuf,
) -> Result<Observed, Stopped> {
    let (_keep, interrupt) = watch::channel(false);
    let (trigger, patience) = (TRIGGER, Duration::from_secs(60));
    let settings = Settings { exe, trigger, patience, capacity: None, interrupt };
    on_its_own(scenario, course, adapter, &settings).map_err(unable)
}

/// The story order, step by step.
pub(super) fn as_written(scenario: &Scenario, choices: Choices) -> Course {
    Course::Step(model::plan(scenario, choices))
}

pub(super) fn run(library: &Library, run: &Run, out: &mut Out) -> Result<u8, Stopped> {
    let adapter = (run.adapter != MODEL).then(|| load(library, &run.adapter)).transpose()?;
    let sources = library.select(&run.what)?;
    let choices = adapter.as_ref().map(choices).unwrap_or_default();
    let (jobs, heavy) = read(sources, choices, run, out)?;
    let name = adapter.as_ref().map_or(MODEL, |adapter| &adapter.manifest.name).to_owned();
    allow_many_descriptors();
    let (stop, interrupt) = watch::channel(false);
    let exe = own_program()?;
    let here = environment::look(&exe);
    let load = Load::start(run.load, &exe).map_err(unable)?;
    let factor = run.slow_factor.unwrap_or(here.slow_factor);
    let (trigger, patience) = (TRIGGER, Duration::from_secs(run.patience) * factor);
    let settings = Settings { exe, trigger, patience, capacity: run.capacity, interrupt };
    let mut report = Report {
        out,
        options: run,
        adapter: name,
        choices,
        here,
        tally: Tally { planned: jobs.len() * run.repeat as usize, heavy, ..Tally::default() },
        traces: BTreeMap::new(),
        unwritten: None,
        progress: progress(jobs.len() * run.repeat as usize, run.format),
    };
    let began = Instant::now();
    match adapter {
        None => {
            for job in &jobs {
                let observed = Observed::of(job.allowed.story().clone());
                for _ in 0..run.repeat {
                    let verdict = judge(&job.scenario, &job.allowed, &observed, &[]);
                    report.add(job, verdict, &observed);
                }
            }
        }
        Some(adapter) => {
            let stage = Stage { adapter: Arc::new(adapter), settings: Arc::new(settings), stop };
            runtime()?.block_on(stage.perform_all(jobs, run, &mut report))?;
        }
    }
    drop(load);
    report.finish(began.elapsed())
}

/// Reads all, or says all that is wrong. Nothing has been started then.
fn read(
    sources: Vec<Source>,
    choices: Choices,
    run: &Run,
    out: &mut Out,
) -> Result<(Vec<Arc<Job>>, usize), Stopped> {
    let (mut jobs, mut heavy, mut wrong, all_in_all) = (Vec::new(), 0, 0, sources.len());
    let mut other: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        let scenario = if run.unchecked { source.unchecked() } else { source.scenario() };
        match scenario {
            Ok(scenario) if scenario.heavy().is_some() && !run.heavy && !source.named => heavy += 1,
            Ok(scenario) => {
                let (all, reason) = ways(scenario, source.path, choices, run);
                jobs.extend(all.into_iter().map(Arc::new));
                if let Some(reason) = reason {
                    *other.entry(reason).or_default() += 1;
                }
            }
            Err(text) => {
                out.complain(&text);
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        return Err(Stopped::usage(format!(
            "{wrong} of {all_in_all} scenarios refused, so nothing was started"
        )));
    }
    for (reason, count) in other {
        out.complain(&format!("{count} scenarios {reason}"));
    }
    if jobs.is_empty() && heavy == 0 {
        return Err(Stopped::usage(match run.kill.as_ref().or(run.freeze.as_ref()) {
            Some(Point::One(role, k)) => format!(
                "error: none of these scenarios has a moment {role}@{k} at which a child can be hit; \
                 `all` hits each at each of its begins and ends"
            ),
            _ => "error: none of these scenarios can be performed in this way".into(),
        }));
    }
    Ok((jobs, heavy))
}

struct Stage {
    adapter: Arc<Adapter>,
    settings: Arc<Settings>,
    stop: watch::Sender<bool>,
}

type Came = (Arc<Job>, std::io::Result<Observed>);

impl Stage {
    async fn perform_all(
        &self,
        jobs: Vec<Arc<Job>>,
        run: &Run,
        report: &mut Report<'_>,
    ) -> Result<(), Stopped> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unable)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(unable)?;
        let at_once = run.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        );
        let mut waiting = (0..run.repeat).flat_map(|_| jobs.iter().cloned());
        let (tell, mut told) = mpsc::unbounded_channel::<Came>();
        let mut running = JoinSet::new();
        for job in waiting.by_ref().take(at_once) {
            running.spawn(self.one(job, tell.clone()));
        }
        while !running.is_empty() {
            tokio::select! {
                _ = interrupt.recv() => report.tally.interrupted = true,
                _ = terminate.recv() => report.tally.interrupted = true,
                Some((job, came)) = told.recv() => {
                    // What was cut short says nothing.
                    if !*self.stop.borrow() {
                        let expected = report.take(&job, came, &self.adapter);
                        if run.until_failure && !expected {
                            report.tally.planned = report.tally.done();
                            self.stop.send_replace(true);
                        }
                    }
                }
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended {
                        report.out.complain(&format!("error: a run broke the harness: {error}"));
                    }
                    let stopped = *self.stop.borrow();
                    if let Some(job) = waiting.next().filter(|_| !stopped) {
                        running.spawn(self.one(job, tell.clone()));
                    }
                }
            }
            if report.tally.interrupted {
                self.stop.send_replace(true);
            }
        }
        while let Ok((job, came)) = told.try_recv() {
            if !*self.stop.borrow() {
                report.take(&job, came, &self.adapter);
            }
        }
        Ok(())
    }

    fn one(
        &self,
        job: Arc<Job>,
        tell: mpsc::UnboundedSender<Came>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (adapter, settings) = (Arc::clone(&self.adapter), Arc::clone(&self.settings));
        let run = move || {
            let observed = on_its_own(&job.scenario, &job.course, &adapter, &settings);
            let _ = tell.send((job, observed));
        };
        async move {
            if let Err(error) = tokio::task::spawn_blocking(run).await {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

struct Report<'a> {
    out: &'a mut Out,
    options: &'a Run,
    adapter: String,
    choices: Choices,
    here: Environment,
    tally: Tally,
    /// The traces that each scenario gave, by their text.
    traces: BTreeMap<String, BTreeSet<String>>,
    unwritten: Option<String>,
    progress: ProgressBar,
}

impl Report<'_> {
    /// Judges what came; says whether it is as expected.
    fn take(&mut self, job: &Job, came: std::io::Result<Observed>, adapter: &Adapter) -> bool {
        let observed = came.unwrap_or_else(|error| {
            let mut observed = Observed::of(Trace::default());
            observed.fault = Some(format!("the harness could not perform it: {error}"));
            observed
        });
        let mut verdict = judge(&job.scenario, &job.allowed, &observed, &adapter.manifest.known);
        hold_to_its_word(&mut verdict, &job.scenario, &observed, &adapter.manifest);
        blame(&mut verdict, &self.here);
        self.add(job, verdict, &observed)
    }

    fn add(&mut self, job: &Job, mut verdict: Verdict, observed: &Observed) -> bool {
        let expected = verdict.word.is_expected();
        self.tally.add(&job.scenario.id, &verdict);
        if !(verdict.word.says_nothing() || verdict.word == Word::Skip) {
            let blow = if job.line.is_some() { "" } else { &job.how };
            let key = format!("{} {blow}", job.scenario.id).trim_end().to_owned();
            self.traces.entry(key).or_default().insert(verdict.text.clone());
        }
        if let Some(line) = job.line.as_ref().filter(|_| !expected) {
            verdict
                .notes
                .push(format!("this line in its first comment gives the order:\n    {line}"));
        }
        let keep = !expected || self.options.keep;
        let record = keep.then(|| self.record(job, observed)).flatten();
        let told = Told {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            adapter: self.adapter.clone(),
            asked: self.options.adapter.clone(),
            how: match self.options.unchecked {
                true => format!("{} --unchecked", job.how).trim_start().to_owned(),
                false => job.how.clone(),
            },
            verdict,
            record,
        };
        match self.options.format {
            Format::Json => self.out.line(&json::result(&told).to_string()),
            Format::Terminal if !expected => {
                self.progress.suspend(|| self.out.line(&terminal::failure(&told)));
            }
            Format::Terminal => {}
        }
        self.progress.inc(1);
        expected
    }

    /// Keeps the evidence: what was heard, and what the agents printed.
    fn record(&mut self, job: &Job, observed: &Observed) -> Option<PathBuf> {
        let mut path = self.options.record.join(&self.adapter).join(&job.scenario.id);
        if !job.how.is_empty() {
            path.push(job.how.trim_start_matches('-').replace([' ', ':'], "-"));
        }
        match write(
            &path,
            observed,
            &record(job, observed, &self.options.adapter, self.choices, &self.here),
        ) {
            Ok(file) => Some(file),
            Err(error) => {
                self.unwritten =
                    Some(format!("error: cannot keep the evidence in {}: {error}", path.display()));
                None
            }
        }
    }

    fn finish(self, time: Duration) -> Result<u8, Stopped> {
        self.progress.finish_and_clear();
        match self.options.format {
            Format::Json => {
                self.out.line(&json::summary(&self.adapter, &self.tally, &self.here).to_string())
            }
            Format::Terminal => {
                self.out.text(&terminal::summary(
                    &self.adapter,
                    &self.tally,
                    &self.here,
                    time.as_secs_f64(),
                ));
            }
        }
        let several: Vec<_> = self.traces.iter().filter(|(_, traces)| traces.len() > 1).collect();
        for (id, traces) in &several {
            self.out.complain(&format!("{id} gave {} different traces", traces.len()));
        }
        if several.is_empty() && self.options.repeat > 1 && self.options.format == Format::Terminal
        {
            self.out.line(&format!(
                "  each of {} scenarios gave one and the same trace",
                self.traces.len()
            ));
        }
        match self.unwritten {
            Some(text) => Err(Stopped::unable(text)),
            None => Ok(self.tally.exit_code()),
        }
    }
}

/// Shows how far it is, on stderr and only if that is a terminal.
fn progress(runs: usize, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len}, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn write(folder: &Path, observed: &Observed, record: &str) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join("record.jsonl");
    fs::write(&file, record)?;
    fs::write(folder.join("printed.txt"), &observed.printed)?;
    Ok(file)
}

fn runtime() -> Result<tokio::runtime::Runtime, Stopped> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(unable)
}

fn unable(error: std::io::Error) -> Stopped {
    Stopped::unable(format!("error: {error}"))
}
