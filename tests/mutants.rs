//! Mutation tests of the harness: each mutant is the posix adapter with one change in its source. `explore` must find a
//! failing scenario for each of them and shrink it, or, if the mutant names scenarios, each of these must fail.
//!
//! The tests take some minutes, so a plain `cargo test` skips them. Run `cargo test --release --test mutants`, with the
//! names of mutants after `--` to run only these. It prints one line for each mutant, and fails if a mutant is not found
//! or its scenario is too long.

use serde::Deserialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// How long `explore` may search for one mutant, in seconds.
const SEARCH_LIMIT: &str = "300";
/// How many lines the shrunk scenario may have.
const MAX_LINES: usize = 10;

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    name: String,
    about: String,
    /// The scenarios that must fail, each of them; without any, `explore` must find a scenario.
    #[serde(default)]
    asked: Vec<String>,
    file: String,
    old: String,
    new: String,
    also: Option<Change>,
}

#[derive(Deserialize)]
struct Change {
    old: String,
    new: String,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("tests/mutants.toml"))
        .expect("tests/mutants.toml can be read");
    let all: Mutants = toml::from_str(&text).expect("the file has the expected format");
    let named: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut missed = 0;
    for mutant in
        all.mutant.iter().filter(|mutant| named.is_empty() || named.contains(&mutant.name))
    {
        let result = match mutant.find(&root) {
            Ok((seconds, 0)) => format!("{seconds:>4.0} s  scenario failed  "),
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
        let line = format!("{:<28} {result}{}\n", mutant.name, mutant.about);
        std::io::stdout().write_all(line.as_bytes()).expect("stdout is open");
    }
    ExitCode::from(u8::from(missed > 0))
}

impl Mutant {
    /// Builds the mutant and searches for a failing scenario. Returns the seconds of the search and the number of lines of
    /// the scenario found, or 0 lines if the scenarios that the mutant names have failed.
    fn find(&self, root: &Path) -> Result<(f64, usize), String> {
        let folder = self.build(root)?;
        let start = Instant::now();
        let harness = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
            command.env("GIPC_HARNESS_CACHE", "");
            command.current_dir(root).args(arguments).arg("--adapter").arg(&folder);
            command.output().map_err(|error| error.to_string())
        };
        for scenario in &self.asked {
            let run = harness(&["run", scenario])?;
            match run.status.code() {
                Some(1) => {}
                Some(0) => return Err(format!("NOT FOUND by {scenario}")),
                _ => return Err(String::from_utf8_lossy(&run.stderr).into_owned()),
            }
        }
        if !self.asked.is_empty() {
            return Ok((start.elapsed().as_secs_f64(), 0));
        }
        let out = folder.join("found");
        let out = out.to_str().ok_or("the path of the workspace is not UTF-8")?;
        let search = harness(&["explore", "--seed", "1", "--for", SEARCH_LIMIT, "--out", out])?;
        let seconds = start.elapsed().as_secs_f64();
        match search.status.code() {
            Some(1) => {}
            Some(0) => return Err("NOT FOUND".into()),
            _ => return Err(String::from_utf8_lossy(&search.stderr).into_owned()),
        }
        let found = fs::read_dir(folder.join("found")).map_err(|error| error.to_string())?;
        let lines = found.flatten().map(|file| {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
        });
        Ok((seconds, lines.min().unwrap_or(0)))
    }

    /// Copies the adapter, changes its source and builds it. Returns the folder of the changed adapter.
    fn build(&self, root: &Path) -> Result<PathBuf, String> {
        let all = root.join("target/mutants");
        let (from, folder) = (root.join("adapters/posix"), all.join(&self.name));
        let copy = || -> std::io::Result<()> {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(folder.join("src"))?;
            for file in ["Cargo.toml", "Cargo.lock"] {
                fs::copy(from.join(file), folder.join(file))?;
            }
            for file in fs::read_dir(from.join("src"))?.flatten() {
                fs::copy(file.path(), folder.join("src").join(file.file_name()))?;
            }
            let mut source = fs::read_to_string(folder.join(&self.file))?;
            source = source.replacen(&self.old, &self.new, 1);
            if let Some(also) = &self.also {
                source = source.replacen(&also.old, &also.new, 1);
            }
            fs::write(folder.join(&self.file), source)?;
            let manifest = fs::read_to_string(from.join("adapter.toml"))?;
            let program = "{here}/target/release/posix";
            fs::write(folder.join("adapter.toml"), manifest.replace(program, "{here}/posix"))
        };
        copy().map_err(|error| format!("{}: {error}", folder.display()))?;
        let target = all.join("target");
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        fs::copy(target.join("release/posix"), folder.join("posix"))
            .map_err(|error| error.to_string())?;
        Ok(folder)
    }
}
