//! Systems other than Linux: they show the end of a process by kqueue, if they have it, and nothing about the pipes of other
//! processes.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

/// Opens a kqueue that becomes readable when the process has ended.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(super) fn open(pid: i32) -> Option<OwnedFd> {
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
    let queue = Kqueue::new().ok()?;
    let (process, flags) = (usize::try_from(pid).ok()?, EvFlags::EV_ADD);
    let exit = KEvent::new(process, EventFilter::EVFILT_PROC, flags, FilterFlag::NOTE_EXIT, 0, 0);
    queue.kevent(&[exit], &mut [], None).ok()?;
    Some(queue.into())
}

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
pub(super) fn open(_: i32) -> Option<OwnedFd> {
    None
}

/// Sends a signal to a process. If the process has ended, it gets no signal, which is not an error. Returns false if the
/// system does not allow it.
pub(crate) fn send_to(process: &OwnedFd, pid: i32, signal: Signal) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    // Once the process has ended, its pid may belong to another process.
    let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO) == Ok(1) {
        return true;
    }
    matches!(kill(Pid::from_raw(pid), signal), Ok(()) | Err(Errno::ESRCH))
}

pub(crate) fn set_pipe_capacity(_: i32, _: i32, _: u32) {}

pub(crate) fn possible_pipe_capacity(_: u32) -> Option<u32> {
    None
}

pub(crate) fn bytes_in_pipe(_: i32, _: i32) -> Option<u64> {
    None
}

pub(crate) fn wait_status(_: &OwnedFd) -> Option<i32> {
    None
}
