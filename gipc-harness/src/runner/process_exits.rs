//! How processes end, from what the supervisor, their conversations and the system say. Ends nobody.

use super::run_state::RunState;
use super::supervisor::SupervisorEvent;
use crate::proc::platform;
use crate::scenario::{Outcome, Verb};
use crate::trace::{ProcessExit, Trace};
use std::collections::BTreeMap;

impl RunState<'_> {
    /// Takes in what the supervisor says; false if that is no news.
    pub(super) fn supervisor(&mut self, event: SupervisorEvent) -> bool {
        // The end of one whom nobody knows is no news: somebody could start and leave such all day long.
        let is_news = match &event {
            SupervisorEvent::Ended { pid, .. } => {
                Some(*pid) == self.main_pid
                    || self.sessions.values().any(|session| session.pid == *pid)
            }
            _ => true,
        };
        self.events += u64::from(is_news);
        match event {
            SupervisorEvent::Started(pid) => self.main_pid = Some(pid),
            SupervisorEvent::Failed(text) => self.fault = Some(format!("cannot start: {text}")),
            // AgentEvent only before and after the run.
            SupervisorEvent::Ready(_) | SupervisorEvent::Swept { .. } => {}
            SupervisorEvent::Ended { pid, end } => {
                let role = self.sessions.iter().find(|(_, session)| session.pid == pid);
                let role = role.map(|(role, session)| (role.clone(), session.ended));
                self.pids.insert(pid, end.clone());
                match role {
                    // What it said last may still be on its way.
                    Some((_, false)) => {}
                    Some((role, true)) => self.died(&role, end),
                    None if Some(pid) == self.main_pid => {
                        self.fault = Some(format!("main ended before it said hello ({end})"));
                    }
                    None => {}
                }
            }
        }
        is_news
    }

    /// A process ended, and all that it said was heard. How it ended shows only once it was reaped.
    pub(super) fn ended(&mut self, role: &str) {
        let Some(session) = self.sessions.get_mut(role) else { return };
        session.ended = true;
        let pid = session.pid;
        match self.pids.get(&pid).cloned() {
            Some(end) => self.died(role, end),
            // How main ended is the supervisor's to say.
            None if Some(pid) == self.main_pid => {}
            None => self.died(role, ProcessExit::Unseen),
        }
    }

    fn died(&mut self, role: &str, end: ProcessExit) {
        self.note("ended", serde_json::json!({ "role": role, "end": end.to_string() }));
        let known = self.ends.get(role).is_some_and(|end| *end != ProcessExit::Unseen);
        if !known {
            self.ends.insert(role.to_owned(), end);
        }
        // Nobody can see the end of its own exit: that the process is gone is that end.
        let exits = self.open.iter().copied().filter(|step| {
            let step = &self.scenario.steps[*step];
            step.task_id.process == role && matches!(step.verb, Verb::Exit { .. } | Verb::Raise)
        });
        for step in exits.collect::<Vec<_>>() {
            self.end(step, Outcome::Ok);
        }
    }

    /// Who hung up is about to end; but who then sleeps, in this call, has only hung up.
    pub(super) fn find_who_hung_up(&mut self, calls: &BTreeMap<String, String>) {
        let still = self.gone.iter().find(|role| self.is_here(role) && calls.contains_key(*role));
        if let Some(role) = still.filter(|_| self.fault.is_none()) {
            self.fault = Some(format!("{role} hung up, and is still there"));
        }
    }

    /// The trace, when nothing more will be heard.
    pub(super) fn trace(&mut self) -> Trace {
        self.see_ends();
        self.so_far()
    }

    /// How those ended whose parents say nothing, and who still runs.
    fn see_ends(&mut self) {
        for (role, session) in &self.sessions {
            let seen = session.handle.as_deref().and_then(platform::status);
            let end = self.pids.get(&session.pid).cloned().or(seen);
            let unseen = self.ends.get(role) == Some(&ProcessExit::Unseen);
            match end {
                Some(end) if unseen => {
                    self.ends.insert(role.clone(), end);
                }
                _ if !self.ends.contains_key(role) => {
                    self.ends.insert(role.clone(), ProcessExit::Running);
                }
                _ => {}
            }
        }
    }
}
