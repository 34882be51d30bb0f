//! The entry point of the runner: starts an execution, drives it in its mode, and ends it.

use super::execution::Execution;
use super::fault_injection::{FaultKind, InjectedFault};
use super::output::RunOutput;
use super::settings::Settings;
use super::{concurrent, stepwise};
use crate::adapter::Adapter;
use crate::scenario::Scenario;
use crate::trace::ExecutionMode;
use std::io;

/// Executes a scenario with real processes. No process of the run is left afterwards.
///
/// Must run on a current-thread runtime that does nothing else: only then is it certain that everything that arrived was
/// read when a silence is noticed.
///
/// Fails if the harness itself can't go on: it can't make the socket or start the supervisor. What the adapter does wrong is
/// in [`Observation::fault`](crate::trace::Observation::fault) instead. Not cancel-safe: if the future is dropped, the
/// supervisor still cleans up, but nothing waits for it.
pub async fn execute(
    scenario: &Scenario,
    mode: &ExecutionMode,
    adapter: &Adapter,
    settings: &Settings,
) -> io::Result<RunOutput> {
    let mut execution = Execution::start(scenario, adapter, settings).await?;
    execution.await_main().await;
    let injected = |point, kind| Some(InjectedFault { point, kind });
    match mode {
        ExecutionMode::Stepwise(schedule) => stepwise::run(&mut execution, schedule, None).await,
        ExecutionMode::Kill(schedule, point) => {
            stepwise::run(&mut execution, schedule, injected(*point, FaultKind::Kill)).await;
        }
        ExecutionMode::Pause(schedule, point) => {
            stepwise::run(&mut execution, schedule, injected(*point, FaultKind::Pause)).await;
        }
        ExecutionMode::Concurrent => concurrent::run(&mut execution).await,
    }
    Ok(execution.finish().await)
}
