//! The scenario of a reported bug, and what its first comment says about the bug.

use crate::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// A reported bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BugFile {
    /// The scenario.
    pub path: PathBuf,
    /// `PROJECT/NAME`, from the path.
    pub id: String,
    /// The project and its issue, or another place that describes the bug.
    pub bug: String,
    /// The releases that have the bug, and the one that fixed it.
    pub versions: String,
    /// The adapter, with its variant, that has the bug.
    pub broken: String,
    /// An adapter that does not have the bug.
    pub passes: String,
    /// The root cause in a sentence.
    pub cause: String,
    /// The fingerprints of the failure: step, outcome and verdict. `*` stands for anything. There are several if a race decides
    /// which step of the file is wrong first.
    pub fails: Vec<[String; 3]>,
    /// How many runs may be needed until the bug shows.
    pub times: u32,
    /// Whether this suite found the bug.
    pub is_ours: bool,
}

impl BugFile {
    /// The bugs in a folder, in the order of their ids. Fails if a file cannot be read or lacks an entry.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        let unreadable =
            |error| Error::usage(format!("error: cannot read {}: {error}", folder.display()));
        let mut bugs = Vec::new();
        for project in fs::read_dir(folder).map_err(unreadable)?.flatten() {
            for file in fs::read_dir(project.path()).into_iter().flatten().flatten() {
                if file.path().extension().is_some_and(|extension| extension == "scenario") {
                    bugs.push(Self::read(&file.path())?);
                }
            }
        }
        bugs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(bugs)
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let refused = |what: &str| Error::usage(format!("error: {}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| refused(&error.to_string()))?;
        Self::parse(path, &text).map_err(|what| refused(&what))
    }

    /// Reads the first comment of a scenario. The error says what is missing.
    pub fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for line in text.lines().map_while(|line| line.strip_prefix('#')) {
            let entry = line.trim_start().split_once(": ");
            match (entry, entries.last_mut()) {
                (_, Some((_, value))) if line.starts_with("   ") => {
                    *value += " ";
                    *value += line.trim_start();
                }
                (Some((key, value)), _) => entries.push((key.to_owned(), value.to_owned())),
                (None, _) => {}
            }
        }
        let entry = |key: &str| entries.iter().find(|(name, _)| name == key);
        let required = |key: &str| {
            let value = entry(key).map(|(_, value)| value.clone());
            value.ok_or_else(|| format!("its first comment has no line `# {key}: …`"))
        };
        required("fails")?;
        let fails = entries.iter().filter(|(name, _)| name == "fails").map(|(_, value)| {
            let parts: Vec<String> =
                value.split(" | ").map(|part| part.trim().to_owned()).collect();
            <[String; 3]>::try_from(parts)
                .map_err(|_| "write `# fails: STEP | OUTCOME | VERDICT`".to_owned())
        });
        let fails = fails.collect::<Result<_, _>>()?;
        let times = entry("times").map_or(Ok(1), |(_, value)| value.parse());
        let project = path.parent().and_then(Path::file_name).unwrap_or_default();
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            id: format!("{}/{}", project.to_string_lossy(), name.to_string_lossy()),
            bug: required("bug")?,
            versions: required("versions")?,
            broken: required("broken")?,
            passes: required("passes")?,
            cause: required("cause")?,
            fails,
            times: times.map_err(|_| "`# times:` needs a number".to_owned())?,
            is_ours: entry("found by").is_some(),
        })
    }

    /// The record of a run on the broken release.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path.with_extension("jsonl")
    }

    /// Whether a failure has one of the fingerprints of the bug. DEADLOCK and HANG count as the same: which of them it is depends
    /// on how far the other processes had got.
    #[must_use]
    pub fn is_failure(&self, fingerprint: &[String; 3]) -> bool {
        let is_stall = |verdict: &str| matches!(verdict, "DEADLOCK" | "HANG");
        let [seen_step, seen_outcome, seen_verdict] = fingerprint;
        self.fails.iter().any(|[step, outcome, verdict]| {
            (step == "*" || step == seen_step)
                && (outcome == "*" || outcome == seen_outcome)
                && (verdict == seen_verdict || is_stall(verdict) && is_stall(seen_verdict))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A child ends.\n# bug: gipc, issue 7\n# versions: 0.1.0 to 0.3.2, fixed in 0.4.0\n\
                        # broken: gipc-python@0.3.2\n# passes: gipc-python@0.4.0\n# cause: the list of watchers\n\
                        #   survives the loop.\n# fails: main join child | exit 20 | HANG\n\nmain        spawn child\n";

    #[test]
    fn the_first_comment_says_all_of_a_bug() {
        let bug = BugFile::parse(Path::new("bugs/gipc/issue-7.scenario"), TEXT).expect("complete");
        assert_eq!(bug.id, "gipc/issue-7");
        assert_eq!(bug.cause, "the list of watchers survives the loop.");
        assert_eq!((bug.times, bug.is_ours), (1, false));
    }

    #[test]
    fn a_deadlock_counts_as_the_hang_that_was_recorded() {
        let bug = BugFile::parse(Path::new("x.scenario"), TEXT).expect("complete");
        let seen = |words: [&str; 3]| words.map(str::to_owned);
        assert!(bug.is_failure(&seen(["main join child", "exit 20", "DEADLOCK"])));
        assert!(!bug.is_failure(&seen(["main join child", "exit 20", "FAIL"])));
        assert!(!bug.is_failure(&seen(["main join child", "exit 1", "HANG"])));
    }

    #[test]
    fn a_bug_may_fail_in_one_of_several_ways() {
        let text = TEXT.replace("| HANG\n", "| HANG\n# fails: main get r | eof | FAIL\n");
        let bug = BugFile::parse(Path::new("x.scenario"), &text).expect("complete");
        let seen = |words: [&str; 3]| words.map(str::to_owned);
        assert!(bug.is_failure(&seen(["main join child", "exit 20", "HANG"])));
        assert!(bug.is_failure(&seen(["main get r", "eof", "FAIL"])));
        assert!(!bug.is_failure(&seen(["main get r", "eof", "HANG"])));
        let error = BugFile::parse(Path::new("x.scenario"), &text.replace("eof | FAIL", "eof"));
        assert!(error.is_err_and(|error| error.contains("STEP | OUTCOME | VERDICT")));
    }

    #[test]
    fn a_bug_without_a_cause_is_refused() {
        let text = TEXT.replace("# cause", "# reason");
        let error = BugFile::parse(Path::new("x.scenario"), &text).expect_err("it has no cause");
        assert!(error.contains("# cause: "), "{error}");
    }
}
