//! Tests that each mistake in a scenario gives an error that marks the mistake.

use crate::scenario::{parse, parse_all};
use rstest::rstest;

/// The lines with a mistake; then the line, the first column and the marked text of the error (0 or empty: not compared),
/// and a part of its message.
#[rstest]
#[case::an_unknown_verb("main        pipr r w", 3, 13, "pipr", "unknown verb")]
#[case::a_missing_verb("main", 3, 5, "", "a verb is missing")]
#[case::an_upper_case_name("Main        pipe r w", 3, 1, "Main", "")]
#[case::too_few_arguments("main        pipe r", 3, 19, "", "something is missing")]
#[case::too_many_arguments("main        pipe r w x", 3, 22, "x", "too many words")]
#[case::a_name_that_is_given_twice(
    "main        pipe r r",
    3,
    13,
    "",
    "there is a handle r already"
)]
#[case::a_missing_outcome(
    "main        pipe r w                    =>",
    3,
    43,
    "",
    "an outcome is missing"
)]
#[case::an_unknown_outcome("main        pipe r w                    => fine", 3, 44, "fine", "")]
#[case::a_missing_outcome_after_or(
    "main        pipe r w                    => ok or",
    3,
    49,
    "",
    "an outcome is missing"
)]
#[case::an_open_quote("main        put w \"a", 3, 19, "\"a", "")]
#[case::an_unknown_unit("main        put w 9XB", 3, 19, "9XB", "")]
#[case::an_impossible_size("main        put w 99999999TiB", 3, 19, "99999999TiB", "")]
#[case::an_exit_code_above_255("main        exit 256", 3, 18, "256", "")]
#[case::a_time_limit_without_a_unit(
    "main        pipe r w within 5",
    3,
    29,
    "5",
    "not a time limit"
)]
#[case::an_unknown_handle(
    "main        get r                       => eof",
    3,
    13,
    "get r",
    "there is no handle r yet"
)]
#[case::a_put_to_a_reader(
    "main        pipe r w\nmain        put r \"a\"               => ok",
    4,
    13,
    "put r \"a\"",
    "r cannot put"
)]
#[case::a_put_to_a_closed_handle(
    "main        pipe r w\nmain        close w\nmain        put w \"a\"               => ok",
    5,
    13,
    "",
    "does not own w"
)]
#[case::a_put_to_a_moved_handle(
    "main        pipe r w\nmain        spawn child w\nmain        put w \"a\"",
    5,
    13,
    "",
    "does not own w"
)]
#[case::a_get_from_a_handle_of_the_parent(
    "main        pipe r w\nmain        spawn child w\nchild       get r                       => eof",
    5,
    13,
    "",
    "child does not own r"
)]
#[case::a_handle_that_is_given_twice(
    "main        pipe r w\nmain        spawn child w w",
    4,
    13,
    "",
    "given twice"
)]
#[case::a_process_that_was_not_spawned(
    "child       exit 3                      => ok",
    3,
    1,
    "child",
    "no process child here"
)]
#[case::a_process_that_is_spawned_twice(
    "main        spawn child\nmain        spawn child",
    4,
    13,
    "",
    "a process child already"
)]
#[case::a_task_without_a_process(
    "main        pipe r w\nmain        spawn child r\nchild/one   get r                       => eof",
    5,
    1,
    "child/one",
    "a task without a process"
)]
#[case::a_join_of_no_child(
    "main        join child                  => exit 0",
    3,
    13,
    "",
    "child is no child of main"
)]
#[case::a_signal_to_main(
    "main        signal main SIGINT\nmain        spawn child                 => ok",
    3,
    13,
    "",
    "main is no child of main"
)]
#[case::a_step_after_an_exit(
    "main        exit 3\nmain        exit 4                      => ok",
    4,
    1,
    "main",
    "main has ended"
)]
#[case::an_until_of_a_task_without_lines(
    "main        until child blocks",
    3,
    13,
    "",
    "child has no lines"
)]
#[case::a_cycle_of_untils(
    "main        spawn child\nmain        until child blocks\nchild       until main blocks           => ok",
    4,
    13,
    "until child blocks",
    "a circle of `until`"
)]
#[case::a_pause_without_a_time_limit(
    "main        pause 5ms",
    3,
    13,
    "pause 5ms",
    "a pause orders nothing"
)]
#[case::no_outcome_that_is_tested("main        pipe r w", 3, 13, "pipe r w", "asks nothing")]
#[case::an_empty_file("", 1, 1, "", "nothing happens here")]
#[case::an_each_without_a_paragraph(
    "each i in 1..3\n\nmain        pipe r w                    => ok",
    3,
    1,
    "",
    ""
)]
#[case::an_empty_range(
    "each i in 3..1\nmain        pipe r[i] w[i]              => ok",
    3,
    0,
    "",
    ""
)]
#[case::too_many_repetitions(
    "each i in 1..9, j in 1..999999\nmain        pipe r[i][j] w[i][j]        => ok",
    0,
    0,
    "",
    ""
)]
#[case::a_negative_time_limit(
    "main        pipe r w\nmain        get r within -5ms           => timeout",
    4,
    26,
    "-5ms",
    "not a time limit"
)]
#[case::a_shared_handle_without_a_name(
    "main        pipe r w\nmain        spawn child share()         => ok",
    4,
    25,
    "share()",
    "not a handle"
)]
#[case::a_long_message_through_a_shared_writer(
    "main        pipe r w\nmain        spawn child share(w)\nmain        put w 1KiB\nchild       put w \"a\"\nmain        get r                       => 1KiB",
    5,
    13,
    "",
    "may mix with that of another process"
)]
#[case::a_cut_of_a_writer_through_which_another_process_puts(
    "main        pipe r w\nmain        spawn child share(w)\nmain        cut w \"ab\" at header\nchild       put w \"c\"\nmain        get r                       => blocks",
    5,
    13,
    "",
    "child puts there, too, in line 6"
)]
#[case::a_shared_handle_that_its_parent_closed(
    "main        pipe r w\nmain        spawn child share(w)\nmain        close w\nmain        put w \"a\"\nmain        get r                       => blocks",
    6,
    13,
    "",
    "main does not own w"
)]
#[case::a_cut_after_the_end(
    "main        pipe r w\nmain        cut w \"ab\" at header+2",
    4,
    13,
    "",
    "cannot be cut there"
)]
#[case::an_unknown_position_of_a_cut(
    "main        pipe r w\nmain        cut w \"ab\" at middle",
    4,
    27,
    "middle",
    "not a place in a frame"
)]
#[case::a_put_into_an_incomplete_frame(
    "main        pipe r w\nmain        cut w \"ab\" at header\nmain        put w \"c\"",
    5,
    13,
    "",
    "in the middle of a message since line 4"
)]
#[case::a_put_to_a_duplex_with_an_incomplete_frame(
    "main        duplex near far\nmain        cut near.w \"ab\" at header\nmain        put near \"c\"",
    5,
    13,
    "",
    "in the middle of a message since line 4"
)]
#[case::a_ghost_with_the_name_of_main("main        exec main", 3, 13, "", "a process main already")]
#[case::a_rest_without_a_cut(
    "main        pipe r w\nmain        rest w",
    4,
    13,
    "",
    "there is no rest"
)]
#[case::a_size_for_a_codec(
    "main        pipe r w with json\nmain        put w 9B",
    4,
    13,
    "",
    "noise is no value"
)]
#[case::an_unknown_codec("main        pipe r w with zip", 3, 27, "zip", "unknown codec")]
#[case::a_signal_without_its_sig("main        trap TERM", 3, 18, "TERM", "not a signal")]
#[case::a_join_of_a_ghost(
    "main        exec ghost\nmain        join ghost                  => exit 7",
    4,
    13,
    "",
    "ghost is no child of main"
)]
#[case::a_program_that_makes_a_pipe(
    "main        run child stdin r w\nchild       pipe a b                    => ok",
    4,
    13,
    "",
    "a program does not use the library"
)]
#[case::a_number_that_begins_with_zero("main        pipe r[0] w[00]", 3, 23, "w[00]", "not a name")]
#[case::an_unknown_count(
    "main        count sheep                 => 1",
    3,
    19,
    "sheep",
    "cannot be counted"
)]
#[case::an_unknown_limit("main        limit files 3 free", 3, 19, "files", "not a limit")]
#[case::an_unknown_index(
    "each i in 1..3\nmain        pipe r[k] w[k]              => ok",
    4,
    0,
    "",
    ""
)]
fn each_mistake_is_marked_where_it_is(
    #[case] lines: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] marked: &str,
    #[case] message: &str,
) {
    let text = format!("# A mistake.\n\n{lines}\n");
    let error = match parse("mistake", &text) {
        Ok(_) => panic!("nothing is wrong with\n{text}"),
        Err(error) => error,
    };
    let screen = error.render("mistake.scenario", &text);
    let source_line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let above_caret: String =
        source_line.chars().skip(error.column.saturating_sub(1)).take(error.width).collect();
    assert!(line == 0 || error.line == line, "{screen}");
    assert!(column == 0 || error.column == column, "{screen}");
    assert!(marked.is_empty() || above_caret == marked, "{above_caret:?} is marked\n{screen}");
    assert!(error.message.contains(message), "{screen}");
    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{screen}");
}

/// The lines with a mistake, and a part of the hint.
#[rstest]
#[case::another_arrow("main        get r -> eof", "and no more", "write `=>`")]
#[case::no_arrow("main        join child exit 0", "", "write `=> exit 0`")]
#[case::a_comment("main        pipe r w # why", "", "a line of its own")]
#[case::a_semicolon("main        pipe r w; close w", "", "a line of its own")]
#[case::two_steps("main        pipe r w close w", "", "a line of its own")]
#[case::a_unit_of_ten("main        put w 10KB", "", "is it 10KiB?")]
#[case::a_short_unit("main        put w 1M", "", "is it 1MiB?")]
#[case::no_unit("main        put w 5", "", "is it 5B?")]
#[case::capitals_in_a_verb("main        Pipe r w", "", "is it pipe?")]
#[case::capitals_in_a_process("Main        pipe r w", "", "is it main?")]
#[case::capitals_in_an_outcome("main        get r => EOF", "", "is it eof?")]
#[case::a_signal_alone("main        join c => SIGKILL", "", "is it signal SIGKILL?")]
#[case::an_error_alone("main        pipe r w => EMFILE", "", "is it os:EMFILE?")]
#[case::a_reversed_range("each i in 3..1\nmain        pipe r[i] w[i]", "", "write 1..3")]
#[case::each_without_an_index("each i in 1..3\nmain        pipe r w", "", "write r[i]")]
#[case::a_missing_process("pipe r w", "", "`main        pipe r w`")]
#[case::seconds("main        get r within 1s => eof", "", "is it 1000ms?")]
#[case::a_misspelled_handle(
    "main        pipe reader w\nmain        get raeder => eof",
    "",
    "is it reader?"
)]
#[case::a_misspelled_process("main        spawn child\nchld        exit 3", "", "is it child?")]
#[case::a_misspelled_child(
    "main        spawn child\nmain        join chidl => exit 0",
    "",
    "is it child?"
)]
#[case::a_handle_of_another_process(
    "main        pipe r w\nmain        spawn child w\nmain        put w \"a\"",
    "",
    "child owns it here; "
)]
#[case::a_handle_that_was_closed(
    "main        pipe r w\nmain        close w\nmain        put w \"a\"",
    "",
    "it was closed in line 4; "
)]
fn a_common_mistake_has_the_hint_that_fits_it(
    #[case] lines: &str,
    #[case] not: &str,
    #[case] hint: &str,
) {
    let text = format!("# A mistake.\n\n{lines}\n");
    let error = parse("mistake", &text).expect_err("there is a mistake");
    let screen = error.render("mistake.scenario", &text);
    assert!(error.hint.contains(hint), "{screen}");
    assert!(not.is_empty() || !error.hint.contains(not), "{screen}");
}

#[test]
fn all_mistakes_are_reported_without_those_that_follow_from_others() {
    let text = "main        spwan child w\n\
                child       put w \"a\"\n\
                main        pipe r2 w2\n\
                main        get r2 => EOF\n\
                main        put r3 \"a\"\n\
                main        close r3\n";
    let mistakes = parse_all("mistake", text).expect_err("there are mistakes");
    let found: Vec<(usize, &str)> =
        mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
    let expected = [(1, "unknown verb"), (4, "unknown outcome"), (5, "there is no handle r3 yet")];
    assert_eq!(found, expected);
}

#[test]
fn a_mark_is_as_wide_as_the_line_that_each_repeats() {
    let text = "each i in 10..12\nmain        pipe r[i] w[i]\nmain        put r[i] \"a\"\n";
    let error = parse("mistake", text).expect_err("a reader cannot put");
    assert_eq!((error.line, error.column, error.width), (3, 13, "put r[i] \"a\"".len()));
}

#[test]
fn of_an_each_whose_lines_are_all_misspelled_the_lines_are_reported() {
    let text = "each i in 1..3\n\
                main        pip r[i] w[i]\n\
                main        spwn child[i] r[i]\n\
                \n\
                main        count handles => 0\n";
    let mistakes = parse_all("mistake", text).expect_err("there are mistakes");
    let found: Vec<(usize, &str)> =
        mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
    assert_eq!(found, [(2, "unknown verb"), (3, "unknown verb")]);
}

#[rstest]
#[case::of_sixteen_bytes("16B", true)]
#[case::of_fifteen_bytes("15B", false)]
fn messages_of_several_tasks_to_one_end_must_show_their_sender(
    #[case] size: &str,
    #[case] is_valid: bool,
) {
    let text = format!(
        "main        pipe r w\nmain/one    put w {size}\nmain/two    put w {size}\n\
         main        get r                       => {size}\nmain        get r                       => {size}\n"
    );
    let read = parse("mistake", &text);
    let message = read.err().map(|error| error.message);
    let refused = "this message does not show which task sent it".to_owned();
    assert_eq!(message, (!is_valid).then_some(refused));
}
