//! How processes end, from what the keeper, their conversations and the system say. Ends nobody.

use super::cast::Cast;
use super::keeper::{KeeperEvent, Stopped};
use super::platform;
use crate::scenario::{Outcome, Verb};
use crate::trace::{End, Trace};
use std::collections::BTreeMap;

impl Cast<'_> {
    /// Takes in what the keeper says; false if that is no news.
    pub(super) fn keeper(&mut self, event: KeeperEvent) -> bool {
        // The end of one whom nobody knows is no news: somebody could start and leave such all day long.
        let is_news = match &event {
            KeeperEvent::Ended { pid, .. } => {
                Some(*pid) == self.main_pid || self.actors.values().any(|actor| actor.pid == *pid)
            }
            _ => true,
        };
        self.events += u64::from(is_news);
        match event {
            KeeperEvent::Started(pid) => self.main_pid = Some(pid),
            KeeperEvent::Failed(text) => self.fault = Some(format!("cannot start: {text}")),
            // Heard only before and after the run.
            KeeperEvent::Ready(_) | KeeperEvent::Swept { .. } => {}
            KeeperEvent::Ended { pid, end } => {
                let end = match end {
                    Stopped::Code(code) => End::Exit(code),
                    Stopped::Signal(name) => End::Signal(name),
                };
                let role = self.actors.iter().find(|(_, actor)| actor.pid == pid);
                let role = role.map(|(role, actor)| (role.clone(), actor.ended));
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
        let Some(actor) = self.actors.get_mut(role) else { return };
        actor.ended = true;
        let pid = actor.pid;
        match self.pids.get(&pid).cloned() {
            Some(end) => self.died(role, end),
            // How main ended is the keeper's to say.
            None if Some(pid) == self.main_pid => {}
            None => self.died(role, End::Unseen),
        }
    }

    fn died(&mut self, role: &str, end: End) {
        self.note("ended", serde_json::json!({ "role": role, "end": end.to_string() }));
        let known = self.ends.get(role).is_some_and(|end| *end != End::Unseen);
        if !known {
            self.ends.insert(role.to_owned(), end);
        }
        // Nobody can see the end of its own exit: that the process is gone is that end.
        let exits = self.open.iter().copied().filter(|step| {
            let step = &self.scenario.steps[*step];
            step.lane.process == role && matches!(step.verb, Verb::Exit { .. } | Verb::Raise)
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
        for (role, actor) in &self.actors {
            let seen = actor.handle.as_deref().and_then(platform::status);
            let seen = seen.map(|end| match end {
                Stopped::Code(code) => End::Exit(code),
                Stopped::Signal(name) => End::Signal(name),
            });
            let end = self.pids.get(&actor.pid).cloned().or(seen);
            let unseen = self.ends.get(role) == Some(&End::Unseen);
            match end {
                Some(end) if unseen => {
                    self.ends.insert(role.clone(), end);
                }
                _ if !self.ends.contains_key(role) => {
                    self.ends.insert(role.clone(), End::Running);
                }
                _ => {}
            }
        }
    }
}
