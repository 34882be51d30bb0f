//! A get or a join whose time limit may expire at any moment. The model lets it expire before the step does anything, so it cannot
//! predict what others observe of the moment.

use crate::scenario::{ParseError, PipeEnd, Scenario, Side, Step, TaskId, Verb};
use std::collections::HashMap;

/// The first step that depends on when such a limit expires: an `until` that waits for its task, or another task of the process
/// that uses its reader.
#[must_use]
pub fn first_limit_dependent_step(scenario: &Scenario) -> Option<ParseError> {
    let racing: Vec<&Step> =
        scenario.steps.iter().filter(|step| step.races_with_its_limit()).collect();
    if racing.is_empty() {
        return None;
    }
    let tasks: HashMap<&TaskId, &Step> =
        racing.iter().map(|step| (&*step.task_id, *step)).collect();
    let readers: HashMap<(&str, PipeEnd), &Step> =
        racing.iter().filter_map(|step| Some((reader(scenario, step)?, *step))).collect();
    for step in scenario.steps.iter() {
        if let Verb::Until { task_id } = &step.verb {
            if let Some(limited) = tasks.get(task_id) {
                return Some(error(step, limited, format!("whether {task_id} blocks")));
            }
        }
        for handle in step.verb.handles() {
            for end in scenario.handles.ends(handle) {
                let limited = readers.get(&(step.task_id.process.as_str(), *end));
                if let Some(limited) = limited.filter(|limited| limited.task_id != step.task_id) {
                    return Some(error(step, limited, format!("whether {handle} is in use")));
                }
            }
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use rstest::rstest;

    #[rstest]
    #[case::an_until(
        "main pipe r w\nmain spawn child r\nchild get r within 5ms => timeout or eof\nmain until child blocks\n",
        "whether child blocks depends on when the limit of `get r within 5ms` in line 3 expires"
    )]
    #[case::a_task_that_closes_the_other_half(
        "main duplex near far\nmain/one get near within 5ms => timeout or eof\nmain close near\n",
        "whether near is in use depends on when the limit of `get near within 5ms` in line 2 expires"
    )]
    #[case::nothing(
        "main pipe r w\nmain/one get r within 5ms => timeout or eof\nmain close w\n",
        ""
    )]
    fn what_depends_on_when_a_limit_expires_is_named(#[case] text: &str, #[case] says: &str) {
        let scenario = parse("a.scenario", text).unwrap();
        let error = first_limit_dependent_step(&scenario);
        assert_eq!(error.map_or(String::new(), |error| error.message), says);
    }
}
