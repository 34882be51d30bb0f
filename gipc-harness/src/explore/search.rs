//! The search: executes random scenarios on an implementation and judges them by the model. A scenario that fails is
//! shrunk and written to a file.

use super::findings::{Failure, Findings};
use super::viable::viable;
use super::{script, shrink};
use crate::adapter::{Adapter, Spawn};
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::model::Choices;
use crate::runner::Settings;
use crate::scenario::{Scenario, Script};
use crate::suite::own_program;
use crate::suite_run::{execute_one, settings_for_one};
use crate::variant::{Job, Variant, can_run_concurrently, declared_choices};
use crate::verdict::{Baseline, Status, judge};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many times in a row a scenario must fail in the same way before its failure counts as reproducible.
const REPETITIONS: usize = 3;
/// In how many further rounds an intermittent failure may occur again.
const MORE_REPETITIONS: usize = 12;
/// How long shrinking may continue after the end of the search. Then the script is written as it is.
const SHRINK_TIME: Duration = Duration::from_secs(120);

/// The options of a search.
#[derive(Clone, Debug)]
pub struct ExploreRequest {
    /// The first seed; random if not given.
    pub seed: Option<u64>,
    /// The last seed; if not given, as many as the time allows.
    pub last_seed: Option<u64>,
    /// The duration of the search, in seconds.
    pub seconds: u64,
    /// The maximum number of scenarios; unlimited if not given.
    pub count: Option<u32>,
    /// The profiles whose verbs are used; all profiles of the adapter if the list is empty.
    pub profiles: Vec<String>,
    /// Whether to continue after a failure and keep one scenario for each kind of failure.
    pub all: bool,
    /// How many scenarios run at the same time; one for each processor if not given.
    pub jobs: Option<usize>,
    /// The folder for the scenarios that fail.
    pub out: PathBuf,
    /// Ends the search early once it is true, and interrupts the scenarios that are running. The sender must be kept.
    pub stop: watch::Receiver<bool>,
}

/// Searches for scenarios that fail. The workers call `on_progress` with the number of scenarios so far.
///
/// Fails if the adapter does not have a profile of the request, or if a scenario cannot be executed or written.
pub fn explore(
    adapter: Adapter,
    request: &ExploreRequest,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<Findings, Error> {
    let profiles = profiles(&adapter, &request.profiles)?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let (settings, _) = settings_for_one(own_program()?);
    let search = Search {
        settings: Settings { interrupt: request.stop.clone(), ..settings },
        environment: environment::look(&own_program()?),
        choices: declared_choices(&adapter),
        // A child that begins as a copy of its parent holds further handles for a while, which is a race in a concurrent
        // run.
        runs_concurrently: adapter.manifest.choices.spawn == Some(Spawn::Atomic),
        adapter,
        request,
        profiles,
        first_seed: request.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
        began: Instant::now(),
        seeds_used: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        findings: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..request.jobs.unwrap_or_else(processors) {
            scope.spawn(|| search.work(on_progress));
        }
    });
    let findings = search.findings.into_inner();
    let mut findings = findings.unwrap_or_else(std::sync::PoisonError::into_inner);
    (findings.first_seed, findings.time) = (search.first_seed, search.began.elapsed());
    findings.interrupted = *request.stop.borrow();
    match findings.error.take() {
        Some(error) => Err(error),
        None => Ok(findings),
    }
}

/// The named profiles, or all that the implementation has. `core` is always among them.
fn profiles(adapter: &Adapter, named: &[String]) -> Result<BTreeSet<String>, Error> {
    let has = &adapter.manifest.profiles;
    if let Some(other) = named.iter().find(|name| !has.contains(name)) {
        return Err(Error::usage(format!(
            "error: {} has no profile {other}; it has {}",
            adapter.manifest.name,
            has.join(", ")
        )));
    }
    let mut all: BTreeSet<String> =
        if named.is_empty() { has } else { named }.iter().cloned().collect();
    all.insert("core".into());
    Ok(all)
}

/// The result of executing a scenario several times.
enum Repeated {
    /// The first run did not fail, or not in the wanted way.
    Right,
    /// The first runs failed in this way, and a later one did not.
    Sometimes(Failure),
    /// Each run failed in this way.
    Always(Failure),
}

struct Search<'a> {
    adapter: Adapter,
    request: &'a ExploreRequest,
    settings: Settings,
    environment: Environment,
    profiles: BTreeSet<String>,
    choices: Choices,
    runs_concurrently: bool,
    first_seed: u64,
    began: Instant,
    seeds_used: AtomicU64,
    is_over: AtomicBool,
    findings: Mutex<Findings>,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.is_interrupted()
    }

    fn is_interrupted(&self) -> bool {
        *self.request.stop.borrow()
    }

    fn findings<R>(&self, act: impl FnOnce(&mut Findings) -> R) -> R {
        act(&mut self.findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Runs one worker, which generates, executes and judges scenarios until the search is over.
    fn work(&self, on_progress: &(dyn Fn(u64) + Sync)) {
        let limit = Duration::from_secs(self.request.seconds);
        while !self.is_over() && self.began.elapsed() < limit {
            let seed =
                self.first_seed.wrapping_add(self.seeds_used.fetch_add(1, Ordering::Relaxed));
            if self.request.last_seed.is_some_and(|last| seed > last) {
                return;
            }
            self.findings(|findings| findings.seeds += 1);
            let random = script(&mut fastrand::Rng::with_seed(seed), &self.profiles);
            let Some((scenario, allowed)) = viable(&random, self.choices) else { continue };
            let is_counted = self.findings(|findings| {
                let max = self.request.count.map_or(u64::MAX, u64::from);
                let is_counted = findings.scenarios < max;
                if is_counted {
                    findings.count(&scenario, &allowed);
                    on_progress(findings.scenarios);
                }
                self.is_over.fetch_or(findings.scenarios >= max, Ordering::Relaxed);
                is_counted
            });
            if !is_counted {
                return;
            }
            if let Err(error) = self.check(random, seed, &scenario) {
                self.is_over.store(true, Ordering::Relaxed);
                self.findings(|findings| findings.error = Some(error));
            }
        }
    }

    /// Executes one scenario stepwise and concurrently, and stores its first failure.
    fn check(&self, random: Script, seed: u64, scenario: &Scenario) -> Result<(), Error> {
        for concurrent in [false, true] {
            if concurrent && !(self.runs_concurrently && can_run_concurrently(scenario)) {
                continue;
            }
            self.findings(|findings| findings.concurrent += u64::from(concurrent));
            let (failure, always) = match self.failure(scenario, concurrent, None)? {
                Repeated::Right => continue,
                Repeated::Sometimes(failure) if self.occurs_again(scenario, &failure)? => {
                    (failure, false)
                }
                Repeated::Sometimes(failure) => {
                    let path = self.write(&scenario.script, seed, &failure)?;
                    let description = failure.words();
                    self.findings(|findings| findings.unrepeated.push((description, path)));
                    continue;
                }
                Repeated::Always(failure) => (failure, true),
            };
            let is_known = self.findings(|findings| {
                findings.failures.get_mut(&failure).map(|(count, _)| *count += 1).is_some()
            });
            if is_known {
                return Ok(());
            }
            self.is_over.fetch_or(!self.request.all, Ordering::Relaxed);
            let path = self.shrink_and_write(random, seed, &failure, always)?;
            self.findings(|findings| findings.failures.insert(failure, (1, path)));
            return Ok(());
        }
        Ok(())
    }

    /// Executes a scenario several times and says whether it fails in the same way each time. If a failure is wanted, only
    /// that one counts.
    fn failure(
        &self,
        scenario: &Scenario,
        concurrent: bool,
        wanted: Option<&Failure>,
    ) -> Result<Repeated, Error> {
        let variant = if concurrent { Variant::Concurrent } else { Variant::default() };
        let job = Job::new(scenario, Path::new("explored"), self.choices, variant)
            .map_err(|reason| Error::unable(format!("error: {reason}")))?;
        let mut before = wanted.cloned();
        for round in 0..REPETITIONS {
            let output = execute_one(&job.scenario, &job.mode, &self.adapter, &self.settings)?;
            // This run was cut short, so it says nothing about the scenario.
            if self.is_interrupted() {
                return Ok(before
                    .filter(|_| round > 0)
                    .map_or(Repeated::Right, Repeated::Sometimes));
            }
            // The baseline in the adapter's folder is about the suite rather than random scenarios.
            let (baseline, observation) = (Baseline::default(), &output.observation);
            let verdict = judge(&job, observation, &baseline, &self.environment);
            let failure = Failure::of(scenario, &verdict, concurrent);
            let is_same = before.as_ref().is_none_or(|before| *before == failure);
            if verdict.status.is_expected() || !is_same {
                let is_skip = verdict.status == Status::Skip;
                self.findings(|findings| findings.skipped += u64::from(is_skip));
                let earlier = before.filter(|_| round > 0);
                return Ok(earlier.map_or(Repeated::Right, Repeated::Sometimes));
            }
            before = Some(failure);
        }
        Ok(before.map_or(Repeated::Right, Repeated::Always))
    }

    /// Whether the scenario fails in this way in any of `MORE_REPETITIONS` more rounds.
    fn occurs_again(&self, scenario: &Scenario, failure: &Failure) -> Result<bool, Error> {
        for _ in 0..MORE_REPETITIONS {
            if let Repeated::Sometimes(_) | Repeated::Always(_) =
                self.failure(scenario, failure.concurrent, Some(failure))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Shrinks the script and writes it to a file. If the failure is intermittent (not `always`), a smaller script need fail
    /// only in some runs.
    fn shrink_and_write(
        &self,
        random: Script,
        seed: u64,
        failure: &Failure,
        always: bool,
    ) -> Result<PathBuf, Error> {
        let mut error = None;
        let limit = Duration::from_secs(self.request.seconds).saturating_add(SHRINK_TIME);
        let small = shrink(random, |script| {
            if self.began.elapsed() > limit || self.is_interrupted() {
                return false;
            }
            let Some((scenario, _)) = viable(script, self.choices) else { return false };
            if failure.concurrent && !can_run_concurrently(&scenario) {
                return false;
            }
            let fails_again = match always {
                true => self
                    .failure(&scenario, failure.concurrent, Some(failure))
                    .map(|repeated| matches!(repeated, Repeated::Always(_))),
                false => self.occurs_again(&scenario, failure),
            };
            fails_again.unwrap_or_else(|cause| {
                error = Some(cause);
                false
            })
        });
        if let Some(error) = error {
            return Err(error);
        }
        let script = viable(&small, self.choices)
            .map_or(small, |(scenario, _)| scenario.script.as_ref().clone());
        self.write(&script, seed, failure)
    }

    /// Writes a script into the folder for failures. Returns the path of the file.
    fn write(&self, script: &Script, seed: u64, failure: &Failure) -> Result<PathBuf, Error> {
        let name = &self.adapter.manifest.name;
        let text = format!(
            "# Found by `explore --seed {seed}` on {name}: {}.\n# Say here what must hold and why, and which requirements it covers.\n\n{script}",
            failure.words()
        );
        let path = self.request.out.join(format!("{name}-{seed}.scenario"));
        let written = fs::create_dir_all(&self.request.out).and_then(|()| fs::write(&path, text));
        written.map_err(|error| Error::unwritable(&path, &error))?;
        Ok(path)
    }
}
