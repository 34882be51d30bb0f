//! Measures what the time of a run was spent on, by the event that ended each wait.
//!
//! The phases of a run are measured with one clock and add up to its time. A period of silence is charged to the event that
//! ended it, since a process may have worked all the time. It is charged to quiescence only if its end proved a stall or a
//! blocked process.

use super::inbox::Incoming;
use super::supervisor::SupervisorEvent;
use crate::adapter::transport::AgentEvent;
use gipc_agent::FromAgent;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// What a part of the time of a run was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Starting the supervisor and the processes, until each has connected.
    ProcessStart,
    /// Sending a step until its agent has begun it, and handling what the agents report.
    Protocol,
    /// From the begin of a step to its end.
    Implementation,
    /// Proving that nothing moves, or that a process is blocked.
    Quiescence,
    /// Waiting for processes to end, and cleaning up after the run.
    ProcessEnd,
    /// Reading the scenarios and predicting their outcomes.
    Model,
    /// Comparing what was observed with what is allowed.
    Judging,
    /// Printing and writing results.
    Reporting,
}

impl Phase {
    /// All phases, in the order in which a report lists them.
    pub const ALL: [Self; 8] = [
        Self::ProcessStart,
        Self::Protocol,
        Self::Implementation,
        Self::Quiescence,
        Self::ProcessEnd,
        Self::Model,
        Self::Judging,
        Self::Reporting,
    ];

    /// The name of the phase in a JSON object.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::ProcessStart => "process_start",
            Self::Protocol => "protocol",
            Self::Implementation => "implementation",
            Self::Quiescence => "quiescence",
            Self::ProcessEnd => "process_end",
            Self::Model => "model",
            Self::Judging => "judging",
            Self::Reporting => "reporting",
        }
    }

    /// The name of the phase in a text.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ProcessStart => "process start",
            Self::Quiescence => "waiting for quiescence",
            Self::ProcessEnd => "process end",
            other => other.key(),
        }
    }

    /// The phase of a wait that ended with this.
    fn of(incoming: &Incoming) -> Self {
        match incoming {
            Incoming::Agent(event) => match event {
                AgentEvent::Hello(..) => Self::ProcessStart,
                AgentEvent::Message(_, FromAgent::End { .. }) => Self::Implementation,
                // Pings only serve to show that a process is blocked or that nothing moves.
                AgentEvent::Message(_, FromAgent::Pong { .. }) => Self::Quiescence,
                AgentEvent::HungUp(_) | AgentEvent::Exited(_) => Self::ProcessEnd,
                AgentEvent::Message(..)
                | AgentEvent::ProtocolError(..)
                | AgentEvent::CannotAccept(_) => Self::Protocol,
            },
            Incoming::Supervisor(SupervisorEvent::Exited { .. }) => Self::ProcessEnd,
            Incoming::Supervisor(_) => Self::ProcessStart,
            Incoming::SupervisorGone | Incoming::Interrupted => Self::ProcessEnd,
            Incoming::Silence => Self::Quiescence,
        }
    }
}

/// How long each phase took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings([Duration; Phase::ALL.len()]);

impl Timings {
    /// How long a phase took.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Duration {
        self.0[phase as usize]
    }

    /// Adds time to a phase.
    pub fn add(&mut self, phase: Phase, time: Duration) {
        self.0[phase as usize] += time;
    }

    /// How long all phases took together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, time)| *sum += time);
    }
}

/// Charges the time of a run to its phases: each moment from the start to the last charge exactly once.
pub(super) struct PhaseClock {
    /// The time up to which everything is charged.
    charged: Instant,
    timings: Timings,
}

impl PhaseClock {
    pub(super) fn start() -> Self {
        Self { charged: Instant::now(), timings: Timings::default() }
    }

    /// Charges the time since the last charge to a phase.
    pub(super) fn charge(&mut self, phase: Phase) {
        let now = Instant::now();
        self.timings.add(phase, now - self.charged);
        self.charged = now;
    }

    /// Charges the time since the last charge to what was waited for. A silence is charged later, when it is known what
    /// ended it.
    pub(super) fn charge_wait(&mut self, incoming: &Incoming) {
        if !matches!(incoming, Incoming::Silence) {
            self.charge(Phase::of(incoming));
        }
    }

    pub(super) fn timings(&self) -> Timings {
        self.timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_charged_to_the_event_that_ends_it() {
        let mut clock = PhaseClock::start();
        clock.charge_wait(&Incoming::Silence);
        assert_eq!(clock.timings(), Timings::default());
        clock.charge_wait(&Incoming::Agent(AgentEvent::Exited("main".into())));
        assert_eq!(clock.timings().total(), clock.timings().of(Phase::ProcessEnd));
        assert!(clock.timings().total() > Duration::ZERO);
    }

    #[test]
    fn the_phases_stand_in_the_order_of_the_list() {
        for (place, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, place, "{}", phase.key());
        }
    }

    #[test]
    fn timings_of_several_runs_are_added_phase_by_phase() {
        let mut sum = Timings::default();
        for phase in Phase::ALL {
            let mut one = Timings::default();
            one.add(phase, Duration::from_millis(3));
            sum += one;
            sum += one;
            assert_eq!(sum.of(phase), Duration::from_millis(6));
        }
        assert_eq!(sum.total(), Duration::from_millis(48));
    }
}
