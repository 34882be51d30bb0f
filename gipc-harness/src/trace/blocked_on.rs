//! Which processes could let a pending step go on, by the owners that pipe ends should have.

use super::{EndState, Ownership, ProcessExit, Trace};
use crate::scenario::{PipeEnd, Scenario, Side, Verb};
use std::collections::BTreeSet;

/// The processes any of which could let a pending step go on; empty for a step that waits for no process.
#[must_use]
pub fn blocked_on(scenario: &Scenario, trace: &Trace, step: usize) -> BTreeSet<String> {
    let runs =
        |process: &str| matches!(trace.exits.get(process), None | Some(ProcessExit::Running));
    let (handle, side) = match &scenario.steps[step].verb {
        Verb::Get { handle } => (handle, Side::Reader),
        Verb::Put { handle, .. } => (handle, Side::Writer),
        Verb::Join { child } | Verb::Child { child, .. } => {
            return runs(child).then(|| child.clone()).into_iter().collect();
        }
        Verb::Until { task_id } => return BTreeSet::from([task_id.process.clone()]),
        _ => return BTreeSet::new(),
    };
    let awaited = scenario.handles.end(handle, side).map(PipeEnd::opposite);
    let ownership = Ownership::replay(scenario, trace);
    match awaited.and_then(|end| ownership.state(end)) {
        Some(EndState::Held(process)) => BTreeSet::from([process.clone()]),
        _ => BTreeSet::new(),
    }
}
