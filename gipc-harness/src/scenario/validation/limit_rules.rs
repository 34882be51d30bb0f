//! The rules about a get or a join whose time limit may expire at any moment: other steps must not observe whether it did.

use crate::scenario::{ParseError, PipeEnd, Scenario, Side, Step, TaskId, Verb};
use std::collections::HashMap;

/// Checks that no step depends on whether such a limit has expired: no `until` waits for its task, and no other task of the
/// process uses its reader.
pub(super) fn check(scenario: &Scenario) -> Result<(), ParseError> {
    let racing: Vec<&Step> =
        scenario.steps.iter().filter(|step| step.races_with_its_limit()).collect();
    if racing.is_empty() {
        return Ok(());
    }
    let tasks: HashMap<&TaskId, &Step> =
        racing.iter().map(|step| (&*step.task_id, *step)).collect();
    let readers: HashMap<(&str, PipeEnd), &Step> =
        racing.iter().filter_map(|step| Some((reader(scenario, step)?, *step))).collect();
    for step in scenario.steps.iter() {
        if let Verb::Until { task_id } = &step.verb {
            if let Some(limited) = tasks.get(task_id) {
                return Err(error(step, limited, format!("whether {task_id} blocks")));
            }
        }
        for handle in step.verb.handles() {
            for end in scenario.handles.ends(handle) {
                let limited = readers.get(&(step.task_id.process.as_str(), *end));
                if let Some(limited) = limited.filter(|limited| limited.task_id != step.task_id) {
                    return Err(error(step, limited, format!("whether {handle} is in use")));
                }
            }
        }
    }
    Ok(())
}

/// The process and the reader of a get.
fn reader<'s>(scenario: &'s Scenario, step: &'s Step) -> Option<(&'s str, PipeEnd)> {
    let Verb::Get { handle } = &step.verb else { return None };
    Some((&step.task_id.process, scenario.handles.end(handle, Side::Reader)?))
}

fn error(step: &Step, limited: &Step, unsure: String) -> ParseError {
    let (line, what) = (limited.position.line, limited.what());
    let message = format!("{unsure} depends on when the limit of `{what}` in line {line} expires");
    let hint =
        format!("give line {line} one outcome, or wait for a message of {}", limited.task_id);
    ParseError::at_action(step, message, hint)
}
