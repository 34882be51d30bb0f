//! What agents say, one thing after the other: who came, what began, what it came to.
//!
//! Writes it down in the cast, and knows a lie when it hears one. What it means for the run is the conductor's business.

use super::run_state::{AgentSession, RunState};
use crate::adapter::transport::{AgentEvent, AgentHandle};
use crate::proc::platform;
use crate::scenario::Verb;
use crate::trace::{StepState, Unsupported};
use gipc_agent::{self, FromAgent};
use std::sync::Arc;

impl RunState<'_> {
    /// Takes in one thing that was heard.
    pub(super) fn hear(&mut self, heard: AgentEvent) {
        if !matches!(heard, AgentEvent::WireOutcome(_, FromAgent::Pong { .. })) {
            self.events += 1;
        }
        // What breaks first is the reason; what breaks after it may only follow.
        let first = self.fault.take();
        self.take_in(heard);
        self.fault = first.or(self.fault.take());
    }

    fn take_in(&mut self, heard: AgentEvent) {
        match heard {
            AgentEvent::Hello(hello, line) => self.hello(hello, line),
            AgentEvent::Garbage(role, text) => {
                let who = role.unwrap_or_else(|| "somebody".into());
                self.fault = Some(format!("{who} {text}"));
            }
            AgentEvent::Gone(role) => {
                self.note("gone", serde_json::json!(role));
                self.gone.insert(role.clone());
                // The only sign there is where the system has no pidfd.
                if self.sessions.get(&role).is_some_and(|session| session.handle.is_none()) {
                    self.ended(&role);
                }
            }
            AgentEvent::Ended(role) => self.ended(&role),
            AgentEvent::WireOutcome(role, said) => {
                self.note(&role, serde_json::to_value(&said).unwrap_or_default());
                self.say(&role, said);
            }
        }
    }

    fn hello(&mut self, hello: protocol::Hello, line: AgentHandle) {
        let role = hello.role.clone();
        self.note("hello", serde_json::to_value(&hello).unwrap_or_default());
        if let Some(lie) = self.misdeclared(&hello.profiles) {
            self.fault = Some(format!("{role} {lie}"));
            return;
        }
        let known = role == "main"
            || self
                .scenario
                .steps
                .iter()
                .any(|step| matches!(&step.verb, Verb::Spawn { child, .. } if *child == role));
        if !known || self.sessions.contains_key(&role) {
            let what = if known { "came twice" } else { "is nobody in this scenario" };
            self.fault = Some(format!("{role} {what} (pid {})", hello.pid));
            return;
        }
        let handle = platform::pidfd(hello.pid).map(Arc::new);
        if let Some(handle) = handle.clone() {
            let line = line.clone();
            tokio::spawn(async move {
                handle.ended().await;
                line.ended();
            });
        }
        let (pid, control) = (hello.pid, hello.control);
        let session = AgentSession { pid, control, line, handle, finished: false, ended: false };
        self.sessions.insert(role.clone(), session);
        if role == "main" {
            self.ask_for_nonsense(&hello.profiles);
        }
        self.finish(&role);
    }

    /// What an agent says of itself must be what its manifest says.
    fn misdeclared(&self, said: &[String]) -> Option<String> {
        let more = said.iter().find(|profile| !self.declared.contains(profile));
        let less = self.declared.iter().find(|profile| !said.contains(profile));
        match (more, less) {
            _ if self.declared.is_empty() => None,
            (Some(more), _) => Some(format!(
                "says that it has the profile {more}, which its manifest does not declare"
            )),
            (_, Some(less)) => Some(format!(
                "does not say that it has the profile {less}, which its manifest declares"
            )),
            _ => None,
        }
    }

    fn say(&mut self, role: &str, said: FromAgent) {
        match said {
            // Some begin before they look what it is.
            FromAgent::Begin { id, .. } if self.pretends(role, id).is_some() => {}
            FromAgent::End { id, .. } if self.pretends(role, id).is_some() => {
                self.fault = self.pretends(role, id);
            }
            FromAgent::Unsupported { id, .. } if self.refuses(role, id) => {}
            // Where all was told at once an agent goes on behind what it refused, and nothing of that counts.
            FromAgent::Begin { .. } | FromAgent::End { .. } | FromAgent::Unsupported { .. }
                if self.unsupported.is_some() => {}
            FromAgent::Begin { id, pid } => {
                if self.handed.remove(&id) && self.taken[id] == StepState::NotStarted {
                    self.opens(id);
                }
                self.check(role, id, pid);
                if !self.begun.insert(id) && self.fault.is_none() {
                    self.fault = Some(format!("{role} began step {id} twice"));
                }
            }
            FromAgent::End { id, pid, outcome, detail, descriptors, .. } => {
                self.check(role, id, pid);
                if self.fault.is_none() {
                    for descriptor in descriptors.values() {
                        if let Some(bytes) = self.capacity {
                            platform::resize(pid, *descriptor, bytes);
                        }
                    }
                    self.pipes.learn(pid, &descriptors, |end| self.wire.is_writer(end));
                    // What an agent was handed may have begun, and its word of it be on its way.
                    let (taken, handed) = (&self.taken, &self.handed);
                    let was_put =
                        |put: usize| taken[put] != StepState::NotStarted || handed.contains(&put);
                    let (outcome, from) =
                        self.wire.outcome(id, outcome, detail.as_deref(), was_put);
                    self.over(id, outcome, from, detail);
                    self.finish(role);
                }
            }
            FromAgent::Unsupported { id, reason } => {
                // It need not have begun.
                if self.handed.remove(&id) && self.taken[id] == StepState::NotStarted {
                    self.opens(id);
                }
                self.check(role, id, self.sessions.get(role).map_or(0, |session| session.pid));
                self.unsupported = Some(Unsupported { step: Some(id), reason });
            }
            FromAgent::Pong { n } => {
                let asked = self.asked.get(role).copied().unwrap_or(0);
                let before = self.pongs.insert(role.to_owned(), n).unwrap_or(0);
                if n > asked || n <= before {
                    self.fault = Some(format!("{role} answered a ping that was not sent ({n})"));
                }
            }
            FromAgent::Left { handles } => {
                if self.left.insert(role.to_owned(), handles).is_some() {
                    self.fault = Some(format!("{role} said twice what it has left"));
                }
            }
            FromAgent::Fault { reason } => self.fault = Some(format!("{role}'s agent: {reason}")),
            FromAgent::Hello(_) => self.fault = Some(format!("{role} said hello again")),
        }
    }

    /// A begin or an end must be of a step that was sent to this role and is open.
    fn check(&mut self, role: &str, id: usize, pid: i32) {
        let ours = self.scenario.steps.get(id).is_some_and(|step| step.task_id.process == role);
        if !ours || self.taken[id] != StepState::Pending {
            self.fault = Some(format!("{role} spoke of step {id}, which it was not in"));
        } else if self.sessions.get(role).is_some_and(|session| session.pid != pid) {
            let task_id = &self.scenario.steps[id].task_id;
            self.violations.push(format!("{task_id} ran in a process that is not {role}"));
        }
    }
}
