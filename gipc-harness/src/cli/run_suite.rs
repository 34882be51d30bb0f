//! Performing many scenarios: how many at once, how often, and under which load.
//!
//! Does not know how one is performed, nor what is right.

use super::console::Console;
use super::cpu_load::CpuLoad;
use super::jobs::{InjectionSelector, Job, ways};
use super::run_reporter::{RunReporter, progress};
use super::suite_files::{ScenarioFile, Suite};
use super::{CommandError, Run, load, own_program};
use crate::adapter::skip_list::SkipList;
use crate::adapter::{Adapter, LateGet, MODEL};
use crate::deadlock::deadlocked_steps;
use crate::environment;
use crate::model::{self, Choices};
use crate::proc::platform::allow_many_descriptors;
use crate::report::Tally;
use crate::report::junit::Junit;
use crate::report::matrix::{Column, ScenarioInfo};
use crate::runner::{Settings, perform};
use crate::scenario::Scenario;
use crate::trace::{ExecutionMode, Observation};
use crate::verdict::{BaselineChange, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
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
        mutation: None,
        max_message: declared.max_message.unwrap_or(suite.max_message),
        late_get_waits: declared
            .late_get
            .map_or(suite.late_get_waits, |late| late == LateGet::Waits),
        start_needs: declared.start_needs.unwrap_or(suite.start_needs),
    }
}

/// Performs a scenario on a runtime that has one thread and nothing else to do. Only so is a silence one: whoever waits
/// for it comes after all that is there has been read, however seldom this thread is let run.
fn on_its_own(
    scenario: &Scenario,
    course: &ExecutionMode,
    adapter: &Adapter,
    settings: &Settings,
) -> std::io::Result<Observation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(perform(scenario, course, adapter, settings))
}

/// Performs one scenario, for `show` and `explore`.
pub(super) fn once(
    scenario: &Scenario,
    course: &ExecutionMode,
    adapter: &Adapter,
    exe: PathBuf,
) -> Result<Observation, CommandError> {
    let (_keep, interrupt) = watch::channel(false);
    let (trigger, patience) = (TRIGGER, Duration::from_secs(60));
    let settings = Settings {
        exe,
        trigger,
        patience,
        capacity: None,
        find_deadlocked: deadlocked_steps,
        interrupt,
    };
    on_its_own(scenario, course, adapter, &settings).map_err(unable)
}

/// The story order, step by step.
pub(super) fn as_written(scenario: &Scenario, choices: Choices) -> ExecutionMode {
    ExecutionMode::Stepwise(model::schedule(scenario, choices))
}

pub(super) fn run(suite: &Suite, run: &Run, out: &mut Console) -> Result<u8, CommandError> {
    Ok(perform_run(suite, run, out, None)?.exit_code())
}

/// Performs all that is asked for. With a column of a matrix, all that is to be said goes there, and not to the screen.
pub(super) fn perform_run(
    suite: &Suite,
    run: &Run,
    out: &mut Console,
    column: Option<(&mut Column, &BTreeMap<String, ScenarioInfo>)>,
) -> Result<Tally, CommandError> {
    let adapter = (run.adapter != MODEL).then(|| load(suite, &run.adapter)).transpose()?;
    if let Some(adapter) = adapter.as_ref().filter(|it| run.starve.is_some() && !it.has("limits")) {
        return Err(CommandError::usage(format!(
            "error: {} does not have the profile limits, so that it cannot be made to lack descriptors",
            adapter.manifest.name
        )));
    }
    let strangers = adapter.as_ref().map_or(Ok(Vec::new()), |it| strangers(suite, it, run))?;
    let mut sources = suite.select(&run.what)?;
    if let Some((part, parts)) = run.shard {
        // Neighbours are of one kind and take as long: they go to different parts.
        sources = sources.into_iter().skip(part - 1).step_by(parts).collect();
    }
    let choices = adapter.as_ref().map(choices).unwrap_or_default();
    let (jobs, heavy) = read(sources, choices, run, out)?;
    let name = adapter.as_ref().map_or(MODEL, |adapter| &adapter.manifest.name).to_owned();
    allow_many_descriptors();
    let (stop, interrupt) = watch::channel(false);
    let exe = own_program()?;
    let here = environment::look(&exe);
    let load = CpuLoad::start(run.load, &exe).map_err(unable)?;
    let factor = run.slow_factor.unwrap_or(here.slow_factor);
    let (trigger, patience) = (TRIGGER, Duration::from_secs(run.patience) * factor);
    let settings = Settings {
        exe,
        trigger,
        patience,
        capacity: run.capacity,
        find_deadlocked: deadlocked_steps,
        interrupt,
    };
    let mut report = RunReporter {
        out,
        options: run,
        adapter: name,
        choices,
        here,
        tally: Tally {
            planned: jobs.len() * run.repeat as usize,
            heavy,
            shard: run.shard,
            ..Tally::default()
        },
        junit: run.junit.is_some().then(Junit::default),
        traces: BTreeMap::new(),
        words: BTreeMap::new(),
        column,
        folder: adapter.as_ref().map(|adapter| adapter.here.clone()),
        found: strangers.into_iter().map(|id| (id, BaselineChange::Nothing)).collect(),
        unwritten: None,
        progress: progress(jobs.len() * run.repeat as usize, run.format),
    };
    let began = Instant::now();
    match adapter {
        None => {
            for job in &jobs {
                let observed = Observation::of(job.allowed.in_file_order().clone());
                for _ in 0..run.repeat {
                    let verdict = judge(&job.scenario, &job.allowed, &observed, &[]);
                    report.add(job, verdict, &observed, Duration::ZERO);
                }
            }
        }
        Some(adapter) => {
            let stage =
                WorkerPool { adapter: Arc::new(adapter), settings: Arc::new(settings), stop };
            runtime()?.block_on(stage.perform_all(jobs, run, &mut report))?;
        }
    }
    drop(load);
    report.finish(began.elapsed())
}

/// What the adapter's folder says of scenarios that there are not. Only their own themes are looked at: a folder of
/// scenarios from elsewhere has others.
fn strangers(suite: &Suite, adapter: &Adapter, run: &Run) -> Result<Vec<String>, CommandError> {
    let there: BTreeSet<String> = suite.select(&[])?.into_iter().map(|one| one.id).collect();
    let theme = |id: &str| id.split_once('/').map(|(theme, _)| format!("{theme}/"));
    let themes: BTreeSet<String> = there.iter().filter_map(|id| theme(id)).collect();
    let manifest = &adapter.manifest;
    let known = manifest.known.iter().map(|known| known.scenario.as_str());
    let listed = known.chain(manifest.lacks.keys().map(String::as_str));
    let listed = listed.chain(adapter.skips.iter().flat_map(SkipList::ids));
    let strange =
        |id: &&str| theme(id).is_some_and(|theme| themes.contains(&theme)) && !there.contains(*id);
    let strangers: BTreeSet<String> = listed.filter(strange).map(str::to_owned).collect();
    match strangers.first() {
        Some(id) if !run.accept => Err(CommandError::usage(format!(
            "error: {} speaks of {id}, and there is no such scenario\n  \
             accept   cargo harness run --adapter {} --accept",
            adapter.here.display(),
            run.adapter
        ))),
        _ => Ok(strangers.into_iter().collect()),
    }
}

/// Reads all, or says all that is wrong. Nothing has been started then.
fn read(
    sources: Vec<ScenarioFile>,
    choices: Choices,
    run: &Run,
    out: &mut Console,
) -> Result<(Vec<Arc<Job>>, usize), CommandError> {
    let (mut jobs, mut heavy, mut wrong, all_in_all) = (Vec::new(), 0, 0, sources.len());
    let mut other: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        // Unread: two hundred thousand steps take seconds to be read and asked of the model.
        if !run.heavy && !source.named && source.is_heavy() {
            heavy += 1;
            continue;
        }
        let scenario = if run.unchecked { source.unchecked() } else { source.scenario() };
        match scenario {
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
        return Err(CommandError::usage(format!(
            "{wrong} of {all_in_all} scenarios refused, so nothing was started"
        )));
    }
    for (reason, count) in other {
        out.complain(&format!("{count} scenarios {reason}"));
    }
    if jobs.is_empty() && heavy == 0 {
        let point = run.kill.as_ref().or(run.freeze.as_ref());
        return Err(CommandError::usage(match point.or(run.starve.as_ref()) {
            Some(InjectionSelector::One(role, k)) if point.is_some() => format!(
                "error: none of these scenarios has a moment {role}@{k} at which a child can be hit; \
                 `all` hits each at each of its begins and ends"
            ),
            Some(InjectionSelector::One(role, k)) => format!(
                "error: in none of these scenarios {role} makes a pipe, duplex or child number {k} that can fail; \
                 `all` lets each fail in turn"
            ),
            _ => "error: none of these scenarios can be performed in this way".into(),
        }));
    }
    Ok((jobs, heavy))
}

struct WorkerPool {
    adapter: Arc<Adapter>,
    settings: Arc<Settings>,
    stop: watch::Sender<bool>,
}

type Came = (Arc<Job>, std::io::Result<Observation>, Duration);

impl WorkerPool {
    async fn perform_all(
        &self,
        jobs: Vec<Arc<Job>>,
        run: &Run,
        report: &mut RunReporter<'_>,
    ) -> Result<(), CommandError> {
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
                Some((job, came, time)) = told.recv() => {
                    // What was cut short says nothing.
                    if !*self.stop.borrow() {
                        let expected = report.take(&job, came, time, &self.adapter);
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
        while let Ok((job, came, time)) = told.try_recv() {
            if !*self.stop.borrow() {
                report.take(&job, came, time, &self.adapter);
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
            let began = Instant::now();
            let observed = on_its_own(&job.scenario, &job.course, &adapter, &settings);
            let _ = tell.send((job, observed, began.elapsed()));
        };
        async move {
            if let Err(error) = tokio::task::spawn_blocking(run).await {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(unable)
}

fn unable(error: std::io::Error) -> CommandError {
    CommandError::unable(format!("error: {error}"))
}
