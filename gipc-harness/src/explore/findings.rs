//! What a search found: counts, and each kind of failure with its file.

use crate::error::Error;
use crate::scenario::{Outcome, Scenario};
use crate::trace::{Allowed, StepState};
use crate::verdict::{Status, Verdict};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a search did and found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first seed.
    pub first_seed: u64,
    /// How long it took.
    pub time: Duration,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// How many scenarios were executed.
    pub scenarios: u64,
    /// How many of them were also executed concurrently.
    pub concurrent: u64,
    /// How many seeds were tried, including those whose scenarios were not used.
    pub seeds: u64,
    /// How many runs were skipped.
    pub skipped: u64,
    /// How many scenarios have races.
    pub racy: u64,
    /// How often each outcome was predicted.
    pub outcomes: BTreeMap<String, u64>,
    /// How often each verb was used, and how many time limits race with what their steps wait for.
    pub verbs: BTreeMap<String, u64>,
    /// Each kind of failure, with how often it was met and the file of the first one.
    pub failures: BTreeMap<Failure, (u64, PathBuf)>,
    /// Failures that were seen once and did not occur again: how each failed, and its file.
    pub unrepeated: Vec<(String, PathBuf)>,
    pub(super) error: Option<Error>,
}

impl Findings {
    pub(super) fn count(&mut self, scenario: &Scenario, allowed: &Allowed) {
        self.scenarios += 1;
        self.racy += u64::from(allowed.traces.len() > 1);
        for (step, state) in scenario.steps.iter().zip(&allowed.in_file_order().steps) {
            let word = match state {
                StepState::NotStarted => "never".to_owned(),
                StepState::Pending => "blocks".to_owned(),
                StepState::Completed { outcome: Outcome::Message(_), .. } => "message".to_owned(),
                StepState::Completed { outcome, .. } => outcome.to_string(),
            };
            *self.outcomes.entry(word).or_default() += 1;
            let what = step.what();
            *self.verbs.entry(first_word(&what).to_owned()).or_default() += 1;
            if step.races_with_its_limit() {
                *self.verbs.entry("within".to_owned()).or_default() += 1;
            }
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// A kind of failure: the verdict, and what the first wrong step did and returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    status: Status,
    verb: String,
    got: String,
    pub(super) concurrent: bool,
}

impl Failure {
    pub(super) fn of(scenario: &Scenario, verdict: &Verdict, concurrent: bool) -> Self {
        let first = verdict.mismatch.as_ref();
        let verb = first.map(|first| scenario.steps[first.step].what()).unwrap_or_default();
        // The content of a message and the name of a process do not matter.
        let got = first.map_or("", |first| match first.got.split_once(" ended: ") {
            Some((_, exit)) => exit,
            None if first.got.starts_with(|c: char| c == '"' || c.is_ascii_digit()) => "a message",
            None if first.got.starts_with("other: ") => "something else",
            None => &first.got,
        });
        let (verb, got) = (first_word(&verb).to_owned(), got.to_owned());
        Self { status: verdict.status, verb, got, concurrent }
    }

    /// The failure in a few words.
    #[must_use]
    pub fn words(&self) -> String {
        let way = if self.concurrent { ", concurrent" } else { "" };
        match self.verb.as_str() {
            "" => format!("{}{way}", self.status),
            verb => format!("{}, {verb} gives {}{way}", self.status, self.got),
        }
    }

    /// The flags of `run` that reproduce it.
    #[must_use]
    pub fn flags(&self) -> &'static str {
        if self.concurrent { " --concurrent" } else { "" }
    }
}
