//! What a child is given, what it is not, and how its end is seen: with real processes.
//!
//! The main of this test is its own, because a child begins there; the tests run one after the other, since some
//! look at the descriptors and children of the whole process.

mod ends;
mod entries;
mod handles;
mod options;
mod programs;
mod reports;
mod starts;

use ends::*;
use entries::*;
use gipc_core::{Command, Duplex, Process, Reader, Writer, duplex, init};
use handles::*;
use libtest_mimic::{Arguments, Trial};
use options::*;
use programs::*;
use reports::*;
use starts::*;
use std::io::{self, Write};
use std::task::Poll;

type Failure = Box<dyn std::error::Error>;

/// waitid, which nix has on some systems only, and whose number of a process has a sign on some.
fn wait_id(
    kind: nix::libc::idtype_t,
    id: impl TryInto<nix::libc::id_t>,
    flags: nix::libc::c_int,
) -> nix::Result<()> {
    let mut info = std::mem::MaybeUninit::<nix::libc::siginfo_t>::uninit();
    let id = id.try_into().map_err(|_| nix::errno::Errno::EINVAL)?;
    // SAFETY: the call writes at most one siginfo_t to the address, which nothing reads.
    let waited = unsafe { nix::libc::waitid(kind, id, info.as_mut_ptr(), flags) };
    nix::errno::Errno::result(waited).map(drop)
}

/// The number of open descriptors below 1024. Not every system lists them in /dev/fd.
fn open_descriptors() -> usize {
    // SAFETY: F_GETFD only asks whether the descriptor exists.
    let is_open = |number: &i32| unsafe { nix::libc::fcntl(*number, nix::libc::F_GETFD) != -1 };
    (0..1024).filter(is_open).count()
}

/// Says that a test looks at nothing here, and why.
fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

fn main() {
    before_init();
    init!(
        fails,
        fails_by_io,
        drops_a_handle,
        text_of,
        starts_slow_children,
        count_handles,
        ignores_its_children,
        says_too_much,
        ends_as_parent,
        answers,
        shown_name,
        panics_beside_a_thread,
        unspeakable,
        writes_early,
        echo,
        code,
        panics,
        put,
        wait,
        status,
        open,
        parent,
        count,
        nothing,
        orphan,
        surroundings,
        surroundings_with,
        takes_a_writer,
        leaves,
        leaves_a_thread,
        text,
        ignored,
        parent_of,
        one_too_many,
        stays,
        describes,
        sums,
        says_in_two_parts,
        leaves_a_talker,
        what_a_program_inherits,
        recurses_for_ever
    );
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = vec![
        test("the_end_is_seen_when_the_child_returns", the_end_is_seen),
        test("every_size_goes_there_and_back", every_size),
        test("a_message_cut_by_a_kill_is_truncated_and_not_the_end", cut_by_a_kill),
        test("a_sibling_holds_nothing_it_was_not_given", sibling),
        test("a_grandchild_gets_what_it_is_given", grandchild),
        test("fifty_children_at_once_each_with_its_own_pipe", fifty),
        test("codes_and_signals_and_panics_are_told_apart", codes),
        test("all_who_join_hear_the_same", all_who_join),
        test("no_signal_goes_to_one_that_was_reaped", after_the_end),
        test("a_child_that_nobody_joins_is_no_zombie", no_zombie),
        test(
            "a_child_ends_with_its_entry_though_a_thread_of_its_runtime_works",
            threads_of_its_runtime,
        ),
        test(
            "a_signal_that_the_parent_ignores_ends_a_child_right_after_its_start",
            what_its_parent_ignores,
        ),
        test("a_start_that_fails_half_way_leaves_all_as_it_was", failed_half_way),
        test("a_start_without_a_process_leaves_its_handle_with_its_owner", no_process),
        test("a_start_without_a_program_leaves_its_handle_with_its_owner", no_program),
        test("a_daemon_is_killed_with_its_last_handle", daemons),
        test("a_child_sees_that_its_parent_is_gone", orphans),
        test("a_child_has_the_surroundings_that_were_chosen", chosen_surroundings),
        test("what_is_not_chosen_is_as_in_the_parent", inherited_surroundings),
        test("what_a_child_leaves_running_does_not_hold_its_join", left_running),
        test("no_descriptor_is_left_over", no_descriptor_left),
        test("a_child_begins_with_a_clean_signal_state", clean_signals),
        test("a_child_has_no_descriptor_of_strangers", no_strangers),
        test("what_was_given_is_closed_for_all_clones", given_is_closed),
        test("what_is_in_use_is_not_given", in_use_is_locked),
        test("what_is_given_twice_is_refused", given_twice),
        test("a_failed_spawn_leaves_every_handle_with_its_owner", failed_spawn),
        test("what_was_read_ahead_goes_with_the_reader", read_ahead_travels),
        test("an_entry_that_does_not_exist_is_words_and_not_a_hang", no_such_entry),
        test("another_build_of_the_program_is_words_and_not_a_hang", another_build),
        test("the_status_of_a_strangers_child_is_left_to_the_stranger", strangers_child),
        test("a_child_with_a_pipe_costs_its_parent_three_descriptors", three_descriptors),
        test("a_panic_does_not_wait_for_threads_of_its_runtime", panics_at_once),
        test("a_result_that_cannot_be_sent_is_no_failure_to_begin", lost_result),
        test("what_main_has_opened_before_init_stays_open", opened_early),
        test("ps_shows_a_child_by_the_name_of_its_program", named_as_its_program),
        test("a_command_keeps_its_handles_when_its_spawn_fails", spawned_again),
        test("more_descriptors_than_may_be_under_way_follow_later", many_handles_under_way),
        test("a_result_survives_a_system_that_reaps_children_itself", reaped_by_the_system),
        test("a_child_that_says_too_much_is_not_listened_to", too_much_said),
        test("a_result_longer_than_its_limit_is_lost_and_said_so", too_long_a_result),
        test("each_end_of_a_parent_has_its_fate_for_its_children", fates),
        test("an_error_that_an_entry_returns_is_told_to_its_parent", failures),
        test("a_handle_that_a_child_drops_is_closed_while_the_child_goes_on", dropped_in_the_child),
        test("a_child_whose_parent_dies_while_it_hands_over_does_not_begin", torn),
        test("how_an_entry_ends_is_also_its_exit_code", exit_codes),
        test("two_hundred_and_fifty_handles_all_arrive", more_than_one_message_of_descriptors),
        test("a_child_that_does_not_end_when_it_is_asked_to_is_killed", stopped),
        test("a_child_reads_the_stdin_that_was_chosen", stdins),
        test("what_a_child_prints_is_read_from_its_pipe", piped_stdout),
        test("a_child_can_have_a_process_group_of_its_own", groups),
        test("lists_of_handles_come_with_their_lengths", lists),
        test("another_version_of_the_crate_answers_its_own_children", another_version),
        test("a_privileged_program_does_not_obey_the_environment", privileged),
        test("a_program_that_the_loader_runs_says_so_instead_of_starting_the_loader", loaded),
        test("what_a_child_says_is_whole_also_if_its_end_is_seen_first", end_seen_first),
        test("a_process_that_a_child_leaves_talking_does_not_hold_its_join", left_talking),
        test("a_program_that_a_child_starts_does_not_have_its_socket", nothing_inherited),
        test("a_child_that_may_not_open_what_it_is_given_names_the_limit", few_descriptors),
        test("a_stack_overflow_of_a_child_is_told_and_ends_it_by_a_signal", stack_overflow),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn test<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(body()).map_err(|error| error.to_string().into())
    })
}

fn echoing() -> Result<(Duplex, Process<bool>), Failure> {
    let (near, far) = duplex()?;
    Ok((near, Command::new(echo())?.handles(far).spawn(&())?))
}

/// One look at a future, as a task that is then cancelled would have had it.
async fn once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

fn readable(descriptor: i32) -> nix::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    // SAFETY: the reader that owns it is alive until this has returned.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::NONE).map(drop)
}

// Both ends can be sent to another thread, and shared.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<(Reader, Writer, Process)>();
};
