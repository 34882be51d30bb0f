//! The pings that were sent to the agents of a run, and their answers.

use std::collections::BTreeMap;

/// Which pings were sent and answered. Their numbers increase over the whole run.
#[derive(Debug, Default)]
pub(super) struct PingLog {
    /// The number of the last ping of the run.
    last: u64,
    /// The number of the last ping that each process was sent.
    sent: BTreeMap<String, u64>,
    /// The number of the last ping that each process answered.
    answered: BTreeMap<String, u64>,
}

impl PingLog {
    /// The number for a new ping, larger than all before it.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn record_sent(&mut self, process: &str, number: u64) {
        self.sent.insert(process.to_owned(), number);
    }

    /// Records an answer. Returns false if no unanswered ping up to this number was sent to the process.
    pub(super) fn record_answer(&mut self, process: &str, number: u64) -> bool {
        let sent = self.sent.get(process).copied().unwrap_or(0);
        let before = self.answered.insert(process.to_owned(), number).unwrap_or(0);
        before < number && number <= sent
    }

    /// The number of the last ping that a process answered; 0 if it answered none.
    pub(super) fn last_answer(&self, process: &str) -> u64 {
        self.answered.get(process).copied().unwrap_or(0)
    }
}
