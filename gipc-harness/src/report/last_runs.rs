//! What is remembered of the last run of each scenario on an adapter: how long it took, and whether it was as expected.
//!
//! It is kept in a cache folder of the user, and nothing depends on it: if the file is missing, unreadable or from another
//! version, nothing is remembered.

use crate::adapter::{Adapter, EMBEDDED, MODEL};
use crate::suite::Suite;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};
use tempfile::NamedTempFile;

/// The environment variable that names the cache folder. If it is empty, nothing is remembered.
const FOLDER: &str = "GIPC_HARNESS_CACHE";
/// The version of the format of the file.
const VERSION: u32 = 1;

/// The last runs of the scenarios of a suite on one adapter.
#[derive(Clone, Debug)]
pub struct LastRuns {
    /// `None` if the user has no cache folder.
    file: Option<PathBuf>,
    memory: Memory,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    version: u32,
    /// The last run of each scenario, by its lasting name.
    scenarios: BTreeMap<String, LastRun>,
}

/// The last run of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LastRun {
    seconds: f64,
    /// The flags with which its last run was not as expected; an empty text stands for a run without flags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    failed: BTreeSet<String>,
}

impl LastRuns {
    /// What is remembered about a suite and an adapter. Without an adapter, about the model.
    #[must_use]
    pub fn of(suite: &Suite, adapter: Option<&Adapter>) -> Self {
        let file = folder().map(|folder| folder.join("last-runs").join(file_name(suite, adapter)));
        let memory = file.as_deref().map(Memory::read).unwrap_or_default();
        Self { file, memory }
    }

    /// Whether no run at all is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.scenarios.is_empty()
    }

    /// The file, if the user has a cache folder.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The scenarios whose last run was not as expected, by their lasting names, with the flags of these runs.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let failed = self.memory.scenarios.iter().filter(|(_, run)| !run.failed.is_empty());
        failed.map(|(name, run)| (name.as_str(), &run.failed))
    }

    /// How many seconds each scenario took, by its lasting name.
    #[must_use]
    pub fn seconds(&self) -> BTreeMap<String, f64> {
        self.memory.scenarios.iter().map(|(name, run)| (name.clone(), run.seconds)).collect()
    }

    /// Adds the runs of one run of the suite to the file, which another process may have changed meanwhile.
    pub fn remember(&self, runs: &RunTimes) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut memory = Memory::read(file);
        memory.add(runs);
        memory.write(file)
    }
}

impl Memory {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let memory: Self = serde_json::from_str(&text).unwrap_or_default();
        let is_valid = memory.version == VERSION
            && memory.scenarios.values().all(|run| run.seconds.is_finite() && run.seconds >= 0.0);
        if is_valid { memory } else { Self::default() }
    }

    /// Replaces the file as a whole, so that a reader sees either the old text or the new one.
    fn write(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut new = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut new, self)?;
        new.persist(file)?;
        Ok(())
    }

    fn add(&mut self, runs: &RunTimes) {
        self.version = VERSION;
        for (name, run) in &runs.by_scenario {
            let entry = self.scenarios.entry(name.clone()).or_default();
            entry.seconds = run.total / f64::from(run.count.max(1));
            for (flags, failed) in &run.failed {
                match failed {
                    true => entry.failed.insert(flags.clone()),
                    false => entry.failed.remove(flags),
                };
            }
        }
        // Files outside the suite may have been removed.
        self.scenarios.retain(|name, _| !Path::new(name).is_absolute() || Path::new(name).exists());
    }
}

/// The times and failures of one run of the suite.
#[derive(Clone, Debug, Default)]
pub struct RunTimes {
    by_scenario: BTreeMap<String, ScenarioTimes>,
}

#[derive(Clone, Debug, Default)]
struct ScenarioTimes {
    total: f64,
    longest: f64,
    count: u32,
    /// For each scenario and flags, whether one of the runs was not as expected.
    failed: BTreeMap<String, bool>,
}

impl RunTimes {
    /// Adds a run of a scenario, by its lasting name, with its flags. If one of several runs with the same flags is not as
    /// expected, that one counts.
    pub fn add(&mut self, name: &str, flags: &str, seconds: f64, is_expected: bool) {
        let times = self.by_scenario.entry(name.to_owned()).or_default();
        times.total += seconds;
        times.longest = times.longest.max(seconds);
        times.count += 1;
        *times.failed.entry(flags.to_owned()).or_default() |= !is_expected;
    }

    /// The scenarios with the longest runs, the slowest first: name and seconds.
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<(&str, f64)> {
        let all = self.by_scenario.iter().map(|(name, times)| (name.as_str(), times.longest));
        let mut all: Vec<(&str, f64)> = all.collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(count);
        all
    }
}

/// The cache folder of the harness: the one that the environment names, or else the user's folder for caches.
fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os(FOLDER) {
        return Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("gipc-harness"))
}

/// The name of the file for a suite and an adapter. Adapters with the same name in different folders have different files.
fn file_name(suite: &Suite, adapter: Option<&Adapter>) -> String {
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let scenarios = suite.scenarios.as_deref().map(absolute);
    let here = adapter.filter(|it| it.asked != EMBEDDED).map(|it| absolute(&it.here));
    let mut hasher = DefaultHasher::new();
    (scenarios, here).hash(&mut hasher);
    let name = adapter.map_or(MODEL, |adapter| &adapter.manifest.name).replace('/', "-");
    format!("{name}-{:016x}.json", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::{LastRuns, Memory, RunTimes};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn last_runs(file: PathBuf) -> LastRuns {
        let memory = Memory::read(&file);
        LastRuns { file: Some(file), memory }
    }

    fn runs(entries: &[(&str, &str, f64, bool)]) -> RunTimes {
        let mut runs = RunTimes::default();
        entries.iter().for_each(|(name, flags, seconds, is_expected)| {
            runs.add(name, flags, *seconds, *is_expected);
        });
        runs
    }

    fn failed(last: &LastRuns) -> Vec<String> {
        let line = |(name, flags): (&str, &std::collections::BTreeSet<String>)| {
            format!("{name}: {}", flags.iter().cloned().collect::<Vec<_>>().join(", "))
        };
        last.failed().map(line).collect()
    }

    #[test]
    fn times_and_failures_are_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cache/it.json");
        let first =
            [("a/a", "", 1.0, true), ("a/a", "", 3.0, false), ("a/b", "--kill main@1", 4.0, false)];
        last_runs(file.clone()).remember(&runs(&first)).expect("written");
        let last = last_runs(file.clone());
        assert_eq!(failed(&last), ["a/a: ", "a/b: --kill main@1"]);
        assert_eq!(last.seconds()["a/a"], 2.0);
        last.remember(&runs(&[("a/a", "", 1.0, true), ("a/b", "", 1.0, true)])).expect("written");
        assert_eq!(failed(&last_runs(file)), ["a/b: --kill main@1"]);
    }

    #[test]
    fn what_another_run_remembered_meanwhile_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("it.json");
        let (one, other) = (last_runs(file.clone()), last_runs(file.clone()));
        one.remember(&runs(&[("a/a", "", 1.0, false)])).expect("written");
        other.remember(&runs(&[("a/b", "", 1.0, false)])).expect("written");
        assert_eq!(failed(&last_runs(file)), ["a/a: ", "a/b: "]);
    }

    #[test]
    fn a_file_that_is_damaged_or_of_another_version_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("it.json");
        let seconds = r#"{"version":1,"scenarios":{"a/a":{"seconds":-1.0}}}"#;
        let later = r#"{"version":2,"scenarios":{"a/a":{"seconds":1.0}}}"#;
        for text in ["{", "\u{0}", seconds, later] {
            fs::write(&file, text).expect("written");
            assert!(last_runs(file.clone()).is_empty(), "{text}");
        }
        last_runs(file.clone()).remember(&runs(&[("a/a", "", 1.0, true)])).expect("written");
        assert_eq!(last_runs(file).seconds()["a/a"], 1.0);
    }

    #[test]
    fn a_file_that_was_removed_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = folder.path().join("own.scenario");
        fs::write(&scenario, "").expect("written");
        let (file, name) = (folder.path().join("it.json"), scenario.display().to_string());
        last_runs(file.clone()).remember(&runs(&[(&name, "", 1.0, false)])).expect("written");
        fs::remove_file(&scenario).expect("removed");
        last_runs(file.clone()).remember(&runs(&[("a/a", "", 1.0, true)])).expect("written");
        assert!(failed(&last_runs(file)).is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_a_run_survives() {
        let last = last_runs(Path::new("/dev/null/it.json").to_owned());
        assert!(last.remember(&runs(&[("a/a", "", 1.0, true)])).is_err());
    }

    #[test]
    fn the_slowest_scenarios_come_first() {
        let runs = runs(&[("a/a", "", 1.0, true), ("a/b", "", 3.0, true), ("a/c", "", 2.0, true)]);
        assert_eq!(runs.slowest(2), [("a/b", 3.0), ("a/c", 2.0)]);
    }
}
