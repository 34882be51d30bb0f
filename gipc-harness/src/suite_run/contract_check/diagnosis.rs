//! What a failure of the contract check says about the agent: mistakes that many agents have at first.

use crate::runner::{EventKind, Events};
use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::Observation;
use gipc_agent::FromAgent;

/// Names a child that never connected although the agent says that it has started it.
pub(super) fn unconnected_child(scenario: &Scenario, observation: &Observation) -> Option<String> {
    let mut spawned =
        scenario.steps.iter().zip(&observation.trace.steps).filter_map(|(step, state)| match &step
            .verb
        {
            Verb::Spawn { child, .. } if state.is(&Outcome::Ok) => Some((step, child)),
            _ => None,
        });
    let (step, child) =
        spawned.find(|(_, child)| !observation.pids.contains_key(child.as_str()))?;
    let parent = &step.task_id.process;
    Some(format!(
        "{child} never connected: {parent} answered ok to `{}`, and no process has said hello as {child}. The process \
         that is spawned must run the agent too: with the role {child}, on a connection of its own to \
         GIPC_HARNESS_SOCKET, with GIPC_HARNESS_TOKEN in its hello.",
        step.what()
    ))
}

/// Says that a child holds the connection of its parent, if that connection has not ended with the parent.
pub(super) fn kept_connection(events: &Events, parent: &str, child: &str) -> Option<String> {
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    let is_end = |kind: &EventKind| matches!(kind, EventKind::Received { from, is: FromAgent::End { .. } } if from == child);
    let last_end = kinds.iter().rposition(is_end)?;
    let is_hang_up =
        |kind: &EventKind| matches!(kind, EventKind::HungUp { process } if process == parent);
    let hang_up = kinds.iter().position(is_hang_up);
    let is_kept = hang_up.is_none_or(|hang_up| hang_up > last_end);
    is_kept.then(|| {
        format!(
            "{child} keeps the connection of {parent}: {parent} has ended, and its connection has not. A forked child \
             closes the connection that it inherited, and a program that is started must not inherit it."
        )
    })
}

/// Says at which byte a payload begins to be wrong.
pub(super) fn wrong_payload(offset: u64) -> String {
    let hint = match offset {
        0 => {
            "if all of it is wrong, look at the seed, and at the digest that is reported of a message"
        }
        1..32 => "the first 32 bytes are the SHA-256 of the seed, a colon and 0",
        32..65521 => "each SHA-256 has 32 bytes, and the number behind the colon counts up from 0",
        _ => "after 65521 bytes the block begins again, in the middle of a digest",
    };
    format!(
        "the payload is wrong from offset {offset} on: it is the SHA-256 digests of `SEED:0`, `SEED:1`, … one after the \
         other, cut to 65521 bytes, and that block repeated; {hint}."
    )
}

#[cfg(test)]
mod tests {
    use super::wrong_payload;

    #[test]
    fn a_wrong_payload_is_explained_by_the_offset() {
        assert!(wrong_payload(0).contains("look at the seed"));
        assert!(wrong_payload(40).contains("counts up from 0"));
        assert!(wrong_payload(65521).contains("the block begins again"));
    }
}
