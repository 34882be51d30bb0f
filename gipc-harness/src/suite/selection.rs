//! Selects scenarios by name: ids, folders, files, patterns, requirements and profiles. A name that selects nothing is an
//! error.

use super::{EXTENSION, ScenarioFile, Suite, embedded};
use crate::error::Error;
use crate::program;
use crate::requirements;
use crate::scenario::{Profile, VERBS, parse};
use crate::similar::closest;
use glob::Pattern;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many similar names an error suggests.
const MAX_SUGGESTIONS: usize = 5;

impl Suite {
    /// The scenario files that are named, in the order of their ids; all files of the suite if nothing is named.
    ///
    /// A name is an id, a folder, the path of a file, a pattern such as `close/*`, a requirement such as `EOF-6` or a group
    /// of them such as `EOF`, or `profile:NAME`. The error shows the name that selects nothing.
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

    /// The same as [`Suite::select`], without the files that `skip` names.
    pub fn select_without(
        &self,
        names: &[String],
        skip: &[String],
    ) -> Result<Vec<ScenarioFile>, Error> {
        let mut found = self.select(names)?;
        if !skip.is_empty() {
            let skipped = self.select(skip)?;
            let skipped: BTreeSet<PathBuf> =
                skipped.iter().map(|file| absolute(&file.path)).collect();
            found.retain(|file| !skipped.contains(&absolute(&file.path)));
        }
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
            let before = found.len();
            self.walk(&outside, found)?;
            match found.len() > before {
                true => Ok(()),
                false => Err(Error::usage(format!(
                    "error: no file in {} or below ends in .{EXTENSION}",
                    outside.display()
                ))),
            }
        } else if name.contains(['*', '?', '[']) {
            self.select_pattern(name, found)
        } else if requirements::requirements().iter().any(|one| one.is_in(name)) {
            self.select_requirement(name, found)
        } else {
            Err(self.unknown(name))
        }
    }

    /// Adds the scenarios whose ids match a pattern. `*` matches any characters.
    fn select_pattern(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let pattern = Pattern::new(name).map_err(|error| {
            Error::usage(format!("error: {name} is not a valid pattern: {error}"))
        })?;
        let before = found.len();
        let mut all = Vec::new();
        self.all(&mut all)?;
        found.extend(all.into_iter().filter(|file| pattern.matches(&file.id)));
        match found.len() > before {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "error: no scenario matches {name}; `{}` lists all of them",
                program::command("list")
            ))),
        }
    }

    /// Adds the scenarios that cover a requirement or one of a group of them.
    fn select_requirement(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let before = found.len();
        let mut all = Vec::new();
        self.all(&mut all)?;
        let covers = |file: &ScenarioFile| {
            let mut requirements = file.covers().filter_map(requirements::requirement);
            requirements.any(|requirement| requirement.is_in(name))
        };
        found.extend(all.into_iter().filter(covers));
        match found.len() > before {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "error: no scenario tests {name}; `{}` shows what does",
                program::command(&format!("spec {name}"))
            ))),
        }
    }

    /// Adds the scenarios that need no profile other than this one and `core`.
    fn select_profile(&self, name: &str, found: &mut Vec<ScenarioFile>) -> Result<(), Error> {
        let mut existing: Vec<&str> = Vec::new();
        for word in VERBS.iter().map(|(_, profile)| profile.word()) {
            if !existing.contains(&word) {
                existing.push(word);
            }
        }
        if !existing.contains(&name) {
            return Err(Error::usage(format!(
                "error: no profile is called {name}; there are {}",
                existing.join(", ")
            )));
        }
        let declared = [Profile::Core.word().to_owned(), name.to_owned()];
        let mut all = Vec::new();
        self.all(&mut all)?;
        found.extend(all.into_iter().filter(|file| {
            parse(&file.id, &file.text).is_ok_and(|scenario| {
                scenario.steps.iter().all(|step| step.undeclared_profile(&declared).is_none())
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
        let inside = |name: &'_ str| name.strip_prefix("scenarios/").unwrap_or(name).to_owned();
        // A file whose name is that of a folder, such as `race.scenario`, is not that folder.
        let (id, folder) = (inside(id), format!("{}/", inside(name).trim_end_matches('/')));
        let before = found.len();
        for (path, text) in embedded::scenarios() {
            let is_named = path.strip_suffix(".scenario") == Some(&id);
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
        let requirement = name.to_uppercase();
        if let Some(meant) = requirements::requirement(&requirement) {
            similar.insert(0, &meant.id);
        } else if similar.is_empty() {
            let last = |id: &'_ str| id.rsplit('/').next().map(str::to_owned);
            similar.extend(closest(name, ids.iter().copied()));
            let themes: BTreeSet<&str> =
                ids.iter().filter_map(|id| id.split_once('/')).map(|(theme, _)| theme).collect();
            let theme = closest(name.trim_end_matches('/'), themes.iter().copied());
            similar.extend(theme);
            if similar.is_empty() && !name.contains('/') {
                let names: Vec<String> = ids.iter().filter_map(|id| last(id)).collect();
                let meant = closest(name, names.iter().map(String::as_str));
                similar.extend(ids.iter().copied().filter(|id| last(id).as_deref() == meant));
            }
        }
        similar.sort_unstable();
        let file = format!("{name}.{EXTENSION}");
        if Path::new(&file).is_file() {
            similar.insert(0, &file);
        }
        similar.truncate(MAX_SUGGESTIONS);
        let cure = match similar.is_empty() {
            true => format!("`{}` lists all of them", program::command("list")),
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
                found.push(ScenarioFile::read(&path, self.scenarios.as_deref(), false)?);
            }
        }
        Ok(())
    }
}

/// The absolute path of a file; the path itself for a scenario inside the program.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Suite;
    use rstest::rstest;
    use std::fs;
    use std::path::Path;

    /// A suite of three files in a folder.
    fn suite(folder: &Path) -> Suite {
        fs::create_dir_all(folder.join("close")).expect("made");
        fs::create_dir_all(folder.join("race")).expect("made");
        let files = [
            ("close/eof-after-close", "# A question.\n# covers EOF-1 EOF-2\n"),
            ("close/twice", "# A question.\n# covers CLOSE-1\n"),
            ("race/eof-first", "# A question.\n# covers EOF-6\n"),
        ];
        for (id, text) in files {
            fs::write(folder.join(format!("{id}.scenario")), text).expect("written");
        }
        Suite {
            scenarios: Some(folder.to_owned()),
            adapters: folder.join("adapters"),
            default_adapter: None,
            own_adapter: None,
        }
    }

    #[rstest]
    #[case::a_pattern_of_a_folder(&["close/*"], &[], &["close/eof-after-close", "close/twice"])]
    #[case::a_pattern_across_folders(&["*eof*"], &[], &["close/eof-after-close", "race/eof-first"])]
    #[case::a_requirement(&["EOF-6"], &[], &["race/eof-first"])]
    #[case::a_group_of_requirements(&["EOF"], &[], &["close/eof-after-close", "race/eof-first"])]
    #[case::what_two_names_select_is_there_once(&["close/twice", "close"], &[], &["close/eof-after-close", "close/twice"])]
    #[case::all_but_a_folder(&[], &["close"], &["race/eof-first"])]
    #[case::a_folder_without_a_requirement(&["close"], &["EOF-1"], &["close/twice"])]
    fn names_and_skipped_names_select_scenarios(
        #[case] names: &[&str],
        #[case] skip: &[&str],
        #[case] expected: &[&str],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let owned =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found = suite(folder.path()).select_without(&owned(names), &owned(skip));
        let ids: Vec<String> = found.expect("selected").into_iter().map(|file| file.id).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn a_file_is_no_folder_of_the_suite_inside_the_program() {
        let suite =
            Suite { scenarios: None, ..suite(tempfile::tempdir().expect("a folder").path()) };
        let select = |name: &str| suite.select(&[name.to_owned()]).map(|found| found.len());
        assert!(select("race").is_ok_and(|found| found > 1));
        assert!(select("scenarios/race/").is_ok_and(|found| found > 1));
        assert!(select("race.scenario").is_err());
    }

    #[test]
    fn a_profile_selects_no_scenario_with_steps_of_tasks_unless_it_is_tasks() {
        let folder = tempfile::tempdir().expect("a folder");
        let suite = suite(folder.path());
        let files = [
            ("pipe/alone", "# A.\nmain pipe r w\nmain close r\nmain get r => closed\n"),
            ("pipe/in-a-task", "# A.\nmain pipe r w\nmain/reader get r => blocks\n"),
        ];
        fs::create_dir_all(folder.path().join("pipe")).expect("made");
        for (id, text) in files {
            fs::write(folder.path().join(format!("{id}.scenario")), text).expect("written");
        }
        let ids = |profile: &str| -> Vec<String> {
            let found = suite.select(&[profile.to_owned()]).expect("selected");
            found.into_iter().map(|file| file.id).filter(|id| id.starts_with("pipe/")).collect()
        };
        assert_eq!(ids("profile:core"), ["pipe/alone"]);
        assert_eq!(ids("profile:tasks"), ["pipe/alone", "pipe/in-a-task"]);
    }

    #[rstest]
    #[case::a_pattern_without_a_match("nothing/*", "no scenario matches nothing/*")]
    #[case::a_broken_pattern("close/[", "close/[ is not a valid pattern")]
    #[case::a_requirement_in_small_letters("eof-6", "is it EOF-6?")]
    #[case::a_requirement_without_a_scenario("CLOSE-2", "no scenario tests CLOSE-2")]
    #[case::a_name_that_is_nearly_right("close/twise", "is it close/twice?")]
    fn a_name_that_selects_nothing_is_refused(#[case] name: &str, #[case] says: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let error = suite(folder.path()).select(&[name.to_owned()]).expect_err("nothing");
        assert!(error.to_string().contains(says), "{error}");
    }
}
