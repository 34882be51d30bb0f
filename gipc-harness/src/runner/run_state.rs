//! Everything known about a run while it goes on: the steps, the processes, the pings, the pipes and the event log.
//!
//! The run state records what happened. The execution modes decide when the next step is released.

use super::census::{CensusTaker, View};
use super::events::{EventKind, EventLog, Events};
use super::limit_watch::LimitWatch;
use super::ping_log::PingLog;
use super::pipe_names::{PipeNames, fill_levels};
use super::sessions::Sessions;
use super::step_table::StepTable;
use super::supervisor::SupervisorEvent;
use crate::adapter::Keeps;
use crate::adapter::transport::AgentHandle;
use crate::proc::process_tree;
use crate::proc::snapshot::ProcSnapshot;
use crate::scenario::{Outcome, Scenario, TaskId, Verb};
use crate::trace::{
    Censuses, FdHolder, FillLevel, LimitTime, Occurrence, ProcessExit, Trace, Unsupported,
};
use gipc_agent::{Hello, ToAgent};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};

/// The program that agents execute for `exec`, as its command line shows it.
const FOREIGN_PROGRAM: &str = "sh -c read x; exit 7";

pub(super) struct RunState<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) steps: StepTable<'a>,
    pub(super) sessions: Sessions,
    pub(super) pings: PingLog,
    pub(super) pipes: PipeNames,
    pub(super) limits: LimitWatch,
    census: CensusTaker<'a>,
    log: EventLog,
    /// The number of events so far, answers to pings excluded.
    activity: u64,
    /// The number of handles that each process had left when it finished.
    remaining_handles: BTreeMap<String, u64>,
    violations: Vec<String>,
    unsupported: Option<Unsupported>,
    fault: Option<String>,
}

/// What remains of a run state when the run is over.
pub(super) struct RunResult {
    pub(super) trace: Trace,
    pub(super) unsupported: Option<Unsupported>,
    pub(super) fault: Option<String>,
    pub(super) censuses: Censuses,
    pub(super) limit_times: Vec<LimitTime>,
    pub(super) events: Events,
    pub(super) history: Vec<Occurrence>,
    pub(super) pids: BTreeMap<String, i32>,
}

impl<'a> RunState<'a> {
    pub(super) fn new(scenario: &'a Scenario, keeps: &'a Keeps) -> Self {
        Self {
            scenario,
            steps: StepTable::new(scenario),
            sessions: Sessions::default(),
            pings: PingLog::default(),
            pipes: PipeNames::default(),
            limits: LimitWatch::default(),
            census: CensusTaker::new(scenario, keeps),
            log: EventLog::start(),
            activity: 0,
            remaining_handles: BTreeMap::new(),
            violations: Vec::new(),
            unsupported: None,
            fault: None,
        }
    }

    /// Whether the run can't go on, regardless of the schedule.
    pub(super) fn is_over(&self) -> bool {
        self.has_failed() || self.is_unsupported()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    pub(super) fn is_unsupported(&self) -> bool {
        self.unsupported.is_some()
    }

    /// Records a fault of the adapter or the harness. Only the first one is kept; later ones may follow from it.
    pub(super) fn fail(&mut self, fault: impl Into<String>) {
        self.fault.get_or_insert_with(|| fault.into());
    }

    /// Records that the run can't be completed. `step` is the step that an agent refused, if there was one.
    pub(super) fn stop_as_unsupported(&mut self, step: Option<usize>, reason: &str) {
        self.unsupported = Some(Unsupported { step, reason: reason.to_owned() });
    }

    /// Records a broken rule that no outcome shows, as a sentence.
    pub(super) fn add_violation(&mut self, violation: String) {
        self.violations.push(violation);
    }

    /// Records how many handles a process has left. Returns false if it was recorded before.
    pub(super) fn set_remaining_handles(&mut self, process: &str, handles: u64) -> bool {
        self.remaining_handles.insert(process.to_owned(), handles).is_none()
    }

    /// The number of events so far, answers to pings excluded. While the number stays the same, nothing happens in the run.
    pub(super) fn activity(&self) -> u64 {
        self.activity
    }

    pub(super) fn note_activity(&mut self) {
        self.activity += 1;
    }

    pub(super) fn log(&mut self, event: EventKind) {
        self.log.push(event);
    }

    /// Whether a step of this task can be released: its process is alive, and no step of the task is open.
    pub(super) fn is_ready(&self, task: &TaskId) -> bool {
        self.sessions.is_alive(&task.process) && self.steps.open_step_of(task).is_none()
    }

    /// Whether a task that begins with this step may start: its process has completed its own steps above this one.
    pub(super) fn is_due(&self, step: usize) -> bool {
        let task = &self.scenario.steps[step].task_id;
        task.task.is_none()
            || self.scenario.steps[..step].iter().enumerate().all(|(index, other)| {
                other.task_id.task.is_some()
                    || other.task_id.process != task.process
                    || self.steps.has_completed(index)
            })
    }

    /// Whether the first step of a task may begin although the schedule does not release it: the process was started by a
    /// step that succeeded, and has completed its own steps above this one.
    pub(super) fn may_begin(&self, step: usize) -> bool {
        let process = &self.scenario.steps[step].task_id.process;
        let was_spawned =
            process == "main" || self.steps.spawned_children().any(|it| it == process);
        was_spawned && self.is_due(step)
    }

    /// Whether some process was started, has not connected, and was not killed or signalled by a step.
    pub(super) fn expects_a_process(&self) -> bool {
        !self.expected_processes().is_empty()
    }

    /// The processes that were started, have not connected, and were not killed or signalled by a step.
    pub(super) fn expected_processes(&self) -> Vec<String> {
        let is_expected =
            |child: &&str| !self.sessions.has_connected(child) && !self.steps.was_signalled(child);
        let children = self.steps.spawned_children().filter(is_expected);
        let main = (!self.sessions.has_connected("main")).then_some("main");
        main.into_iter().chain(children).map(str::to_owned).collect()
    }

    /// Sends a message to the agent of a process that has connected.
    pub(super) fn send(&mut self, process: &str, message: ToAgent) {
        self.log(EventKind::Sent { to: process.to_owned(), is: message.clone() });
        self.sessions.send(process, message);
    }

    /// The last message that was sent to the agent of a process after its welcome.
    pub(super) fn last_sent(&self, process: &str) -> Option<ToAgent> {
        self.log.last_sent(process)
    }

    /// Tells a process to finish, if all its steps have completed and it was not told before. If it holds too much,
    /// [`Self::settle_censuses`] tells it later.
    pub(super) fn finish_if_done(&mut self, process: &str) {
        if self.steps.has_completed_all_of(process) && self.sessions.mark_finishing(process) {
            let (states, sessions, pipes) = (self.steps.states(), &self.sessions, &self.pipes);
            let view = View { scenario: self.scenario, states, sessions, pipes };
            if self.census.is_clean(process, &view) {
                self.send(process, ToAgent::Finish);
            }
        }
    }

    /// Whether some process has completed all its steps and was not told to finish because it holds too much.
    pub(super) fn has_unsettled_census(&self) -> bool {
        self.census.is_unsettled()
    }

    /// Looks again at the processes that hold too much, and tells to finish those that hold less now or that will not
    /// change. Returns whether there was one. Must be called when nothing arrives.
    pub(super) fn settle_censuses(&mut self) -> bool {
        if !self.has_unsettled_census() {
            return false;
        }
        let (states, sessions, pipes) = (self.steps.states(), &self.sessions, &self.pipes);
        let view = View { scenario: self.scenario, states, sessions, pipes };
        let settled = self.census.settle(&view);
        for process in &settled {
            self.note_activity();
            self.send(process, ToAgent::Finish);
        }
        !settled.is_empty()
    }

    /// Adds a process that has said hello.
    pub(super) fn connect(&mut self, hello: &Hello, agent: AgentHandle) {
        self.census.note_hello(&hello.role, hello.pid);
        self.sessions.connect(hello, agent);
    }

    /// Looks at the processes that are in a step with a time limit.
    pub(super) fn watch_limits(&mut self) {
        self.limits.look(self.scenario, &self.steps, &self.sessions);
    }

    /// Completes a step that the harness itself performs.
    pub(super) fn complete_own_step(&mut self, step: usize) {
        self.steps.complete(step, Outcome::Ok, None, None);
        let process = &self.scenario.steps[step].task_id.process;
        self.finish_if_done(process);
    }

    /// Sends a signal to a process. Returns false if the system does not allow it.
    pub(super) fn signal(&mut self, process: &str, signal: Signal) -> bool {
        let name = signal.as_str().to_owned();
        self.log(EventKind::Signalled { process: process.to_owned(), signal: name });
        self.sessions.signal(process, signal)
    }

    /// Pings a process, if it is alive. Returns the number that the answer must carry. Later pings have larger numbers.
    pub(super) fn ping(&mut self, process: &str) -> u64 {
        let number = self.pings.next_number();
        if self.sessions.is_alive(process) {
            self.pings.record_sent(process, number);
            self.send(process, ToAgent::Ping { n: number });
        }
        number
    }

    /// Pings all living processes. Returns the smallest number that was used; each answer carries at least this one.
    pub(super) fn ping_all(&mut self) -> u64 {
        let processes: Vec<String> = self.sessions.connected().map(str::to_owned).collect();
        let numbers: Vec<u64> = processes.iter().map(|process| self.ping(process)).collect();
        numbers.into_iter().min().unwrap_or(0)
    }

    /// Whether all living processes have answered a ping of this number or a later one.
    pub(super) fn have_all_answered(&self, number: u64) -> bool {
        self.sessions.alive_processes().all(|process| self.pings.last_answer(process) >= number)
    }

    /// The living processes with an event loop that sleep now, with or without a timer.
    pub(super) fn sleeping_loops(&self) -> BTreeSet<String> {
        let loops = self.sessions.alive_loops();
        let pids: Vec<i32> = loops
            .filter_map(|process| self.sessions.pid_and_control(process).map(|(pid, _)| pid))
            .collect();
        let asleep = ProcSnapshot::take(&pids).blocked_in(&ProcSnapshot::take(&pids));
        asleep.into_keys().map(|pid| self.display_name(pid)).collect()
    }

    /// Handles an event of the supervisor. Returns false if the event is the end of a process that is not part of the
    /// scenario. Such events do not count as activity: an implementation could start and abandon processes forever.
    pub(super) fn handle_supervisor_event(&mut self, event: SupervisorEvent) -> bool {
        let is_relevant = match &event {
            SupervisorEvent::Exited { pid, .. } => self.sessions.is_known_pid(*pid),
            _ => true,
        };
        self.activity += u64::from(is_relevant);
        match event {
            SupervisorEvent::Started(pid) => self.sessions.set_main_pid(pid),
            SupervisorEvent::Failed(reason) => self.fail(format!("cannot start: {reason}")),
            // These events come only before and after the run.
            SupervisorEvent::Ready(_)
            | SupervisorEvent::Waiting
            | SupervisorEvent::Finished { .. } => {}
            SupervisorEvent::Exited { pid, exit } => {
                if let Some(process) = self.sessions.reap(pid, exit.clone()) {
                    self.record_exit(&process, exit);
                }
            }
        }
        is_relevant
    }

    /// Records that a process has ended and all its messages were handled.
    pub(super) fn handle_exit(&mut self, process: &str) {
        if let Some(exit) = self.sessions.drain(process) {
            self.record_exit(process, exit);
        }
    }

    fn record_exit(&mut self, process: &str, exit: ProcessExit) {
        self.log(EventKind::Exited { process: process.to_owned(), exit: exit.clone() });
        self.sessions.record_exit(process, exit);
        self.steps.note(Occurrence::Exited(process.to_owned()));
        // A process can't report that its own exit has completed.
        for step in self.steps.open_exits_of(process) {
            self.steps.complete(step, Outcome::Ok, None, None);
        }
    }

    /// The name of a process for a report. For a process that is not part of the scenario, its pid and command line.
    pub(super) fn display_name(&self, pid: i32) -> String {
        self.sessions.name_of(pid).map_or_else(|| self.unknown_process(pid), str::to_owned)
    }

    /// Describes a process that is not part of the scenario: its pid with the beginning of its command line, after the name
    /// of the program if it is one that the scenario starts beside the library.
    fn unknown_process(&self, pid: i32) -> String {
        const WIDTH: usize = 60;
        let command = process_tree::command_line(pid);
        let shown = match command.char_indices().nth(WIDTH) {
            _ if command.is_empty() => format!("pid {pid}"),
            Some((end, _)) => format!("pid {pid} ({}…)", &command[..end]),
            None => format!("pid {pid} ({command})"),
        };
        match self.ghost(pid) {
            Some((ghost, _)) => format!("{ghost}, {shown}"),
            None => shown,
        }
    }

    /// The name of a program that the scenario starts beside the library, and the process that has started it. If the
    /// process has started several such programs, the names of all of them. `None` for other processes.
    pub(super) fn ghost(&self, pid: i32) -> Option<(String, String)> {
        let parent = process_tree::stat(pid)?.parent;
        let parent = self.sessions.name_of(parent)?;
        if process_tree::command_line(pid) != FOREIGN_PROGRAM {
            return None;
        }
        let own = self.scenario.steps.iter().filter(|step| step.task_id.process == parent);
        let ghosts = own.filter_map(|step| match &step.verb {
            Verb::Exec { ghost } => Some(ghost.as_str()),
            _ => None,
        });
        let ghosts: Vec<&str> = ghosts.collect();
        (!ghosts.is_empty()).then(|| (ghosts.join(" or "), parent.to_owned()))
    }

    /// Which of these processes hold which pipe ends, and how many bytes are in the pipes, as the kernel shows them.
    pub(super) fn pipe_holders(&self, pids: &[i32]) -> (Vec<FdHolder>, Vec<FillLevel>) {
        let holders = self.pipes.holders(pids);
        let fill_levels = fill_levels(&holders);
        let of_pipes = holders.into_iter().map(|(end, holder)| (end, holder.pid, holder.fd));
        let of_sockets = self.pipes.socket_holders(pids);
        let mut holders: Vec<FdHolder> = of_pipes
            .chain(of_sockets)
            .map(|(end, pid, descriptor)| FdHolder {
                end,
                process: self.display_name(pid),
                descriptor,
            })
            .collect();
        holders.sort();
        (holders, fill_levels)
    }

    /// The trace so far.
    pub(super) fn trace(&self) -> Trace {
        Trace {
            steps: self.steps.states().to_vec(),
            exits: self.sessions.exits().clone(),
            remaining_handles: self.remaining_handles.clone(),
            violations: self.violations.clone(),
        }
    }

    /// Ends the recording. No process of the run may be left.
    pub(super) fn into_result(self) -> RunResult {
        RunResult {
            trace: self.trace(),
            unsupported: self.unsupported,
            fault: self.fault,
            censuses: self.census.into_censuses(),
            limit_times: self.limits.into_times(),
            events: self.log.into_events(),
            history: self.steps.into_history(),
            pids: self.sessions.pids(),
        }
    }
}
