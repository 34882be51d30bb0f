//! Tests what is known about a waiting step from the replayed content of its pipe and from the holders of its ends.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Outcome, PipeEnd, Scenario, parse};
use crate::trace::{FillLevel, StallEvidence, StepState, Trace};
use rstest::rstest;

/// The scenario with these lines, and its trace in which these steps are open. All other steps have returned `ok` or what
/// they expect.
fn stall(lines: &str, open: &[usize]) -> (Scenario, Trace) {
    let scenario = parse("it", lines).unwrap_or_else(|error| panic!("{error:?}"));
    let steps =
        scenario.steps.iter().enumerate().map(|(index, step)| match open.contains(&index) {
            true => StepState::Pending,
            false => StepState::completed(step.expected.first().cloned().unwrap_or(Outcome::Ok)),
        });
    let trace = Trace { steps: steps.collect(), ..Trace::default() };
    (scenario, trace)
}

/// The reason why the last line waits, if all lines before it have returned `ok` or what they expect, and the pipe has no
/// bytes.
fn why_the_last_line_waits(lines: &str) -> String {
    let last = lines.lines().count() - 1;
    let (scenario, trace) = stall(lines, &[last]);
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

#[rstest]
#[case::is_open(&[2, 3], "child is reading r")]
#[case::has_returned(&[3], "w is full, and only child can read it")]
fn a_put_waits_for_its_reader_unless_a_get_of_it(#[case] open: &[usize], #[case] why: &str) {
    let lines = "main pipe r w\nmain spawn child r\nchild get r => \"a\"\nmain put w 2MiB\n";
    let (scenario, trace) = stall(lines, open);
    let evidence = StallEvidence { trace, ..StallEvidence::default() };
    assert_eq!(WaitForGraph::new(&scenario, &evidence).edge(3).why, why);
}

#[rstest]
#[case::none(&[], false)]
#[case::those_of_one_end(&[PipeEnd::reader(0)], false)]
#[case::those_of_both_ends(&[PipeEnd::reader(0), PipeEnd::writer(0)], true)]
fn all_holders_are_known_only_if_the_kernel_showed(
    #[case] known: &[PipeEnd],
    #[case] are_all_known: bool,
) {
    let (scenario, trace) = stall("main pipe r w\nmain get r => blocks\n", &[1]);
    let fully_known_ends = known.iter().copied().collect();
    let evidence = StallEvidence { trace, fully_known_ends, ..StallEvidence::default() };
    assert_eq!(WaitForGraph::new(&scenario, &evidence).are_all_holders_known(), are_all_known);
}

#[test]
fn without_pipes_no_holders_are_known() {
    let (scenario, trace) = stall("main spawn child\nmain join child => exit 0\n", &[1]);
    let evidence = StallEvidence { trace, ..StallEvidence::default() };
    assert!(!WaitForGraph::new(&scenario, &evidence).are_all_holders_known());
}
