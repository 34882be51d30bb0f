//! Receives everything that happens in a run: agent events, supervisor events, and the request to give up.

use super::supervisor::{Supervisor, SupervisorEvent};
use crate::adapter::transport::AgentEvent;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many turns of the event loop are run before the inbox counts as empty. Four turns lead from a connection that was not
/// accepted yet to a message in the channel; this is twice as many.
const DRAIN_TURNS: usize = 8;

pub(super) struct Inbox {
    agents: mpsc::UnboundedReceiver<AgentEvent>,
    supervisor: Supervisor,
    is_supervisor_gone: bool,
    interrupt: watch::Receiver<bool>,
}

/// What arrives next.
pub(super) enum Incoming {
    Agent(AgentEvent),
    Supervisor(SupervisorEvent),
    /// The supervisor has ended. Reported once.
    SupervisorGone,
    /// The run is to be given up.
    Interrupted,
    /// Nothing arrived until the deadline.
    Silence,
}

impl Inbox {
    pub(super) fn new(
        agents: mpsc::UnboundedReceiver<AgentEvent>,
        supervisor: Supervisor,
        interrupt: watch::Receiver<bool>,
    ) -> Self {
        Self { agents, supervisor, is_supervisor_gone: false, interrupt }
    }

    /// The pid of the supervisor; the processes of the run are below it.
    pub(super) fn supervisor_pid(&self) -> Option<i32> {
        self.supervisor.pid()
    }

    /// Waits for the next thing to arrive, at most until the deadline.
    pub(super) async fn next(&mut self, deadline: Instant) -> Incoming {
        tokio::select! {
            biased;
            Some(event) = self.agents.recv() => return Incoming::Agent(event),
            event = self.supervisor.next(), if !self.is_supervisor_gone => {
                self.is_supervisor_gone = event.is_none();
                return event.map_or(Incoming::SupervisorGone, Incoming::Supervisor);
            }
            _ = self.interrupt.wait_for(|is_set| *is_set) => return Incoming::Interrupted,
            () = tokio::time::sleep_until(deadline) => {}
        }
        // If this thread got no processor time for long, a message may have arrived although the deadline has passed.
        for _ in 0..DRAIN_TURNS {
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                Some(event) = self.agents.recv() => return Incoming::Agent(event),
                event = self.supervisor.next(), if !self.is_supervisor_gone => {
                    self.is_supervisor_gone = event.is_none();
                    return event.map_or(Incoming::SupervisorGone, Incoming::Supervisor);
                }
                () = std::future::ready(()) => {}
            }
        }
        Incoming::Silence
    }

    /// The next event of an agent, if one has already arrived.
    pub(super) fn try_next_agent_event(&mut self) -> Option<AgentEvent> {
        self.agents.try_recv().ok()
    }

    /// Waits for the next event of an agent; `None` if no connection is left. Cancel-safe.
    pub(super) async fn next_agent_event(&mut self) -> Option<AgentEvent> {
        self.agents.recv().await
    }

    /// Returns the supervisor, which is all that is needed to end the run.
    pub(super) fn into_supervisor(self) -> Supervisor {
        self.supervisor
    }
}
