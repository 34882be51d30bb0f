//! After any run nothing of it is left: no process, no socket, no directory. However the run ended.
//!
//! Each run gets a temporary directory of its own, so that all that belongs to it can be told by that.

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

/// How long the system may take to end processes that were killed. Not a fact about the harness: only a bound.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is built")
}

fn own_folder() -> TempDir {
    tempfile::Builder::new().prefix("leftovers").tempdir().expect("a directory")
}

/// Waits until something holds. That it does is the fact; the bound only keeps a wrong test from hanging.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// At least one scenario is being performed: a socket is there, and a process beside the harness.
fn is_running(folder: &Path) -> bool {
    entries(folder).iter().any(|entry| Path::new(entry).join("socket").exists())
        && processes(folder).len() > 3
}

/// When the harness has ended, nothing may be left; after SIGKILL, nothing once the others have noticed.
fn assert_nothing_left(folder: &Path, at_once: bool) {
    if !at_once {
        until(|| processes(folder).is_empty() && entries(folder).is_empty());
    }
    assert_eq!(processes(folder), Vec::<String>::new());
    assert_eq!(entries(folder), Vec::<String>::new());
}

#[rstest]
#[case::of_passes(&["close", "deadlock"], 0)]
#[case::with_load(&["close", "--load", "2"], 0)]
#[case::refused(&["close", "--adapter", "nobody"], 2)]
#[file_serial]
fn nothing_is_left_after_a_run(#[case] what: &[&str], #[case] code: i32) {
    let folder = own_folder();
    let mut arguments = vec!["run"];
    arguments.extend(what);
    let status = start(folder.path(), &arguments).wait().expect("it ends");
    assert_eq!(status.code(), Some(code));
    assert_nothing_left(folder.path(), true);
}

#[rstest]
#[case::ctrl_c(libc::SIGINT)]
#[case::terminated(libc::SIGTERM)]
#[file_serial]
fn an_interrupted_run_reports_what_it_has_and_leaves_nothing(#[case] signal: i32) {
    let folder = own_folder();
    let mut harness =
        start(folder.path(), &["run", "children", "close", "--repeat", "1000", "--load", "1"]);
    assert!(until(|| is_running(folder.path())), "it did not begin");
    send(&harness, signal);
    let report = BufReader::new(harness.stdout.take().expect("piped"));
    let report: Vec<String> = report.lines().map_while(Result::ok).collect();
    assert_eq!(harness.wait().expect("it ends").code(), Some(3));
    assert!(report.iter().any(|line| line.contains("PARTIAL")), "{report:#?}");
    assert_nothing_left(folder.path(), true);
}

#[test]
#[file_serial]
fn nothing_is_left_when_the_harness_itself_is_killed() {
    let folder = own_folder();
    let mut harness =
        start(folder.path(), &["run", "children", "close", "--repeat", "1000", "--load", "1"]);
    assert!(until(|| is_running(folder.path())), "it did not begin");
    send(&harness, libc::SIGKILL);
    harness.wait().expect("it ends");
    assert_nothing_left(folder.path(), false);
}

fn send(process: &Child, signal: i32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).expect("a small number"));
    let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
    nix::sys::signal::kill(pid, signal).expect("it is our child, and not reaped");
}
