//! What concerns the process as a whole: signals, the limit of descriptors, and programs beside ours. Signals only
//! leave a mark here; the loop looks for it.

use crate::words::{Outcome, exit, is, signal, system, system_io};
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
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

/// The descriptor by which a handler wakes the loop.
static BELL: AtomicI32 = AtomicI32::new(-1);
/// How many signals were trapped.
static TRAPPED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn ring(_: c_int) {
    let before = Errno::last_raw();
    // SAFETY: `write` is safe in a handler, and the byte is a constant. A full pipe has rung already.
    unsafe { libc::write(BELL.load(Relaxed), b"!".as_ptr().cast(), 1) };
    Errno::set_raw(before);
}

extern "C" fn count(_: c_int) {
    TRAPPED.fetch_add(1, Relaxed);
}

/// Sets what a signal does from now on.
fn set(signal: Signal, handler: SigHandler) -> Result<(), Errno> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers here only touch atomics, `errno`, and a descriptor that is never closed.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Wakes the loop when a child has ended.
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        BELL.store(writer.into_raw_fd(), Relaxed);
        set(Signal::SIGCHLD, SigHandler::Handler(ring))?;
        SigSet::from(Signal::SIGCHLD).thread_unblock()?;
        Ok(Self(reader))
    }

    /// Makes it silent until the next ring.
    pub(crate) fn still(&self) {
        let mut bytes = [0; 64];
        while read(&self.0, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What can be done about a signal.
pub(crate) enum Disposition {
    Trap,
    Ignore,
    Block,
}

/// Traps, ignores or blocks a signal of this process.
pub(crate) fn dispose(signal: Signal, how: &Disposition) -> Outcome {
    let done = match how {
        Disposition::Trap => set(signal, SigHandler::Handler(count)),
        Disposition::Ignore => set(signal, SigHandler::SigIgn),
        Disposition::Block => SigSet::from(signal).thread_block(),
    };
    done.map_or_else(system, |()| is("ok"))
}

pub(crate) fn trapped() -> usize {
    TRAPPED.load(Relaxed)
}

/// The limit of descriptors, and what it was at first.
pub(crate) struct Limit {
    soft: u64,
    hard: u64,
}

impl Limit {
    pub(crate) fn new() -> Result<Self, Errno> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self { soft, hard })
    }

    /// Leaves room for so many more, or lifts the limit.
    pub(crate) fn set(&self, free: Option<u64>) -> Outcome {
        // The limit is one above the highest number, and the lowest that is free is always taken next.
        let unused =
            free.and_then(|free| (0..self.soft).filter(|fd| !is_open(*fd)).nth(free as usize));
        let soft = unused.unwrap_or(self.soft);
        setrlimit(Resource::RLIMIT_NOFILE, soft, self.hard).map_or_else(system, |()| is("ok"))
    }
}

fn is_open(fd: u64) -> bool {
    // SAFETY: this only asks whether there is such a descriptor.
    c_int::try_from(fd).is_ok_and(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1)
}

/// A program that is started beside ours, by the means of the standard library.
pub(crate) struct Ghost(Child);

impl Ghost {
    pub(crate) fn start() -> Result<Self, Outcome> {
        let mut command = Command::new("sh");
        let started = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn();
        started.map(Self).map_err(|error| system_io(&error))
    }

    /// Lets it end, stands still until it has, and leaves it a zombie.
    pub(crate) fn stall(&mut self) -> Outcome {
        drop(self.0.stdin.take());
        let pid = Pid::from_raw(self.0.id() as i32);
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
        is("ok")
    }

    /// Lets it end, and tells how it did.
    pub(crate) fn reap(mut self) -> Outcome {
        // This closes its stdin first.
        match self.0.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => exit(code),
                (None, Some(by)) => {
                    Signal::try_from(by).map_or_else(system, |by| signal(by.as_str()))
                }
                (None, None) => is("other"),
            },
            Err(error) => system_io(&error),
        }
    }
}

/// A nameless file with these bytes, to be read from its start: the way for what is too long for an argument.
pub(crate) fn parcel(bytes: &[u8]) -> Result<OwnedFd, Outcome> {
    let mut file = File::from(memfd_create("carried", MFdFlags::MFD_CLOEXEC).map_err(system)?);
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(|error| system_io(&error))?;
    Ok(file.into())
}

/// Takes a descriptor that came with the start of this program, and keeps it from programs that it starts.
pub(crate) fn adopt(number: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: this fails where there is no such descriptor, and touches no memory.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and its number stands once among the arguments, which nobody else reads.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
