//! Who takes part: programs that keep the contract of `bench`, and where they are.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    command: Vec<PathBuf>,
    /// What it does for the row where messages are put together, if it can.
    batched: Option<&'static str>,
}

/// Who is not here, and what would change that.
pub(crate) type Absent = (&'static str, String);

/// Builds those in Rust and looks for the others. The first is the measure.
pub(crate) fn find() -> io::Result<(Vec<Contender>, Vec<Absent>)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--bins", "--locked", "--manifest-path"])
        .arg(manifest.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.parent().unwrap_or(folder))
        .status()?;
    if !built.success() {
        return Err(io::Error::other("the contenders cannot be built; see above"));
    }
    let rust = |name, file, batched| Contender { name, command: vec![folder.join(file)], batched };
    let mut contenders = vec![
        rust("raw pipe", "raw", Some("oneway")),
        rust("raw pipe, batching", "raw", Some("batched")),
        rust("gipc-core", "gipc-core", Some("batched")),
        rust("naive tokio", "naive", None),
        rust("ipc-channel", "ipc_channel", None),
    ];
    let mut absent = Vec::new();
    let script = manifest.join("python/contender.py");
    let venv = manifest.join("../../adapters/gipc-python/.venv/bin/python");
    for (name, library, python, cure) in [
        ("gipc 1.8", "gipc", venv, "`cargo harness adapter setup gipc-python` installs it"),
        ("multiprocessing", "multiprocessing", "python3".into(), "there is no Python 3"),
    ] {
        let import = format!("import {library}");
        let probe = Command::new(&python).args(["-c", &import]).stderr(Stdio::null()).status();
        if probe.is_ok_and(|status| status.success()) {
            let command = vec![python, script.clone(), library.into()];
            contenders.push(Contender { name, command, batched: None });
        } else {
            absent.push((name, cure.to_owned()));
        }
    }
    Ok((contenders, absent))
}

impl Contender {
    /// What it is asked for this row, if it is asked at all.
    pub(crate) fn workload<'w>(&self, row: &'w str) -> Option<&'w str> {
        match (row, self.name) {
            ("batched", _) => {
                self.batched.map(|batched| if batched == "oneway" { "oneway" } else { row })
            }
            (_, "raw pipe, batching") => None,
            _ => Some(row),
        }
    }

    /// Runs it once, and reads its line.
    pub(crate) fn run(
        &self,
        workload: &str,
        size: usize,
        count: usize,
    ) -> io::Result<serde_json::Value> {
        let output = Command::new(&self.command[0])
            .args(&self.command[1..])
            .args([workload, &size.to_string(), &count.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{} {workload}: {}", self.name, output.status)));
        }
        serde_json::from_slice(&output.stdout).map_err(io::Error::other)
    }
}
