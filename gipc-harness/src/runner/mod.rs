//! Making it happen: real processes perform a scenario by a plan.
//!
//! The only room with processes, sockets and clocks. It follows the plan and writes down what came; it does not
//! know the model, so it cannot be tempted to help.

mod agent_events;
mod capability_probe;
mod concurrent;
mod executor;
mod fault_injection;
mod process_exits;
mod protocol_mapping;
mod quiescence;
mod run_state;
mod stall;
pub mod supervisor;

pub use executor::perform;

use crate::scenario::Scenario;
use crate::trace::StallEvidence;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Says which open steps can never end, though some processes still move: a judgement that is not this room's own.
pub type FindDeadlocked = fn(&Scenario, &StallEvidence) -> BTreeSet<usize>;

/// How a run is to be made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The harness's own program: it is the supervisor.
    pub exe: PathBuf,
    /// How long nothing may be heard before a reason is looked for. Never a verdict.
    pub trigger: Duration,
    /// How long to wait where no reason can be found. The last resort, whose verdict is `slow`.
    pub patience: Duration,
    /// How many bytes each pipe is made to hold, where the system can be asked that.
    pub capacity: Option<u32>,
    /// Who finds out whether those who sleep are stuck where others still move.
    pub find_deadlocked: FindDeadlocked,
    /// Becomes true when the run is to be given up.
    pub interrupt: tokio::sync::watch::Receiver<bool>,
}

/// SHIM until the typed events arrive.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Event(pub serde_json::Value);

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = &self.0;
        let ms = line["us"].as_f64().unwrap_or(0.0) / 1000.0;
        let who = match line["event"].as_str().unwrap_or_default() {
            "sent" => format!("to {}", line["to"].as_str().unwrap_or_default()),
            other => other.to_owned(),
        };
        write!(f, "{ms:>9.1} ms  {who:<14} {}", line["is"])
    }
}

/// What an execution leaves.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// What was observed.
    pub observation: crate::trace::Observation,
    /// What was sent and heard.
    pub events: Vec<Event>,
}

/// SHIM.
pub async fn execute(
    scenario: &Scenario,
    mode: &crate::trace::ExecutionMode,
    adapter: &crate::adapter::Adapter,
    settings: &Settings,
) -> std::io::Result<RunOutput> {
    let observation = perform(scenario, mode, adapter, settings).await?;
    let parse = |line: &String| Event(serde_json::from_str(line).unwrap_or_default());
    let events = observation.record.iter().map(parse).collect();
    Ok(RunOutput { observation, events })
}
