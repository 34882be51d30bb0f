//! Watches one process of a run: whether and how it ended. Sends signals to it.

use super::platform;
use super::process_tree;
use crate::trace::ProcessExit;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// A process. It cannot be confused with another one that is later given the same pid.
pub struct ProcessHandle {
    pid: i32,
    identity: Identity,
}

/// What distinguishes a process from others with the same pid.
enum Identity {
    /// A pidfd, or a kqueue that reports its end.
    Descriptor(AsyncFd<OwnedFd>),
    /// When it started, according to `/proc`. Its end is found by looking repeatedly.
    StartTime(u64),
}

/// The time between two looks at a process that has no descriptor. It delays the report of an end, and decides nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

impl ProcessHandle {
    /// Opens a handle; `None` if the process is gone, or if the system does not show when a process ends. Must be called
    /// inside a tokio runtime.
    #[must_use]
    pub fn open(pid: i32) -> Option<Self> {
        let descriptor = platform::open_process(pid).and_then(platform::register);
        let identity = match descriptor {
            Some(descriptor) => Identity::Descriptor(descriptor),
            None => Identity::StartTime(process_tree::start_time(pid)?),
        };
        Some(Self { pid, identity })
    }

    /// Waits until the process has ended; it may not be reaped yet. Cancel-safe.
    pub async fn wait_for_exit(&self) {
        match &self.identity {
            // An error only means that the runtime is shutting down.
            Identity::Descriptor(descriptor) => drop(descriptor.readable().await),
            Identity::StartTime(start_time) => {
                while process_tree::is_running(self.pid, *start_time) {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
            }
        }
    }

    /// Whether the process has ended; it may not be reaped yet.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match &self.identity {
            Identity::Descriptor(descriptor) => {
                let mut ended = [PollFd::new(descriptor.get_ref().as_fd(), PollFlags::POLLIN)];
                poll(&mut ended, PollTimeout::ZERO) == Ok(1)
            }
            Identity::StartTime(start_time) => !process_tree::is_running(self.pid, *start_time),
        }
    }

    /// Sends a signal. If the process has ended, it gets no signal, which is not an error. Returns false if the system does
    /// not allow it.
    #[must_use]
    pub fn send(&self, signal: Signal) -> bool {
        match &self.identity {
            Identity::Descriptor(descriptor) => {
                platform::send_to(descriptor.get_ref(), self.pid, signal)
            }
            Identity::StartTime(_) => {
                self.has_ended()
                    || matches!(kill(Pid::from_raw(self.pid), signal), Ok(()) | Err(Errno::ESRCH))
            }
        }
    }

    /// How the process ended; it need not be a child of the caller. Known once its parent has reaped it, on Linux 6.15 and
    /// later.
    #[must_use]
    pub fn exit_status(&self) -> Option<ProcessExit> {
        let Identity::Descriptor(descriptor) = &self.identity else { return None };
        let status = platform::wait_status(descriptor.get_ref())?;
        match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
            (true, _) => Some(ProcessExit::Code(libc::WEXITSTATUS(status))),
            (_, true) => {
                Some(ProcessExit::Signal(platform::signal_name(libc::WTERMSIG(status)).into()))
            }
            _ => None,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Both ways to watch a process, and the process: `sh`, which waits for its stdin.
    fn sleeper() -> (std::process::Child, [ProcessHandle; 2]) {
        let mut shell = Command::new("sh");
        let child = shell.args(["-c", "read x"]).stdin(Stdio::piped()).spawn().expect("a shell");
        let pid = i32::try_from(child.id()).expect("a pid");
        let start_time = process_tree::start_time(pid).expect("it runs");
        let polled = ProcessHandle { pid, identity: Identity::StartTime(start_time) };
        (child, [ProcessHandle::open(pid).expect("it runs"), polled])
    }

    #[tokio::test]
    async fn a_zombie_has_ended_however_it_is_watched() {
        let (mut child, handles) = sleeper();
        assert!(handles.iter().all(|handle| !handle.has_ended()));
        drop(child.stdin.take());
        for handle in &handles {
            handle.wait_for_exit().await;
            assert!(handle.has_ended());
        }
        child.wait().expect("it was not reaped");
        assert!(handles.iter().all(ProcessHandle::has_ended), "it is gone");
    }

    #[tokio::test]
    async fn a_signal_reaches_a_process_that_is_polled_and_none_that_has_ended() {
        let (mut child, [_, polled]) = sleeper();
        assert!(polled.send(Signal::SIGKILL));
        polled.wait_for_exit().await;
        child.wait().expect("it was not reaped");
        assert!(polled.send(Signal::SIGKILL), "which is no error");
    }
}
