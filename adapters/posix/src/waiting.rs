//! The one place where the loop sleeps: until there is something to hear, a child has ended, a pipe is ready or a time
//! has come. Touches nothing: it only says what can be done.

use crate::conversation::Conversation;
use crate::ends::Ends;
use crate::system::Bell;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::time::Instant;

/// What can be done.
#[derive(Default)]
pub(crate) struct Ready {
    /// The harness says something.
    pub(crate) talk: bool,
    /// A child has ended.
    pub(crate) bell: bool,
    /// These ends of pipes can be used, or have come to their end.
    pub(crate) ends: Vec<String>,
}

/// Sleeps until something can be done, or at most until the deadline.
pub(crate) fn wait(
    talk: &Conversation,
    bell: &Bell,
    ends: &Ends,
    deadline: Option<Instant>,
) -> Result<Ready, Errno> {
    let mut names = Vec::new();
    let mut polled = vec![
        PollFd::new(talk.as_fd(), PollFlags::POLLIN),
        PollFd::new(bell.as_fd(), PollFlags::POLLIN),
    ];
    for (name, end) in ends.0.iter().filter(|(_, end)| end.is_busy()) {
        if let Some(fd) = &end.fd {
            names.push(name);
            polled.push(PollFd::new(fd.as_fd(), end.events()));
        }
    }
    match poll(&mut polled, timeout(deadline)) {
        Ok(_) => {}
        // A signal that was trapped; it has been counted, and the loop turns once for it.
        Err(Errno::EINTR) => return Ok(Ready::default()),
        Err(error) => return Err(error),
    }
    // Whatever is reported counts, an error or a hang-up too: to read or write tells what it is.
    let mut ready = polled.iter().map(|polled| polled.any().unwrap_or(true));
    let (talk, bell) = (ready.next() == Some(true), ready.next() == Some(true));
    let ends = names
        .into_iter()
        .zip(ready)
        .filter(|(_, ready)| *ready)
        .map(|(name, _)| name.clone())
        .collect();
    Ok(Ready { talk, bell, ends })
}

/// How long to sleep at most, in whole milliseconds and never too short: waking early would only mean to sleep again.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(left.min(i32::MAX as u128)).unwrap_or(PollTimeout::MAX)
}
