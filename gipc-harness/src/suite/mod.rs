//! The suite: where its scenarios and adapters are, how they are found by name, and what is read of them.

pub mod accept_baseline;
mod adapters;
mod alternatives;
mod disagreement;
mod embedded;
mod header;
mod lints;
mod location;
mod notes;
mod project_file;
pub mod scaffold;
mod scenario_file;

pub use adapters::own_program;
pub use embedded::export;
pub use project_file::{Flags, ProjectFile};
pub use scenario_file::{Refusal, ScenarioFile};

use crate::adapter::Adapter;
use crate::error::Error;
use crate::program;
use crate::scenario::{VERBS, parse};
use crate::similar::closest;
use std::path::{Path, PathBuf};

/// The extension of scenario files.
const EXTENSION: &str = "scenario";
/// The first line of the README in the folder of a suite.
const MARKER: &str = "<!-- gipc-harness suite -->";
/// The folder that stands before the ids of built-in scenarios where a path is shown.
const BUILT_IN: &str = "scenarios";
/// How many similar names an error suggests.
const MAX_SUGGESTIONS: usize = 5;

/// Where scenarios and adapters come from.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The folder with the scenarios; `None` for those inside the program.
    pub scenarios: Option<PathBuf>,
    /// The folder with the adapters.
    pub adapters: PathBuf,
    /// The adapter that runs if the command line names no adapter. `None` stands for the embedded one.
    pub default_adapter: Option<String>,
    /// An adapter that is in no folder. It is found by its name.
    pub own_adapter: Option<Adapter>,
}

impl Suite {
    /// The scenario files with these ids, in these folders or at these paths, in the order of their ids; all files if
    /// nothing is named.
    pub fn select(&self, names: &[String]) -> Result<Vec<ScenarioFile>, Error> {
        let mut found = Vec::new();
        if names.is_empty() {
            self.all(&mut found)?;
        }
        for name in names {
            self.select_one(name, &mut found)?;
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.path == b.path);
        Ok(found)
    }

    /// Adds all scenarios.
    fn all(&self, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let Some(folder) = &self.scenarios else {
            found.extend(
                embedded::scenarios().map(|(path, text)| ScenarioFile::embedded(path, text)),
            );
            return Ok(());
        };
        self.walk(folder, found)?;
        match found.is_empty() {
            true => Err(Error::usage(format!(
                "error: no scenarios in {}; name a folder with --scenarios",
                folder.display()
            ))),
            false => Ok(()),
        }
    }

    fn select_one(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let outside = PathBuf::from(name);
        if let Some(profile) = name.strip_prefix("profile:") {
            return self.select_profile(profile, found);
        }
        if self.select_inside(name, found)? {
            return Ok(());
        }
        if outside.is_file() {
            found.push(ScenarioFile::read(&outside, self.scenarios.as_deref(), true)?);
            Ok(())
        } else if outside.is_dir() {
            self.walk(&outside, found)
        } else {
            Err(self.unknown(name))
        }
    }

    /// Adds the scenarios that need no other profile than this one and `core`.
    fn select_profile(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let mut existing: Vec<&str> = VERBS.iter().map(|(_, profile)| profile.word()).collect();
        existing.dedup();
        if !existing.contains(&name) {
            return Err(Error::usage(format!(
                "error: no profile is called {name}; there are {}",
                existing.join(", ")
            )));
        }
        let mut all = Vec::new();
        self.all(&mut all)?;
        found.extend(all.into_iter().filter(|file| {
            parse(&file.id, &file.text).is_ok_and(|scenario| {
                let mut profiles = scenario.steps.iter().map(|step| step.verb.profile().word());
                profiles.all(|word| word == name || word == "core")
            })
        }));
        Ok(())
    }

    /// Adds the scenarios of the suite that an id or a folder names. Returns whether there are any.
    fn select_inside(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<bool, Error> {
        let id = name.strip_suffix(".scenario").unwrap_or(name);
        if let Some(root) = &self.scenarios {
            let (file, folder) = (root.join(format!("{id}.{EXTENSION}")), root.join(name));
            if file.is_file() {
                found.push(ScenarioFile::read(&file, Some(root), true)?);
                return Ok(true);
            }
            let is_folder = folder.is_dir() && !name.is_empty();
            if is_folder {
                self.walk(&folder, found)?;
            }
            return Ok(is_folder);
        }
        let id = id.strip_prefix("scenarios/").unwrap_or(id);
        let folder = format!("{}/", id.trim_end_matches('/'));
        let before = found.len();
        for (path, text) in embedded::scenarios() {
            let is_named = path.strip_suffix(".scenario") == Some(id);
            if is_named || path.starts_with(&folder) {
                found.push(ScenarioFile { is_named, ..ScenarioFile::embedded(path, text) });
            }
        }
        Ok(found.len() > before)
    }

    fn unknown(&self, name: &str) -> Error {
        let mut all = Vec::new();
        let _ = self.all(&mut all);
        let ids: Vec<&str> = all.iter().map(|file| file.id.as_str()).collect();
        let mut similar: Vec<&str> = ids.iter().copied().filter(|id| id.contains(name)).collect();
        if similar.is_empty() {
            let last = |id: &'_ str| id.rsplit('/').next().map(str::to_owned);
            similar.extend(closest(name, ids.iter().copied()));
            if similar.is_empty() && !name.contains('/') {
                let names: Vec<String> = ids.iter().filter_map(|id| last(id)).collect();
                let meant = closest(name, names.iter().map(String::as_str));
                similar.extend(ids.iter().copied().filter(|id| last(id).as_deref() == meant));
            }
        }
        similar.sort_unstable();
        similar.truncate(MAX_SUGGESTIONS);
        let cure = match similar.is_empty() {
            true => format!("`{}` shows what there is", program::command("list")),
            false => format!("is it {}?", similar.join(" or ")),
        };
        Error::usage(format!("error: no scenario, folder or file is called {name}; {cure}"))
    }

    /// The scenario as the command line finds it: its id if the suite has this file, else its path.
    #[must_use]
    pub fn name_of(&self, id: &str, path: &Path) -> String {
        let folder = self.scenarios.as_deref().unwrap_or(Path::new(BUILT_IN));
        let inside = folder.join(format!("{id}.{EXTENSION}"));
        let is_inside = match (inside.canonicalize(), path.canonicalize()) {
            (Ok(inside), Ok(path)) => inside == path,
            _ => inside == path,
        };
        if is_inside { id.to_owned() } else { program::path(path) }
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
                found.push(ScenarioFile::read(&path, self.scenarios.as_deref(), false)?);
            }
        }
        Ok(())
    }
}

/// Whether a folder says that it is a suite, by the first line of its README.
fn is_suite(folder: &Path) -> bool {
    let readme = std::fs::read_to_string(folder.join("README.md"));
    readme.is_ok_and(|text| text.starts_with(MARKER))
}
