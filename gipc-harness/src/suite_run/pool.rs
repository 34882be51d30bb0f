//! The worker pool: so many executions at once, each on a thread of its own, each judged as it ends.

use super::execute_one::execute_one;
use super::{FinishedRun, RunRequest, SuiteRunEnd};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::error::Error;
use crate::runner::{RunOutput, Settings};
use crate::trace::Observation;
use crate::variant::Job;
use crate::verdict::{Baseline, judge};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// An execution that ended.
type Ended = (Arc<Job>, io::Result<RunOutput>, Duration);

/// Executes jobs of one adapter.
pub(super) struct WorkerPool {
    pub(super) adapter: Arc<Adapter>,
    pub(super) settings: Settings,
    /// Interrupts all executions.
    pub(super) stop: watch::Sender<bool>,
}

impl WorkerPool {
    /// Executes each job as often as is asked. SIGINT and SIGTERM interrupt; what was cut short is not reported.
    pub(super) fn execute_all(
        self,
        jobs: &[Arc<Job>],
        request: &RunRequest,
        environment: &Environment,
        on_result: &mut dyn FnMut(FinishedRun) -> bool,
    ) -> Result<SuiteRunEnd, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let baseline_adapter = Arc::clone(&self.adapter);
        let mut report = |(job, output, time): Ended| {
            let output = output.unwrap_or_else(|error| {
                let fault = format!("the harness could not perform it: {error}");
                Observation::unperformed(&job.scenario, fault).into()
            });
            let baseline = Baseline::of(&baseline_adapter);
            let verdict = judge(&job, &output.observation, &baseline, environment);
            on_result(FinishedRun { job, output, verdict, time })
        };
        runtime.block_on(self.run(jobs, request, &mut report))
    }

    async fn run(
        self,
        jobs: &[Arc<Job>],
        request: &RunRequest,
        report: &mut dyn FnMut(Ended) -> bool,
    ) -> Result<SuiteRunEnd, Error> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = request.jobs.unwrap_or_else(processors);
        let mut waiting = (0..request.repeat).flat_map(|_| jobs.iter().cloned());
        let (sender, mut ended) = mpsc::unbounded_channel::<Ended>();
        let mut running = JoinSet::new();
        for job in waiting.by_ref().take(at_once) {
            running.spawn(self.start(job, sender.clone()));
        }
        let mut end = SuiteRunEnd::default();
        let is_stopped = || *self.stop.borrow();
        while !running.is_empty() {
            tokio::select! {
                _ = interrupt.recv() => end.interrupted = true,
                _ = terminate.recv() => end.interrupted = true,
                Some(run) = ended.recv() => {
                    if !is_stopped() && !report(run) && request.until_failure {
                        end.stopped_at_failure = true;
                        self.stop.send_replace(true);
                    }
                }
                Some(joined) = running.join_next() => {
                    if let Err(error) = joined {
                        std::panic::resume_unwind(error.into_panic());
                    }
                    let stopped = is_stopped();
                    if let Some(job) = waiting.next().filter(|_| !stopped) {
                        running.spawn(self.start(job, sender.clone()));
                    }
                }
            }
            if end.interrupted {
                self.stop.send_replace(true);
            }
        }
        while let Ok(run) = ended.try_recv() {
            if !is_stopped() {
                report(run);
            }
        }
        Ok(end)
    }

    fn start(
        &self,
        job: Arc<Job>,
        sender: mpsc::UnboundedSender<Ended>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (adapter, settings) = (Arc::clone(&self.adapter), self.settings.clone());
        let execute = move || {
            let began = Instant::now();
            let output = execute_one(&job.scenario, &job.mode, &adapter, &settings);
            let _ = sender.send((job, output, began.elapsed()));
        };
        async move {
            if let Err(error) = tokio::task::spawn_blocking(execute).await {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}
