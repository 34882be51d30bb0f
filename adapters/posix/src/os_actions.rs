//! Operations on the process as a whole: signals, the descriptor limit, foreign programs and inherited descriptors.
//! Signal handlers here only count or wake the loop; the loop does the work.

use crate::faults::{self, fault};
use crate::protocol::{Outcome, exit, io_error, is, os_error, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, pipe2, read};
use std::ffi::c_int;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

/// The descriptor to which the SIGCHLD handler writes in order to wake the loop.
static WAKEUP_FD: AtomicI32 = AtomicI32::new(-1);
/// The number of trapped signals.
static TRAPPED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn wake_loop(_: c_int) {
    let saved = Errno::last_raw();
    // SAFETY: `write` is async-signal-safe, and the byte is a constant. If the pipe is full, the loop wakes anyway.
    unsafe { libc::write(WAKEUP_FD.load(Relaxed), b"!".as_ptr().cast(), 1) };
    Errno::set_raw(saved);
}

extern "C" fn count_signal(_: c_int) {
    TRAPPED.fetch_add(1, Relaxed);
}

/// Installs a handler for a signal.
fn install(signal: Signal, handler: SigHandler) -> Result<(), Errno> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers of this file only touch atomics, `errno`, and a descriptor that is never closed.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// A pipe that becomes readable when a child has ended.
pub(crate) struct ChildWakeup(OwnedFd);

impl ChildWakeup {
    pub(crate) fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        WAKEUP_FD.store(writer.into_raw_fd(), Relaxed);
        install(Signal::SIGCHLD, SigHandler::Handler(wake_loop))?;
        SigSet::from(Signal::SIGCHLD).thread_unblock()?;
        Ok(Self(reader))
    }

    /// Empties the pipe, so that it is not readable until the next SIGCHLD.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while read(&self.0, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
    }
}

impl AsFd for ChildWakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a process can do about a signal.
pub(crate) enum Disposition {
    Trap,
    Ignore,
    Block,
}

/// Traps, ignores or blocks a signal in this process.
pub(crate) fn set_disposition(signal: Signal, disposition: &Disposition) -> Outcome {
    let result = match disposition {
        Disposition::Trap => install(signal, SigHandler::Handler(count_signal)),
        Disposition::Ignore => install(signal, SigHandler::SigIgn),
        Disposition::Block => SigSet::from(signal).thread_block(),
    };
    result.map_or_else(os_error, |()| is("ok"))
}

/// The number of trapped signals so far.
pub(crate) fn trapped() -> usize {
    TRAPPED.load(Relaxed)
}

/// The descriptor limit with which this process was started.
pub(crate) struct DescriptorLimit {
    soft: u64,
    hard: u64,
}

impl DescriptorLimit {
    pub(crate) fn new() -> Result<Self, Errno> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self { soft, hard })
    }

    /// Lets this process open `free` more descriptors; without a number, restores the original limit.
    pub(crate) fn set(&self, free: Option<u64>) -> Outcome {
        // The limit is one above the highest permitted descriptor, and the kernel always allocates the lowest free one.
        let unused =
            free.and_then(|free| (0..self.soft).filter(|fd| !is_open(*fd)).nth(free as usize));
        let soft = unused.unwrap_or(self.soft);
        setrlimit(Resource::RLIMIT_NOFILE, soft, self.hard).map_or_else(os_error, |()| is("ok"))
    }
}

fn is_open(fd: u64) -> bool {
    // SAFETY: F_GETFD only asks whether the descriptor exists.
    c_int::try_from(fd).is_ok_and(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1)
}

/// A program that is not part of the scenario, started with the standard library. It exits with code 7 when its stdin
/// is closed.
pub(crate) struct ForeignProgram(Child);

impl ForeignProgram {
    pub(crate) fn start() -> Result<Self, Outcome> {
        let mut command = Command::new("sh");
        let started = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn();
        started.map(Self).map_err(|error| io_error(&error))
    }

    /// The descriptor of the pipe to its stdin.
    pub(crate) fn stdin_fd(&self) -> Option<RawFd> {
        self.0.stdin.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Closes its stdin, blocks this process until the program has ended, and leaves it a zombie.
    pub(crate) fn stall(&mut self) -> Outcome {
        drop(self.0.stdin.take());
        let pid = Pid::from_raw(self.0.id() as i32);
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
        is("ok")
    }

    /// Closes its stdin, reaps it, and returns its exit status.
    pub(crate) fn reap(mut self) -> Outcome {
        // `wait` closes stdin first.
        match self.0.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => exit(code),
                (None, Some(by)) => {
                    Signal::try_from(by).map_or_else(os_error, |by| signal(by.as_str()))
                }
                (None, None) => is("other"),
            },
            Err(error) => io_error(&error),
        }
    }
}

/// Creates an anonymous file with these bytes, positioned at its start. A child reads from it what would be too long
/// for an argument.
pub(crate) fn memory_file(bytes: &[u8]) -> Result<OwnedFd, Outcome> {
    let mut file = File::from(memfd_create("unfinished", MFdFlags::MFD_CLOEXEC).map_err(os_error)?);
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(|error| io_error(&error))?;
    Ok(file.into())
}

/// Takes ownership of a descriptor that this program was started with, and sets close-on-exec.
pub(crate) fn adopt_descriptor(number: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: F_SETFD fails if the descriptor does not exist, and touches no memory.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    if fault!("a-given-descriptor-is-passed-on") {
        faults::set_inheritable(number, true);
    }
    if fault!("a-given-descriptor-blocks") {
        // SAFETY: F_SETFL touches no memory.
        unsafe { libc::fcntl(number, libc::F_SETFL, 0) };
    }
    // SAFETY: the descriptor is open, and the caller adopts each number of the arguments only once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
