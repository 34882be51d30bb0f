//! What further runs of a bundle show about its failure.

use crate::verdict::{Status, Verdict};
use std::collections::BTreeMap;
use std::fmt;

/// What the runs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The failure occurs in at least nine of ten runs, with nothing else running.
    Genuine,
    /// The failure occurs only while the processors are busy.
    Contention,
    /// The failure occurs in some runs without load, and not in others.
    Sometimes,
    /// Something that the machine lacks explains what happened, or keeps the scenario from running.
    Environment,
    /// The failure no longer occurs.
    Gone,
}

impl Conclusion {
    /// The exit code of `run`: 0 if the failure is gone, 3 if that could not be determined, otherwise 1.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Gone => 0,
            Self::Environment => 3,
            Self::Genuine | Self::Contention | Self::Sometimes => 1,
        }
    }

    /// What the word means, as part of a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Genuine => {
                "the same failure in at least nine of ten runs, with nothing else running"
            }
            Self::Contention => "the same failure only while the processors are busy",
            Self::Sometimes => "the same failure in some runs, also with nothing else running",
            Self::Environment => "this machine lacks what the scenario needs",
            Self::Gone => "no run failed in this way",
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Genuine => "GENUINE",
            Self::Contention => "CONTENTION",
            Self::Sometimes => "SOMETIMES",
            Self::Environment => "ENVIRONMENT",
            Self::Gone => "GONE",
        })
    }
}

/// The results of some runs of a bundle in the same conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How many runs there were.
    pub all: usize,
    /// How many failed with the fingerprint of the bundle.
    pub same: usize,
    /// How many could not be judged because of the machine or the adapter.
    pub hindered: usize,
    /// How many runs ended in each other way, in words.
    pub others: BTreeMap<String, usize>,
}

impl Runs {
    /// Counts a run. `fingerprint` is that of the bundle.
    pub fn add(&mut self, verdict: &Verdict, fingerprint: &[String; 3]) {
        self.all += 1;
        if verdict.failed_as.as_ref() == Some(fingerprint) {
            self.same += 1;
            return;
        }
        if matches!(verdict.status, Status::Environment | Status::Error | Status::Skip) {
            self.hindered += 1;
        }
        let words = match &verdict.failed_as {
            Some([step, outcome, status]) => format!("{status}: {step} gave {outcome}"),
            None => match verdict.sentences().next() {
                Some(reason) => {
                    format!("{}: {}", verdict.status, reason.lines().next().unwrap_or_default())
                }
                None => verdict.status.to_string(),
            },
        };
        *self.others.entry(words).or_default() += 1;
    }

    /// Whether the failure occurred in at least nine of ten runs.
    #[must_use]
    pub fn are_nearly_all_the_same(&self) -> bool {
        self.all > 0 && self.same * 10 >= self.all * 9
    }
}

/// Draws the conclusion from the runs without load and, if there were any, those under load.
#[must_use]
pub fn conclusion(alone: &Runs, loaded: Option<&Runs>) -> Conclusion {
    let same_under_load = loaded.map_or(0, |runs| runs.same);
    if alone.are_nearly_all_the_same() {
        Conclusion::Genuine
    } else if alone.same > 0 {
        Conclusion::Sometimes
    } else if same_under_load > 0 {
        Conclusion::Contention
    } else if alone.all == 0 || alone.hindered * 2 > alone.all {
        Conclusion::Environment
    } else {
        Conclusion::Gone
    }
}

/// The conclusion with its counts, for a person.
#[must_use]
pub fn report(conclusion: Conclusion, alone: &Runs, loaded: Option<&Runs>) -> String {
    let mut out = format!("{conclusion}  {}\n", conclusion.meaning());
    let conditions = [("alone", Some(alone)), ("under load", loaded)];
    for (name, runs) in conditions.iter().filter_map(|(name, runs)| Some((name, (*runs)?))) {
        out += &format!("\n  {name}: {} of {} runs failed in the same way\n", runs.same, runs.all);
        for (words, count) in &runs.others {
            out += &format!("    {count} × {words}\n");
        }
    }
    out
}
