//! The processes of a run that have connected, and how each process ended.

use crate::adapter::transport::AgentHandle;
use crate::proc::process_handle::ProcessHandle;
use crate::trace::{BlockedIn, ProcessExit};
use gipc_agent::{ControlChannel, Hello, ToAgent};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A process that has said hello, dead or alive.
struct AgentSession {
    pid: i32,
    control: ControlChannel,
    agent: AgentHandle,
    /// `None` on systems that do not show when a process ends.
    handle: Option<Arc<ProcessHandle>>,
    was_told_to_finish: bool,
    /// Whether the process has ended and all its messages were handled.
    is_drained: bool,
}

/// Whether no process has this pid: the one that had it has ended and was reaped.
fn is_free(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
}

/// All sessions of a run, and the exits of its processes.
#[derive(Default)]
pub(super) struct Sessions {
    by_process: BTreeMap<String, AgentSession>,
    /// The process with each pid. If several processes had one pid, the last of them.
    by_pid: HashMap<i32, String>,
    main_pid: Option<i32>,
    /// How each process that the supervisor reaped ended, by pid.
    reaped: BTreeMap<i32, ProcessExit>,
    exits: BTreeMap<String, ProcessExit>,
    /// The processes whose connection has ended.
    hung_up: BTreeSet<String>,
}

impl Sessions {
    pub(super) fn set_main_pid(&mut self, pid: i32) {
        self.main_pid = Some(pid);
    }

    /// Whether a pid is that of `main` or of a process that has connected.
    pub(super) fn is_known_pid(&self, pid: i32) -> bool {
        self.main_pid == Some(pid) || self.name_of(pid).is_some()
    }

    /// Whether a pid is that of `main`, and `main` has not connected yet.
    pub(super) fn is_unconnected_main(&self, pid: i32) -> bool {
        self.main_pid == Some(pid) && self.name_of(pid).is_none()
    }

    pub(super) fn has_connected(&self, process: &str) -> bool {
        self.by_process.contains_key(process)
    }

    /// Whether a process has connected and has not ended.
    pub(super) fn is_alive(&self, process: &str) -> bool {
        self.has_connected(process) && !self.exits.contains_key(process)
    }

    /// The processes that have connected, dead or alive.
    pub(super) fn connected(&self) -> impl ExactSizeIterator<Item = &str> {
        self.by_process.keys().map(String::as_str)
    }

    fn alive(&self) -> impl Iterator<Item = (&str, &AgentSession)> {
        let sessions = self.by_process.iter().map(|(process, one)| (process.as_str(), one));
        sessions.filter(|(process, _)| !self.exits.contains_key(*process))
    }

    /// The processes that are alive.
    pub(super) fn alive_processes(&self) -> impl Iterator<Item = &str> {
        self.alive().map(|(process, _)| process)
    }

    /// The pid of each process that has connected.
    pub(super) fn pids(&self) -> BTreeMap<String, i32> {
        self.by_process.iter().map(|(process, session)| (process.clone(), session.pid)).collect()
    }

    /// The pids of the processes that are alive.
    pub(super) fn alive_pids(&self) -> Vec<i32> {
        self.alive().map(|(_, session)| session.pid).collect()
    }

    /// The living processes in which the event loop of the implementation answers the pings.
    pub(super) fn alive_loops(&self) -> impl Iterator<Item = &str> {
        let is_loop = |session: &AgentSession| session.control == ControlChannel::Loop;
        self.alive().filter(move |(_, session)| is_loop(session)).map(|(process, _)| process)
    }

    /// Whether the event loop of the implementation answers the pings in all processes.
    pub(super) fn are_all_loops(&self) -> bool {
        self.by_process.values().all(|session| session.control == ControlChannel::Loop)
    }

    /// The pid of a process that has connected, and what answers its pings.
    pub(super) fn pid_and_control(&self, process: &str) -> Option<(i32, ControlChannel)> {
        self.by_process.get(process).map(|session| (session.pid, session.control))
    }

    /// Whether a process has connected with another pid than this one.
    pub(super) fn has_other_pid(&self, process: &str, pid: i32) -> bool {
        self.by_process.get(process).is_some_and(|session| session.pid != pid)
    }

    /// The process of the scenario that has this pid.
    pub(super) fn name_of(&self, pid: i32) -> Option<&str> {
        self.by_pid.get(&pid).map(String::as_str)
    }

    pub(super) fn exits(&self) -> &BTreeMap<String, ProcessExit> {
        &self.exits
    }

    /// Adds a process that has said hello, and watches for its end where the system shows when it ends.
    pub(super) fn connect(&mut self, hello: &Hello, agent: AgentHandle) {
        let handle = ProcessHandle::open(hello.pid).map(Arc::new);
        match handle.clone() {
            Some(handle) => {
                let agent = agent.clone();
                tokio::spawn(async move {
                    handle.wait_for_exit().await;
                    agent.process_exited();
                });
            }
            // The process has ended since it sent its hello, and was reaped.
            None if is_free(hello.pid) => {
                agent.process_exited();
            }
            None => {}
        }
        let session = AgentSession {
            pid: hello.pid,
            control: hello.control,
            agent,
            handle,
            was_told_to_finish: false,
            is_drained: false,
        };
        self.by_pid.insert(hello.pid, hello.role.clone());
        self.by_process.insert(hello.role.clone(), session);
    }

    /// Sends a message to the agent of a process that has connected.
    pub(super) fn send(&self, process: &str, message: ToAgent) {
        self.by_process[process].agent.send(message);
    }

    /// Records that a process is told to finish. Returns false if it was told before or is not alive.
    pub(super) fn mark_finishing(&mut self, process: &str) -> bool {
        let is_alive = self.is_alive(process);
        let session = self.by_process.get_mut(process).filter(|_| is_alive);
        session.is_some_and(|session| !std::mem::replace(&mut session.was_told_to_finish, true))
    }

    /// Sends a signal to a process. Returns false if the system does not allow it.
    pub(super) fn signal(&self, process: &str, signal: Signal) -> bool {
        let handle = self.by_process.get(process).and_then(|session| session.handle.as_deref());
        handle.is_some_and(|handle| handle.send(signal))
    }

    /// Kills all processes whose pids certainly still belong to them.
    pub(super) fn kill_all(&self) {
        for handle in self.by_process.values().filter_map(|session| session.handle.as_deref()) {
            let _ = handle.send(Signal::SIGKILL);
        }
    }

    /// Records that the connection of a process has ended. Returns true if this system gives no other sign that the process
    /// has ended.
    pub(super) fn hang_up(&mut self, process: &str) -> bool {
        self.hung_up.insert(process.to_owned());
        self.by_process.get(process).is_some_and(|session| session.handle.is_none())
    }

    /// Whether a process has ended and the run has not received the report of its end yet.
    pub(super) fn has_unreported_end(&self) -> bool {
        let has_ended =
            |session: &AgentSession| session.handle.as_ref().is_some_and(|it| it.has_ended());
        self.alive().any(|(_, session)| has_ended(session))
    }

    /// Whether a process that counts as ended may still run: the system does not show when it ends, only its connection has
    /// ended, and its pid is still in use. Such a process may still print a backtrace, and its parent cannot learn of its end yet.
    pub(super) fn has_uncertain_end(&self) -> bool {
        self.by_process.iter().any(|(process, session)| {
            session.handle.is_none()
                && self.exits.get(process) == Some(&ProcessExit::Unseen)
                && !self.reaped.contains_key(&session.pid)
                && !is_free(session.pid)
        })
    }

    /// The processes that have ended and whose end, or a message before it, was not handled yet.
    pub(super) fn ended_but_not_drained(&self) -> BTreeSet<String> {
        let is_one = |session: &AgentSession| {
            !session.is_drained && session.handle.as_ref().is_some_and(|it| it.has_ended())
        };
        self.alive().filter(|(_, session)| is_one(session)).map(|(name, _)| name.into()).collect()
    }

    /// Whether the end of a process and all its messages were handled.
    pub(super) fn is_drained(&self, process: &str) -> bool {
        self.by_process.get(process).is_some_and(|session| session.is_drained)
    }

    /// How `main` ended, if it was reaped and has not connected.
    pub(super) fn exit_of_unconnected_main(&self) -> Option<ProcessExit> {
        let pid = self.main_pid.filter(|pid| self.is_unconnected_main(*pid))?;
        self.reaped.get(&pid).cloned()
    }

    /// A living process that has closed its connection and still sleeps. A process that is about to end does not sleep.
    pub(super) fn disconnected_but_asleep(
        &self,
        blocked_in: &BTreeMap<String, BlockedIn>,
    ) -> Option<&str> {
        let mut hung_up = self.hung_up.iter().map(String::as_str);
        hung_up.find(|process| self.is_alive(process) && blocked_in.contains_key(*process))
    }

    /// Records that the supervisor has reaped a process. Returns the name of the process if its end can be recorded now;
    /// otherwise messages from it may still arrive.
    pub(super) fn reap(&mut self, pid: i32, exit: ProcessExit) -> Option<String> {
        self.reaped.insert(pid, exit);
        let process = self.name_of(pid)?;
        self.by_process[process].is_drained.then(|| process.to_owned())
    }

    /// Records that a process has ended and all its messages were handled. Returns how it ended, if its end can be recorded
    /// now. The end of `main` is known only when the supervisor has reaped it.
    pub(super) fn drain(&mut self, process: &str) -> Option<ProcessExit> {
        let session = self.by_process.get_mut(process)?;
        session.is_drained = true;
        let pid = session.pid;
        let unseen = (self.main_pid != Some(pid)).then_some(ProcessExit::Unseen);
        self.reaped.get(&pid).cloned().or(unseen)
    }

    /// Records how a process ended, unless that is already known.
    pub(super) fn record_exit(&mut self, process: &str, exit: ProcessExit) {
        if matches!(self.exits.get(process), None | Some(ProcessExit::Unseen)) {
            self.exits.insert(process.to_owned(), exit);
        }
    }

    /// Fills in how the processes ended that no parent reported, and which processes still run.
    pub(super) fn complete_exits(&mut self) {
        for (process, session) in &self.by_process {
            let exit = self.exits.get(process);
            if exit.is_some_and(|exit| *exit != ProcessExit::Unseen) {
                continue;
            }
            let seen = || session.handle.as_deref()?.exit_status();
            let found = match exit {
                None => Some(ProcessExit::Running),
                Some(_) => self.reaped.get(&session.pid).cloned().or_else(seen),
            };
            if let Some(found) = found {
                self.exits.insert(process.clone(), found);
            }
        }
    }
}
