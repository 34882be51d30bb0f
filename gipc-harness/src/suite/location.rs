//! Finds the suite: in the folders that were named, in the folders that a marker names, or inside the program.

use super::{ProjectFile, Suite, is_suite};
use crate::error::Error;
use std::path::{Path, PathBuf};

impl Suite {
    /// Finds the suite in the named folders. If none are named, uses those of the nearest `gipc-harness.toml`, or of the
    /// nearest folder `scenarios` with the README of a suite, in the current folder or above it. Otherwise uses the
    /// scenarios inside the program, and the folder `adapters` in the current folder.
    ///
    /// Fails if `gipc-harness.toml` cannot be read, or if a folder that is named does not exist.
    pub fn find(scenarios: Option<PathBuf>, adapters: Option<PathBuf>) -> Result<Self, Error> {
        let here = std::env::current_dir().unwrap_or_default();
        check_named_folders(&here, scenarios.as_deref(), adapters.as_deref())?;
        Self::find_or_planned(scenarios, adapters)
    }

    /// Finds the suite in the same way for a command that makes its folders, which may not exist yet.
    pub(crate) fn find_or_planned(
        scenarios: Option<PathBuf>,
        adapters: Option<PathBuf>,
    ) -> Result<Self, Error> {
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

/// Refuses a folder that the command line or the nearest `gipc-harness.toml` names and that cannot be read.
fn check_named_folders(
    here: &Path,
    scenarios: Option<&Path>,
    adapters: Option<&Path>,
) -> Result<(), Error> {
    let project = ProjectFile::nearest(here)?;
    for (key, flag) in [("scenarios", scenarios), ("adapters", adapters)] {
        let in_file = project.as_ref().and_then(|project| {
            let path = if key == "adapters" { &project.adapters } else { &project.scenarios };
            Some((project.path.as_path(), path.as_deref()?))
        });
        let (folder, named) = match (flag, in_file) {
            (Some(folder), _) => (folder.to_owned(), format!("--{key} {}", folder.display())),
            (None, Some((file, path))) => (
                file.parent().unwrap_or(here).join(path),
                format!("{}: {key} = {path:?}", file.display()),
            ),
            (None, None) => continue,
        };
        if let Err(error) = std::fs::read_dir(&folder) {
            return Err(Error::usage(format!(
                "error: {named}: cannot read this folder: {error}; name the one that contains the {key}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Suite, check_named_folders};
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
    fn a_folder_that_is_named_and_missing_is_refused_with_the_place_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        fs::create_dir(here.join("adapters")).expect("made");
        let text = "scenarios = \"mine\"\nadapters = \"adapters\"\n";
        fs::write(here.join("gipc-harness.toml"), text).expect("written");
        let refused = |scenarios: Option<&Path>, adapters: Option<&Path>| {
            let checked = check_named_folders(here, scenarios, adapters);
            checked.expect_err("a folder is missing").to_string()
        };
        let file = here.join("gipc-harness.toml").display().to_string();
        let says = format!("error: {file}: scenarios = \"mine\": cannot read this folder: No such");
        assert!(refused(None, None).starts_with(&says), "{}", refused(None, None));
        let missing = here.join("missing");
        let says = format!("error: --adapters {}: cannot read", missing.display());
        let error = refused(Some(here), Some(&missing));
        assert!(error.starts_with(&says), "{error}");
        assert!(check_named_folders(here, Some(here), None).is_ok());
        fs::create_dir(here.join("mine")).expect("made");
        assert!(check_named_folders(here, None, None).is_ok());
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
