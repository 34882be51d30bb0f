//! Counts of verdicts, and the exit code that follows from them.

use crate::verdict::{Status, Verdict};
use std::collections::BTreeMap;

/// The counts of all verdicts of a run of the suite.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many runs have each status.
    pub statuses: BTreeMap<Status, usize>,
    /// How many runs of each theme have each status.
    pub themes: BTreeMap<String, BTreeMap<Status, usize>>,
    /// Why a scenario is known to fail or skipped, by status and id.
    pub reasons: BTreeMap<(Status, String), String>,
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

    /// The exit code: 0 if all verdicts are as expected, 3 if the run is partial or a verdict is inconclusive,
    /// or if nothing else is wrong and a record could not be written; otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let is_partial = self.interrupted || self.done() < self.planned;
        if is_partial || self.statuses.keys().any(|status| status.is_inconclusive()) {
            3
        } else if self.unstable == 0 && self.statuses.keys().all(|status| status.is_expected()) {
            // Only records of failures are written unless all are asked for.
            if self.evidence_lost { 3 } else { 0 }
        } else {
            1
        }
    }
}
