//! The messages between the supervisor and the harness, and what both know about the scratch directory.

use crate::trace::ProcessExit;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The name of the socket of a run, in its scratch directory.
pub const SOCKET: &str = "socket";

/// The order to make the scratch directory of the next run.
pub(super) const PREPARE: &str = "prepare";

/// The order to start `main`.
pub(super) const START: &str = "start";

/// The order to end the run and to list what it leaves behind. The pids of the processes that have connected to the harness
/// follow it on the line.
pub(super) const END: &str = "end";

/// The order to end the run at once, followed by the same pids. Any other line, and the end of the connection, mean the
/// same. The end of the connection also ends the supervisor.
pub(super) const ABORT: &str = "abort";

/// The token of a run: the name of its scratch directory, which has a random part.
#[must_use]
pub fn token(scratch: &Path) -> String {
    scratch.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// An event that the supervisor reports.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SupervisorEvent {
    /// The scratch directory of the run exists.
    Ready(PathBuf),
    /// `main` was started with this pid.
    Started(i32),
    /// `main` could not be started, or the directory could not be made. The text is the reason.
    Failed(String),
    /// `main`, or a process that lost its parent, has ended and was reaped.
    Exited {
        /// The process id.
        pid: i32,
        /// How it ended.
        exit: ProcessExit,
    },
    /// Some processes are left, and it is not known yet whether they are about to end.
    Waiting,
    /// No process of the run is left, nor its scratch directory.
    Finished {
        /// The processes that were left behind.
        leaked: Vec<LeakedProcess>,
        /// What all processes of the run printed, cut after 256 KiB.
        printed: String,
    },
}

/// A process that still existed when its run ended.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct LeakedProcess {
    /// The process id.
    pub pid: i32,
    /// The process that should have reaped it.
    pub parent: i32,
    /// The state letter of the system; `Z` is a zombie.
    pub state: String,
    /// The command line.
    pub command: String,
}
