//! What an author of an adapter writes and returns: the traits of an implementation, its answers, and its identity.

use crate::command::{Command, WirePayload};
use crate::connection::Ending;
use crate::payload::{digest, noise};
use crate::protocol::{ControlChannel, ImplementationId, WireOutcome};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What the session asks an implementation for, besides the commands. Each method has a default; override the ones
/// that belong to a profile that you declare.
pub trait Resources: 'static {
    /// The number of live handles that the library counts in this process, or `None` if it does not count. Asked when
    /// the script is done.
    fn remaining_handles(&self) -> Option<u64> {
        None
    }

    /// The descriptor of the writing end of a handle, for the profile `frames`. It must be a pipe or a FIFO.
    ///
    /// # Errors
    ///
    /// The answer of the step, for example `closed` or `locked`.
    fn descriptor(&self, handle: &str) -> Result<RawFd, Failure> {
        Err(Failure::unsupported(format!("{handle} has no descriptor to write to")))
    }

    /// The header of a message of this length at this handle, for the profile `frames`; `None` if the format has no
    /// header, or cannot express this length. For an end of [`Streams`](crate::Streams) it is
    /// [`Streams::frame_header`](crate::Streams::frame_header).
    fn frame_header(&self, handle: &str, len: u64) -> Option<Vec<u8>> {
        let _ = (handle, len);
        None
    }

    /// Why a command of a profile that is not declared is not supported. Override it where the reason says more than
    /// that: a report shows it for each scenario that is skipped.
    fn why_undeclared(&self, command: &Command) -> String {
        format!("the profile {} is not declared", command.profile())
    }

    /// The pid of a child, for the profiles `process` and `signals`; `None` if this process has not started it.
    fn child_pid(&self, child: &str) -> Option<i32> {
        let _ = child;
        None
    }
}

/// An asynchronous implementation, as one process of a scenario uses it. Served by `serve`.
pub trait Implementation: Resources {
    /// Performs one command.
    ///
    /// The futures of different tasks run concurrently on one thread. A time limit and `cancel` drop the future.
    /// The session performs `exit`, `raise`, `cancel`, `pause`, `reaped` and what
    /// [`OsActions`](crate::OsActions) performs; these commands are never passed to this method, and neither is a
    /// command of a profile that [`Identity::profiles`] does not contain.
    fn perform(&self, command: Command) -> impl Future<Output = Answer>;
}

/// What a step returned, or why it returned early.
pub type Answer = Result<Completed, Failure>;

/// A step that has returned, successfully or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// What it returned.
    pub outcome: WireOutcome,
    /// The implementation's own words, for people.
    pub detail: Option<String>,
    /// After `pipe` and `duplex`: the descriptor of each end.
    pub descriptors: BTreeMap<String, i32>,
}

impl Completed {
    /// The answer of `pipe` and `duplex`: `ok`, with the descriptor of each end.
    #[must_use]
    pub fn with_descriptors(descriptors: BTreeMap<String, i32>) -> Self {
        Self { descriptors, ..WireOutcome::Ok.into() }
    }
}

impl From<WireOutcome> for Completed {
    fn from(outcome: WireOutcome) -> Self {
        Self { outcome, detail: None, descriptors: BTreeMap::new() }
    }
}

impl From<&io::Error> for Completed {
    /// `broken` for EPIPE, `truncated` for an unexpected end of file, otherwise the name of the system's error.
    fn from(error: &io::Error) -> Self {
        let outcome = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::BrokenPipe, _) => WireOutcome::Broken,
            (io::ErrorKind::UnexpectedEof, _) => WireOutcome::Truncated,
            (_, Some(number)) => WireOutcome::Os { name: format!("{:?}", Errno::from_raw(number)) },
            (_, None) => WireOutcome::Other,
        };
        Self { detail: Some(error.to_string()), ..outcome.into() }
    }
}

/// Why a step returned early; made by `?` from an [`WireOutcome`], a [`Completed`] or an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The step has an outcome like any other: `?` is only the shorter way to return it.
    Outcome(Completed),
    /// The implementation has no such feature, for this reason.
    Unsupported(String),
}

impl Failure {
    /// The implementation has no such feature.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }
}

impl From<WireOutcome> for Failure {
    fn from(outcome: WireOutcome) -> Self {
        Self::Outcome(outcome.into())
    }
}

impl From<Completed> for Failure {
    fn from(completed: Completed) -> Self {
        Self::Outcome(completed)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Outcome((&error).into())
    }
}

impl From<ExitStatus> for WireOutcome {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit { code },
            (None, Some(number)) => Self::signal(number),
            (None, None) => Self::Other,
        }
    }
}

impl WireOutcome {
    /// `exit code` or `signal name` for a child that the signal with this number ended.
    #[must_use]
    pub fn signal(number: i32) -> Self {
        let name = Signal::try_from(number)
            .map_or_else(|_| format!("SIG{number}"), |signal| signal.as_str().to_owned());
        Self::Signal { name }
    }
}

/// What an agent says about itself in its first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The implementation under test.
    pub implementation: ImplementationId,
    /// The profiles that it supports: `core`, `tasks`, …
    pub profiles: Vec<String>,
    /// Whether the implementation runs on the thread that talks to the harness. `serve_blocking` always says
    /// [`ControlChannel::Thread`].
    pub control: ControlChannel,
}

impl Identity {
    /// An implementation with these profiles that runs on the thread that talks to the harness.
    #[must_use]
    pub fn new(name: &str, version: &str, profiles: &[&str]) -> Self {
        Self {
            implementation: ImplementationId { name: name.to_owned(), version: version.to_owned() },
            profiles: profiles.iter().map(|profile| (*profile).to_owned()).collect(),
            control: ControlChannel::Loop,
        }
    }
}

/// The bytes of a message that is to be put.
///
/// # Panics
///
/// If the message is larger than the address space.
#[must_use]
pub fn payload_bytes(payload: &WirePayload) -> Vec<u8> {
    match payload {
        WirePayload::Text { text } => text.clone().into_bytes(),
        WirePayload::Noise { seed, len } => noise(seed, *len),
    }
}

/// The outcome of a get that returned this message.
#[must_use]
pub fn message_outcome(bytes: &[u8]) -> WireOutcome {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 64).map(str::to_owned);
    WireOutcome::Message { len: bytes.len() as u64, sha256: digest(bytes), text }
}

/// Ends the entry of a process as its script asks: returns after `finish`, panics after `raise`, exits with code 1 if
/// the harness is gone, and prints the error and exits with code 2 if there was no harness.
///
/// # Panics
///
/// If the script says that the entry of this process fails.
pub fn conclude(ending: io::Result<Ending>) {
    match ending {
        Ok(Ending::Finished) => {}
        Ok(Ending::Gone) => std::process::exit(1),
        Ok(Ending::Raised) => panic!("the scenario says that this entry fails"),
        Err(error) => {
            eprintln!("this agent cannot run: {error}");
            std::process::exit(2);
        }
    }
}
