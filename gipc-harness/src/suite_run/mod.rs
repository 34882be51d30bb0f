//! A run of many scenarios on one adapter: planned, executed on a pool of workers, each run judged as it ends.
//!
//! The runner executes each scenario, and the judge decides what is right.

mod contract_check;
mod cpu_load;
mod execute_one;
mod needs;
mod run_plan;
mod pool;
mod request;

pub use contract_check::{ContractCheck, QuestionResult};
pub use cpu_load::busy_main;
pub use execute_one::{execute_one, settings_for_one};
pub use request::RunRequest;

use crate::adapter::{Adapter, MODEL};
use crate::deadlock::deadlocked_steps;
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::model::Choices;
use crate::proc::platform::{possible_pipe_capacity, raise_descriptor_limit};
use crate::program;
use crate::runner::supervisor::SupervisorPool;
use crate::runner::{Phase, RunOutput, Settings, SilenceNotice, Timings};
use crate::suite::{Suite, own_program};
use crate::trace::Observation;
use crate::variant::{Job, VariantRequest, declared_choices};
use crate::verdict::{Baseline, Verdict, judge};
use cpu_load::CpuLoad;
use needs::Needs;
use pool::WorkerPool;
use run_plan::RunPlan;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the runner listens before it looks for evidence of a stall. It never decides a verdict.
const QUIET_PERIOD: Duration = Duration::from_millis(20);

/// One run of one job, judged.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// What was executed.
    pub job: Arc<Job>,
    /// What was observed, and the events.
    pub output: RunOutput,
    /// The verdict on it.
    pub verdict: Verdict,
    /// How long it took.
    pub time: Duration,
    /// What the time was spent on, including judging.
    pub timings: Timings,
}

/// What a run of the suite reports while it goes on.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// A run begins.
    Started(Arc<Job>),
    /// A run has ended, and was judged.
    Finished(Box<FinishedRun>),
    /// A run has made no progress for some seconds.
    Silent(Arc<Job>, SilenceNotice),
    /// SIGINT or SIGTERM ended a run before its end. It has no verdict.
    Interrupted(Arc<Job>, Box<RunOutput>),
}

/// How a run of the suite ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct SuiteRunEnd {
    /// Whether SIGINT or SIGTERM ended it.
    pub interrupted: bool,
    /// Whether it was ended by the first run that was not as expected.
    pub stopped_at_failure: bool,
    /// How long it took.
    pub time: Duration,
}

/// A run of the suite that is planned and can start.
pub struct SuiteRun {
    request: RunRequest,
    plan: RunPlan,
    /// The suite that the scenarios are selected from.
    pub suite: Suite,
    /// The adapter as it was requested: a name or a path.
    pub asked: String,
    /// The adapter; `None` for the model, which executes nothing.
    pub adapter: Option<Arc<Adapter>>,
    /// The choices that the model is asked with.
    pub choices: Choices,
    /// What was found about the system.
    pub environment: Environment,
    /// The scenarios that the adapter's folder names but the suite does not have.
    pub stale: Vec<String>,
}

impl SuiteRun {
    /// Loads the adapter and the scenarios, and looks at the system. Starts no process of a scenario.
    pub fn prepare(suite: &Suite, request: RunRequest) -> Result<Self, Error> {
        let asked = request.adapter_in(suite)?;
        let adapter = (asked != MODEL).then(|| suite.adapter(&asked)).transpose()?;
        if let Some(adapter) = &adapter {
            if matches!(request.variant, VariantRequest::ExhaustFds(_)) && !adapter.has("limits") {
                return Err(Error::usage(format!(
                    "error: {} does not have the profile limits, so that it cannot be made to lack descriptors",
                    adapter.manifest.name
                )));
            }
        }
        let stale = adapter.as_ref().map_or(Ok(Vec::new()), |it| suite.stale_scenarios(it))?;
        if let (Some(id), Some(adapter), false) = (stale.first(), &adapter, request.accept) {
            return Err(Error::usage(format!(
                "error: {} names the scenario {id}, which does not exist\n  accept   {}",
                adapter.here.display(),
                program::command(&format!("run --adapter {asked} --accept")),
            )));
        }
        let choices = adapter.as_ref().map(declared_choices).unwrap_or_default();
        let mut plan = RunPlan::new(suite, &request, choices)?;
        plan.notes.extend(request.capacity.and_then(capacity_note));
        raise_descriptor_limit();
        if adapter.is_some() {
            let available = Needs::available();
            let notes = plan
                .jobs
                .iter()
                .filter_map(|job| Needs::of(&job.scenario).note(&job.scenario.id, available));
            let notes: BTreeSet<String> = notes.collect();
            plan.notes.extend(notes);
        }
        let environment = environment::look(&own_program()?);
        let adapter = adapter.map(Arc::new);
        let suite = suite.clone();
        Ok(Self { request, plan, suite, asked, adapter, choices, environment, stale })
    }

    /// The name of the adapter.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        self.adapter.as_ref().map_or(MODEL, |adapter| &adapter.manifest.name)
    }

    /// How many runs there will be; 0 if the time decides.
    #[must_use]
    pub fn planned(&self) -> usize {
        match self.request.time_limit {
            Some(_) => 0,
            None => self.plan.jobs.len() * self.request.repeat as usize,
        }
    }

    /// What is executed, as often as the request says.
    #[must_use]
    pub fn jobs(&self) -> &[Arc<Job>] {
        &self.plan.jobs
    }

    /// Leaves out the jobs for which `is_wanted` returns false.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Job) -> bool) {
        self.plan.jobs.retain(|job| is_wanted(job));
    }

    /// Executes the jobs that take longest first, if several run at once: otherwise a long one may run alone at the end.
    /// `seconds` says how long a job took before; a job without a known time counts as average. Verdicts do not depend on
    /// the order.
    pub fn start_longest_first(&mut self, seconds: impl Fn(&Job) -> Option<f64>) {
        if self.at_once() < 2 {
            return;
        }
        let times: Vec<Option<f64>> = self.plan.jobs.iter().map(|job| seconds(job)).collect();
        let known: Vec<f64> = times.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let mut jobs: Vec<_> = times.into_iter().zip(self.plan.jobs.drain(..)).collect();
        jobs.sort_by(|(a, _), (b, _)| b.unwrap_or(mean).total_cmp(&a.unwrap_or(mean)));
        self.plan.jobs.extend(jobs.into_iter().map(|(_, job)| job));
    }

    /// How many runs are executed at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.request.at_once()
    }

    /// How many heavy scenarios are left out.
    #[must_use]
    pub fn heavy_left_out(&self) -> usize {
        self.plan.heavy
    }

    /// How long reading the scenarios and predicting their outcomes took. What a kill or a pause makes right is derived later, when
    /// its run begins.
    #[must_use]
    pub fn prediction_time(&self) -> Duration {
        self.plan.prediction_time
    }

    /// Sentences about parts of the request that could not be met.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.plan.notes
    }

    /// Executes and judges everything. `on_event` is called with each event. For a run that has ended it returns whether the
    /// run was as expected; for other events its result is ignored.
    pub fn execute(self, on_event: &mut dyn FnMut(RunEvent) -> bool) -> Result<SuiteRunEnd, Error> {
        let began = Instant::now();
        let exe = own_program()?;
        let _load = CpuLoad::start(self.request.load, &exe)?;
        let mut end = match &self.adapter {
            None => {
                self.predict(on_event);
                SuiteRunEnd::default()
            }
            Some(adapter) => {
                let (stop, interrupt) = watch::channel(false);
                let factor = self.request.slow_factor.unwrap_or(self.environment.slow_factor);
                let settings = Settings {
                    supervisors: SupervisorPool::new(exe),
                    quiet_period: QUIET_PERIOD,
                    timeout: Duration::from_secs(self.request.timeout) * factor,
                    capacity: self.request.capacity,
                    find_deadlocked: deadlocked_steps,
                    tool: self.request.tool.clone(),
                    notices: None,
                    interrupt,
                };
                let pool = WorkerPool { adapter: Arc::clone(adapter), settings, stop };
                let environment = &self.environment;
                pool.execute_all(&self.plan.jobs, &self.request, environment, on_event)?
            }
        };
        end.time = began.elapsed();
        Ok(end)
    }

    /// Judges the model's own traces like runs: what the file says must be what the model says.
    fn predict(&self, on_event: &mut dyn FnMut(RunEvent) -> bool) {
        for job in &self.plan.jobs {
            let job = &Arc::clone(job).complete();
            // The model predicts the same each time.
            let repeat = if self.request.time_limit.is_some() { 1 } else { self.request.repeat };
            for _ in 0..repeat {
                let observation = Observation::of(job.allowed.in_file_order().clone());
                let judging = Instant::now();
                let verdict = judge(job, &observation, &Baseline::default(), &self.environment);
                let mut timings = Timings::default();
                timings.add(Phase::Judging, judging.elapsed());
                let (job, output, time) = (Arc::clone(job), observation.into(), Duration::ZERO);
                let run = FinishedRun { job, output, verdict, time, timings };
                on_event(RunEvent::Finished(Box::new(run)));
            }
        }
    }
}

/// The note about a capacity that the system does not set exactly as requested; `None` if it does.
fn capacity_note(bytes: u32) -> Option<String> {
    match possible_pipe_capacity(bytes) {
        Some(set) if set == bytes => None,
        Some(set) => Some(format!("--capacity {bytes}: here a pipe then holds {set} bytes")),
        None => Some(format!("--capacity {bytes}: here the capacity of a pipe cannot be set so")),
    }
}
