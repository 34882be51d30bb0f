//! Implementations that are wrong in one way: the posix adapter with a text of its source changed. `explore` must find
//! each of them, and make the scenario that shows it small; or the scenario that is named must fail.
//!
//! Takes some minutes, so that `cargo test` does not run it: `cargo test --release --test mutants`, with names of mutants
//! behind `--` if only some are meant. It prints a line a mutant, and fails if one is not found or not made small.

use serde::Deserialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// So long `explore` may look, in seconds.
const LIMIT: &str = "300";
/// So many lines the scenario may have.
const LINES: usize = 10;

#[derive(Deserialize)]
struct Mutants {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    name: String,
    about: String,
    /// The scenario that must fail; if none is named, `explore` must find one.
    asked: Option<String>,
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
    let text = fs::read_to_string(root.join("tests/mutants.toml")).expect("the list of mutants");
    let all: Mutants = toml::from_str(&text).expect("a list of mutants");
    let named: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut missed = 0;
    for mutant in
        all.mutant.iter().filter(|mutant| named.is_empty() || named.contains(&mutant.name))
    {
        let told = match mutant.find(&root) {
            Ok((seconds, 0)) => format!("{seconds:>4.0} s  as asked  "),
            Ok((seconds, lines)) if lines <= LINES => {
                format!("{seconds:>4.0} s  {lines:>2} lines  ")
            }
            Ok((seconds, lines)) => {
                missed += 1;
                format!("{seconds:>4.0} s  {lines:>2} lines: TOO LONG  ")
            }
            Err(why) => {
                missed += 1;
                format!("{why}  ")
            }
        };
        let line = format!("{:<28} {told}{}\n", mutant.name, mutant.about);
        std::io::stdout().write_all(line.as_bytes()).expect("somebody reads this");
    }
    ExitCode::from(u8::from(missed > 0))
}

impl Mutant {
    /// Makes it, and looks for it: how many seconds that took, and how many lines show it; 0 if it was asked for.
    fn find(&self, root: &Path) -> Result<(f64, usize), String> {
        let here = self.make(root)?;
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gipc-harness"));
        command.current_dir(root);
        match &self.asked {
            Some(scenario) => command.args(["run", scenario, "--adapter"]).arg(&here),
            None => command
                .args(["explore", "--seed", "1", "--for", LIMIT, "--out"])
                .arg(here.join("found"))
                .arg("--adapter")
                .arg(&here),
        };
        let harness = command.output().map_err(|error| error.to_string())?;
        let seconds = began.elapsed().as_secs_f64();
        match harness.status.code() {
            Some(1) if self.asked.is_some() => return Ok((seconds, 0)),
            Some(1) => {}
            Some(0) => return Err("NOT FOUND".into()),
            _ => return Err(String::from_utf8_lossy(&harness.stderr).into_owned()),
        }
        let found = fs::read_dir(here.join("found")).map_err(|error| error.to_string())?;
        let lines = found.flatten().map(|file| {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
        });
        Ok((seconds, lines.min().unwrap_or(0)))
    }

    /// Copies the adapter, changes it and builds it.
    fn make(&self, root: &Path) -> Result<PathBuf, String> {
        let all = root.join("target/mutants");
        let (from, here) = (root.join("adapters/posix"), all.join(&self.name));
        let made = || -> std::io::Result<()> {
            if here.exists() {
                fs::remove_dir_all(&here)?;
            }
            fs::create_dir_all(here.join("src"))?;
            for file in ["Cargo.toml", "Cargo.lock"] {
                fs::copy(from.join(file), here.join(file))?;
            }
            for file in fs::read_dir(from.join("src"))?.flatten() {
                fs::copy(file.path(), here.join("src").join(file.file_name()))?;
            }
            let mut source = fs::read_to_string(here.join(&self.file))?;
            source = source.replacen(&self.old, &self.new, 1);
            if let Some(also) = &self.also {
                source = source.replacen(&also.old, &also.new, 1);
            }
            fs::write(here.join(&self.file), source)?;
            let manifest = fs::read_to_string(from.join("adapter.toml"))?;
            let program = "{here}/target/release/posix";
            fs::write(here.join("adapter.toml"), manifest.replace(program, "{here}/posix"))
        };
        made().map_err(|error| format!("{}: {error}", here.display()))?;
        let target = all.join("target");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(here.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()
            .map_err(|error| error.to_string())?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned());
        }
        fs::copy(target.join("release/posix"), here.join("posix"))
            .map_err(|error| error.to_string())?;
        Ok(here)
    }
}
