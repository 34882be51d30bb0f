//! The pings that were sent to the agents of a run, and their answers.

use std::collections::{BTreeMap, BTreeSet};

/// Which pings were sent and answered. Their numbers increase over the whole run.
#[derive(Debug, Default)]
pub(super) struct PingLog {
    /// The number of the last ping of the run.
    last: u64,
    by_process: BTreeMap<String, Pings>,
}

/// The pings of one process.
#[derive(Debug, Default)]
struct Pings {
    unanswered: BTreeSet<u64>,
    /// The largest number of a ping that was sent.
    last_sent: u64,
    /// The largest number of an answered ping; 0 before the first answer.
    last_answer: u64,
}

impl PingLog {
    /// The number for a new ping, larger than all before it.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn record_sent(&mut self, process: &str, number: u64) {
        let pings = self.by_process.entry(process.to_owned()).or_default();
        pings.unanswered.insert(number);
        pings.last_sent = pings.last_sent.max(number);
    }

    /// Records an answer. Returns false if no ping with this number was sent to the process, or if it was answered before.
    /// The order does not matter: two tasks of an agent may have read two pings before the first of them answers.
    pub(super) fn record_answer(&mut self, process: &str, number: u64) -> bool {
        let Some(pings) = self.by_process.get_mut(process) else { return false };
        let is_expected = pings.unanswered.remove(&number);
        if is_expected {
            pings.last_answer = pings.last_answer.max(number);
        }
        is_expected
    }

    /// The largest number of a ping that was sent to a process; 0 if none was.
    pub(super) fn last_sent(&self, process: &str) -> u64 {
        self.by_process.get(process).map_or(0, |pings| pings.last_sent)
    }

    /// The largest number of a ping that a process answered; 0 if it answered none. Its loop has turned since that ping was
    /// sent, and therefore since each earlier one.
    pub(super) fn last_answer(&self, process: &str) -> u64 {
        self.by_process.get(process).map_or(0, |pings| pings.last_answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_may_be_answered_in_any_order_and_each_only_once() {
        let mut pings = PingLog::default();
        assert!(!pings.record_answer("main", 1), "no ping was sent");
        let numbers = [pings.next_number(), pings.next_number(), pings.next_number()];
        numbers.into_iter().for_each(|number| pings.record_sent("main", number));
        assert!(pings.record_answer("main", 3));
        assert!(pings.record_answer("main", 1));
        assert_eq!(pings.last_answer("main"), 3);
        assert_eq!((pings.last_sent("main"), pings.last_sent("child")), (3, 0));
        assert!(!pings.record_answer("main", 3), "it was answered before");
        assert!(!pings.record_answer("child", 2), "it was sent to another process");
        assert!(pings.record_answer("main", 2));
    }
}
