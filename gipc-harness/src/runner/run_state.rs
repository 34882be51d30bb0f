//! Who is on stage: the processes of one run, their connections, and what became of each step.
//!
//! Writes down what `hear` takes in, and what `ends` sees. When to let the next step go is the conductor's business.

use super::capability_probe::Probe;
use super::protocol_mapping::ProtocolMapping;
use crate::adapter::transport::AgentHandle;
use crate::proc::pipe_holders::{self, NamedPipes};
use crate::proc::platform::{self, PidFd};
use crate::proc::process_tree;
use crate::scenario::{ChildAct, Outcome, Scenario, TaskId, Verb};
use crate::trace::{FdHolder, ProcessExit, StepState, Trace, Unsupported};
use gipc_agent::{ControlChannel, ToAgent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Classified process that has said hello.
pub(super) struct AgentSession {
    pub(super) pid: i32,
    pub(super) control: ControlChannel,
    pub(super) line: AgentHandle,
    pub(super) handle: Option<Arc<PidFd>>,
    pub(super) finished: bool,
    /// It is over, and all that it said was heard.
    pub(super) ended: bool,
}

/// All that is known of a run while it goes on.
pub(super) struct RunState<'a> {
    pub(super) scenario: &'a Scenario,
    /// The profiles that the manifest declares; none if it says nothing.
    pub(super) declared: &'a [String],
    /// Those who came, the dead among them.
    pub(super) sessions: BTreeMap<String, AgentSession>,
    /// What became of each step.
    pub(super) taken: Vec<StepState>,
    /// The steps that were handed over before their time: they open when their agent says so.
    pub(super) handed: BTreeSet<usize>,
    /// The steps whose agent said that they began.
    pub(super) begun: BTreeSet<usize>,
    /// Those that ended.
    pub(super) ends: BTreeMap<String, ProcessExit>,
    pub(super) violations: Vec<String>,
    /// The handles that processes had left.
    pub(super) left: BTreeMap<String, u64>,
    pub(super) unsupported: Option<Unsupported>,
    pub(super) fault: Option<String>,
    pub(super) record: Vec<String>,
    /// Of each process: the number of the last ping that it was sent, and of the last that it answered.
    pub(super) asked: BTreeMap<String, u64>,
    pub(super) pongs: BTreeMap<String, u64>,
    pub(super) pings: u64,
    /// Those whose conversation has ended.
    pub(super) gone: BTreeSet<String>,
    /// How many things were heard, pongs aside.
    pub(super) events: u64,
    pub(super) main_pid: Option<i32>,
    pub(super) pids: BTreeMap<i32, ProcessExit>,
    /// The steps that have begun, or were let go, and have not ended: few, of however many there are.
    pub(super) open: BTreeSet<usize>,
    /// How many steps of each process have not ended.
    to_do: BTreeMap<&'a str, usize>,
    pub(super) pipes: NamedPipes,
    pub(super) wire: ProtocolMapping<'a>,
    /// How many bytes each new pipe is made to hold.
    pub(super) capacity: Option<u32>,
    pub(super) started: Instant,
    /// What main was asked before the first step, and must refuse.
    pub(super) questions: Vec<Probe>,
}

impl<'a> RunState<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        declared: &'a [String],
        capacity: Option<u32>,
    ) -> Self {
        let mut to_do: BTreeMap<&str, usize> = BTreeMap::new();
        for step in scenario.steps.iter() {
            *to_do.entry(&step.task_id.process).or_default() += 1;
        }
        Self {
            scenario,
            declared,
            sessions: BTreeMap::new(),
            taken: vec![StepState::NotStarted; scenario.steps.len()],
            handed: BTreeSet::new(),
            begun: BTreeSet::new(),
            ends: BTreeMap::new(),
            violations: Vec::new(),
            left: BTreeMap::new(),
            unsupported: None,
            fault: None,
            record: Vec::new(),
            asked: BTreeMap::new(),
            pongs: BTreeMap::new(),
            pings: 0,
            gone: BTreeSet::new(),
            events: 0,
            main_pid: None,
            pids: BTreeMap::new(),
            open: BTreeSet::new(),
            to_do,
            pipes: NamedPipes::default(),
            wire: ProtocolMapping::new(scenario),
            capacity,
            started: Instant::now(),
            questions: Vec::new(),
        }
    }

    /// Whether the run can't go on, whatever the plan says.
    pub(super) fn is_over(&self) -> bool {
        self.fault.is_some() || self.unsupported.is_some()
    }

    /// The system does not let us ask this.
    pub(super) fn cannot(&mut self, reason: &str) {
        self.unsupported = Some(Unsupported { step: None, reason: reason.to_owned() });
    }

    pub(super) fn is_open(&self, step: usize) -> bool {
        self.taken[step] == StepState::Pending
    }

    /// The step that a task_id is in: the last one it was told.
    pub(super) fn current(&self, task_id: &TaskId) -> Option<usize> {
        self.open.iter().copied().find(|step| self.scenario.steps[*step].task_id == *task_id)
    }

    pub(super) fn has_begun(&self, step: usize) -> bool {
        self.begun.contains(&step)
    }

    pub(super) fn has_ended(&self, step: usize) -> bool {
        matches!(self.taken[step], StepState::Completed { .. })
    }

    /// Whether the process came and is still there.
    pub(super) fn is_here(&self, process: &str) -> bool {
        self.sessions.contains_key(process) && !self.ends.contains_key(process)
    }

    /// Whether a step of this task_id may be let go: its process is here, and nothing of the task_id is open.
    pub(super) fn is_free(&self, task_id: &TaskId) -> bool {
        self.is_here(&task_id.process) && self.current(task_id).is_none()
    }

    pub(super) fn note(&mut self, what: &str, value: serde_json::Value) {
        let at = self.started.elapsed().as_micros() as u64;
        self.record.push(serde_json::json!({ "us": at, "event": what, "is": value }).to_string());
    }

    /// Says something to the agent of a process that came.
    pub(super) fn tell(&mut self, role: &str, message: ToAgent) {
        let at = self.started.elapsed().as_micros() as u64;
        let line = serde_json::json!({ "us": at, "event": "sent", "to": role, "is": message });
        self.record.push(line.to_string());
        self.sessions[role].line.send(message);
    }

    /// Lets a step go: the agent gets its order. `until` is the harness's own and has none.
    pub(super) fn release(&mut self, step: usize) {
        let spec = &self.scenario.steps[step];
        self.note("release", serde_json::json!({ "step": step, "task": spec.task_id.to_string() }));
        self.send(step);
        self.opens(step);
    }

    /// Gives a step to its agent, who begins it when the one before has ended.
    pub(super) fn hand_over(&mut self, step: usize) {
        self.handed.insert(step);
        self.send(step);
    }

    fn send(&mut self, step: usize) {
        let spec = &self.scenario.steps[step];
        if let Some(order) = self.wire.order(step) {
            let task = spec.task_id.task.clone();
            let message = ToAgent::Step { id: step, task, order, within_ms: spec.within_ms };
            self.tell(&spec.task_id.process, message);
        }
    }

    /// Sends a signal to a process of the run; false where that cannot be done for sure.
    pub(super) fn signal(&mut self, role: &str, signal: nix::sys::signal::Signal) -> bool {
        self.note("signal", serde_json::json!({ "role": role, "signal": signal.as_str() }));
        let handle = self.sessions.get(role).and_then(|session| session.handle.as_deref());
        handle.is_some_and(|handle| platform::send(handle, signal))
    }

    /// Kills all whom the harness can name for sure.
    pub(super) fn kill_all(&self) {
        for handle in self.sessions.values().filter_map(|session| session.handle.as_deref()) {
            platform::send(handle, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Ends a step that the harness itself performs.
    pub(super) fn end(&mut self, step: usize, outcome: Outcome) {
        self.over(step, outcome, None, None);
    }

    /// A step is to be waited for from now on.
    pub(super) fn opens(&mut self, step: usize) {
        self.taken[step] = StepState::Pending;
        self.open.insert(step);
    }

    /// A step that was open has ended.
    pub(super) fn over(
        &mut self,
        step: usize,
        outcome: Outcome,
        from: Option<usize>,
        detail: Option<String>,
    ) {
        self.taken[step] = StepState::Completed { outcome, from, detail };
        let process = self.scenario.steps[step].task_id.process.as_str();
        if let (true, Some(steps)) = (self.open.remove(&step), self.to_do.get_mut(process)) {
            *steps -= 1;
        }
    }

    /// Tells each process whose lines are done that it may return.
    pub(super) fn finish(&mut self, process: &str) {
        let done = self.to_do.get(process).is_none_or(|steps| *steps == 0);
        if let Some(session) = self.sessions.get_mut(process) {
            if done && !session.finished && !self.ends.contains_key(process) {
                session.finished = true;
                self.tell(process, ToAgent::Finish);
            }
        }
    }

    /// Asks a loop, if it is here. Returns the number that the answer must carry; later ones are larger.
    pub(super) fn ping(&mut self, process: &str) -> u64 {
        self.pings += 1;
        let n = self.pings;
        if self.is_here(process) {
            self.asked.insert(process.to_owned(), n);
            self.tell(process, ToAgent::Ping { n });
        }
        n
    }

    /// The number of the last ping that a process answered.
    pub(super) fn answered(&self, process: &str) -> u64 {
        self.pongs.get(process).copied().unwrap_or(0)
    }

    /// Whether all who are here have answered a ping of this number or a later one.
    pub(super) fn has_all_answered(&self, n: u64) -> bool {
        self.sessions.keys().all(|role| !self.is_here(role) || self.answered(role) >= n)
    }

    /// Whether the answers of all who are here prove that their loops turn.
    pub(super) fn is_all_loops(&self) -> bool {
        self.sessions.values().all(|session| session.control == ControlChannel::Loop)
    }

    /// Whether somebody was started who has not come, and whom nobody has hit.
    pub(super) fn expects_somebody(&self) -> bool {
        let steps = || self.scenario.steps.iter().zip(&self.taken);
        let is_hit = |child: &String| {
            steps().any(|(step, taken)| match &step.verb {
                Verb::Kill { child: hit }
                | Verb::Signal { child: hit, .. }
                | Verb::Child { act: ChildAct::Terminate, child: hit } => {
                    hit == child && *taken != StepState::NotStarted
                }
                _ => false,
            })
        };
        !self.sessions.contains_key("main")
            || steps().any(|(step, taken)| match &step.verb {
                Verb::Spawn { child, .. } => {
                    taken.is(&Outcome::Ok) && !self.sessions.contains_key(child) && !is_hit(child)
                }
                _ => false,
            })
    }

    /// Whether a step is open that a clock may end.
    pub(super) fn may_ring(&self) -> bool {
        let steps = self.scenario.steps.iter().zip(&self.taken);
        steps.into_iter().any(|(step, taken)| {
            let is_timed = step.within_ms.is_some() || matches!(step.verb, Verb::Pause { .. });
            is_timed && *taken == StepState::Pending
        })
    }

    /// The pids of all that are here.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.sessions
            .iter()
            .filter(|(role, _)| !self.ends.contains_key(*role))
            .map(|(_, session)| session.pid)
            .collect()
    }

    /// The name of a process.
    pub(super) fn role(&self, pid: i32) -> String {
        let role = self.sessions.iter().find(|(_, session)| session.pid == pid);
        role.map_or_else(|| stranger(pid), |(role, _)| role.clone())
    }

    /// Who really holds which end, and how many bytes wait in the pipes, as the kernel shows it.
    pub(super) fn held(&self, pids: &[i32]) -> (Vec<FdHolder>, BTreeMap<String, u64>) {
        let holders = self.pipes.holders(pids);
        let bytes = pipe_holders::bytes(&holders);
        let mut held: Vec<FdHolder> = holders
            .into_iter()
            .map(|(end, holder)| FdHolder {
                end,
                process: self.role(holder.pid),
                descriptor: holder.fd,
            })
            .collect();
        held.sort();
        (held, bytes)
    }

    /// What has happened until now.
    pub(super) fn so_far(&self) -> Trace {
        Trace {
            steps: self.taken.clone(),
            exits: self.ends.clone(),
            remaining_handles: self.left.clone(),
            violations: self.violations.clone(),
        }
    }
}

/// What a process is called that is none of the scenario's.
fn stranger(pid: i32) -> String {
    const WIDTH: usize = 60;
    let command = process_tree::command(pid);
    match command.char_indices().nth(WIDTH) {
        _ if command.is_empty() => format!("pid {pid}"),
        Some((end, _)) => format!("pid {pid} ({}…)", &command[..end]),
        None => format!("pid {pid} ({command})"),
    }
}
