//! Decides whether a scenario can be executed with all tasks running freely.

use crate::scenario::{ChildAct, Outcome, PipeEnd, Scenario, Side, Step, Verb};

/// Whether each task of a scenario can be given all of its steps at once.
///
/// It cannot be if:
///
/// - a step says when something happens (`until`, `pause`, `stall`, a time limit). Excepted are a `cancel` without an
///   `until`, and a limit whose line also allows what the step waits for: these may come at any moment, even in the turn of
///   the loop in which the step completes;
/// - the object of a child is dropped: then nothing can wait for the end of the child, and its parent may return first;
/// - a put expects `broken` and a child is started that is not given the reader: between fork and exec, a child holds a copy
///   of everything that its parent holds, so the pipe may still have a reader;
/// - a put expects `broken` and another process gives the reader to a child: that process has a copy until the start returns,
///   and the child may be faster;
/// - a put expects `broken` and the reader is closed together with another end, as by the close of a duplex: the other end
///   may close first, and show its end before the reader is closed;
/// - a signal may end a process that has steps which complete. A message arrives before the put that sends it returns, so
///   the signal that a process sends after it got the message may prevent the report of the put.
#[must_use]
pub fn can_run_concurrently(scenario: &Scenario) -> bool {
    let any = |is: fn(&Step) -> bool| scenario.steps.iter().any(is);
    let is_ordered = any(|step| {
        (step.within_ms.is_some() && !step.races_with_its_limit())
            || matches!(
                step.verb,
                Verb::Until { .. }
                    | Verb::Pause { .. }
                    | Verb::Child { act: ChildAct::Stall | ChildAct::Drop, .. }
            )
    });
    let ends_a_reporter = scenario.steps.iter().any(|step| may_end_reporter(scenario, step));
    let expects_broken = |step: &&Step| step.expected.contains(&Outcome::Broken);
    !is_ordered
        && !ends_a_reporter
        && !scenario.steps.iter().filter(expects_broken).any(|put| may_find_reader(scenario, put))
}

/// Whether a step sends a signal that may end a process with a step that is expected to complete.
fn may_end_reporter(scenario: &Scenario, step: &Step) -> bool {
    let signalled = scenario.signalled_by(&step.verb);
    let is_signal = |outcome: &Outcome| matches!(outcome, Outcome::Signal(_));
    let is_return = |outcome: &Outcome| !matches!(outcome, Outcome::Blocks(_) | Outcome::Never);
    // No step may join a process of a group that is not a child of the sender.
    let is_group = matches!(step.verb, Verb::SignalGroup { .. });
    let may_end = is_group
        || scenario.steps.iter().any(|step| {
            matches!(&step.verb, Verb::Join { child } if signalled.contains(child.as_str()))
                && step.expected.iter().any(is_signal)
        });
    may_end
        && scenario.steps.iter().any(|step| {
            signalled.contains(step.task_id.process.as_str()) && step.expected.iter().any(is_return)
        })
}

/// Whether the reader that a put expects to be gone may still be open: a process that is started holds a copy of it, or it is
/// closed together with another end.
fn may_find_reader(scenario: &Scenario, put: &Step) -> bool {
    let reader = match &put.verb {
        Verb::Put { handle, .. } | Verb::Cut { handle, .. } | Verb::Rest { handle } => {
            scenario.handles.end(handle, Side::Writer).map(PipeEnd::opposite)
        }
        _ => None,
    };
    let ends = |step: &Step| -> Vec<PipeEnd> {
        step.verb.handles().flat_map(|handle| scenario.handles.ends(handle)).copied().collect()
    };
    let has_reader = |ends: &[PipeEnd]| reader.is_some_and(|reader| ends.contains(&reader));
    scenario.steps.iter().any(|step| match &step.verb {
        Verb::Spawn { .. } => {
            !has_reader(&ends(step)) || step.task_id.process != put.task_id.process
        }
        Verb::Close { .. } | Verb::Leave { .. } => {
            let ends = ends(step);
            ends.len() > 1 && has_reader(&ends)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use rstest::rstest;

    const UNTIL_TOLD: &str = "main  pipe r w
main  spawn child w
child put w \"ready\"
main  get r           => \"ready\"
";
    const BLOCKED: &str = "main  pipe r w
main  spawn child r
child get r           => blocks or never
";
    const ENDED: &str = "main  spawn child
child exit 3
main  join child      => exit 3
";

    #[rstest]
    #[case::at_any_moment("", true)]
    #[case::when_its_task_waits("main until main/reader blocks\n", false)]
    fn a_cancel_is_run_concurrently_unless_an_until_orders_it(
        #[case] until: &str,
        #[case] is_run: bool,
    ) {
        let text = format!(
            "main pipe r w\nmain/reader get r => cancelled or eof\n{until}main cancel main/reader\nmain close w\n"
        );
        let scenario = parse("a.scenario", &text).unwrap();
        assert_eq!(can_run_concurrently(&scenario), is_run);
    }

    #[rstest]
    #[case::that_may_come_first("\"a\" or timeout", true)]
    #[case::that_says_when("timeout", false)]
    fn a_time_limit_is_run_concurrently_only_against_a_message(
        #[case] outcome: &str,
        #[case] is_run: bool,
    ) {
        let text = format!("{UNTIL_TOLD}child put w \"a\"\nmain get r within 1ms => {outcome}\n");
        let scenario = parse("a.scenario", &text).unwrap();
        assert_eq!(can_run_concurrently(&scenario), is_run);
    }

    #[rstest]
    #[case::of_the_whole("close far", false)]
    #[case::of_one_half_after_the_other("close far.w\nchild close far.r", true)]
    fn a_put_without_a_reader_is_run_concurrently_unless_the_duplex_is_closed_at_once(
        #[case] close: &str,
        #[case] is_run: bool,
    ) {
        let text = format!(
            "main duplex near far\nmain spawn child far\nchild {close}\nmain get near => eof\nmain put near \"a\" => broken or ok\n"
        );
        let scenario = parse("a.scenario", &text).unwrap();
        assert_eq!(can_run_concurrently(&scenario), is_run);
    }

    #[rstest]
    #[case::after_a_message_of_it(
        UNTIL_TOLD,
        "main signal child SIGUSR1 => ok or os:ESRCH\nmain join child => exit 0 or signal SIGUSR1\n",
        false
    )]
    #[case::that_it_catches(
        UNTIL_TOLD,
        "main signal child SIGWINCH => ok or os:ESRCH\nmain join child => exit 0\n",
        true
    )]
    #[case::while_it_is_blocked(
        BLOCKED,
        "main kill child\nmain join child => signal SIGKILL\n",
        true
    )]
    #[case::after_its_end(ENDED, "main kill child\n", true)]
    fn a_process_that_a_signal_may_end_before_it_reports_is_not_run_concurrently(
        #[case] start: &str,
        #[case] signal: &str,
        #[case] is_run: bool,
    ) {
        let scenario = parse("a.scenario", &format!("{start}{signal}")).unwrap();
        assert_eq!(can_run_concurrently(&scenario), is_run);
    }
}
