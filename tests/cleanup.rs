//! A run leaves no process, no socket and no directory behind, however it ends.
//!
//! Each run gets a temporary directory of its own, which identifies its processes and files.

#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod leftover_processes;
}

use rstest::rstest;
use serial_test::file_serial;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::leftover_processes::{entries, processes};
use tempfile::TempDir;

/// How long to wait for a condition before the test fails. The harness makes no promise about this time.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

fn start(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments).spawn().expect("the harness starts")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
    command.env("GIPC_HARNESS_CACHE", "");
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn temporary_folder() -> TempDir {
    tempfile::Builder::new().prefix("leftovers").tempdir().expect("a directory")
}

/// Waits until a condition holds; returns false if it does not hold within the limit.
fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > WAIT_LIMIT {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Whether a scenario is running: its socket exists, and so do processes besides the harness.
fn is_running(folder: &Path) -> bool {
    entries(folder).iter().any(|entry| Path::new(entry).join("socket").exists())
        && processes(folder).len() > 3
}

/// Waits until a scenario is running, however long a busy machine takes. Panics if the harness ends before that.
fn await_run(harness: &mut Child, folder: &Path) {
    while !is_running(folder) {
        let ended = harness.try_wait().expect("it is a child of this process");
        assert!(ended.is_none(), "the harness ended before a scenario ran: {ended:?}");
        std::thread::yield_now();
    }
}

/// Asserts that a run which has ended left nothing behind. After SIGKILL of the harness (`immediately` is false) its
/// supervisors first have to notice that, so the assertion waits for them.
fn assert_nothing_left(folder: &Path, immediately: bool) {
    if !immediately {
        wait_until(|| processes(folder).is_empty() && entries(folder).is_empty());
    }
    assert_eq!(processes(folder), Vec::<String>::new());
    assert_eq!(entries(folder), Vec::<String>::new());
}

#[rstest]
#[case::that_passes(&["close", "deadlock"], 0)]
#[case::with_load(&["close", "--load", "2"], 0)]
#[case::that_is_refused(&["close", "--adapter", "missing"], 2)]
#[file_serial]
fn nothing_is_left_after_a_run(#[case] options: &[&str], #[case] code: i32) {
    let folder = temporary_folder();
    let mut arguments = vec!["run"];
    arguments.extend(options);
    let status = start(folder.path(), &arguments).wait().expect("the harness exits");
    assert_eq!(status.code(), Some(code));
    assert_nothing_left(folder.path(), true);
}

#[rstest]
#[case::by_sigint(libc::SIGINT)]
#[case::by_sigterm(libc::SIGTERM)]
#[file_serial]
fn an_interrupted_run_reports_partial_results_and_leaves_nothing(#[case] signal: i32) {
    let folder = temporary_folder();
    let mut harness =
        start(folder.path(), &["run", "children", "close", "--repeat", "1000", "--load", "1"]);
    await_run(&mut harness, folder.path());
    send_signal(&harness, signal);
    let report = BufReader::new(harness.stdout.take().expect("stdout is piped"));
    let report: Vec<String> = report.lines().map_while(Result::ok).collect();
    assert_eq!(harness.wait().expect("the harness exits").code(), Some(3));
    assert!(report.iter().any(|line| line.contains("PARTIAL")), "{report:#?}");
    assert_nothing_left(folder.path(), true);
}

#[rstest]
#[case::a_search(&["explore", "--for", "60", "--out", "OUTPUT"], "PARTIAL: interrupted")]
#[case::a_matrix(
    // Its processes live long enough to be seen, however busy the machine is.
    &["matrix", "children/alive-1000", "--heavy", "--adapter", "gipc-core", "--output", "OUTPUT"],
    ""
)]
#[file_serial]
fn what_is_interrupted_exits_with_3_and_a_matrix_is_not_written(
    #[case] arguments: &[&str],
    #[case] says: &str,
) {
    let (folder, elsewhere) = (temporary_folder(), tempfile::tempdir().expect("a directory"));
    let output = elsewhere.path().join("output");
    let shown = output.display().to_string();
    let arguments: Vec<&str> =
        arguments.iter().map(|one| if *one == "OUTPUT" { &shown } else { *one }).collect();
    let mut harness = start(folder.path(), &arguments);
    await_run(&mut harness, folder.path());
    send_signal(&harness, libc::SIGINT);
    let report = std::io::read_to_string(harness.stdout.take().expect("stdout is piped"));
    assert_eq!(harness.wait().expect("the harness exits").code(), Some(3));
    let report = report.expect("text");
    assert!(report.contains(says), "{report}");
    assert!(!output.join("matrix.json").exists());
    assert_nothing_left(folder.path(), true);
}

/// A child that exits with another code than the file says.
const WRONG_EXIT: &str = "main        spawn child
child       exit 3
main        join child                  => exit 4
";

/// Makes a record of a run with these failing lines in a folder. Returns its path.
fn failing_record(folder: &Path, lines: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("wrong.scenario"), lines).expect("the directory is writable");
    let (file, records) = (path("wrong.scenario"), path("records"));
    let status = command(folder, &["run", "--unchecked", &file, "--record", &records]).status();
    assert_eq!(status.expect("the harness starts").code(), Some(1));
    path("records/gipc-core/wrong/record.jsonl")
}

#[test]
#[file_serial]
fn an_interrupted_run_of_a_bundle_comes_to_no_conclusion() {
    let (folder, elsewhere) = (temporary_folder(), tempfile::tempdir().expect("a directory"));
    let record = failing_record(elsewhere.path(), WRONG_EXIT);
    let bundle = elsewhere.path().join("bundle").display().to_string();
    let packed = command(elsewhere.path(), &["repro", &record, "--output", &bundle]).status();
    assert!(packed.expect("the harness starts").success());
    let mut harness = command(folder.path(), &["run", &bundle, "--times", "100000"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the harness starts");
    await_run(&mut harness, folder.path());
    send_signal(&harness, libc::SIGINT);
    let output = harness.wait_with_output().expect("the harness exits");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("error: interrupted after ") && said.contains(" runs, too few"),
        "{said}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "there is no conclusion");
    assert_nothing_left(folder.path(), true);
}

/// Writes an adapter into a folder: gipc-core, except that `main` hangs in the run with this number, and in all later ones.
/// Each run adds a line to the file `runs`.
fn adapter_that_hangs_in_run(number: usize, folder: &Path) -> String {
    let (here, harness) = (folder.display(), env!("CARGO_BIN_EXE_gipc-harness"));
    let agent = format!(
        "#!/bin/sh\necho run >> {here}/runs\n[ $(wc -l < {here}/runs) -lt {number} ] || exec sleep 1000\n\
         exec {harness} gipc-harness:embedded-agent \"$@\"\n"
    );
    let manifest = "name = \"hangs\"\ncommand = [\"sh\", \"{here}/agent.sh\"]\n";
    std::fs::write(folder.join("agent.sh"), agent).expect("the directory is writable");
    std::fs::write(folder.join("adapter.toml"), manifest).expect("the directory is writable");
    folder.display().to_string()
}

/// Starts the harness, interrupts it when so many runs have begun, and returns its exit code and what it printed.
fn interrupted_in_run(number: usize, arguments: &[&str], adapter: &Path) -> (i32, String) {
    let folder = temporary_folder();
    let harness = command(folder.path(), arguments)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the harness starts");
    let runs = || std::fs::read_to_string(adapter.join("runs")).unwrap_or_default();
    assert!(wait_until(|| runs().lines().count() >= number), "there are only {} runs", runs());
    send_signal(&harness, libc::SIGINT);
    let output = harness.wait_with_output().expect("the harness exits");
    assert_nothing_left(folder.path(), true);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// Of five lines, shrinking first removes the two of the other child, which takes three runs after the first three.
#[rstest]
#[case::before_the_failure_was_seen_again(2, "error: interrupted after 1 runs", false)]
#[case::after_two_lines_were_removed(7, "3 of 5 lines are left", true)]
#[file_serial]
fn an_interrupted_shrink_writes_the_smallest_scenario_so_far(
    #[case] number: usize,
    #[case] says: &str,
    #[case] writes: bool,
) {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = "main        spawn another\nmain        join another                => exit 0\n";
    let record = failing_record(elsewhere.path(), &format!("{other}{WRONG_EXIT}"));
    let adapter = adapter_that_hangs_in_run(number, elsewhere.path());
    let small = elsewhere.path().join("small");
    let shown = small.display().to_string();
    let arguments = ["shrink", &record, "--adapter", &adapter, "--output", &shown];
    let (code, text) = interrupted_in_run(number, &arguments, elsewhere.path());
    assert!(code == 3 && text.contains(says), "{code}: {text}");
    assert_eq!(text.contains("PARTIAL: "), writes, "{text}");
    let written = std::fs::read_to_string(small.join("reproduce.scenario"));
    assert_eq!(written.is_ok_and(|it| it.starts_with("# PARTIAL: ")), writes);
    // The name of the adapter that it ran on, not the folder, which was removed.
    let manifest = std::fs::read_to_string(small.join("bundle.json"));
    assert_eq!(manifest.is_ok_and(|it| it.contains("\"adapter\": \"hangs\"")), writes);
}

#[test]
#[file_serial]
fn an_interrupted_check_of_an_adapter_says_which_checks_were_done() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let adapter = adapter_that_hangs_in_run(3, elsewhere.path());
    let arguments = ["adapter", "check", &adapter];
    let (code, text) = interrupted_in_run(3, &arguments, elsewhere.path());
    assert_eq!(code, 3, "{text}");
    assert_eq!(text.matches("  ok    ").count(), 2, "{text}");
    let says = "PARTIAL: 2 of 19 checks were done; interrupted in this one: an empty message";
    assert!(text.contains(says), "{text}");
}

/// A scenario in which a process has a timer for most of a minute, so that nothing proves that the run has stalled.
const SLOW: &str = "main        pipe r w
main        spawn child w
child       pause 50000ms
main        get r within 60000ms        => eof
main        join child                  => exit 0
";

#[rstest]
#[case::by_sigint(libc::SIGINT)]
#[case::by_sigterm(libc::SIGTERM)]
#[file_serial]
fn an_interrupted_run_says_what_it_waited_for(#[case] signal: i32) {
    let folder = temporary_folder();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let file = elsewhere.path().join("slow.scenario");
    std::fs::write(&file, SLOW).expect("the directory is writable");
    let file = file.to_str().expect("a plain path");
    let mut harness = command(folder.path(), &["run", file])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the harness starts");
    let mut notices = BufReader::new(harness.stderr.take().expect("stderr is piped")).lines();
    let notice = notices.next().expect("a notice").expect("text");
    let expected = "s; waiting: child pause 50000ms (line 3)";
    assert!(notice.contains("slow: nothing for") && notice.contains(expected), "{notice}");
    send_signal(&harness, signal);
    let report = std::io::read_to_string(harness.stdout.take().expect("stdout is piped"));
    let report = report.expect("text");
    assert_eq!(harness.wait().expect("the harness exits").code(), Some(3));
    for part in ["INTERRUPTED  slow", "child      pause 50000ms", "main       pid ", "PARTIAL"] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    assert_nothing_left(folder.path(), true);
}

#[test]
#[file_serial]
fn nothing_is_left_after_the_harness_is_killed() {
    let folder = temporary_folder();
    let mut harness =
        start(folder.path(), &["run", "children", "close", "--repeat", "1000", "--load", "1"]);
    await_run(&mut harness, folder.path());
    send_signal(&harness, libc::SIGKILL);
    harness.wait().expect("the harness exits");
    assert_nothing_left(folder.path(), false);
}

/// The process `daemon` of the scenario leads a process group of its own, so that killing the group of `main` does not end it.
#[test]
#[file_serial]
fn where_no_processes_are_listed_a_process_in_a_group_of_its_own_is_killed_at_the_end() {
    let folder = temporary_folder();
    let mut harness = command(folder.path(), &["run", "groups/a-daemon-outlives-its-tree"])
        .env("GIPC_HARNESS_PORTABLE", "1")
        .spawn()
        .expect("the harness starts");
    let mut status = None;
    wait_until(|| {
        status = harness.try_wait().expect("the harness can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0), "None: the run does not end");
    assert_nothing_left(folder.path(), true);
}

fn send_signal(process: &Child, signal: i32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).expect("a valid pid"));
    let signal = nix::sys::signal::Signal::try_from(signal).expect("a valid signal");
    nix::sys::signal::kill(pid, signal).expect("the child has not been reaped");
}
