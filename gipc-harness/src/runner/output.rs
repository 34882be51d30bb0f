//! The result of an execution: the observation for the verdict, and the events for the record.

use super::events::{EventKind, Events};
use super::timings::Timings;
use crate::trace::Observation;
use gipc_agent::ImplementationId;

/// The result of an execution.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// What was observed, for the verdict.
    pub observation: Observation,
    /// All events in the order in which they happened, for the record.
    pub events: Events,
    /// What the time was spent on.
    pub timings: Timings,
}

impl RunOutput {
    /// The name and version of the implementation, as the first agent reported them.
    #[must_use]
    pub fn implementation(&self) -> Option<ImplementationId> {
        self.events.iter().find_map(|event| match event.kind {
            EventKind::Hello { is } => Some(is.implementation),
            _ => None,
        })
    }
}

impl From<Observation> for RunOutput {
    /// An output without events, for an observation that comes from the model or from a record.
    fn from(observation: Observation) -> Self {
        Self { observation, events: Events::default(), timings: Timings::default() }
    }
}
