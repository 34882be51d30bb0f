//! Tests of what the replayed content of a pipe says about a get that waits.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Outcome, parse};
use crate::trace::{FillLevel, StallEvidence, StepState, Trace};
use rstest::rstest;

/// Why the last line waits, if all lines before it have returned `ok` or what they expect, and the pipe has no bytes.
fn why_the_last_line_waits(lines: &str) -> String {
    let scenario = parse("it", lines).unwrap_or_else(|error| panic!("{error:?}"));
    let last = scenario.steps.len() - 1;
    let steps = scenario.steps.iter().enumerate().map(|(index, step)| match index == last {
        true => StepState::Pending,
        false => StepState::completed(step.expected.first().cloned().unwrap_or(Outcome::Ok)),
    });
    let trace = Trace { steps: steps.collect(), ..Trace::default() };
    let pipes = scenario.handles.end_named("r").map(|end| FillLevel { pipe: end.pipe, bytes: 0 });
    let fill_levels = pipes.into_iter().collect();
    let evidence = StallEvidence { trace, fill_levels, ..StallEvidence::default() };
    WaitForGraph::new(&scenario, &evidence).edge(last).why
}

#[rstest]
#[case::a_message_in_two_parts(
    "main cut w \"in two parts\" at header+4
     main/reader get r => cancelled
     main until main/reader blocks
     main cancel main/reader
     main rest w
     main get r => \"in two parts\"",
    "12 bytes of messages that were put are not in the pipe: r was read further than any get returned"
)]
#[case::a_message_in_one_part(
    "main put w \"whole\"
     main get r => \"whole\"",
    "5 bytes of messages that were put are not in the pipe: either a put to w returned"
)]
#[case::only_the_first_part(
    "main cut w \"in two parts\" at header+4
     main get r => blocks",
    "r is empty, and main can still write to it"
)]
#[case::a_get_above_its_put(
    "main/reader get r => \"first\"
     main put w \"first\"
     main get r => blocks",
    "r is empty, and main can still write to it"
)]
fn a_get_that_waits_knows_which_bytes_are_missing(#[case] lines: &str, #[case] why: &str) {
    let lines: Vec<&str> = lines.lines().map(str::trim).collect();
    let found = why_the_last_line_waits(&format!("main pipe r w\n{}\n", lines.join("\n")));
    assert!(found.starts_with(why), "{found}");
}
