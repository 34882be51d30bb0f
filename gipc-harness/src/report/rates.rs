//! How often each scenario ended in each way, for a run that repeats scenarios until its time is up.

use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a run ended: the words of its verdict and, if it failed, the wrong step and its outcome.
type Ending = String;

/// The counts of a run with a time limit.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// For each scenario with its flags, how many runs there were, and how many of them ended in each way.
    scenarios: BTreeMap<String, (u64, BTreeMap<Ending, u64>)>,
}

impl Rates {
    /// Counts a run. Returns how many runs of the scenario have ended in this way, and how many there were in all.
    pub(super) fn add(&mut self, scenario: &str, verdict: &Verdict) -> (u64, u64) {
        let (all, endings) = self.scenarios.entry(scenario.to_owned()).or_default();
        let count = endings.entry(ending(verdict)).or_default();
        (*all, *count) = (*all + 1, *count + 1);
        (*count, *all)
    }

    /// A line for each scenario and ending. Scenarios that always ended in the same expected way are counted together.
    pub(super) fn text(&self) -> String {
        let is_steady = |endings: &BTreeMap<Ending, u64>| {
            endings.len() == 1 && endings.keys().all(|ending| !ending.contains(": "))
        };
        let mut out = String::new();
        let mut steady: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for (name, (all, endings)) in &self.scenarios {
            if is_steady(endings) {
                for ending in endings.keys() {
                    let (scenarios, runs) = steady.entry(ending).or_default();
                    (*scenarios, *runs) = (*scenarios + 1, *runs + all);
                }
                continue;
            }
            let _ = writeln!(out, "  {name}");
            for (ending, count) in endings {
                let rate = percent(*count, *all);
                let _ = writeln!(out, "    {count} of {all} runs ({rate})  {ending}");
            }
        }
        for (ending, (scenarios, runs)) in steady {
            let what = if scenarios == 1 { "scenario" } else { "scenarios" };
            let _ = writeln!(out, "  {scenarios} {what} in each of {runs} runs: {ending}");
        }
        out
    }
}

fn ending(verdict: &Verdict) -> Ending {
    match &verdict.failed_as {
        Some([step, outcome, status]) if !verdict.status.is_expected() => {
            format!("{status}: {step} gave {outcome}")
        }
        _ => verdict.status.to_string(),
    }
}

fn percent(count: u64, all: u64) -> String {
    let percent = 100.0 * count as f64 / all.max(1) as f64;
    match percent < 1.0 {
        true => format!("{percent:.2} %"),
        false => format!("{percent:.0} %"),
    }
}
