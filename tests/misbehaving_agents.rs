//! Agents that violate the protocol or misuse their processes: each misbehavior has one verdict, and no run leaves
//! anything behind.
//!
//! A misbehavior is a file of `tests/agent_misbehavior`, named after it: a scenario whose comments state the verdict
//! and a part of the output. The agent is this test program itself (`tests/support/misbehaving_agent.rs`). The test
//! prints one line for each misbehavior, with its verdict and its duration.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod support {
    pub(crate) mod leftover_processes;
    pub(crate) mod misbehaving_agent;
}

use libtest_mimic::{Arguments, Failed, Trial};
use proptest::prelude::{prop_assert, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use support::leftover_processes::{entries, processes};

/// One run of the harness on a misbehaving agent.
struct Run {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
    /// The processes and files that the run left behind.
    leftovers: Vec<String>,
}

/// What these tests do to a process, or look up about it, only Linux can do.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::misbehaving_agent::play(&arguments[2], &arguments[3..]));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/agent_misbehavior"))
        .expect("the folder of misbehaviors")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let trial = |file: PathBuf| {
        let name = file.file_stem().expect("a file name").to_string_lossy().into_owned();
        Trial::test(name.clone(), move || check(&name, &file).map_err(Failed::from))
    };
    let mut trials: Vec<Trial> = files.into_iter().map(trial).collect();
    trials.push(Trial::test("one-changed-byte-never-breaks-the-harness", || {
        check_changed_bytes().map_err(Failed::from)
    }));
    let mut arguments = Arguments::from_args();
    // Some misbehaviors use all processors or much memory, so they run one after the other.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the value of a keyword in the comments of a scenario: `# KEYWORD: value`.
fn keyword<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.strip_prefix(": "))
}

/// Runs a scenario on an agent with this misbehavior, in a temporary directory of its own.
fn run(misbehavior: &str, file: &Path, patience: &str) -> Run {
    let folder = tempfile::Builder::new().prefix("misbehaving").tempdir().expect("a folder");
    let agent = std::env::current_exe().expect("the path of this program");
    let manifest = format!(
        "name = \"misbehaving\"\ncommand = [{agent:?}, \"agent\", {misbehavior:?}]\n\
         profiles = [\"core\", \"tasks\"]\ncontrol = \"loop\"\n"
    );
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    fs::write(folder.path().join("adapter.toml"), manifest).expect("the manifest is written");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(root())
        .env("TMPDIR", &scratch)
        .env("NO_COLOR", "1")
        .args(["run", "--patience", patience, "--adapter"])
        .arg(folder.path())
        .arg("--record")
        .arg(folder.path().join("record"))
        .arg("--scenarios")
        .arg(file.parent().expect("the file is in a folder"))
        .arg(file)
        .output()
        .expect("the harness starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        exit: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        leftovers: [processes(&scratch), entries(&scratch)].concat(),
    }
}

/// Runs one misbehavior, and compares the verdict, the output, the exit code and what is left behind.
fn check(misbehavior: &str, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let expected = keyword(&text, "verdict").ok_or("the file has no `# verdict:`")?;
    let start = Instant::now();
    let run = run(misbehavior, file, keyword(&text, "patience").unwrap_or("2"));
    let seconds = start.elapsed().as_secs_f64();
    let first_word = run.stdout.split_whitespace().next().unwrap_or_default();
    let verdict = if run.stdout.contains("1 passed") { "PASS" } else { first_word };
    let leftovers = run.leftovers.len();
    let row = format!("{misbehavior:<42} {verdict:<9} {seconds:>5.2} s  leftovers: {leftovers}");
    writeln!(std::io::stdout(), "{row}").expect("stdout is open");
    let words = keyword(&text, "says").unwrap_or_default();
    if verdict != expected || !run.stdout.contains(words) {
        return Err(format!("expected {expected} and the words {words:?}:\n{}", run.stdout));
    }
    let code = match expected {
        "PASS" => 0,
        "ERROR" | "SLOW" => 3,
        _ => 1,
    };
    match run.exit == Some(code) && run.leftovers.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "exit {:?}, expected {code}; left behind: {:?}\n{}",
            run.exit, run.leftovers, run.stdout
        )),
    }
}

/// Whichever byte of a valid conversation is changed, removed or duplicated, there is a verdict, the harness does not
/// panic, and nothing is left behind.
fn check_changed_bytes() -> Result<(), String> {
    // Each case starts processes, so the default is lower than proptest's 256.
    let requested = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let (cases, failure_persistence) = (requested.unwrap_or(48), None);
    let config = Config { cases, failure_persistence, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let file = root().join("tests/agent_misbehavior/valid/valid.scenario");
    let changes = (0_usize..700, prop_oneof![0_usize..=257, (32_usize..127)]);
    let result = runner.run(&changes, |(offset, byte)| {
        let run = run(&format!("changes:{offset}:{byte}"), &file, "20");
        let has_verdict = matches!(run.exit, Some(0 | 1 | 3)) && run.stdout.contains("1 of 1 ran");
        let is_clean = run.leftovers.is_empty() && !run.stderr.contains("panicked");
        prop_assert!(
            has_verdict && is_clean,
            "exit {:?}, left behind {:?}\n{}{}",
            run.exit,
            run.leftovers,
            run.stdout,
            run.stderr
        );
        Ok(())
    });
    result.map_err(|error| error.to_string())
}
