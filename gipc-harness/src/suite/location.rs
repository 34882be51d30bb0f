//! Where the suite is: in the folders that were named, in those that a marker names, or inside the program.

use super::{MARKER, Suite};
use crate::error::Error;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that names the folders of a project.
const PROJECT_FILE: &str = "gipc-harness.toml";

/// The content of `gipc-harness.toml`. Paths are relative to its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProjectFile {
    /// The folder with scenarios of the project's own; the built-in suite if left out.
    scenarios: Option<PathBuf>,
    /// The folder with adapters, `adapters` if left out.
    adapters: Option<PathBuf>,
    /// The adapter that runs if none is named.
    adapter: Option<String>,
}

impl Suite {
    /// The folders that were named; else those of the nearest `gipc-harness.toml`, or of the nearest folder `scenarios`
    /// with the README of a suite, in the current folder or above it; else the scenarios inside the program, and the
    /// folder `adapters` in the current one.
    ///
    /// Fails if `gipc-harness.toml` cannot be read.
    pub fn find(scenarios: Option<PathBuf>, adapters: Option<PathBuf>) -> Result<Self, Error> {
        let here = std::env::current_dir().unwrap_or_default();
        let mut found = Self::nearest(&here)?;
        if let Some(folder) = scenarios {
            found.scenarios = Some(folder);
        }
        if let Some(folder) = adapters {
            found.adapters = folder;
        }
        Ok(found)
    }

    fn nearest(here: &Path) -> Result<Self, Error> {
        let short = |path: PathBuf| path.strip_prefix(here).map(Path::to_owned).unwrap_or(path);
        for folder in here.ancestors() {
            let file = folder.join(PROJECT_FILE);
            if file.is_file() {
                let project = ProjectFile::read(&file)?;
                return Ok(Self {
                    scenarios: project.scenarios.map(|path| short(folder.join(path))),
                    adapters: short(
                        folder.join(project.adapters.unwrap_or_else(|| "adapters".into())),
                    ),
                    default_adapter: project.adapter,
                    own_adapter: None,
                });
            }
            if is_suite(&folder.join("scenarios")) {
                return Ok(Self {
                    scenarios: Some(short(folder.join("scenarios"))),
                    adapters: short(folder.join("adapters")),
                    default_adapter: None,
                    own_adapter: None,
                });
            }
        }
        Ok(Self {
            scenarios: None,
            adapters: "adapters".into(),
            default_adapter: None,
            own_adapter: None,
        })
    }
}

impl ProjectFile {
    fn read(file: &Path) -> Result<Self, Error> {
        let shown = file.display();
        let text = fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("error: cannot read {shown}: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            Error::usage(format!(
                "error: {shown}: {}\n  it may set scenarios, adapters and adapter",
                error.to_string().trim_end()
            ))
        })
    }
}

/// Whether a folder says that it is a suite, by the first line of its README.
fn is_suite(folder: &Path) -> bool {
    fs::read_to_string(folder.join("README.md")).is_ok_and(|text| text.starts_with(MARKER))
}

#[cfg(test)]
mod tests {
    use super::Suite;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_folder_without_a_marker_is_not_taken_for_the_suite() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("scenarios/close")).expect("made");
        let suite = Suite::nearest(folder.path()).expect("found");
        assert_eq!(suite.scenarios, None);
    }

    #[test]
    fn the_project_file_names_the_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "scenarios = \"mine\"\nadapter = \"it\"\n";
        fs::write(folder.path().join("gipc-harness.toml"), text).expect("written");
        let below = folder.path().join("src");
        let suite = Suite::nearest(&below).expect("found");
        assert_eq!(suite.scenarios, Some(folder.path().join("mine")));
        assert_eq!(suite.adapters, folder.path().join("adapters"));
        assert_eq!(suite.default_adapter.as_deref(), Some("it"));
    }

    #[test]
    fn an_unknown_key_of_the_project_file_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("gipc-harness.toml"), "scenario = 1\n").expect("written");
        let error = Suite::nearest(folder.path()).expect_err("unknown").to_string();
        assert!(error.contains("gipc-harness.toml") && error.contains("scenario"), "{error}");
    }

    #[test]
    fn an_exported_suite_is_found_from_a_folder_below() {
        let folder = tempfile::tempdir().expect("a folder");
        super::super::export(&folder.path().join("scenarios")).expect("exported");
        let suite = Suite::nearest(&folder.path().join("a/b")).expect("found");
        assert_eq!(suite.scenarios, Some(folder.path().join("scenarios")));
        let named = suite.select(&["close/eof-after-close".into()]).expect("it is there");
        let embedded = Suite::nearest(Path::new("/")).expect("embedded");
        let inside = embedded.select(&["close/eof-after-close".into()]).expect("it is there");
        assert_eq!(named[0].text, inside[0].text);
        assert_eq!(named[0].id, inside[0].id);
    }
}
