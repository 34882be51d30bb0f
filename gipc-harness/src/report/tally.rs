//! Counts verdicts, and computes the exit code from the counts.

use crate::verdict::{Status, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Why a run is not as expected, in the words that runs with the same cause share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// The verdict.
    pub status: Status,
    /// The first unexpected outcome, or the first line of the reason.
    pub came: String,
    /// The outcome that was expected, if a step is wrong.
    pub expected: Option<String>,
}

impl Cause {
    fn of(verdict: &Verdict) -> Self {
        let reason = || verdict.sentences().next().map_or("", String::as_str);
        let (came, expected) = match &verdict.mismatch {
            Some(wrong) if wrong.late.is_some() => (format!("{} came too late", wrong.got), None),
            Some(wrong) => (wrong.got.clone(), Some(wrong.expected.clone())),
            None => (without_numbers(reason().lines().next().unwrap_or_default()), None),
        };
        Self { status: verdict.status, came, expected }
    }
}

/// A sentence without the numbers that differ from run to run: those of descriptors, pipes, processes and lines.
fn without_numbers(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    for character in sentence.chars() {
        let is_number = ["fd ", "pid ", "line ", ":["].iter().any(|before| {
            out.strip_suffix('…').is_some_and(|out| out.ends_with(before)) || out.ends_with(before)
        });
        match (character.is_ascii_digit() && is_number, out.ends_with('…')) {
            (true, true) => {}
            (true, false) => out.push('…'),
            (false, _) => out.push(character),
        }
    }
    out
}

/// The counts of all verdicts of a run of the suite.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many runs have each status.
    pub statuses: BTreeMap<Status, usize>,
    /// How many runs of each theme have each status.
    pub themes: BTreeMap<String, BTreeMap<Status, usize>>,
    /// Why a scenario is known to fail or skipped, by status and id.
    pub reasons: BTreeMap<(Status, String), String>,
    /// Why a scenario is not as expected, by id.
    pub unexpected: BTreeMap<String, BTreeSet<Cause>>,
    /// How many runs were planned.
    pub planned: usize,
    /// How many scenarios had different verdicts or traces in different runs.
    pub unstable: usize,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// Whether a record could not be written.
    pub evidence_lost: bool,
    /// How many heavy scenarios were left out.
    pub heavy: usize,
    /// Which part of all scenarios this is, and the number of parts.
    pub shard: Option<(usize, usize)>,
}

impl Tally {
    /// Counts the verdict of a run of the scenario `id`. Further runs of the same scenario need no additional memory.
    pub fn add(&mut self, id: &str, verdict: &Verdict) {
        let theme = id.split('/').next().unwrap_or_default();
        *self.statuses.entry(verdict.status).or_default() += 1;
        *self.themes.entry(theme.to_owned()).or_default().entry(verdict.status).or_default() += 1;
        if matches!(verdict.status, Status::Known | Status::Skip) {
            let reason = verdict.sentences().next().cloned().unwrap_or_default();
            self.reasons.insert((verdict.status, id.to_owned()), reason);
        }
        if !verdict.status.is_expected() {
            self.unexpected.entry(id.to_owned()).or_default().insert(Cause::of(verdict));
        }
    }

    /// How many runs have this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// How many runs have been counted.
    #[must_use]
    pub fn done(&self) -> usize {
        self.statuses.values().sum()
    }

    /// The exit code. It is 3 if the run is partial or a verdict is inconclusive, or if nothing else is wrong and a record
    /// could not be written; 0 if all verdicts are as expected; otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let is_partial = self.interrupted || self.done() < self.planned;
        let of_verdicts = self.statuses.keys().map(|status| status.exit_code()).max().unwrap_or(0);
        match of_verdicts.max(u8::from(self.unstable > 0)) {
            _ if is_partial => 3,
            // Only records of failures are written unless all are asked for.
            0 if self.evidence_lost => 3,
            code => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_only_in_numbers_have_one_cause() {
        let cause = |reason: &str| {
            let mut verdict = Verdict::for_test(Status::Fail, "");
            verdict.reason = Some(reason.to_owned());
            Cause::of(&verdict)
        };
        let found = cause("child still held fd 16, which is r2 (pipe:[360]): see line 5\nmore");
        assert_eq!(found, cause("child still held fd 7, which is r2 (pipe:[4711]): see line 12"));
        assert_eq!(found.came, "child still held fd …, which is r2 (pipe:[…]): see line …");
        assert_ne!(found, cause("child still held fd 7, which is r3 (pipe:[4711]): see line 12"));
    }
}
