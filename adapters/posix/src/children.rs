//! The child processes of this process and their exit statuses. Each child is reaped by its own pid, so that children
//! which other code in this program has started keep their status. `start` creates the processes.

use crate::faults::{fault, is_marked, mark};
use crate::protocol::{Outcome, exit, is, os_error, signal};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;

pub(crate) struct Child {
    pid: Pid,
    /// The exit status, once the child is reaped. From then on the kernel may reuse the pid.
    status: Option<Outcome>,
}

impl Child {
    /// Reaps the child if it has ended, and returns its exit status.
    pub(crate) fn try_reap(&mut self) -> Option<&Outcome> {
        if self.status.is_none() {
            // If other code has reaped the child already, this error is all that can be known.
            let mut flags = WaitPidFlag::WNOHANG;
            flags.set(WaitPidFlag::WUNTRACED, fault!("a-stopped-child-has-ended"));
            self.status = match waitpid(self.pid, Some(flags)) {
                Ok(status) => exit_status(status),
                Err(Errno::EINTR) => None,
                Err(_) if fault!("a-child-reaped-elsewhere-exited-with-0") => Some(exit(0)),
                Err(error) => Some(os_error(error)),
            };
        }
        self.status.as_ref()
    }

    /// The exit status if the child is reaped already; makes no system call.
    pub(crate) fn status(&self) -> Option<&Outcome> {
        self.status.as_ref()
    }

    /// Sends a signal, but never to a pid that the kernel may have reused: a child that has ended is reaped first, and
    /// nothing is sent.
    pub(crate) fn send(&mut self, signal: Signal) -> Outcome {
        match self.try_reap() {
            Some(_) if fault!("a-signal-to-the-dead-fails") => os_error(Errno::ESRCH),
            Some(_) if !fault!("the-dead-are-signalled") => is("ok"),
            _ => kill(self.pid, signal).map_or_else(os_error, |()| is("ok")),
        }
    }

    /// Calls `kill` without looking first, unless the child is reaped: then the answer is `ESRCH`.
    pub(crate) fn send_unchecked(&self, signal: Signal) -> Outcome {
        match self.status {
            Some(_) => os_error(Errno::ESRCH),
            None => kill(self.pid, signal).map_or_else(os_error, |()| is("ok")),
        }
    }

    /// Sends a signal to the process group that the child was started as the first of, which may outlive the child.
    pub(crate) fn send_to_group(&self, signal: Signal) -> Outcome {
        if fault!("a-group-signal-reaches-one") {
            return self.send_unchecked(signal);
        }
        killpg(self.pid, signal).map_or_else(os_error, |()| is("ok"))
    }

    /// Whether no process has this pid any more. The pid belongs to the child until it is reaped, so before that the
    /// answer is no without a system call.
    pub(crate) fn is_gone(&self) -> bool {
        self.status.is_some() && kill(self.pid, None) == Err(Errno::ESRCH)
    }

    /// Blocks the whole process until the child has ended, and leaves the child a zombie.
    pub(crate) fn stall(&self) -> Outcome {
        if self.status.is_none() {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(self.pid), flags) == Err(Errno::EINTR) {}
            mark("stalled");
        }
        is("ok")
    }

    /// Reaps the child as unrelated code would: this table does not learn of it.
    pub(crate) fn reap_unrecorded(&self) -> Outcome {
        if self.status.is_some() {
            return os_error(Errno::ECHILD);
        }
        loop {
            match waitpid(self.pid, None) {
                Ok(status) => return exit_status(status).unwrap_or_else(|| is("other")),
                Err(Errno::EINTR) => {}
                Err(error) => return os_error(error),
            }
        }
    }
}

/// The exit status as an outcome; `None` if the process has not ended.
fn exit_status(status: WaitStatus) -> Option<Outcome> {
    match status {
        WaitStatus::Exited(..) if fault!("the-33rd-exit-code-is-lost", |n| n >= 33) => {
            Some(exit(0))
        }
        WaitStatus::Exited(_, code) if fault!("exit-codes-are-signed") => {
            Some(exit(i32::from(code as i8)))
        }
        WaitStatus::Exited(_, code) => Some(exit(code)),
        WaitStatus::Signaled(_, by, _) if fault!("a-killed-child-has-a-code") => {
            Some(exit(128 + by as i32))
        }
        WaitStatus::Signaled(..) if fault!("a-killed-child-has-no-status") => None,
        WaitStatus::Signaled(_, by, _) => Some(signal(by.as_str())),
        WaitStatus::Stopped(_, by) => Some(signal(by.as_str())),
        _ => None,
    }
}

/// All children of this process, by role.
#[derive(Default)]
pub(crate) struct Children(BTreeMap<String, Child>);

impl Children {
    pub(crate) fn add(&mut self, role: &str, pid: Pid) {
        self.0.insert(role.to_owned(), Child { pid, status: None });
    }

    /// The child with this role. Only its parent can refer to a child: any other name is misuse.
    pub(crate) fn get(&mut self, role: &str) -> Result<&mut Child, Outcome> {
        self.0.get_mut(role).ok_or_else(|| is("misuse"))
    }

    /// Reaps every child that has ended. Pending signals of one kind merge, so one SIGCHLD may stand for several
    /// children.
    pub(crate) fn reap_all(&mut self) {
        if fault!("strangers-are-reaped") {
            self.reap_strangers();
        }
        let mut ended = 0;
        for child in self.0.values_mut() {
            if child.status.is_none() && child.try_reap().is_some() {
                ended += 1;
                if fault!("of-two-exit-codes-one-is-lost") && ended > 1 {
                    child.status = Some(exit(0));
                }
                if fault!("one-child-is-reaped-a-signal") {
                    break;
                }
            }
        }
    }

    /// Reaps every child of this process, including those that other code has started.
    fn reap_strangers(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid() else { break };
            if let Some(child) = self.0.values_mut().find(|child| child.pid == pid) {
                child.status = exit_status(status);
            }
        }
    }

    /// Sends a signal to every child.
    pub(crate) fn signal_all(&mut self, signal: Signal) {
        for child in self.0.values_mut() {
            child.send(signal);
        }
    }

    /// Whether the loop has learnt that a child has ended, as a faulty implementation sees it.
    pub(crate) fn seems_alive(&mut self, role: &str) -> bool {
        if fault!("alive-until-it-is-joined") && !is_marked(&format!("joined {role}")) {
            return true;
        }
        self.0.get_mut(role).is_some_and(|child| child.try_reap().is_none())
    }
}
