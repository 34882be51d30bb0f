//! Implementations that lie: each lie has one verdict, and whatever it was nothing of it is left.
//!
//! A lie is a file of `tests/agent_misbehavior`: a scenario whose comments name the lie, the verdict and a part of what is said. The
//! agent is this very program. `cargo test --test misbehaving_agents` prints them with their times.

#![cfg(target_os = "linux")]

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

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::misbehaving_agent::play(&arguments[2], &arguments[3..]));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/agent_misbehavior"))
        .expect("the lies are there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let trial = |file: PathBuf| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        Trial::test(name.clone(), move || tell(&name, &file).map_err(Failed::from))
    };
    let mut trials: Vec<Trial> = files.into_iter().map(trial).collect();
    trials.push(Trial::test("one-byte-changed", || one_byte_changed().map_err(Failed::from)));
    let mut arguments = Arguments::from_args();
    // Some of them fill the machine: one after the other.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a comment of the file says behind this word.
fn said<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(word)?.strip_prefix(": "))
}

/// Runs a scenario on an agent that tells this lie. Returns the exit code, stdout, stderr, and what is left.
fn run(name: &str, file: &Path, patience: &str) -> (Option<i32>, String, String, Vec<String>) {
    let folder = tempfile::Builder::new().prefix("liar").tempdir().expect("a folder");
    let own = std::env::current_exe().expect("this program");
    let manifest = format!(
        "name = \"liar\"\ncommand = [{own:?}, \"agent\", {name:?}]\nprofiles = [\"core\"]\ncontrol = \"loop\"\n"
    );
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    fs::write(folder.path().join("adapter.toml"), manifest).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(root())
        .env("TMPDIR", &scratch)
        .env("NO_COLOR", "1")
        .args(["run", "--patience", patience, "--adapter"])
        .arg(folder.path())
        .arg("--record")
        .arg(folder.path().join("record"))
        .arg(file)
        .output()
        .expect("it is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let left = [processes(&scratch), entries(&scratch)].concat();
    (output.status.code(), text(&output.stdout), text(&output.stderr), left)
}

/// Lets it lie, and looks at the verdict, at what is said, and at what is left.
fn tell(name: &str, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let verdict = said(&text, "verdict").ok_or("no verdict is named")?;
    let began = Instant::now();
    let (exit, shown, _, left) = run(name, file, said(&text, "patience").unwrap_or("2"));
    let seconds = began.elapsed().as_secs_f64();
    let got = shown.split_whitespace().next().unwrap_or_default();
    let got = if shown.contains("1 passed") { "PASS" } else { got };
    let row = format!("{name:<40} {got:<9} {seconds:>5.2} s  left: {}", left.len());
    writeln!(std::io::stdout(), "{row}").expect("a terminal");
    let about = said(&text, "says").unwrap_or_default();
    if got != verdict || !shown.contains(about) {
        return Err(format!("it should be {verdict} and say {about:?}:\n{shown}"));
    }
    let code = match verdict {
        "PASS" => 0,
        "ERROR" => 3,
        _ => 1,
    };
    match exit == Some(code) && left.is_empty() {
        true => Ok(()),
        false => Err(format!("exit {exit:?}, and not {code}; left behind: {left:?}\n{shown}")),
    }
}

/// Whatever byte of a good conversation is another, missing or there twice: there is a verdict, and nothing is left.
fn one_byte_changed() -> Result<(), String> {
    // As many as are asked for, but not proptest's 256: each starts processes.
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let (cases, failure_persistence) = (asked.unwrap_or(48), None);
    let config = Config { cases, failure_persistence, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let file = root().join("tests/agent_misbehavior/valid/good.scenario");
    let cases = (0_usize..700, prop_oneof![0_usize..=257, (32_usize..127)]);
    let ran = runner.run(&cases, |(place, byte)| {
        let (exit, shown, broke, left) = run(&format!("changes:{place}:{byte}"), &file, "20");
        let is_verdict = matches!(exit, Some(0 | 1 | 3)) && shown.contains("1 of 1 ran");
        let is_well = is_verdict && left.is_empty() && !broke.contains("panicked");
        prop_assert!(is_well, "exit {exit:?}, left {left:?}\n{shown}{broke}");
        Ok(())
    });
    ran.map_err(|error| error.to_string())
}
