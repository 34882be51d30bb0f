//! No false positives of the stall analysis: a process that computes, sleeps, is stopped and continued, or gets no
//! processor for some seconds is never reported as stalled, although another process waits for it. Neither is a process
//! that the scenario blocks as a whole.
//!
//! By default each case runs twice; `GIPC_HARNESS_RUNS=400 cargo test --release --test no_false_stalls` makes 2,000
//! runs of the first five.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod support {
    pub(crate) mod faulty_agent;
}

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What these tests do to a process, or look up about it, only Linux can do.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::faulty_agent::play(&arguments[2], &arguments[3..]));
    }
    let trials = vec![
        Trial::test("a_computing_process_is_not_stalled", || check("computes", 0, 40)),
        Trial::test("a_sleeping_process_is_not_stalled", || check("sleeps", 0, 40)),
        Trial::test("a_process_with_a_sleeping_thread_is_not_stalled", || {
            check("sleeps-aside", 0, 40)
        }),
        Trial::test("a_stopped_and_continued_process_is_not_stalled", || {
            check("is-stopped", 0, 40)
        }),
        Trial::test("a_process_that_gets_no_processor_is_not_stalled", || check("right", 8, 4)),
        Trial::test("steps_of_a_process_that_is_blocked_on_purpose_are_not_stalled", || {
            run(Path::new("gipc-core"), "two-gets-of-a-process-that-stalls", 0, 1)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs the scenario repeatedly with an agent of this kind: `jobs` runs at a time, beside `load` busy processes.
fn check(kind: &str, load: usize, jobs: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    // The agent closes nothing: these tests are about stalls.
    let keeps = "[keeps]\ninherited = true\nreason = \"an agent for tests of stalls\"\n";
    let manifest = format!("name = {kind:?}\ncommand = [{own:?}, \"agent\", {kind:?}]\n{keeps}");
    fs::write(folder.path().join("adapter.toml"), manifest)?;
    run(folder.path(), "reader-waits-for-a-slow-writer", load, jobs)
}

/// Runs a scenario of `tests/not_stalled` repeatedly on an adapter.
fn run(adapter: &Path, scenario: &str, load: usize, jobs: usize) -> Result<(), Failed> {
    let runs = std::env::var("GIPC_HARNESS_RUNS").unwrap_or_else(|_| "2".into());
    let records = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(&root)
        .args(["run", "--repeat", &runs, "--load", &load.to_string()])
        .args(["--jobs", &jobs.to_string(), "--record"])
        .arg(records.path())
        .arg("--adapter")
        .arg(adapter)
        .arg(root.join(format!("tests/not_stalled/{scenario}.scenario")))
        .output()?;
    let shown = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8_lossy(&shown);
    match shown.contains(&format!("{runs} of {runs} ran")) && output.status.success() {
        true => Ok(()),
        false => Err(format!("{}:\n{shown}", output.status).into()),
    }
}
