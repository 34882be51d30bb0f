//! Tests which steps race, and which are ordered by what their processes can know.

use crate::model::{Choices, racing_steps};
use crate::scenario::parse;
use rstest::rstest;

#[rstest]
#[case::a_close_before_the_end_of_a_stream_that_was_received(
    "main pipe r w\nmain pipe r2 w2\nmain spawn child w r2\nchild close r2\nchild close w\n\
     main get r => eof\nmain put w2 \"a\" => broken\nmain join child => exit 0\n",
    &[]
)]
#[case::a_close_that_nothing_orders(
    "main pipe r w\nmain pipe r2 w2\nmain spawn child w r2\nchild close r2\nchild close w\n\
     main put w2 \"a\" => broken or ok\nmain get r => eof\nmain join child => exit 0\n",
    &[3, 5]
)]
#[case::a_close_while_the_rest_of_a_withdrawn_put_is_written(
    "main pipe r w\nmain put w 2MiB within 50ms => timeout\nmain/reader get r => 2MiB\n\
     main close w => locked or ok\n",
    &[2, 3]
)]
#[case::a_kill_in_a_step_in_which_the_process_is_known_to_wait(
    "main pipe r w\nmain spawn child r\nchild get r => never\nchild close r => never\n\
     main until child blocks\nmain kill child\nmain join child => signal SIGKILL\n",
    &[]
)]
fn steps_race_unless_something_orders_them(#[case] text: &str, #[case] expected: &[usize]) {
    let scenario = parse("race", text).expect("the scenario is valid");
    assert_eq!(racing_steps(&scenario, Choices::default()), expected);
}
