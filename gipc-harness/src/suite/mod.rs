//! The suite: where its scenarios and adapters are, how they are found by name, and what is read from them.

pub mod accept_baseline;
mod adapters;
mod alternatives;
mod asked;
mod disagreement;
mod embedded;
mod header;
mod lints;
mod location;
mod notes;
mod project_file;
mod reaped_elsewhere;
pub mod scaffold;
mod scenario_file;
mod selection;

pub use adapters::own_program;
pub use asked::{Unasked, unasked};
pub use embedded::export;
pub use project_file::{Flags, ProjectFile};
pub use scenario_file::{Refusal, ScenarioFile};

use crate::adapter::Adapter;
use crate::program;
use std::path::{Path, PathBuf};

/// The extension of scenario files.
const EXTENSION: &str = "scenario";
/// The first line of the README in the folder of a suite.
const MARKER: &str = "<!-- gipc-harness suite -->";
/// The folder that is shown before the ids of built-in scenarios in paths.
const BUILT_IN: &str = "scenarios";

/// Where scenarios and adapters come from.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The folder with the scenarios; `None` for the scenarios inside the program.
    pub scenarios: Option<PathBuf>,
    /// The folder with the adapters.
    pub adapters: PathBuf,
    /// The adapter that runs if the command line names no adapter. `None` stands for the embedded one.
    pub default_adapter: Option<String>,
    /// An adapter that is in no folder. It is found by its name.
    pub own_adapter: Option<Adapter>,
}

impl Suite {
    /// The name by which the command line finds the scenario: its id if the suite has this file, else its path.
    #[must_use]
    pub fn name_of(&self, id: &str, path: &Path) -> String {
        if self.contains(id, path) { id.to_owned() } else { program::path(path) }
    }

    /// A name of the scenario that does not depend on the current folder: its id if the suite has this file, else its
    /// absolute path.
    #[must_use]
    pub fn lasting_name_of(&self, id: &str, path: &Path) -> String {
        match (self.contains(id, path), path.canonicalize()) {
            (false, Ok(absolute)) => absolute.to_string_lossy().into_owned(),
            _ => id.to_owned(),
        }
    }

    /// Whether the file at this path is the scenario of the suite with this id.
    fn contains(&self, id: &str, path: &Path) -> bool {
        let name = format!("{id}.{EXTENSION}");
        let Some(folder) = &self.scenarios else {
            // The user may have a folder with the same name as the one shown before built-in ids.
            return embedded::scenarios().any(|(inside, _)| inside == name)
                && path == Path::new(BUILT_IN).join(&name);
        };
        let inside = folder.join(name);
        match (inside.canonicalize(), path.canonicalize()) {
            (Ok(inside), Ok(path)) => inside == path,
            _ => inside == path,
        }
    }
}

/// Whether a folder says that it is a suite, by the first line of its README.
fn is_suite(folder: &Path) -> bool {
    let readme = std::fs::read_to_string(folder.join("README.md"));
    readme.is_ok_and(|text| text.starts_with(MARKER))
}

#[cfg(test)]
mod tests {
    use super::Suite;
    use std::path::{Path, PathBuf};

    fn suite(scenarios: Option<PathBuf>) -> Suite {
        Suite { scenarios, adapters: "adapters".into(), default_adapter: None, own_adapter: None }
    }

    #[test]
    fn a_built_in_scenario_is_named_by_its_id() {
        let path = Path::new("scenarios/close/twice.scenario");
        assert_eq!(suite(None).name_of("close/twice", path), "close/twice");
        assert_eq!(suite(None).lasting_name_of("close/twice", path), "close/twice");
    }

    #[test]
    fn a_file_in_any_folder_called_scenarios_is_named_by_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("scenarios/n01.scenario");
        std::fs::create_dir(folder.path().join("scenarios")).expect("made");
        std::fs::write(&own, "main        pipe r w\n").expect("written");
        let other = suite(Some(folder.path().join("suite")));
        for suite in [suite(None), other] {
            assert_eq!(suite.name_of("n01", &own), own.display().to_string());
            assert_eq!(
                suite.name_of("n01", Path::new("scenarios/n01.scenario")),
                "scenarios/n01.scenario"
            );
        }
        let of_the_suite = suite(Some(folder.path().join("scenarios")));
        assert_eq!(of_the_suite.name_of("n01", &own), "n01");
    }
}
