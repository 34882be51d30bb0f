//! Finds the suite: in the folders that were named, in the folders that a marker names, or inside the program.

use super::{ProjectFile, Suite, is_suite};
use crate::error::Error;
use std::path::{Path, PathBuf};

impl Suite {
    /// Finds the suite in the named folders. If none are named, uses those of the nearest `gipc-harness.toml`, or of the
    /// nearest folder `scenarios` with the README of a suite, in the current folder or above it. Otherwise uses the
    /// scenarios inside the program, and the folder `adapters` in the current folder.
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
        if let Some(project) = ProjectFile::nearest(here)? {
            let folder = project.path.parent().unwrap_or(here);
            return Ok(Self {
                scenarios: project.scenarios.map(|path| short(folder.join(path))),
                adapters: short(folder.join(project.adapters.unwrap_or_else(|| "adapters".into()))),
                default_adapter: project.adapter,
                own_adapter: None,
            });
        }
        if let Some(folder) = here.ancestors().find(|folder| is_suite(&folder.join("scenarios"))) {
            return Ok(Self {
                scenarios: Some(short(folder.join("scenarios"))),
                adapters: short(folder.join("adapters")),
                default_adapter: None,
                own_adapter: None,
            });
        }
        Ok(Self {
            scenarios: None,
            adapters: "adapters".into(),
            default_adapter: None,
            own_adapter: None,
        })
    }
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
