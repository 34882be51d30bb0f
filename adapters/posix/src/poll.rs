//! The one place where the event loop sleeps: until the harness sends something, a child ends, a pipe is ready or a
//! deadline passes. It reports what is ready and changes no state.

use crate::faults::{self, fault};
use crate::handles::Handles;
use crate::os_actions::ChildWakeup;
use crate::session::Session;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// What is ready.
#[derive(Default)]
pub(crate) struct Ready {
    /// The connection to the harness is readable.
    pub(crate) session: bool,
    /// A child may have ended.
    pub(crate) child_wakeup: bool,
    /// A signal has interrupted the sleep.
    pub(crate) interrupted: bool,
    /// The names of the pipe ends that can be read or written, or whose other side is closed.
    pub(crate) ends: Vec<String>,
}

/// Sleeps until something is ready, or at most until the deadline.
pub(crate) fn wait(
    session: &Session,
    child_wakeup: &ChildWakeup,
    handles: &Handles,
    deadline: Option<Instant>,
) -> Result<Ready, Errno> {
    let mut names = Vec::new();
    let mut polled = vec![
        PollFd::new(session.as_fd(), PollFlags::POLLIN),
        PollFd::new(child_wakeup.as_fd(), PollFlags::POLLIN),
    ];
    for (name, end) in handles.0.iter().filter(|(_, end)| end.is_busy()) {
        if fault!("two-waiters-are-not-woken") && end.queue.len() > 1
            || fault!("one-pipe-is-watched") && !names.is_empty()
            || fault!("a-third-pipe-is-not-watched") && names.len() > 1
        {
            continue;
        }
        if let Some(fd) = end.fd.as_ref().filter(|fd| !faults::is_unwatched(fd.as_raw_fd())) {
            names.push(name);
            polled.push(PollFd::new(fd.as_fd(), end.events()));
        }
    }
    match poll(&mut polled, timeout(deadline)) {
        Ok(_) => {}
        // The handler of a trapped signal has counted it. The loop takes one turn.
        Err(Errno::EINTR) => return Ok(Ready { interrupted: true, ..Ready::default() }),
        Err(error) => return Err(error),
    }
    // Every reported event counts, errors and hang-ups included: the next read or write returns the reason.
    let mut ready = polled.iter().map(|polled| polled.any().unwrap_or(true));
    let (session, child_wakeup) = (ready.next() == Some(true), ready.next() == Some(true));
    let ends = names
        .into_iter()
        .zip(ready)
        .filter(|(_, ready)| *ready)
        .map(|(name, _)| name.clone())
        .collect();
    Ok(Ready { session, child_wakeup, ends, ..Ready::default() })
}

/// The timeout for `poll` in whole milliseconds, rounded up: after an early wake-up the loop would only sleep again.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(left.min(i32::MAX as u128)).unwrap_or(PollTimeout::MAX)
}
