//! The suite: where its scenarios and adapters are, how they are found by name, and what is read of them.

pub mod accept_baseline;
mod adapters;
mod alternatives;
mod notes;
pub mod scaffold;
mod scenario_file;

pub use adapters::own_program;
pub use scenario_file::ScenarioFile;

use crate::error::Error;
use std::path::{Path, PathBuf};

/// The extension of scenario files.
const EXTENSION: &str = "scenario";
/// How many similar names an error suggests.
const MAX_SUGGESTIONS: usize = 5;

/// The folders with scenarios and adapters.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The folder with the scenarios.
    pub scenarios: PathBuf,
    /// The folder with the adapters.
    pub adapters: PathBuf,
}

impl Suite {
    /// The folders that were named; else the nearest ones in the current folder or above it; else those that this program
    /// was built beside.
    #[must_use]
    pub fn find(scenarios: Option<PathBuf>, adapters: Option<PathBuf>) -> Self {
        let nearest = |name: &str| {
            let here = std::env::current_dir().unwrap_or_default();
            let above =
                here.ancestors().map(|folder| folder.join(name)).find(|folder| folder.is_dir());
            let short = above
                .map(|folder| folder.strip_prefix(&here).map(Path::to_owned).unwrap_or(folder));
            short.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name))
        };
        Self {
            scenarios: scenarios.unwrap_or_else(|| nearest("scenarios")),
            adapters: adapters.unwrap_or_else(|| nearest("adapters")),
        }
    }

    /// The scenario files with these ids, in these folders or at these paths, in the order of their ids; all files if
    /// nothing is named.
    pub fn select(&self, names: &[String]) -> Result<Vec<ScenarioFile>, Error> {
        let mut found = Vec::new();
        if names.is_empty() {
            self.walk(&self.scenarios, &mut found)?;
            if found.is_empty() {
                return Err(Error::usage(format!(
                    "error: no scenarios in {}; name a folder with --scenarios",
                    self.scenarios.display()
                )));
            }
        }
        for name in names {
            self.select_one(name, &mut found)?;
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.path == b.path);
        Ok(found)
    }

    fn select_one(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let id = name.strip_suffix(".scenario").unwrap_or(name);
        let inside = self.scenarios.join(format!("{id}.{EXTENSION}"));
        let folder = self.scenarios.join(name);
        let outside = PathBuf::from(name);
        if inside.is_file() {
            found.push(ScenarioFile::read(&inside, &self.scenarios, true)?);
        } else if folder.is_dir() && !name.is_empty() {
            self.walk(&folder, found)?;
        } else if outside.is_file() {
            found.push(ScenarioFile::read(&outside, &self.scenarios, true)?);
        } else if outside.is_dir() {
            self.walk(&outside, found)?;
        } else {
            return Err(self.unknown(name));
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> Error {
        let mut all = Vec::new();
        let _ = self.walk(&self.scenarios, &mut all);
        let mut similar: Vec<&str> =
            all.iter().map(|file| file.id.as_str()).filter(|id| id.contains(name)).collect();
        similar.sort_unstable();
        similar.truncate(MAX_SUGGESTIONS);
        let cure = match similar.is_empty() {
            true => "`cargo harness list` shows what there is".to_owned(),
            false => format!("is it {}?", similar.join(" or ")),
        };
        Error::usage(format!("error: no scenario, folder or file is called {name}; {cure}"))
    }

    fn walk(&self, folder: &Path, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let unreadable = |error: std::io::Error| {
            Error::usage(format!("error: cannot read {}: {error}", folder.display()))
        };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                self.walk(&path, found)?;
            } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
                found.push(ScenarioFile::read(&path, &self.scenarios, false)?);
            }
        }
        Ok(())
    }
}
