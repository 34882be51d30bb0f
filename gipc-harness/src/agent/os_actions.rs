//! What a Rust agent does without the library it drives: signals, limits, frames cut by hand, programs beside it.
//!
//! Knows the system and no library.

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
pub(super) struct OsActions {
    ghosts: RefCell<BTreeMap<String, Child>>,
    trapped: Rc<Cell<u64>>,
    /// The limit of descriptors as it was.
    limit: Cell<Option<(u64, u64)>>,
    /// The rest of the frame that was cut, by its writer.
    rests: RefCell<BTreeMap<String, Vec<u8>>>,
}

/// How a process ended.
pub(super) enum Status {
    Code(i32),
    Signal(Signal),
}

impl OsActions {
    /// Starts the program that ends with code 7 when it is told to.
    pub(super) fn exec(&self, name: &str) -> io::Result<()> {
        let script = ["-c", "read x; exit 7"];
        let ghost = Command::new("sh").args(script).stdin(Stdio::piped()).spawn()?;
        self.ghosts.borrow_mut().insert(name.to_owned(), ghost);
        Ok(())
    }

    /// Ends and reaps such a program; `None` if there is none of this name.
    pub(super) fn reap_ghost(&self, name: &str) -> Option<io::Result<Status>> {
        let mut ghost = self.ghosts.borrow_mut().remove(name)?;
        drop(ghost.stdin.take());
        let status = ghost.wait();
        Some(status.map(|status| Status::Code(status.code().unwrap_or(-1))))
    }

    /// Lets such a program end, if it is one.
    pub(super) fn dismiss(&self, name: &str) {
        if let Some(ghost) = self.ghosts.borrow_mut().get_mut(name) {
            drop(ghost.stdin.take());
        }
    }

    /// The process id of such a program.
    pub(super) fn ghost(&self, name: &str) -> Option<i32> {
        self.ghosts.borrow().get(name).and_then(|ghost| i32::try_from(ghost.id()).ok())
    }

    /// Counts this signal from now on.
    pub(super) fn trap(&self, name: &str) -> io::Result<()> {
        let number = Signal::from_str(name)? as i32;
        let mut signals = tokio::signal::unix::signal(SignalKind::from_raw(number))?;
        let trapped = Rc::clone(&self.trapped);
        tokio::task::spawn_local(async move {
            while signals.recv().await.is_some() {
                trapped.set(trapped.get() + 1);
            }
        });
        Ok(())
    }

    /// How many came. A signal that was sent before this was asked has woken the loop by now, but perhaps not yet the
    /// task that counts.
    pub(super) async fn trapped(&self) -> u64 {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        self.trapped.get()
    }

    /// Lets so many descriptors more be opened, or all.
    pub(super) fn limit(&self, free: Option<u64>) -> io::Result<()> {
        let (soft, hard) = match self.limit.get() {
            Some(limits) => limits,
            None => getrlimit(Resource::RLIMIT_NOFILE)?,
        };
        self.limit.set(Some((soft, hard)));
        let Some(free) = free else {
            return Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?);
        };
        // By its name alone, since a listing of all would hold one of them itself.
        let is_free = |number: &u64| fs::symlink_metadata(format!("/dev/fd/{number}")).is_err();
        let last = (0..soft).filter(is_free).nth(usize::try_from(free).unwrap_or(usize::MAX));
        Ok(setrlimit(Resource::RLIMIT_NOFILE, last.unwrap_or(soft), hard)?)
    }

    /// Writes the frame up to a place, and keeps the rest.
    pub(super) fn cut(
        &self,
        writer: &str,
        descriptor: i32,
        mut frame: Vec<u8>,
        at: usize,
    ) -> io::Result<()> {
        let rest = frame.split_off(at.min(frame.len()));
        self.rests.borrow_mut().insert(writer.to_owned(), rest);
        write(descriptor, &frame)
    }

    /// Writes what was kept.
    pub(super) fn rest(&self, writer: &str, descriptor: i32) -> io::Result<()> {
        let rest = self.rests.borrow_mut().remove(writer).unwrap_or_default();
        write(descriptor, &rest)
    }
}

/// Writes to a descriptor that the library owns, through a copy that is gone when this returns.
pub(super) fn write(descriptor: i32, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(format!("/dev/fd/{descriptor}"))?.write_all(bytes)
}

/// Ignores this signal from now on.
pub(super) fn ignore(name: &str) -> io::Result<()> {
    // SAFETY: to ignore a signal installs no function that could run at a wrong moment.
    unsafe { signal(Signal::from_str(name)?, SigHandler::SigIgn) }?;
    Ok(())
}

/// Blocks this signal from now on.
pub(super) fn block(name: &str) -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::from_str(name)?);
    Ok(set.thread_block()?)
}

/// Sends a signal by the system's own call.
pub(super) fn send(pid: i32, name: &str) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), Signal::from_str(name)?)?)
}

/// Waits with the whole process until a child has ended, and leaves it to be reaped.
pub(super) fn stall(pid: i32) -> io::Result<()> {
    match waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        // It ended before, and somebody has reaped it since.
        Ok(_) | Err(Errno::ECHILD) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reaps a child with the whole process waiting.
pub(super) fn reap(pid: i32) -> io::Result<Status> {
    match waitpid(Pid::from_raw(pid), None)? {
        WaitStatus::Signaled(_, signal, _) => Ok(Status::Signal(signal)),
        WaitStatus::Exited(_, code) => Ok(Status::Code(code)),
        other => Err(io::Error::other(format!("{other:?}"))),
    }
}

/// Waits until the system knows this number no longer. There is no event for that: it is asked again and again.
pub(super) async fn reaped(pid: i32) {
    while kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
