//! The traces that are correct for a scenario.

use super::Trace;

/// The correct traces of a scenario, as far as the model has found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The correct traces. The first one is that of the steps in file order; there are more where steps race. The list
    /// is never empty.
    pub traces: Vec<Trace>,
    /// Whether the list contains every correct trace. If not, a trace that is missing may still be correct.
    pub complete: bool,
}

impl Allowed {
    /// Exactly one correct trace.
    #[must_use]
    pub fn one(trace: Trace) -> Self {
        Self { traces: vec![trace], complete: true }
    }

    /// The correct trace if the steps are released in file order.
    #[must_use]
    pub fn in_file_order(&self) -> &Trace {
        &self.traces[0]
    }
}
