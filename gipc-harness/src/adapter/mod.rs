//! An implementation as the harness meets it: a manifest, a command, and the failures that are known.
//!
//! Does not know what is right or wrong, nor how a run is conducted.

pub mod connection;
pub mod order;
pub mod protocol;

use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The adapter that is in the binary.
pub const EMBEDDED: &str = "gipc-core";
/// What performs nothing and predicts.
pub const MODEL: &str = "model";

/// One implementation, ready to be asked.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What is read from `adapter.toml`.
    pub manifest: Manifest,
    /// The folder of the manifest.
    pub here: PathBuf,
    /// The program and its arguments; the role is added behind them.
    pub command: Vec<String>,
}

/// `adapter.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The name that `--adapter` takes: that of its folder.
    pub name: String,
    /// The language it is written in.
    #[serde(default)]
    pub language: String,
    /// A line about it.
    #[serde(default)]
    pub about: String,
    /// The program and its arguments. `{here}` is the folder of the manifest.
    #[serde(default)]
    pub command: Vec<String>,
    /// Files that must be there before it can run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What it can do.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Whether its control channel is served by the library's own loop.
    #[serde(default)]
    pub control: Option<protocol::Control>,
    /// The commands that make its environment.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Where the specification leaves a choice, which one it made.
    #[serde(default)]
    pub choices: Chosen,
    /// The scenarios it is known to fail.
    #[serde(default)]
    pub known: KnownFailures,
}

/// The choices that a manifest declares; those left out are the suite's own.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Chosen {
    /// Whether a spawned child ever held what it was not given.
    pub spawn: Option<Spawn>,
    /// What becomes of a put that is cancelled in its middle.
    pub after_cancel: Option<AfterCancel>,
    /// When a time limit of a get has begun to receive a message.
    pub late_get: Option<LateGet>,
    /// The longest message, in bytes.
    pub max_message: Option<u64>,
}

/// How handles reach a child.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Spawn {
    /// It holds what it was given, and nothing else at any time.
    Atomic,
    /// It begins as a copy of its parent, and closes what it was not given.
    Forked,
}

/// What follows half a message.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCancel {
    /// Its other half.
    Complete,
    /// Nothing: the handle is of no use any more.
    Poison,
}

/// What a time limit does to a get that has half a message.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LateGet {
    /// It waits for the rest, whatever the limit says.
    Waits,
    /// It gives up, and the next get goes on where it was.
    Resumes,
}

/// The failures that a manifest lists.
pub type KnownFailures = Vec<Known>;

/// One known failure. The fingerprint is the first wrong step, its outcome and the verdict.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Known {
    /// The scenario's id.
    pub scenario: String,
    /// The first wrong step, as written: `get r`.
    pub step: String,
    /// What it comes to: `eof`, `blocks`, `never`, …
    pub outcome: String,
    /// `FAIL`, `DEADLOCK` or `HANG`.
    pub verdict: String,
    /// Why it fails, and where that is written or seen.
    pub reason: String,
    /// It passes now and then; the reason says why.
    #[serde(default)]
    pub sometimes: bool,
}

/// Why an adapter cannot be used.
#[derive(Debug)]
pub enum AdapterError {
    /// The manifest is not there, or says what cannot be.
    Bad(String),
    /// What it needs is not on this machine.
    Absent(String),
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Bad(text) | Self::Absent(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for AdapterError {}

impl Adapter {
    /// Finds an adapter by its name below `adapters`, or by the path of its folder or manifest.
    ///
    /// `exe` is the harness itself, which carries the embedded one.
    pub fn load(which: &str, adapters: &Path, exe: &Path) -> Result<Self, AdapterError> {
        if which == EMBEDDED {
            let manifest = parse(include_str!("../../adapters/gipc-core/adapter.toml"), EMBEDDED)?;
            let command = vec![exe.to_string_lossy().into_owned(), "agent".to_owned()];
            return Ok(Self { manifest, here: adapters.join(EMBEDDED), command });
        }
        let path = Path::new(which);
        let file = if path.is_file() {
            path.to_owned()
        } else if path.is_dir() {
            path.join("adapter.toml")
        } else {
            adapters.join(which).join("adapter.toml")
        };
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            AdapterError::Bad(format!(
                "cannot read adapter {which}: {shown}: {error}; adapters here are {}",
                names(adapters).join(", ")
            ))
        })?;
        let manifest = parse(&text, &shown)?;
        let here = file.parent().unwrap_or(Path::new(".")).to_owned();
        let here = here.canonicalize().unwrap_or(here);
        let fill = |word: &String| word.replace("{here}", &here.to_string_lossy());
        let command: Vec<String> = manifest.command.iter().map(fill).collect();
        if command.is_empty() {
            return Err(AdapterError::Bad(format!(
                "{shown}: `command` is missing: the program to start"
            )));
        }
        Ok(Self { manifest, here, command })
    }

    /// Whether what it needs is there; if not, what to type.
    pub fn ready(&self) -> Result<(), AdapterError> {
        for need in &self.manifest.needs {
            let need = need.replace("{here}", &self.here.to_string_lossy());
            if !Path::new(&need).exists() {
                let name = &self.manifest.name;
                return Err(AdapterError::Absent(format!(
                    "{name} is not set up: {need} is missing; run `cargo harness adapter setup {name}`"
                )));
            }
        }
        Ok(())
    }

    /// The commands of `adapter setup`, ready to be run one after the other.
    pub fn setup(&self) -> Vec<Vec<String>> {
        let here = self.here.to_string_lossy();
        let fill = |word: &String| word.replace("{here}", &here);
        self.manifest.setup.iter().map(|command| command.iter().map(fill).collect()).collect()
    }
}

/// The names of all adapters that can be asked for.
pub fn names(adapters: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(adapters)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("adapter.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.push(EMBEDDED.to_owned());
    names.push(MODEL.to_owned());
    names.sort();
    names.dedup();
    names
}

fn parse(text: &str, shown: &str) -> Result<Manifest, AdapterError> {
    let manifest: Manifest = toml::from_str(text)
        .map_err(|error| AdapterError::Bad(format!("{shown}: {}", error.to_string().trim_end())))?;
    for known in &manifest.known {
        if known.reason.trim().is_empty() {
            let scenario = &known.scenario;
            return Err(AdapterError::Bad(format!(
                "{shown}: the known failure of {scenario} has no reason: say why it fails, and where that is seen"
            )));
        }
    }
    Ok(manifest)
}
