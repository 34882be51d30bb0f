//! The words of a verdict, and what each word means for the exit code of a run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The trace is one that the model and the file allow.
    Pass,
    /// The run fails exactly as the manifest says.
    Known,
    /// The implementation cannot run this scenario.
    Skip,
    /// A step has an outcome that is not allowed, or the trace as a whole is not allowed.
    Fail,
    /// Processes wait for each other forever.
    Deadlock,
    /// A step could complete, and does not.
    Hang,
    /// The run did not end in time, and there is no evidence why.
    Slow,
    /// The scenario may have more outcomes than the model can enumerate. Never a pass.
    Unknown,
    /// The manifest says that the run fails or is skipped, but it passes.
    Fixed,
    /// The adapter or the harness is at fault.
    Error,
    /// Something that the suite assumes of the system does not hold, and that explains what happened. Says nothing about the
    /// implementation.
    Environment,
}

impl Status {
    /// All words.
    pub const ALL: [Self; 11] = [
        Self::Pass,
        Self::Known,
        Self::Skip,
        Self::Fail,
        Self::Deadlock,
        Self::Hang,
        Self::Slow,
        Self::Unknown,
        Self::Fixed,
        Self::Error,
        Self::Environment,
    ];

    /// Whether a run with this status is as expected.
    #[must_use]
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Pass | Self::Known | Self::Skip)
    }

    /// The exit code of a command whose only verdict this is: 0 if as expected, 1 if not, 3 if the run could not find out.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::Known | Self::Skip => 0,
            Self::Fail | Self::Deadlock | Self::Hang | Self::Fixed => 1,
            Self::Slow | Self::Unknown | Self::Error | Self::Environment => 3,
        }
    }

    /// Whether the run could not find out what is right.
    #[must_use]
    pub fn is_inconclusive(self) -> bool {
        matches!(self, Self::Unknown | Self::Error | Self::Environment)
    }

    /// Whether this is a failure of the implementation that a manifest can list as known.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Deadlock | Self::Hang)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Known => "KNOWN",
            Self::Skip => "SKIP",
            Self::Fail => "FAIL",
            Self::Deadlock => "DEADLOCK",
            Self::Hang => "HANG",
            Self::Slow => "SLOW",
            Self::Unknown => "UNKNOWN",
            Self::Fixed => "FIXED",
            Self::Error => "ERROR",
            Self::Environment => "ENVIRONMENT",
        })
    }
}
