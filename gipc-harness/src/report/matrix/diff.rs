//! The comparison with an earlier matrix: which results became better or worse, by implementation and scenario.

use super::{Cell, Matrix, severity};
use crate::verdict::Status;

/// The direction of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The scenario fails or is skipped now, and passed before.
    Worse,
    /// The scenario fails in another way.
    Other,
    /// The scenario passes now, and failed before.
    Better,
    /// The earlier matrix has no result for the scenario.
    New,
    /// The suite no longer has the scenario.
    Gone,
}

/// The change of one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The direction of the change.
    pub way: Direction,
    /// The adapter of the implementation.
    pub adapter: String,
    /// The id of the scenario.
    pub scenario: String,
    /// The result in the earlier matrix, as text.
    pub was: String,
    /// The result in the current matrix, as text.
    pub is: String,
}

impl Direction {
    /// The name of the direction, as reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Other => "other",
            Self::Better => "better",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// The changes from `before` to `now`, the worst first. Implementations that did not run in both are left out.
#[must_use]
pub fn changes(before: &Matrix, now: &Matrix) -> Vec<Change> {
    let mut changes = Vec::new();
    for column in &now.columns {
        let Some(old) = before.columns.iter().find(|old| old.adapter == column.adapter) else {
            continue;
        };
        if column.absent.is_some() || old.absent.is_some() {
            continue;
        }
        let ids =
            old.cells.keys().chain(column.cells.keys().filter(|id| !old.cells.contains_key(*id)));
        for id in ids {
            let (was, is) = (old.cells.get(id), column.cells.get(id));
            // A scenario that is still in the suite but did not run this time has not changed.
            if is.is_none() && now.scenarios.contains_key(id) {
                continue;
            }
            if let Some(way) = direction(was, is) {
                let (was, is) = (description(was), description(is));
                let (adapter, scenario) = (column.adapter.clone(), id.clone());
                changes.push(Change { way, adapter, scenario, was, is });
            }
        }
    }
    changes.sort_by(|a, b| (a.way, &a.adapter, &a.scenario).cmp(&(b.way, &b.adapter, &b.scenario)));
    changes
}

/// The direction of the change between two results; `None` if they are the same.
fn direction(was: Option<&Cell>, is: Option<&Cell>) -> Option<Direction> {
    let (Some(was), Some(is)) = (was, is) else {
        return Some(if was.is_some() { Direction::Gone } else { Direction::New });
    };
    // An intermittent result has not changed, whatever it is this time.
    let is_intermittent = (was.sometimes || is.sometimes) && is.verdict.is_expected();
    if is_intermittent || fingerprint(was) == fingerprint(is) {
        return None;
    }
    let rank = |cell: &Cell| match cell.verdict {
        // A scenario that is skipped now is worse than one that passes, and not better than one that fails.
        Status::Skip => severity(Status::Known),
        status => severity(status),
    };
    Some(match rank(is).cmp(&rank(was)) {
        std::cmp::Ordering::Greater => Direction::Worse,
        std::cmp::Ordering::Less => Direction::Better,
        std::cmp::Ordering::Equal => Direction::Other,
    })
}

/// What two results must have in common to count as the same: the status, and the first wrong step with its outcome. Line
/// numbers do not count.
fn fingerprint(cell: &Cell) -> (Status, Option<(&str, &str)>) {
    let first = cell.first.as_ref().map(|first| (first.step.as_str(), first.got.as_str()));
    match cell.verdict {
        // The model may allow several traces, so that two passes can differ in their outcomes.
        Status::Pass | Status::Fixed => (Status::Pass, None),
        status => (status, first),
    }
}

/// A result as text.
fn description(cell: Option<&Cell>) -> String {
    match cell {
        None => "not asked".into(),
        Some(cell) => match &cell.first {
            Some(first) => format!("{} {} ▸ {}", cell.verdict, first.step, first.got),
            None => cell.verdict.to_string(),
        },
    }
}
