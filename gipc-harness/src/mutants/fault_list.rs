//! `faults.toml`: the deliberate faults of an adapter. Reading it does not run anything.

use crate::error::Error;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The name of the file in the folder of an adapter.
const FILE: &str = "faults.toml";

/// The faults of an adapter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultList {
    /// The variant of the adapter that contains the faults.
    pub variant: String,
    /// The faults.
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A deliberate fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The name, which is the value of `GIPC_FAULT`.
    pub name: String,
    /// What is wrong, as part of a sentence.
    pub about: String,
    /// The scenario that must catch it.
    pub scenario: String,
    /// Whether the scenario is heavy. Such a fault runs only if heavy ones are requested, and only on this scenario.
    #[serde(default)]
    pub heavy: bool,
    /// How often the scenario runs at most until it catches the fault. This can be more than once, since the effect of some
    /// faults depends on when a signal arrives or a process ends.
    #[serde(default = "default_runs")]
    pub runs: u32,
    /// Whether `explore` must find it too, and shrink the scenario it found.
    #[serde(default)]
    pub explored: bool,
    /// The real bug behind the fault, or the list or review that asked for it.
    pub from: String,
    /// Why the fault is equivalent: it changes nothing beyond what an implementation may do. Such a fault is not counted.
    #[serde(default)]
    pub equivalent: Option<String>,
}

fn default_runs() -> u32 {
    3
}

impl Fault {
    /// The theme of the scenario that must catch it.
    #[must_use]
    pub fn theme(&self) -> &str {
        self.scenario.split('/').next().unwrap_or_default()
    }
}

impl FaultList {
    /// Whether the folder of an adapter has a list.
    #[must_use]
    pub fn is_in(adapter: &Path) -> bool {
        adapter.join(FILE).is_file()
    }

    /// Reads the list in the folder of an adapter. Fails if it cannot be read, or if a name occurs twice.
    pub fn read(adapter: &Path) -> Result<Self, Error> {
        let path = adapter.join(FILE);
        let refused = |what: String| Error::usage(format!("error: {}: {what}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
        let mut list: Self = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let mut names = BTreeSet::new();
        if let Some(twice) = list.faults.iter().find(|fault| !names.insert(&fault.name)) {
            return Err(refused(format!("two faults are called {}", twice.name)));
        }
        list.path = path;
        Ok(list)
    }
}
