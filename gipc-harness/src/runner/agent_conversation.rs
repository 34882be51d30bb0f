//! Talks to the agents: sends steps as commands, and records what the agents report.
//!
//! A message that breaks the protocol is recorded as a fault.

use super::attached_tool::AttachedTool;
use super::capability_probe::CapabilityProbe;
use super::events::EventKind;
use super::pipe_names::ReportedEnd;
use super::protocol_mapping::ProtocolMapping;
use super::run_state::RunState;
use super::settings::Settings;
use crate::adapter::transport::{AgentEvent, AgentHandle};
use crate::proc::platform;
use crate::scenario::{PipeEnd, Scenario, Step, Verb};
use ecow::EcoString;
use gipc_agent::{FromAgent, Hello, PROTOCOL, ToAgent, WireOutcome, message_outcome};
use std::collections::{BTreeMap, HashMap};

pub(super) struct AgentConversation<'a> {
    scenario: &'a Scenario,
    /// The processes that the scenario starts, and whether each is a program beside the library.
    started: HashMap<&'a str, bool>,
    mapping: ProtocolMapping<'a>,
    probe: CapabilityProbe<'a>,
    /// The capacity that each new pipe is set to, in bytes.
    pipe_capacity: Option<u32>,
    /// A tool that waits for its process.
    tool: Option<AttachedTool>,
}

/// A message that reports the end of a step.
struct StepEnd {
    id: usize,
    pid: i32,
    outcome: WireOutcome,
    detail: Option<String>,
    descriptors: BTreeMap<String, i32>,
}

impl<'a> AgentConversation<'a> {
    /// Starts a conversation about a scenario, with agents whose manifest declares these profiles.
    pub(super) fn new(scenario: &'a Scenario, declared: &'a [String], settings: &Settings) -> Self {
        let mut started: HashMap<&str, bool> = HashMap::new();
        for step in scenario.steps.iter() {
            if let Verb::Spawn { child, program, .. } = &step.verb {
                *started.entry(child).or_default() |= program.is_some();
            }
        }
        Self {
            scenario,
            started,
            mapping: ProtocolMapping::new(scenario),
            probe: CapabilityProbe::new(declared, scenario.steps.len()),
            pipe_capacity: settings.capacity,
            tool: settings.tool.clone(),
        }
    }

    /// Whether `main` has refused everything that it must refuse.
    pub(super) fn is_probe_passed(&self) -> bool {
        self.probe.is_passed()
    }

    /// Releases a step: sends it to its agent, and opens it.
    pub(super) fn release(&self, state: &mut RunState<'_>, step: usize) {
        let task = self.scenario.steps[step].task_id.to_string();
        state.log(EventKind::Released { step, task });
        self.send(state, step);
        state.steps.open(step);
    }

    /// Sends a step ahead of time: the agent begins it when the step before it has completed.
    pub(super) fn hand_over(&self, state: &mut RunState<'_>, step: usize) {
        state.steps.hand_over(step);
        self.send(state, step);
    }

    /// Sends a step to its agent, unless the harness performs it itself.
    fn send(&self, state: &mut RunState<'_>, step: usize) {
        if let Some(order) = self.mapping.command(step) {
            let spec = &self.scenario.steps[step];
            let (task, within_ms) = (spec.task_id.task.clone(), spec.within_ms);
            if within_ms.is_some() {
                state.limits.note_sent(step);
            }
            let within_ms = within_ms.map(u64::from);
            let message =
                ToAgent::Step { id: step, task: task.map(String::from), command: order, within_ms };
            state.send(&spec.task_id.process, message);
        }
    }

    /// Handles an event of a connection.
    pub(super) fn handle(&mut self, state: &mut RunState<'_>, event: AgentEvent) {
        if !matches!(event, AgentEvent::Message(_, FromAgent::Pong { .. })) {
            state.note_activity();
        }
        match event {
            AgentEvent::Hello(hello, agent) => self.handle_hello(state, hello, agent),
            AgentEvent::ProtocolError(process, what) => {
                state
                    .fail(format!("{} {what}", process.as_deref().unwrap_or("an unknown process")));
            }
            AgentEvent::CannotAccept(error) => {
                state.fail(format!("the harness cannot accept a connection: {error}"));
            }
            AgentEvent::HungUp(process) => {
                state.log(EventKind::HungUp { process: process.clone() });
                if state.sessions.hang_up(&process) {
                    state.handle_exit(&process);
                }
            }
            AgentEvent::Exited(process) => state.handle_exit(&process),
            AgentEvent::Message(process, message) => {
                state.log(EventKind::Received { from: process.clone(), is: message.clone() });
                self.handle_message(state, &process, message);
            }
        }
    }

    fn handle_hello(&mut self, state: &mut RunState<'_>, hello: Hello, agent: AgentHandle) {
        state.log(EventKind::Hello { is: hello.clone() });
        let process = hello.role.as_str();
        let is_program = self.started.get(process).copied();
        let misdeclared = self.probe.misdeclared(&hello.profiles);
        let misdeclared = misdeclared.filter(|_| is_program != Some(true));
        if let Some(difference) = misdeclared {
            return state.fail(format!("{process} {difference}"));
        }
        if process != "main" && is_program.is_none() {
            let pid = hello.pid;
            return state.fail(format!(
                "{process} is not a process of this scenario (pid {pid}): a child says hello under the name that it was \
                 spawned under"
            ));
        }
        if state.sessions.has_connected(process) {
            return state.fail(format!(
                "{process} said hello twice (the second time from pid {}): a child says hello under the name that it was spawned under, and each \
                 process once",
                hello.pid
            ));
        }
        if let Some(tool) = self.tool.take_if(|tool| tool.role() == process) {
            if let Err(reason) = tool.attach(hello.pid) {
                return state.fail(reason);
            }
        }
        state.connect(&hello, agent);
        if process == "main" {
            for question in self.probe.start(&hello.profiles) {
                state.send("main", question);
            }
        }
        state.finish_if_done(process);
    }

    fn handle_message(&mut self, state: &mut RunState<'_>, process: &str, message: FromAgent) {
        match message {
            // Some agents report the begin before they read the command.
            FromAgent::Begin { id, .. } if self.probe.is_question(process, id) => {}
            FromAgent::End { id, .. } if self.probe.is_question(process, id) => {
                self.probe.accepted(process, id).into_iter().for_each(|fault| state.fail(fault));
            }
            FromAgent::Unsupported { id, .. } if self.probe.refuse(process, id) => {}
            // In concurrent mode an agent goes on after a step that it refused. What it reports then is ignored.
            FromAgent::Begin { .. } | FromAgent::End { .. } | FromAgent::Unsupported { .. }
                if state.is_unsupported() => {}
            FromAgent::Begin { id, pid } => {
                state.steps.open_if_handed_over(id);
                let is_valid = self.check_step(state, process, id, pid);
                if !state.steps.begin(id) && is_valid {
                    state.fail(format!("{process} began step {id} twice"));
                }
            }
            FromAgent::End { id, pid, outcome, detail, descriptors, .. } => {
                let end = StepEnd { id, pid, outcome, detail, descriptors };
                self.handle_step_end(state, process, end);
            }
            FromAgent::Unsupported { id, reason } => {
                // An agent may refuse a step without beginning it.
                state.steps.open_if_handed_over(id);
                let pid = state.sessions.pid_and_control(process).map_or(0, |(pid, _)| pid);
                self.check_step(state, process, id, pid);
                state.stop_as_unsupported(Some(id), &reason);
            }
            FromAgent::Pong { n } => {
                if !state.pings.record_answer(process, n) {
                    let sent = match state.pings.last_sent(process) {
                        0 => "it was sent none".to_owned(),
                        last => format!("the last one that it was sent is ping {last}"),
                    };
                    state.fail(format!(
                        "{process} answered ping {n}, which it was not sent or had answered before: {sent}"
                    ));
                }
            }
            FromAgent::Left { handles } => {
                if !state.set_remaining_handles(process, handles) {
                    state.fail(format!("{process} sent `left` twice"));
                }
            }
            FromAgent::Fault { reason } => {
                let last =
                    state.last_sent(process).unwrap_or(ToAgent::Welcome { protocol: PROTOCOL });
                let last = serde_json::to_string(&last).unwrap_or_default();
                state.fail(format!(
                    "the agent of {process} reported a fault: {reason}\n  the last message that it was sent: {last}"
                ));
            }
            FromAgent::Hello(_) => state.fail(format!("{process} said hello again")),
        }
    }

    fn handle_step_end(&mut self, state: &mut RunState<'_>, process: &str, end: StepEnd) {
        let StepEnd { id, pid, outcome, detail, descriptors } = end;
        // Reports that arrive after a fault are ignored.
        if !self.check_step(state, process, id, pid) || state.has_failed() {
            return;
        }
        if !state.steps.has_begun(id) {
            let what = self.scenario.steps[id].what();
            return state.fail(format!(
                "{process} ended step {id} ({what}) without a begin: an agent sends the begin of a step before it calls \
                 the library"
            ));
        }
        if let WireOutcome::Message { text: Some(text), .. } = &outcome {
            if message_outcome(text.as_bytes()) != outcome {
                return state.fail(format!(
                    "{process} reported the text {text:?} of a message with another length or digest: text is UTF-8, in the \
                     payload of a put and in what is reported of a get"
                ));
            }
        }
        self.learn_descriptors(state, id, pid, &descriptors);
        // A put that was handed over may have begun before its begin was reported.
        let was_sent = |put: usize| state.steps.was_sent(put);
        let (outcome, from) = self.mapping.outcome(id, outcome, detail.as_deref(), was_sent);
        state.steps.complete(id, outcome, from, detail);
        state.limits.note_end(id);
        state.finish_if_done(process);
    }

    /// Records the pipes and sockets behind the descriptors that a step reported, and sets the capacity of the pipes.
    fn learn_descriptors(
        &self,
        state: &mut RunState<'_>,
        id: usize,
        pid: i32,
        descriptors: &BTreeMap<String, i32>,
    ) {
        let made = self.scenario.handles.made_by(id, &self.scenario.steps[id].verb);
        let mut reported = Vec::new();
        for (name, descriptor) in descriptors {
            if let Some(bytes) = self.pipe_capacity {
                platform::set_pipe_capacity(pid, *descriptor, bytes);
            }
            let end = made.iter().find(|end| self.scenario.handles.name(**end) == name);
            let ends = end.map_or(self.scenario.handles.ends(name), std::slice::from_ref);
            let is_open = !ends.iter().any(|end| self.may_be_released(state, id, *end));
            match end {
                Some(end) => {
                    reported.push(ReportedEnd { end: *end, descriptor: *descriptor, is_open });
                }
                None if is_open => state.pipes.learn_socket(pid, *descriptor, ends),
                None => {}
            }
        }
        state.pipes.learn(pid, &reported);
    }

    /// Whether the process of a step may already have closed an end or given it away, by another step that it was sent.
    fn may_be_released(&self, state: &RunState<'_>, id: usize, end: PipeEnd) -> bool {
        let releases = |step: &Step| {
            let released: Vec<&EcoString> = match &step.verb {
                Verb::Close { handle, .. } => vec![handle],
                Verb::Leave { handles, .. } => handles.iter().collect(),
                Verb::Spawn { handles, listed, .. } => handles.iter().chain(listed).collect(),
                _ => Vec::new(),
            };
            released.into_iter().any(|handle| self.scenario.handles.ends(handle).contains(&end))
        };
        let process = &self.scenario.steps[id].task_id.process;
        state.steps.sent_steps().any(|step| {
            let step = &self.scenario.steps[step];
            step.task_id.process == *process && releases(step)
        })
    }

    /// Checks that a step belongs to this process and is open; otherwise records a fault and returns false. Also records a
    /// violation if another process than the expected one performed the step.
    fn check_step(&self, state: &mut RunState<'_>, process: &str, id: usize, pid: i32) -> bool {
        let spec = self.scenario.steps.get(id);
        if let Some(spec) = spec.filter(|spec| spec.task_id.process != process) {
            let owner = &spec.task_id.process;
            state.fail(format!(
                "{process} reported on step {id}, which is a step of {owner}, from pid {pid}: each process opens a connection of \
                 its own, and closes the one that it inherited"
            ));
            return false;
        }
        let Some(spec) = spec.filter(|_| state.steps.is_open(id)) else {
            state.fail(format!("{process} reported on step {id}, which it is not executing"));
            return false;
        };
        if state.sessions.has_other_pid(process, pid) {
            let task = &spec.task_id;
            state.add_violation(format!("{task} ran in a process that is not {process}"));
        }
        true
    }
}
