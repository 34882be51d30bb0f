//! The children of this process and how they ended. Reaps them one by one, by their own numbers, so that children
//! which something else in this program started keep their status. Starts none: that is `start`'s.

use crate::words::{Outcome, exit, is, signal, system};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;

/// One child.
pub(crate) struct Child {
    pid: Pid,
    /// How it ended, as soon as it was reaped. From then on the number may be somebody else's.
    end: Option<Outcome>,
}

impl Child {
    /// Reaps it if it has ended, and tells how.
    pub(crate) fn end(&mut self) -> Option<&Outcome> {
        if self.end.is_none() {
            // It may be gone already because somebody else has reaped it; then this error is all that is known.
            self.end = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(status) => ended(status),
                Err(Errno::EINTR) => None,
                Err(error) => Some(system(error)),
            };
        }
        self.end.as_ref()
    }

    /// How it ended, if that is known already.
    pub(crate) fn known(&self) -> Option<&Outcome> {
        self.end.as_ref()
    }

    /// Sends a signal, but never to a number that may have been given to somebody else: one that has ended is
    /// reaped first, and nothing is sent.
    pub(crate) fn send(&mut self, signal: Signal) -> Outcome {
        match self.end() {
            Some(_) => is("ok"),
            None => kill(self.pid, signal).map_or_else(system, |()| is("ok")),
        }
    }

    /// The system's own call, for what has not been reaped.
    pub(crate) fn send_plainly(&self, signal: Signal) -> Outcome {
        match self.end {
            Some(_) => system(Errno::ESRCH),
            None => kill(self.pid, signal).map_or_else(system, |()| is("ok")),
        }
    }

    /// Whether the system knows its number no longer. It is ours until it was reaped, so this is asked only then.
    pub(crate) fn is_gone(&self) -> bool {
        self.end.is_some() && kill(self.pid, None) == Err(Errno::ESRCH)
    }

    /// Stands still with the whole process until it has ended, and leaves it a zombie.
    pub(crate) fn stall(&self) -> Outcome {
        if self.end.is_none() {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(self.pid), flags) == Err(Errno::EINTR) {}
        }
        is("ok")
    }

    /// Reaps it as a stranger would: without a word in this table.
    pub(crate) fn reap_behind(&self) -> Outcome {
        if self.end.is_some() {
            return system(Errno::ECHILD);
        }
        loop {
            match waitpid(self.pid, None) {
                Ok(status) => return ended(status).unwrap_or_else(|| is("other")),
                Err(Errno::EINTR) => {}
                Err(error) => return system(error),
            }
        }
    }
}

/// How a process ended, if it did.
fn ended(status: WaitStatus) -> Option<Outcome> {
    match status {
        WaitStatus::Exited(_, code) => Some(exit(code)),
        WaitStatus::Signaled(_, by, _) => Some(signal(by.as_str())),
        _ => None,
    }
}

/// All children, by role.
#[derive(Default)]
pub(crate) struct Children(BTreeMap<String, Child>);

impl Children {
    pub(crate) fn add(&mut self, role: &str, pid: Pid) {
        self.0.insert(role.to_owned(), Child { pid, end: None });
    }

    /// Only a parent knows its children: anything else is misuse.
    pub(crate) fn get(&mut self, role: &str) -> Result<&mut Child, Outcome> {
        self.0.get_mut(role).ok_or_else(|| is("misuse"))
    }

    /// Reaps all that have ended. Signals of the same kind merge, so one of them says nothing of how many.
    pub(crate) fn reap(&mut self) {
        for child in self.0.values_mut() {
            child.end();
        }
    }
}
