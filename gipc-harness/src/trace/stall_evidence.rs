//! What was seen when a run stopped moving: which steps were open, what each process slept in, and which process held which
//! pipe end.
//!
//! This is only data; the deadlock analysis draws the conclusions.

use super::Trace;
use crate::scenario::{PipeEnd, PipeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The evidence for a stall.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StallEvidence {
    /// The trace up to the stall. Later steps may have released the steps that were open then.
    pub trace: Trace,
    /// How strong the proof is that nothing moves.
    pub tier: EvidenceTier,
    /// The steps that should have completed by then and had not.
    pub overdue: Vec<usize>,
    /// Which process held which pipe end as which descriptor. Empty if the system does not show it.
    pub holders: Vec<FdHolder>,
    /// The ends whose holders are all in `holders`. Ends that are not pipes of the system are never among them.
    pub fully_known_ends: BTreeSet<PipeEnd>,
    /// The fill level of each pipe that still has a reader and a writer, if the system shows it.
    pub fill_levels: Vec<FillLevel>,
    /// The signals of the processes that a step has signalled or that wait for a child, if the system shows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, SignalView>,
    /// The processes that were spawned and have not connected. Nothing is known about them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unconnected: BTreeSet<String>,
    /// The descriptors that keep the input of a program beside the library open, in other processes than its parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ghost_inputs: Vec<GhostInput>,
    /// What each sleeping process slept in.
    pub blocked_in: BTreeMap<String, BlockedIn>,
    /// Whether the event loop of each process answered a ping that was sent after the stall.
    pub loops_turning: BTreeMap<String, bool>,
    /// The processes that could still move, each with the observation that shows it: `a timer is set, in epoll`.
    pub still_running: BTreeMap<String, String>,
    /// The steps that completed only after their loop had been pinged. A wake-up must have been lost.
    pub woken_by_ping: Vec<usize>,
}

impl StallEvidence {
    /// The descriptors that are this end, by process.
    pub fn holders_of(&self, end: PipeEnd) -> impl Iterator<Item = &FdHolder> {
        self.holders.iter().filter(move |holder| holder.end == end)
    }

    /// The number of bytes in a pipe; `None` if it is not known.
    #[must_use]
    pub fn bytes_in(&self, pipe: PipeId) -> Option<u64> {
        self.fill_levels.iter().find(|level| level.pipe == pipe).map(|level| level.bytes)
    }

    /// The proof that nothing moves, as part of a sentence in a report.
    #[must_use]
    pub fn words(&self) -> &'static str {
        let has_far_timer =
            |call: &BlockedIn| matches!(call, BlockedIn::Call { far_timer: Some(_), .. });
        match self.tier {
            EvidenceTier::Kernel if self.blocked_in.values().any(has_far_timer) => {
                "every thread of every process sleeps, and no timer ends within ten minutes"
            }
            tier => tier.words(),
        }
    }

    /// Whether every step and every pipe that the evidence mentions exists in a scenario of this size.
    pub(super) fn fits(&self, steps: usize, pipes: usize) -> bool {
        let ends = self.fully_known_ends.iter().chain(self.holders.iter().map(|one| &one.end));
        self.overdue.iter().chain(&self.woken_by_ping).all(|step| *step < steps)
            && ends.into_iter().all(|end| end.pipe < pipes)
    }
}

/// What the kernel shows about the signals of a process. Signals are named as in a scenario: `SIGUSR1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalView {
    /// The signals that were sent and not yet delivered.
    pub pending: BTreeSet<String>,
    /// The signals that every thread of the process blocks.
    pub blocked: BTreeSet<String>,
    /// The signals for which the process has a handler.
    pub caught: BTreeSet<String>,
    /// The signals that the process ignores.
    pub ignored: BTreeSet<String>,
}

/// A descriptor that keeps the input of a program beside the library open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GhostInput {
    /// The program, as the scenario names it.
    pub ghost: String,
    /// The process that holds the other end of its input.
    pub process: String,
    /// The number of the descriptor in that process.
    pub descriptor: i32,
}

/// What a sleeping process is blocked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockedIn {
    /// A signal has stopped the process.
    Stopped,
    /// The first thread of the process sleeps in a system call.
    Call {
        /// The name of the call, without the prefix or suffix of a variant: `read`, `epoll`.
        name: String,
        /// The descriptor that the call waits for, if its first argument is one.
        fd: Option<i32>,
        /// The seconds after which a timer ends the call, if that is later than any run waits. A process with a shorter
        /// timer counts as moving.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        far_timer: Option<u64>,
    },
}

impl fmt::Display for BlockedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Call { name, fd, far_timer } => {
                f.write_str(name)?;
                fd.map_or(Ok(()), |fd| write!(f, "(fd {fd})"))?;
                far_timer.map_or(Ok(()), |seconds| write!(f, " (its timer ends in {seconds} s)"))
            }
        }
    }
}

/// The strength of the evidence that nothing moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceTier {
    /// Every thread of every process slept through one instant, and no timer was set.
    #[default]
    Kernel,
    /// The same holds for the waiting processes. Others still move, but none of them can release a waiting one.
    KernelPartial,
    /// Every event loop turned twice, and no step completed.
    LoopTurns,
    /// Only time has passed, which proves nothing.
    Timeout,
    /// The user interrupted the run, which proves nothing.
    Interrupted,
}

impl EvidenceTier {
    /// The evidence as part of a sentence in a report.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Kernel => "every thread of every process sleeps, and no timer is set",
            Self::KernelPartial => {
                "each of their threads sleeps without a timer, and no other process can wake one of them"
            }
            Self::LoopTurns => "every event loop has turned twice, and no step completed",
            Self::Timeout => "only time has passed, which proves nothing",
            Self::Interrupted => "this is its state at that moment; it might have continued",
        }
    }

    /// The name of the tier in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::KernelPartial => "kernel-partial",
            Self::LoopTurns => "loop-turns",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One descriptor of one process that is an end of a pipe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FdHolder {
    /// The end.
    pub end: PipeEnd,
    /// The name of the process.
    pub process: String,
    /// The number of the descriptor in that process.
    pub descriptor: i32,
}

/// The number of bytes in a pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillLevel {
    /// The pipe.
    pub pipe: PipeId,
    /// The bytes that were written and not yet read.
    pub bytes: u64,
}
