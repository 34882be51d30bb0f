//! The model's clock: time limits and pauses. Time passes only when nothing else can happen.

use std::collections::BTreeSet;

/// The time, and the steps that wait for a later time.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Timers {
    now_ms: u64,
    pending: BTreeSet<(u64, usize)>,
}

impl Timers {
    pub(super) fn start(&mut self, step: usize, delay_ms: u64) {
        self.pending.insert((self.now_ms + delay_ms, step));
    }

    pub(super) fn cancel(&mut self, step: usize) {
        self.pending.retain(|(_, waiting)| *waiting != step);
    }

    /// Moves the clock to the next timer. Returns its step.
    pub(super) fn expire_next(&mut self) -> Option<usize> {
        let (time, step) = self.pending.pop_first()?;
        self.now_ms = time;
        Some(step)
    }
}
