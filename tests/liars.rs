//! Implementations that lie: each lie has one verdict, and whatever it was nothing of it is left.
//!
//! A lie is a file of `tests/lies`: a scenario whose comments name the lie, the verdict and a part of what is said. The
//! agent is this very program. `cargo test --test liars` prints them with their times.

#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod left;
    pub(crate) mod liar;
}

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use support::left::{entries, processes};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::liar::play(&arguments[2], &arguments[3..]));
    }
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/lies"))
        .expect("the lies are there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let trial = |file: PathBuf| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        Trial::test(name.clone(), move || tell(&name, &file).map_err(Failed::from))
    };
    let mut arguments = Arguments::from_args();
    // Some of them fill the machine: one after the other.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, files.into_iter().map(trial).collect()).exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a comment of the file says behind this word.
fn said<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(word)?.strip_prefix(": "))
}

/// Lets it lie, and looks at the verdict, at what is said, and at what is left.
fn tell(name: &str, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let verdict = said(&text, "verdict").ok_or("no verdict is named")?;
    let folder = tempfile::Builder::new().prefix("liar").tempdir().expect("a folder");
    let own = std::env::current_exe().expect("this program");
    let manifest = format!(
        "name = \"liar\"\ncommand = [{own:?}, \"agent\", {name:?}]\nprofiles = [\"core\"]\ncontrol = \"loop\"\n"
    );
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    fs::write(folder.path().join("adapter.toml"), manifest).expect("a file");
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(root())
        .env("TMPDIR", &scratch)
        .env("NO_COLOR", "1")
        .args(["run", "--patience", said(&text, "patience").unwrap_or("2"), "--adapter"])
        .arg(folder.path())
        .arg("--record")
        .arg(folder.path().join("record"))
        .arg(file)
        .output()
        .expect("it is built");
    let seconds = began.elapsed().as_secs_f64();
    let left = (processes(&scratch).len(), entries(&scratch).len());
    let shown = String::from_utf8_lossy(&output.stdout);
    let got = shown.split_whitespace().next().unwrap_or_default();
    let got = if shown.contains("1 passed") { "PASS" } else { got };
    let row = format!(
        "{name:<40} {got:<9} {seconds:>5.2} s  left: {} processes, {} files",
        left.0, left.1
    );
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
    if output.status.code() != Some(code) {
        return Err(format!("exit {:?}, and not {code}:\n{shown}", output.status.code()));
    }
    match left {
        (0, 0) => Ok(()),
        _ => Err(format!("left behind: {:?} {:?}", processes(&scratch), entries(&scratch))),
    }
}
