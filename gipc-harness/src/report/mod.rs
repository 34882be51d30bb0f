//! Telling a person or a program. Does not know how a verdict was reached.

pub mod json;
pub mod junit;
pub mod matrix;
pub mod terminal;

use crate::scenario::Scenario;
use crate::verdict::{Status, Verdict};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One scenario's result, with what a report says beside the verdict.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// What was asked.
    pub scenario: Scenario,
    /// Where it stands.
    pub path: PathBuf,
    /// The adapter's name.
    pub adapter: String,
    /// The same as it was asked for: the name or a path.
    pub asked: String,
    /// What must be typed beside it to perform it in the same way.
    pub how: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// Where the evidence is, if any was kept.
    pub record: Option<PathBuf>,
}

/// What all results come to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many of each word.
    pub words: BTreeMap<Status, usize>,
    /// The same by theme.
    pub themes: BTreeMap<String, BTreeMap<Status, usize>>,
    /// What is known or skipped, and why: by word and id.
    pub reasons: BTreeMap<(Status, String), String>,
    /// How many runs there should have been.
    pub planned: usize,
    /// How many scenarios came to one thing one time and to another the next.
    pub wavering: usize,
    /// The run was interrupted.
    pub interrupted: bool,
    /// Scenarios that were not asked for, because they are heavy.
    pub heavy: usize,
    /// Which part of all this is, and of how many.
    pub shard: Option<(usize, usize)>,
}

impl Tally {
    /// Counts a verdict in. Keeps no more for many runs of a scenario than for one.
    pub fn add(&mut self, id: &str, verdict: &Verdict) {
        let theme = id.split('/').next().unwrap_or_default();
        *self.words.entry(verdict.word).or_default() += 1;
        *self.themes.entry(theme.to_owned()).or_default().entry(verdict.word).or_default() += 1;
        if matches!(verdict.word, Status::Known | Status::Skip) {
            let note = verdict.notes.first().cloned().unwrap_or_default();
            self.reasons.insert((verdict.word, id.to_owned()), note);
        }
    }

    /// How many there are of a word.
    pub fn count(&self, word: Status) -> usize {
        self.words.get(&word).copied().unwrap_or(0)
    }

    /// How many runs there were.
    pub fn done(&self) -> usize {
        self.words.values().sum()
    }

    /// The exit code: 0 all as expected, 1 something is not, 3 could not find out (wins over 1).
    pub fn exit_code(&self) -> u8 {
        if self.interrupted
            || self.done() < self.planned
            || self.words.keys().any(|word| word.says_nothing())
        {
            3
        } else if self.wavering == 0 && self.words.keys().all(|word| word.is_expected()) {
            0
        } else {
            1
        }
    }
}
