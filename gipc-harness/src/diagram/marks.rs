//! The marks of a diagram: what kind of event a step is, which pipe it uses, and the rows of the marks.

use super::{Diagram, Mark, MarkKind};
use crate::scenario::{Outcome, PipeId, Scenario, Side, Step, Verb};
use crate::trace::StepState;
use std::collections::{BTreeMap, BTreeSet};

/// A mark that is not a step.
pub(super) fn plain(lane: usize, row: usize, kind: MarkKind, text: String) -> Mark {
    Mark { lane, row, kind, text, step: None, pipe: None, bar: None, expected: None }
}

/// The kind of event that a step is.
pub(super) fn kind(step: &Step, state: &StepState) -> MarkKind {
    match (&step.verb, state) {
        (Verb::Put { .. } | Verb::Cut { .. } | Verb::Rest { .. } | Verb::Announce { .. }, _) => {
            MarkKind::Put
        }
        (
            Verb::Get { .. },
            StepState::Completed { outcome: Outcome::Eof | Outcome::Truncated, .. },
        ) => MarkKind::Eof,
        (Verb::Get { .. }, _) => MarkKind::Get,
        (Verb::Close { .. } | Verb::Leave { .. }, _) => MarkKind::Close,
        _ => MarkKind::Step,
    }
}

/// The pipe that a step uses, if it uses one.
pub(super) fn pipe(scenario: &Scenario, index: usize, step: &Step) -> Option<PipeId> {
    let end = match &step.verb {
        Verb::Pipe { .. } => scenario.handles.made_by(index, &step.verb).first().copied(),
        Verb::Get { handle } => scenario.handles.end(handle, Side::Reader),
        Verb::Put { handle, .. } => scenario.handles.end(handle, Side::Writer),
        Verb::Spawn { .. } | Verb::Enter { .. } => None,
        _ => step.verb.handles().flat_map(|handle| scenario.handles.ends(handle)).next().copied(),
    };
    end.map(|end| end.pipe)
}

/// Removes empty rows.
pub(super) fn compress_rows(diagram: &mut Diagram) {
    let bars = diagram.marks.iter().filter_map(|mark| mark.bar);
    let ends = bars.flat_map(|bar| [bar.from, bar.to]);
    let used: BTreeSet<usize> = diagram.marks.iter().map(|mark| mark.row).chain(ends).collect();
    let place: BTreeMap<usize, usize> =
        used.into_iter().enumerate().map(|(new, old)| (old, new)).collect();
    for mark in &mut diagram.marks {
        mark.row = place[&mark.row];
        if let Some(bar) = &mut mark.bar {
            (bar.from, bar.to) = (place[&bar.from], place[&bar.to]);
        }
    }
}
