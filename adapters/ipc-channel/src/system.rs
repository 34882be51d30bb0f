//! What is done without the library: signals, limits, programs beside it, and looks at the system. Here everything
//! waits with the thread that asked.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many signals were trapped.
static TRAPPED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: c_int) {
    TRAPPED.fetch_add(1, Relaxed);
}

/// What one process has beside its library.
#[derive(Default)]
pub(crate) struct System {
    ghosts: Mutex<BTreeMap<String, Child>>,
    /// The limits of descriptors as they were.
    limits: Mutex<Option<(u64, u64)>>,
    /// How many orders are done, and who waits for one more.
    done: Mutex<u64>,
    bell: Condvar,
}

impl System {
    /// Starts the program that ends with 7 once its input is closed.
    pub(crate) fn exec(&self, name: &str) -> io::Result<()> {
        let mut command = Command::new("sh");
        let ghost = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn()?;
        self.ghosts().insert(name.to_owned(), ghost);
        Ok(())
    }

    /// Closes the input of such a program and reaps it; `None` if there is none of this name.
    pub(crate) fn reap_ghost(&self, name: &str) -> Option<io::Result<i32>> {
        let mut ghost = self.ghosts().remove(name)?;
        drop(ghost.stdin.take());
        Some(ghost.wait().map(|status| status.code().unwrap_or(-1)))
    }

    /// Lets such a program end, if it is one.
    pub(crate) fn dismiss(&self, name: &str) {
        if let Some(ghost) = self.ghosts().get_mut(name) {
            drop(ghost.stdin.take());
        }
    }

    pub(crate) fn ghost(&self, name: &str) -> Option<i32> {
        self.ghosts().get(name).and_then(|ghost| i32::try_from(ghost.id()).ok())
    }

    fn ghosts(&self) -> impl std::ops::DerefMut<Target = BTreeMap<String, Child>> + '_ {
        self.ghosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves room for so many more descriptors, or lifts the limit.
    pub(crate) fn limit(&self, free: Option<u64>) -> io::Result<()> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.map_or_else(|| getrlimit(Resource::RLIMIT_NOFILE), Ok);
        let (soft, hard) = known?;
        *limits = Some((soft, hard));
        // By name, since a listing of the folder would itself hold one.
        let unused = |fd: &u64| fs::symlink_metadata(format!("/dev/fd/{fd}")).is_err();
        let last = free.and_then(|free| (0..soft).filter(unused).nth(free as usize));
        Ok(setrlimit(Resource::RLIMIT_NOFILE, last.unwrap_or(soft), hard)?)
    }

    /// Waits until the system knows this number no longer. In this process nothing reaps but an order that asks after
    /// the child, so it is enough to look again after each; there is no clock by which a look would be due.
    pub(crate) fn reaped(&self, pid: i32) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH) {
            done = self.bell.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells those who wait for that: an order is done.
    pub(crate) fn ring(&self) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.bell.notify_all();
    }
}

/// Counts this signal from now on. A call of the system that it interrupts is taken up again, as is usual.
pub(crate) fn trap(name: &str) -> io::Result<()> {
    set(name, SigHandler::Handler(count))
}

pub(crate) fn ignore(name: &str) -> io::Result<()> {
    set(name, SigHandler::SigIgn)
}

fn set(name: &str, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the only handler here adds to an atomic number.
    unsafe { sigaction(Signal::from_str(name)?, &action) }?;
    Ok(())
}

pub(crate) fn trapped() -> u64 {
    TRAPPED.load(Relaxed)
}

/// Blocks it in the thread that asked, and so in the children that it starts.
pub(crate) fn block(name: &str) -> io::Result<()> {
    Ok(SigSet::from(Signal::from_str(name)?).thread_block()?)
}

pub(crate) fn send(pid: i32, name: &str) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), Signal::from_str(name)?)?)
}

/// Waits until a child has ended, and leaves it to be reaped.
pub(crate) fn stall(pid: i32) -> io::Result<()> {
    match waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        // It was reaped before.
        Ok(_) | Err(Errno::ECHILD) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn reap(pid: i32) -> io::Result<WaitStatus> {
    Ok(waitpid(Pid::from_raw(pid), None)?)
}
