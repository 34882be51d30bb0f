//! Whether a scenario can be executed with all tasks running freely.

use crate::scenario::{ChildAct, Outcome, PipeEnd, Scenario, Side, Step, Verb};

/// Whether each task of a scenario can be given all of its steps at once.
///
/// It cannot if a step says when something happens (`until`, `cancel`, `pause`, `stall`, a time limit). Nor if the object of a
/// child is dropped, since nothing can wait for the end of the child then, and its parent may return first. Nor if a put
/// expects `broken` while a child is started that the reader is not given to: between fork and exec a child holds a copy
/// of all that its parent holds, so the pipe may still have a reader. Nor if the reader is given to a child and the parent
/// puts: the parent has a copy until the start returns, and the child may be faster.
#[must_use]
pub fn can_run_concurrently(scenario: &Scenario) -> bool {
    let any = |is: fn(&Step) -> bool| scenario.steps.iter().any(is);
    let is_ordered = any(|step| {
        step.within_ms.is_some()
            || matches!(
                step.verb,
                Verb::Until { .. }
                    | Verb::Cancel { .. }
                    | Verb::Pause { .. }
                    | Verb::Child { act: ChildAct::Stall | ChildAct::Drop, .. }
            )
    });
    let expects_broken = |step: &&Step| step.expected.contains(&Outcome::Broken);
    !is_ordered
        && !scenario.steps.iter().filter(expects_broken).any(|put| may_find_reader(scenario, put))
}

/// Whether a process that is started may hold a copy of the reader that a put expects to be gone.
fn may_find_reader(scenario: &Scenario, put: &Step) -> bool {
    let reader = match &put.verb {
        Verb::Put { handle, .. } | Verb::Cut { handle, .. } | Verb::Rest { handle } => {
            scenario.handles.end(handle, Side::Writer).map(PipeEnd::opposite)
        }
        _ => None,
    };
    scenario.steps.iter().any(|step| match &step.verb {
        Verb::Spawn { handles, .. } => {
            let given = reader.is_some_and(|reader| {
                handles.iter().any(|handle| scenario.handles.ends(handle).contains(&reader))
            });
            !given || step.task_id.process != put.task_id.process
        }
        _ => false,
    })
}
