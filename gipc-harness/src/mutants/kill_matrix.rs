//! Which scenario catches which fault, and how: the data, and the score computed from it.

use super::fault_list::Fault;
use crate::verdict::{Status, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How a scenario catches a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A step had an outcome that is not allowed, or the trace as a whole is not allowed.
    Mismatch,
    /// A step had its outcome too late.
    Late,
    /// A process still held something at its end that it should not have held.
    Leak,
    /// Processes are deadlocked, according to the evidence of the system.
    Deadlock,
    /// A step could complete and does not, according to the evidence of the system.
    Hang,
    /// Only the hard limit ended the run, which counts half.
    Limit,
    /// The harness could not judge the run, which does not count.
    Error,
}

impl How {
    const ALL: [Self; 7] = [
        Self::Mismatch,
        Self::Late,
        Self::Leak,
        Self::Deadlock,
        Self::Hang,
        Self::Limit,
        Self::Error,
    ];

    /// How a verdict counts; `None` if it is as expected.
    fn of(verdict: &Verdict) -> Option<Self> {
        match verdict.status {
            Status::Pass | Status::Known | Status::Skip => None,
            Status::Deadlock => Some(Self::Deadlock),
            Status::Hang => Some(Self::Hang),
            Status::Slow => Some(Self::Limit),
            Status::Error | Status::Unknown | Status::Environment => Some(Self::Error),
            Status::Fail | Status::Fixed => Some(match (&verdict.mismatch, &verdict.leaky) {
                (Some(mismatch), _) if mismatch.late.is_some() => Self::Late,
                (None, Some(_)) => Self::Leak,
                _ => Self::Mismatch,
            }),
        }
    }

    /// How much it counts, in halves.
    fn halves(self) -> u32 {
        match self {
            Self::Error => 0,
            Self::Limit => 1,
            _ => 2,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mismatch => "mismatch",
            Self::Late => "late",
            Self::Leak => "leak",
            Self::Deadlock => "deadlock",
            Self::Hang => "hang",
            Self::Limit => "limit",
            Self::Error => "error",
        })
    }
}

/// A scenario that is not as expected because of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catch {
    /// The id of the scenario.
    pub scenario: String,
    /// How the fault shows.
    pub how: How,
}

impl Catch {
    /// `None` if the verdict is as expected.
    pub(super) fn of(scenario: &str, verdict: &Verdict) -> Option<Self> {
        How::of(verdict).map(|how| Self { scenario: scenario.to_owned(), how })
    }
}

/// What the suite found about one fault.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FaultResult {
    /// The name of the fault.
    pub fault: String,
    /// The scenario that must catch it.
    pub named: String,
    /// All scenarios that are not as expected, in the order of their ids.
    pub caught_by: Vec<Catch>,
    /// How many scenarios ran.
    pub ran: usize,
    /// How many seconds the run took.
    pub seconds: f64,
}

impl FaultResult {
    pub(super) fn new(fault: Option<&Fault>) -> Self {
        let text = |field: fn(&Fault) -> &String| fault.map(field).cloned().unwrap_or_default();
        Self {
            fault: text(|fault| &fault.name),
            named: text(|fault| &fault.scenario),
            ..Self::default()
        }
    }

    /// How the scenario that is named for the fault catches it.
    #[must_use]
    pub fn named_how(&self) -> Option<How> {
        self.caught_by.iter().find(|one| one.scenario == self.named).map(|one| one.how)
    }

    /// Whether the named scenario catches it. An error of the harness does not count.
    #[must_use]
    pub fn is_caught_as_named(&self) -> bool {
        self.named_how().is_some_and(|how| how.halves() > 0)
    }

    /// The scenarios that catch it, apart from the named one and errors of the harness.
    pub fn others(&self) -> impl Iterator<Item = &Catch> {
        self.caught_by.iter().filter(|one| one.scenario != self.named && one.how.halves() > 0)
    }

    /// How much the fault counts, in halves.
    fn halves(&self) -> u32 {
        self.caught_by.iter().map(|one| one.how.halves()).max().unwrap_or(0)
    }
}

/// The results of many faults.
#[derive(Clone, Debug, Default)]
pub struct KillMatrix {
    /// Each fault with its result.
    pub rows: Vec<(Fault, FaultResult)>,
}

impl KillMatrix {
    /// The rows that count: those of faults that are not equivalent to a correct implementation.
    fn counted(&self) -> impl Iterator<Item = &(Fault, FaultResult)> {
        self.rows.iter().filter(|(fault, _)| fault.equivalent.is_none())
    }

    /// The faults that their named scenario does not catch.
    pub fn missed(&self) -> impl Iterator<Item = &(Fault, FaultResult)> {
        self.counted().filter(|(_, result)| !result.is_caught_as_named())
    }

    /// The score of all faults, or of those of one theme: the points, and the number of faults.
    #[must_use]
    pub fn score(&self, theme: Option<&str>) -> (f64, usize) {
        let rows = self.counted().filter(|(fault, _)| theme.is_none_or(|it| fault.theme() == it));
        let (mut halves, mut count) = (0, 0);
        for (_, result) in rows {
            halves += result.halves();
            count += 1;
        }
        (f64::from(halves) / 2.0, count)
    }

    /// The themes of the named scenarios.
    #[must_use]
    pub fn themes(&self) -> BTreeSet<&str> {
        self.counted().map(|(fault, _)| fault.theme()).collect()
    }

    /// How many named scenarios catch their fault in which way.
    #[must_use]
    pub fn ways(&self) -> Vec<(How, usize)> {
        let mut counts: BTreeMap<How, usize> = BTreeMap::new();
        for how in self.counted().filter_map(|(_, result)| result.named_how()) {
            *counts.entry(how).or_default() += 1;
        }
        How::ALL.iter().filter_map(|how| counts.get(how).map(|count| (*how, *count))).collect()
    }

    /// The scenarios that catch at least one fault.
    #[must_use]
    pub fn proven(&self) -> BTreeSet<&str> {
        let catches = self.rows.iter().flat_map(|(_, result)| &result.caught_by);
        catches.filter(|one| one.how.halves() > 0).map(|one| one.scenario.as_str()).collect()
    }

    /// How many seconds all runs took.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.rows.iter().map(|(_, result)| result.seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(named: &str, caught_by: &[(&str, How)]) -> (Fault, FaultResult) {
        let text = format!("name = 'x'\nabout = 'x'\nfrom = 'x'\nscenario = '{named}'\n");
        let fault: Fault = toml::from_str(&text).expect("it has all that is required");
        let catch =
            |(scenario, how): &(&str, How)| Catch { scenario: (*scenario).into(), how: *how };
        let mut result = FaultResult::new(Some(&fault));
        result.caught_by = caught_by.iter().map(catch).collect();
        (fault, result)
    }

    #[test]
    fn a_fault_that_only_the_hard_limit_shows_counts_half() {
        let rows = vec![
            row("close/a", &[("close/a", How::Mismatch)]),
            row("close/b", &[("close/b", How::Limit)]),
            row("task/c", &[]),
        ];
        let matrix = KillMatrix { rows };
        assert_eq!(matrix.score(None), (1.5, 3));
        assert_eq!(matrix.score(Some("close")), (1.5, 2));
        assert_eq!(matrix.score(Some("task")), (0.0, 1));
    }

    #[test]
    fn a_fault_that_another_scenario_catches_counts_and_is_missed_by_its_own() {
        let matrix = KillMatrix { rows: vec![row("close/a", &[("task/b", How::Hang)])] };
        assert_eq!(matrix.score(None), (1.0, 1));
        assert_eq!(matrix.missed().count(), 1);
    }

    #[test]
    fn an_error_of_the_harness_catches_nothing() {
        let matrix = KillMatrix { rows: vec![row("close/a", &[("close/a", How::Error)])] };
        assert_eq!(matrix.score(None), (0.0, 1));
        assert_eq!(matrix.missed().count(), 1);
        assert!(matrix.proven().is_empty());
    }

    #[test]
    fn an_equivalent_fault_is_not_counted() {
        let (mut fault, result) = row("close/a", &[]);
        fault.equivalent = Some("the specification permits it".into());
        let matrix = KillMatrix { rows: vec![(fault, result)] };
        assert_eq!(matrix.score(None), (0.0, 0));
        assert_eq!(matrix.missed().count(), 0);
    }
}
