//! What is other than in an earlier matrix: by implementation and scenario, whether it became better or worse.

use super::{Cell, Matrix, badness};
use crate::verdict::Status;

/// Whether it is for the good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It fails, and did not; or can no longer be asked.
    Worse,
    /// It fails in another way.
    Other,
    /// It failed, and does not.
    Better,
    /// It was not asked before.
    New,
    /// It is not asked any more.
    Gone,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For the good or the bad.
    pub way: Direction,
    /// On which implementation.
    pub adapter: String,
    /// In which scenario.
    pub scenario: String,
    /// What it was, and what it is.
    pub was: String,
    /// The same for now.
    pub is: String,
}

impl Direction {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Other => "other",
            Self::Better => "better",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// What is other in `now`, the worst first. An implementation that either of them has not is no difference.
#[must_use]
pub fn changes(before: &Matrix, now: &Matrix) -> Vec<Change> {
    let mut all = Vec::new();
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
            // What this run did not ask has not changed.
            if is.is_none() && now.scenarios.contains_key(id) {
                continue;
            }
            if let Some(way) = way(was, is) {
                let (was, is) = (told(was), told(is));
                let (adapter, scenario) = (column.adapter.clone(), id.clone());
                all.push(Change { way, adapter, scenario, was, is });
            }
        }
    }
    all.sort_by(|a, b| (a.way, &a.adapter, &a.scenario).cmp(&(b.way, &b.adapter, &b.scenario)));
    all
}

fn way(was: Option<&Cell>, is: Option<&Cell>) -> Option<Direction> {
    let (Some(was), Some(is)) = (was, is) else {
        return Some(if was.is_some() { Direction::Gone } else { Direction::New });
    };
    // What wavers has not changed, whatever it came to this time.
    let wavers = (was.sometimes || is.sometimes) && is.verdict.is_expected();
    if wavers || fingerprint(was) == fingerprint(is) {
        return None;
    }
    let rank = |cell: &Cell| match cell.verdict {
        // Not being there any more is worse than to pass, and no better than to fail.
        Status::Skip => badness(Status::Known),
        word => badness(word),
    };
    Some(match rank(is).cmp(&rank(was)) {
        std::cmp::Ordering::Greater => Direction::Worse,
        std::cmp::Ordering::Less => Direction::Better,
        std::cmp::Ordering::Equal => Direction::Other,
    })
}

/// What makes two failures the same one: never a line number.
fn fingerprint(cell: &Cell) -> (Status, Option<(&str, &str)>) {
    let first = cell.first.as_ref().map(|first| (first.step.as_str(), first.got.as_str()));
    match cell.verdict {
        // A run of a scenario that races may end in either way.
        Status::Pass | Status::Fixed => (Status::Pass, None),
        word => (word, first),
    }
}

fn told(cell: Option<&Cell>) -> String {
    match cell {
        None => "not asked".into(),
        Some(cell) => match &cell.first {
            Some(first) => format!("{} {} ▸ {}", cell.verdict, first.step, first.got),
            None => cell.verdict.to_string(),
        },
    }
}
