//! Counts of verdicts, and the exit code that follows from them.

use crate::verdict::{Status, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Why a run is not as expected, in the words that runs with the same cause share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// The verdict.
    pub status: Status,
    /// The outcome that came first instead of another, or the first line of the reason.
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
            None => (reason().lines().next().unwrap_or_default().to_owned(), None),
        };
        Self { status: verdict.status, came, expected }
    }
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
    /// Which part of all scenarios this is, and of how many parts.
    pub shard: Option<(usize, usize)>,
}

impl Tally {
    /// Counts the verdict of a run of the scenario `id`. Further runs of the same scenario need no further memory.
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

    /// The exit code: 3 if the run is partial or a verdict is inconclusive, or if nothing else is wrong and a
    /// record could not be written; 0 if all verdicts are as expected; otherwise 1.
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
