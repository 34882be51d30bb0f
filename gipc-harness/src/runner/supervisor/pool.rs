//! The pool of idle supervisors. Starting a supervisor costs as much as starting a process of a scenario, so each supervisor
//! serves one run after the other.

use crate::process_role::SUPERVISOR;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Starts supervisors, and keeps those that have no run. Clones share them. The last clone ends them when it is dropped.
#[derive(Clone, Debug)]
pub struct SupervisorPool {
    /// The harness's own program, which is started again as the supervisor.
    exe: PathBuf,
    idle: Arc<Mutex<Vec<IdleSupervisor>>>,
}

/// A supervisor that has no run.
#[derive(Debug)]
pub(super) struct IdleSupervisor {
    pub(super) socket: UnixStream,
    pub(super) process: SupervisorProcess,
}

/// What a supervisor starts in each of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MainProgram {
    /// The command line of `main`.
    command: Vec<String>,
    /// What is added to the environment of the supervisor and of all processes of its runs.
    env: BTreeMap<String, String>,
}

/// The process of a supervisor. The connection to it must be closed before [`Self::wait`] is called or this is dropped,
/// because a supervisor ends only then.
#[derive(Debug)]
pub(super) struct SupervisorProcess {
    child: Child,
    program: MainProgram,
}

impl SupervisorPool {
    /// Makes an empty pool. `exe` is the harness's own program.
    #[must_use]
    pub fn new(exe: PathBuf) -> Self {
        Self { exe, idle: Arc::default() }
    }

    /// Takes an idle supervisor for runs of a command, or starts a new one.
    pub(super) fn take(
        &self,
        command: &[String],
        env: &BTreeMap<String, String>,
    ) -> io::Result<IdleSupervisor> {
        let program = MainProgram { command: command.to_vec(), env: env.clone() };
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let found = idle.iter().position(|one| one.process.program == program);
            let Some(mut supervisor) = found.map(|index| idle.swap_remove(index)) else { break };
            drop(idle);
            // Something other than the harness may have killed it meanwhile.
            if supervisor.process.child.try_wait()?.is_none() {
                return Ok(supervisor);
            }
        }
        IdleSupervisor::start(program, &self.exe)
    }

    /// Takes back a supervisor that has finished its run.
    pub(super) fn put_back(&self, supervisor: IdleSupervisor) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(supervisor);
    }
}

impl IdleSupervisor {
    fn start(program: MainProgram, exe: &Path) -> io::Result<Self> {
        let null = File::options().write(true).open("/dev/null");
        let null =
            null.map_err(|error| io::Error::other(format!("cannot open /dev/null: {error}")))?;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let child = Command::new(exe)
            .arg(SUPERVISOR)
            .args(&program.command)
            .envs(&program.env)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(null.try_clone()?)
            .stderr(null)
            // Ctrl-C in the terminal must reach only the harness, which tells the supervisor over the socket.
            .process_group(0)
            .spawn()?;
        Ok(Self { socket, process: SupervisorProcess { child, program } })
    }
}

impl SupervisorProcess {
    pub(super) fn pid(&self) -> Option<i32> {
        i32::try_from(self.child.id()).ok()
    }

    /// Sends a signal to the supervisor. It is a child that was not reaped yet, so its pid cannot belong to another process.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = self.pid().map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, signal));
    }

    /// Waits for the end of the supervisor.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // The implementation may have stopped it.
        self.signal(Signal::SIGCONT);
        self.child.wait()
    }
}

impl Drop for SupervisorProcess {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a supervisor that stays until it is killed.
    fn take(pool: &SupervisorPool, word: &str) -> IdleSupervisor {
        pool.take(&[word.to_owned()], &BTreeMap::new()).expect("a process can be started")
    }

    fn kill(supervisor: &mut IdleSupervisor) {
        supervisor.process.signal(Signal::SIGKILL);
        supervisor.process.child.wait().expect("it is a child");
    }

    #[test]
    fn a_supervisor_gets_another_run_of_the_same_program_as_long_as_it_lives() {
        let pool = SupervisorPool::new("yes".into());
        let first = take(&pool, "a");
        let pid = first.process.pid();
        pool.put_back(first);

        let mut other_program = take(&pool, "b");
        assert_ne!(other_program.process.pid(), pid);
        kill(&mut other_program);

        let mut again = take(&pool, "a");
        assert_eq!(again.process.pid(), pid);
        kill(&mut again);
        pool.put_back(again);

        let mut instead = take(&pool, "a");
        assert!(instead.process.child.try_wait().expect("it is a child").is_none());
        kill(&mut instead);
    }
}
