//! Executes one scenario on a runtime of its own.

use super::QUIET_PERIOD;
use crate::adapter::{Adapter, Manifest};
use crate::deadlock::deadlocked_steps;
use crate::runner::supervisor::SupervisorPool;
use crate::runner::{RunOutput, Settings, execute};
use crate::scenario::Scenario;
use crate::trace::{ExecutionMode, Observation};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How many seconds a single execution waits where no evidence of a stall can be found.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Executes a scenario on a runtime that has one thread and nothing else to do. Starts no process if the scenario needs a
/// profile that the manifest does not declare.
///
/// The runner relies on the order in which a single-threaded runtime serves events: a timer of the runner is served after
/// everything that has arrived, however late the operating system lets this thread run. So the runner must not share a
/// runtime.
pub fn execute_one(
    scenario: &Scenario,
    mode: &ExecutionMode,
    adapter: &Adapter,
    settings: &Settings,
) -> io::Result<RunOutput> {
    if let Some(observation) = not_asked(scenario, adapter) {
        return Ok(observation.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(execute(scenario, mode, adapter, settings))
}

/// The observation of a scenario that has a step of a profile that the manifest does not declare; `None` if there is no such
/// step. The agent is not asked, since an agent that ignores what it does not know can neither perform such a step nor
/// refuse it.
fn not_asked(scenario: &Scenario, adapter: &Adapter) -> Option<Observation> {
    let Manifest { profiles, lacks, .. } = &adapter.manifest;
    if profiles.is_empty() {
        return None;
    }
    let mut steps = scenario.steps.iter().enumerate();
    let (step, profile) =
        steps.find_map(|(index, step)| Some((index, step.undeclared_profile(profiles)?)))?;
    let reason = lacks.get(&scenario.id).or_else(|| lacks.get(profile)).cloned();
    let reason =
        reason.unwrap_or_else(|| format!("the manifest does not declare the profile {profile}"));
    Some(Observation::not_asked(scenario, step, reason))
}

/// The settings of executions one at a time. `exe` is the harness, which becomes their supervisor. Keep the returned sender: it
/// interrupts the run.
#[must_use]
pub fn settings_for_one(exe: PathBuf) -> (Settings, watch::Sender<bool>) {
    let (keep, interrupt) = watch::channel(false);
    let settings = Settings {
        supervisors: SupervisorPool::new(exe),
        quiet_period: QUIET_PERIOD,
        timeout: TIMEOUT,
        capacity: None,
        find_deadlocked: deadlocked_steps,
        tool: None,
        notices: None,
        interrupt,
    };
    (settings, keep)
}
