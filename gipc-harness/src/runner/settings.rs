//! The settings of an execution.

use super::attached_tool::AttachedTool;
use super::silence::SilenceNotice;
use super::supervisor::SupervisorPool;
use crate::scenario::Scenario;
use crate::trace::StallEvidence;
use std::collections::BTreeSet;
use std::time::Duration;

/// Finds the open steps that can never complete although some processes still move. It is passed in because the runner does
/// not know how.
pub type FindDeadlocked = fn(&Scenario, &StallEvidence) -> BTreeSet<usize>;

/// The settings of an execution.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where supervisors come from.
    pub supervisors: SupervisorPool,
    /// How long nothing must arrive before the processes are examined. It never decides anything.
    pub quiet_period: Duration,
    /// How long to wait for a run that is silent and whose processes can't be observed. The verdict is then `slow`.
    pub timeout: Duration,
    /// The capacity to which each new pipe is set, in bytes, where the system allows it; `None` leaves the default.
    pub capacity: Option<u32>,
    /// Finds the deadlocked steps where some processes still move.
    pub find_deadlocked: FindDeadlocked,
    /// A tool to attach to a process before its first step.
    pub tool: Option<AttachedTool>,
    /// Where to send a notice when a run makes no progress for some seconds.
    pub notices: Option<tokio::sync::mpsc::UnboundedSender<SilenceNotice>>,
    /// Becomes true when the run is to be given up.
    pub interrupt: tokio::sync::watch::Receiver<bool>,
}
