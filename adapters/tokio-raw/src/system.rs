//! What is done without the library: signals, limits, frames cut by hand, programs beside it, and looks at the system.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;
use tokio::signal::unix::SignalKind;

/// What one process has beside its library.
#[derive(Default)]
pub(crate) struct System {
    ghosts: RefCell<BTreeMap<String, Child>>,
    trapped: Rc<Cell<u64>>,
    /// The limits of descriptors as they were.
    limits: Cell<Option<(u64, u64)>>,
    /// What `cut` left out, by its writer.
    rests: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl System {
    /// Starts the program that ends with 7 once its input is closed.
    pub(crate) fn exec(&self, name: &str) -> io::Result<()> {
        let mut command = Command::new("sh");
        let ghost = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn()?;
        self.ghosts.borrow_mut().insert(name.to_owned(), ghost);
        Ok(())
    }

    /// Closes the input of such a program and reaps it; `None` if there is none of this name.
    pub(crate) fn reap_ghost(&self, name: &str) -> Option<io::Result<i32>> {
        let mut ghost = self.ghosts.borrow_mut().remove(name)?;
        drop(ghost.stdin.take());
        Some(ghost.wait().map(|status| status.code().unwrap_or(-1)))
    }

    /// Lets such a program end, if it is one.
    pub(crate) fn dismiss(&self, name: &str) {
        if let Some(ghost) = self.ghosts.borrow_mut().get_mut(name) {
            drop(ghost.stdin.take());
        }
    }

    pub(crate) fn ghost(&self, name: &str) -> Option<i32> {
        self.ghosts.borrow().get(name).and_then(|ghost| i32::try_from(ghost.id()).ok())
    }

    /// Counts this signal from now on, by the loop's own means.
    pub(crate) fn trap(&self, name: &str) -> io::Result<()> {
        let kind = SignalKind::from_raw(Signal::from_str(name)? as i32);
        let mut signals = tokio::signal::unix::signal(kind)?;
        let trapped = Rc::clone(&self.trapped);
        tokio::task::spawn_local(async move {
            while signals.recv().await.is_some() {
                trapped.set(trapped.get() + 1);
            }
        });
        Ok(())
    }

    /// How many came. The loop may have been woken by one that the counting task has not seen yet.
    pub(crate) async fn trapped(&self) -> u64 {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.trapped.get()
    }

    /// Leaves room for so many more descriptors, or lifts the limit.
    pub(crate) fn limit(&self, free: Option<u64>) -> io::Result<()> {
        let known = self.limits.get().map_or_else(|| getrlimit(Resource::RLIMIT_NOFILE), Ok);
        let (soft, hard) = known?;
        self.limits.set(Some((soft, hard)));
        // By name, since a listing of the folder would itself hold one.
        let unused = |fd: &u64| fs::symlink_metadata(format!("/dev/fd/{fd}")).is_err();
        let last = free.and_then(|free| (0..soft).filter(unused).nth(free as usize));
        Ok(setrlimit(Resource::RLIMIT_NOFILE, last.unwrap_or(soft), hard)?)
    }

    /// Writes the frame up to a place, and keeps the rest.
    pub(crate) fn cut(&self, name: &str, fd: i32, mut frame: Vec<u8>, at: usize) -> io::Result<()> {
        let rest = frame.split_off(at.min(frame.len()));
        self.rests.borrow_mut().insert(name.to_owned(), rest);
        write(fd, &frame)
    }

    pub(crate) fn rest(&self, name: &str, fd: i32) -> io::Result<()> {
        let rest = self.rests.borrow_mut().remove(name).unwrap_or_default();
        write(fd, &rest)
    }
}

/// Writes to an end of the library's, by an opening of its own that is gone when this returns.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(format!("/dev/fd/{fd}"))?.write_all(bytes)
}

pub(crate) fn ignore(name: &str) -> io::Result<()> {
    // SAFETY: no function is installed that could run at a wrong moment.
    unsafe { signal(Signal::from_str(name)?, SigHandler::SigIgn) }?;
    Ok(())
}

pub(crate) fn block(name: &str) -> io::Result<()> {
    Ok(SigSet::from(Signal::from_str(name)?).thread_block()?)
}

pub(crate) fn send(pid: i32, name: &str) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), Signal::from_str(name)?)?)
}

/// Waits with the whole process until a child has ended, and leaves it to be reaped.
pub(crate) fn stall(pid: i32) -> io::Result<()> {
    match waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        // It was reaped before.
        Ok(_) | Err(Errno::ECHILD) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reaps a child with the whole process waiting.
pub(crate) fn reap(pid: i32) -> io::Result<WaitStatus> {
    Ok(waitpid(Pid::from_raw(pid), None)?)
}

/// Waits until the system knows this number no longer, while the loop turns. There is no event for that.
pub(crate) async fn reaped(pid: i32) {
    while kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
