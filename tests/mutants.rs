//! Mutation tests of `explore`: it must find a failing scenario for each fault of the posix adapter that is marked
//! `explored` in `adapters/posix/faults.toml`, and shrink it. What the suite itself finds is for `gipc-harness mutants`.
//!
//! The tests take some minutes, so a plain `cargo test` skips them. Run `cargo test --release --test mutants`, with the
//! names of faults after `--` to run only these. It prints one line for each fault, and fails if a fault is not found or
//! its scenario is too long.

use gipc_harness::mutants::{Fault, FaultList};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// How long `explore` may search for one fault, in seconds.
const SEARCH_LIMIT: &str = "300";
/// How many lines the shrunk scenario may have.
const MAX_LINES: usize = 10;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = FaultList::read(&root.join("adapters/posix")).expect("the list can be read");
    let adapter = format!("posix@{}", list.variant);
    harness(&root, &["adapter", "setup", &adapter]).expect("the adapter can be built");
    let named: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |fault: &&Fault| match named.is_empty() {
        true => fault.explored,
        false => named.contains(&fault.name),
    };
    let mut missed = 0;
    for fault in list.faults.iter().filter(is_chosen) {
        let result = match find(&root, &adapter, fault) {
            Ok((seconds, lines)) if lines <= MAX_LINES => {
                format!("{seconds:>4.0} s  {lines:>2} lines  ")
            }
            Ok((seconds, lines)) => {
                missed += 1;
                format!("{seconds:>4.0} s  {lines:>2} lines: TOO LONG  ")
            }
            Err(reason) => {
                missed += 1;
                format!("{reason}  ")
            }
        };
        let line = format!("{:<40} {result}{}\n", fault.name, fault.about);
        std::io::stdout().write_all(line.as_bytes()).expect("stdout is open");
    }
    ExitCode::from(u8::from(missed > 0))
}

/// Searches for a failing scenario. Returns the seconds of the search and the number of lines of the shortest scenario.
fn find(root: &Path, adapter: &str, fault: &Fault) -> Result<(f64, usize), String> {
    let out = root.join("target/mutants").join(&fault.name);
    if out.exists() {
        fs::remove_dir_all(&out).map_err(|error| error.to_string())?;
    }
    let start = Instant::now();
    let folder = out.to_str().ok_or("the path of the workspace is not UTF-8")?;
    let search =
        ["explore", "--adapter", adapter, "--seed", "1", "--for", SEARCH_LIMIT, "--out", folder];
    let code = harness_with(root, &search, &fault.name)?;
    let seconds = start.elapsed().as_secs_f64();
    if code != 1 {
        return Err(format!("NOT FOUND, exit code {code}"));
    }
    let found = fs::read_dir(&out).map_err(|error| error.to_string())?;
    let lines = found.flatten().map(|file| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
    });
    Ok((seconds, lines.min().unwrap_or(0)))
}

fn harness(root: &Path, arguments: &[&str]) -> Result<(), String> {
    match harness_with(root, arguments, "")? {
        0 => Ok(()),
        code => Err(format!("exit code {code}")),
    }
}

/// Runs the harness with a fault chosen, and returns its exit code.
fn harness_with(root: &Path, arguments: &[&str], fault: &str) -> Result<i32, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
    command.current_dir(root).env("GIPC_HARNESS_CACHE", "").env("GIPC_FAULT", fault);
    let output = command.args(arguments).output().map_err(|error| error.to_string())?;
    output.status.code().ok_or_else(|| "a signal ended it".to_owned())
}
