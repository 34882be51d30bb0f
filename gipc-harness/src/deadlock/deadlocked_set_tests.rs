//! Tests how scenario and evidence are translated to the deadlocked set. Of three processes, the third moves: what it does
//! and holds decides whether the other two are deadlocked.

use super::*;
use crate::scenario::{Outcome, parse};
use crate::trace::{BlockedIn, EvidenceTier, FdHolder, FillLevel, ProcessExit, Trace};
use rstest::rstest;

/// The evidence for a stall of these lines. The first `completed` steps returned `ok`; the later ones are open except those
/// in `unbegun`. The words are pairs of a process and an end that it holds, the processes in `moving` move, and all pipes
/// have the same number of bytes.
struct Stall<'a> {
    lines: &'a str,
    completed: usize,
    unbegun: &'a [usize],
    held: &'a [&'a str],
    moving: &'a [&'a str],
    bytes: u64,
}

impl Stall<'_> {
    fn deadlocked(&self) -> Vec<usize> {
        self.deadlocked_after(BTreeMap::new())
    }

    fn deadlocked_after(&self, exits: BTreeMap<String, ProcessExit>) -> Vec<usize> {
        let scenario = parse("it", self.lines).unwrap_or_else(|error| panic!("{error:?}"));
        let ok = StepState::completed(Outcome::Ok);
        let state = |step| match step {
            _ if step < self.completed => ok.clone(),
            _ if self.unbegun.contains(&step) => StepState::NotStarted,
            _ => StepState::Pending,
        };
        let steps = (0..scenario.steps.len()).map(state).collect();
        let holder = |words: &&str| {
            let (process, name) = words.split_once(' ').expect("two words");
            let end = scenario.handles.end_named(name).expect("an end of this name");
            FdHolder { process: process.into(), end, descriptor: 7 }
        };
        let mut evidence = StallEvidence {
            trace: Trace { steps, exits, ..Trace::default() },
            tier: EvidenceTier::KernelPartial,
            holders: self.held.iter().map(holder).collect(),
            ..StallEvidence::default()
        };
        let graph = WaitForGraph::new(&scenario, &evidence);
        let ends = graph.ownership.all().map(|(end, _)| end).collect();
        let sleeping = graph.processes().filter(|process| !self.moving.contains(process));
        let call = |name: &str| {
            (name.to_owned(), BlockedIn::Call { name: "epoll".into(), fd: None, far_timer: None })
        };
        let blocked_in = sleeping.map(call).collect();
        let pipes: BTreeSet<_> = graph.ownership.all().map(|(end, _)| end.pipe).collect();
        evidence.fully_known_ends = ends;
        evidence.blocked_in = blocked_in;
        evidence.fill_levels =
            pipes.into_iter().map(|pipe| FillLevel { pipe, bytes: self.bytes }).collect();
        let moving =
            self.moving.iter().map(|name| ((*name).to_owned(), "its state is R".to_owned()));
        evidence.still_running = moving.collect();
        deadlocked_steps(&scenario, &evidence).into_iter().collect()
    }
}

/// Main and the child wait for each other.
const LINES: &str = "main        pipe r1 w1
main        pipe r2 w2
main        pipe r w
main        spawn child r1 w2
main        spawn third r
child       get r1                      => eof
main        get r2                      => eof
";

#[rstest]
#[case::one_with_a_timer("third       get r                       => eof", "third r", &[5, 6, 7])]
#[case::one_that_could_write_to_main("third       get r                       => eof", "third w2", &[])]
#[case::one_that_could_write_to_the_child("third       get r                       => eof", "third w1", &[])]
#[case::one_that_holds_another_reader("third       get r                       => eof", "third r1", &[5, 6])]
#[case::one_whose_time_limit_may_pass("third       get r within 50ms           => timeout", "third r", &[5, 6])]
#[case::one_that_acts_on_itself_alone("third       pipe r5 w5", "third r", &[5, 6])]
fn only_steps_that_no_process_can_release_are_deadlocked(
    #[case] last: &str,
    #[case] held: &str,
    #[case] expected: &[usize],
) {
    let stall = Stall {
        lines: &format!("{LINES}{last}\n"),
        completed: 5,
        unbegun: &[],
        held: &["child r1", "child w2", "main w1", "main r2", "main w", held],
        moving: &["third"],
        bytes: 0,
    };
    assert_eq!(stall.deadlocked(), expected);
}

#[test]
fn the_content_of_a_pipe_with_parts_of_messages_is_not_known() {
    let lines = format!("{LINES}third get r => eof\nmain/task cut w \"a\" at 1\n");
    let stall = Stall {
        lines: &lines,
        completed: 5,
        unbegun: &[8],
        held: &["child r1", "child w2", "main w1", "main r2", "main w", "third r"],
        moving: &["third"],
        bytes: 0,
    };
    assert_eq!(stall.deadlocked(), [5, 6]);
}

/// A shipped adapter failed about once in a hundred runs on a loaded machine: the reader was in its get and got no processor
/// time. The put seemed to need no other process, since there was a reader.
#[rstest]
#[case::one_put("main put w 2MiB\nchild get r => 2MiB\n")]
#[case::a_put_beside_others("main put w 2MiB\nmain/task put w \"a\"\nchild get r => 2MiB\n")]
fn a_put_is_not_deadlocked_while_a_reader_that_is_in_its_get_moves(#[case] last: &str) {
    let stall = Stall {
        lines: &format!("main pipe r w\nmain spawn child r\n{last}"),
        completed: 2,
        unbegun: &[],
        held: &["main w", "child r"],
        moving: &["child"],
        bytes: 65_536,
    };
    assert_eq!(stall.deadlocked(), [0; 0]);
}

#[rstest]
#[case::a_get_from_an_empty_pipe("r", "get r => eof", 0, &[5, 6, 7])]
#[case::a_get_from_a_pipe_with_one_byte("r", "get r => eof", 1, &[5, 6])]
#[case::a_put_that_fits_into_no_pipe("w", "put w 2MiB", 65_536, &[5, 6, 7])]
#[case::a_put_that_has_written_nothing("w", "put w 2MiB", 0, &[5, 6])]
#[case::a_put_that_may_be_refused("w", "put w 2MiB => too-large or ok", 65_536, &[5, 6])]
#[case::a_put_that_may_fit_into_the_pipe("w", "put w 32KiB", 0, &[5, 6])]
#[case::a_put_that_may_fit_into_the_largest_pipe("w", "put w 1MiB", 65_536, &[5, 6])]
fn a_step_of_a_moving_process_is_deadlocked_only_if_it_must_wait(
    #[case] end: &str,
    #[case] last: &str,
    #[case] bytes: u64,
    #[case] expected: &[usize],
) {
    let other = if end == "r" { "main w" } else { "main r" };
    let stall = Stall {
        lines: &format!("{}third {last}\n", LINES.replace("third r", &format!("third {end}"))),
        completed: 5,
        unbegun: &[],
        held: &["child r1", "child w2", "main w1", "main r2", other, &format!("third {end}")],
        moving: &["third"],
        bytes,
    };
    assert_eq!(stall.deadlocked(), expected);
}

#[rstest]
#[case::runs(None, &[5, 6, 7])]
#[case::has_ended(Some(ProcessExit::Code(0)), &[5, 6])]
fn a_join_is_deadlocked_only_while_the_child_runs(
    #[case] exit: Option<ProcessExit>,
    #[case] expected: &[usize],
) {
    let lines = "main pipe r1 w1\nmain pipe r2 w2\nmain spawn one r1 w2\nmain spawn two r2 w1\n\
                 main spawn three\none get r1 => eof\ntwo get r2 => eof\n";
    let joined = if exit.is_some() { "three" } else { "one" };
    let stall = Stall {
        lines: &format!("{lines}main/a join {joined}\nmain exit 0\n"),
        completed: 5,
        unbegun: &[8],
        held: &["one r1", "one w2", "two r2", "two w1"],
        moving: &["three"],
        bytes: 0,
    };
    let exits = exit.map(|exit| ("three".to_owned(), exit)).into_iter().collect();
    assert_eq!(stall.deadlocked_after(exits), expected);
}

#[test]
fn processes_are_not_deadlocked_while_a_process_above_them_may_end_and_end_them() {
    let stall = |unbegun: &[usize]| {
        Stall {
            lines: "main pipe r1 w1\nmain pipe r2 w2\nmain spawn one r1 w2\nmain spawn two r2 w1\n\
                    one get r1 => eof\ntwo get r2 => eof\nmain join one\n",
            completed: 4,
            unbegun,
            held: &["one r1", "one w2", "two r2", "two w1"],
            moving: &["main"],
            bytes: 0,
        }
        .deadlocked()
    };
    assert_eq!(stall(&[]), [4, 5, 6], "main waits for one of them, and so never ends");
    assert_eq!(stall(&[6]), [4, 5], "main has a step left, and so does not end");
}
