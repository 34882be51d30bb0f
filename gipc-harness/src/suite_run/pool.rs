//! The worker pool: runs a number of executions at once, each on a thread of its own, and judges each as it ends.

use super::execute_one::execute_one;
use super::needs::Needs;
use super::{FinishedRun, RunEvent, RunRequest, SuiteRunEnd};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::error::Error;
use crate::runner::{Phase, RunOutput, Settings, SilenceNotice};
use crate::trace::{EvidenceTier, Observation};
use crate::variant::Job;
use crate::verdict::{Baseline, judge};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// What an execution reports.
enum Happened {
    Began,
    Ended(Box<io::Result<RunOutput>>, Duration),
    Silent(SilenceNotice),
}

/// The channel on which executions report.
type Reports = mpsc::UnboundedSender<(Arc<Job>, Happened)>;

/// Executes jobs of one adapter.
pub(super) struct WorkerPool {
    pub(super) adapter: Arc<Adapter>,
    pub(super) settings: Settings,
    /// Interrupts all executions.
    pub(super) stop: watch::Sender<bool>,
}

impl WorkerPool {
    /// Executes each job as often as requested. SIGINT and SIGTERM interrupt; a run that was cut short has no verdict.
    pub(super) fn execute_all(
        self,
        jobs: &[Arc<Job>],
        request: &RunRequest,
        environment: &Environment,
        on_event: &mut dyn FnMut(RunEvent) -> bool,
    ) -> Result<SuiteRunEnd, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let baseline_adapter = Arc::clone(&self.adapter);
        let mut judged = |job: Arc<Job>, output: io::Result<RunOutput>, time| {
            let output = output.unwrap_or_else(|error| {
                let fault = format!("the harness could not perform it: {error}");
                Observation::unperformed(&job.scenario, fault).into()
            });
            let judging = Instant::now();
            let baseline = Baseline::of(&baseline_adapter);
            let verdict = judge(&job, &output.observation, &baseline, environment);
            let mut timings = output.timings;
            timings.add(Phase::Judging, judging.elapsed());
            FinishedRun { job, output, verdict, time, timings }
        };
        runtime.block_on(self.run(jobs, request, &mut judged, on_event))
    }

    async fn run(
        self,
        jobs: &[Arc<Job>],
        request: &RunRequest,
        judged: &mut dyn FnMut(Arc<Job>, io::Result<RunOutput>, Duration) -> FinishedRun,
        on_event: &mut dyn FnMut(RunEvent) -> bool,
    ) -> Result<SuiteRunEnd, Error> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let began = Instant::now();
        let is_over = || request.time_limit.is_some_and(|limit| began.elapsed() >= limit);
        let mut waiting = (0..request.repeat).flat_map(|_| jobs.iter().cloned()).peekable();
        let (sender, mut reports) = mpsc::unbounded_channel();
        let mut running = JoinSet::new();
        let (at_once, available) = (request.at_once(), Needs::available());
        let mut used = Needs::default();
        let mut end = SuiteRunEnd::default();
        // Returns whether the run is as expected.
        let mut report = |job: Arc<Job>, happened: Happened, end: &SuiteRunEnd| match happened {
            Happened::Began => on_event(RunEvent::Started(job)),
            Happened::Silent(notice) => on_event(RunEvent::Silent(job, notice)),
            Happened::Ended(output, time) => match *output {
                Ok(output) if end.interrupted && was_interrupted(&output) => {
                    on_event(RunEvent::Interrupted(job, Box::new(output)))
                }
                _ if end.interrupted || end.stopped_at_failure => true,
                output => on_event(RunEvent::Finished(Box::new(judged(job, output, time)))),
            },
        };
        loop {
            let is_stopped = end.interrupted || end.stopped_at_failure || is_over();
            while running.len() < at_once && !is_stopped {
                // A job that needs more than there is runs alone, and its failure shows what is missing.
                let has_room =
                    |job: &Arc<Job>| (used + Needs::of(&job.scenario)).fit_into(available);
                let is_alone = running.is_empty();
                let Some(job) = waiting.next_if(|job| is_alone || has_room(job)) else { break };
                let needs = Needs::of(&job.scenario);
                used += needs;
                let run = self.start(job, sender.clone());
                running.spawn(async move {
                    run.await;
                    needs
                });
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                _ = interrupt.recv() => end.interrupted = true,
                _ = terminate.recv() => end.interrupted = true,
                Some((job, happened)) = reports.recv() => {
                    if !report(job, happened, &end) && request.until_failure {
                        end.stopped_at_failure = true;
                    }
                }
                Some(joined) = running.join_next() => {
                    match joined {
                        Ok(needs) => used -= needs,
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    }
                }
            }
            if end.interrupted || end.stopped_at_failure {
                self.stop.send_replace(true);
            }
        }
        while let Ok((job, happened)) = reports.try_recv() {
            report(job, happened, &end);
        }
        Ok(end)
    }

    fn start(&self, job: Arc<Job>, reports: Reports) -> impl Future<Output = ()> + Send + 'static {
        let (notices, mut noticed) = mpsc::unbounded_channel();
        let settings = Settings { notices: Some(notices), ..self.settings.clone() };
        let adapter = Arc::clone(&self.adapter);
        let (silent_job, silences) = (Arc::clone(&job), reports.clone());
        let execute = move || {
            let job = job.complete();
            let _ = reports.send((Arc::clone(&job), Happened::Began));
            let began = Instant::now();
            let output = execute_one(&job.scenario, &job.mode, &adapter, &settings);
            let _ = reports.send((job, Happened::Ended(Box::new(output), began.elapsed())));
        };
        let pass_on = async move {
            while let Some(notice) = noticed.recv().await {
                let _ = silences.send((Arc::clone(&silent_job), Happened::Silent(notice)));
            }
        };
        async move {
            let (executed, ()) = tokio::join!(tokio::task::spawn_blocking(execute), pass_on);
            if let Err(error) = executed {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

fn was_interrupted(output: &RunOutput) -> bool {
    let stall = output.observation.stall.as_ref();
    stall.is_some_and(|stall| stall.tier == EvidenceTier::Interrupted)
}
