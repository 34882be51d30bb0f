//! Who takes part: programs that keep the contract of `bench`, and where they are.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    command: Vec<PathBuf>,
    /// The workloads that it runs.
    workloads: &'static [&'static str],
    /// The smallest message that it is asked to send.
    from_size: usize,
}

const COMMON: &[&str] = &["oneway", "fresh", "pingpong", "spawnseq", "alive"];
const REUSING: &[&str] = &["oneway", "fresh", "reused", "pingpong", "spawnseq", "alive"];
const BATCHING: &[&str] =
    &["oneway", "fresh", "reused", "batched", "pingpong", "spawnseq", "alive"];
const SHARING: &[&str] = &["oneway", "fresh"];

/// The size of message from which the contenders with shared memory take part.
const SHARED_FROM: usize = 64 << 10;

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
    let rust = |name, file, workloads| Contender {
        name,
        command: vec![folder.join(file)],
        workloads,
        from_size: 0,
    };
    let mut contenders = vec![
        rust("raw pipe", "raw", BATCHING),
        rust("gipc-core", "gipc-core", BATCHING),
        rust("naive tokio", "naive", REUSING),
        rust("ipc-channel", "ipc_channel", COMMON),
    ];
    contenders.push(Contender {
        name: "ipc-channel, shared memory",
        command: vec![folder.join("ipc_channel"), "shared".into()],
        workloads: SHARING,
        from_size: SHARED_FROM,
    });
    let mut absent = Vec::new();
    let script = manifest.join("python/contender.py");
    let venv = manifest.join("../../adapters/gipc-python/.venv/bin/python");
    let python = || PathBuf::from("python3");
    for (name, library, python, cure, workloads, from_size) in [
        (
            "gipc 1.8",
            "gipc",
            venv,
            "`cargo harness adapter setup gipc-python` installs it",
            COMMON,
            0,
        ),
        ("multiprocessing", "multiprocessing", python(), "there is no Python 3", REUSING, 0),
        (
            "its shared_memory",
            "shared_memory",
            python(),
            "there is no Python 3",
            SHARING,
            SHARED_FROM,
        ),
    ] {
        let package = if library == "gipc" { "gipc" } else { "multiprocessing" };
        let import = format!("import {package}");
        let probe = Command::new(&python).args(["-c", &import]).stderr(Stdio::null()).status();
        if probe.is_ok_and(|status| status.success()) {
            let command = vec![python, script.clone(), library.into()];
            contenders.push(Contender { name, command, workloads, from_size });
        } else {
            absent.push((name, cure.to_owned()));
        }
    }
    Ok((contenders, absent))
}

impl Contender {
    /// Whether it is asked for messages of this size under this workload.
    pub(crate) fn runs(&self, workload: &str, size: usize) -> bool {
        let moves_messages = matches!(workload, "oneway" | "fresh");
        self.workloads.contains(&workload) && (!moves_messages || size >= self.from_size)
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
