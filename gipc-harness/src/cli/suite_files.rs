//! Mismatch scenario files by id, folder or file, and reading them.
//!
//! Does not know what is in them.

use super::CommandError;
use crate::model::{self, Choices, Deadlock};
use crate::requirements;
use crate::scenario::{ParseError, Scenario, parse};
use crate::verdict;
use std::path::{Path, PathBuf};

const ENDING: &str = "scenario";

/// Where the scenarios and the adapters are.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    pub(super) scenarios: PathBuf,
    pub(super) adapters: PathBuf,
}

/// One scenario file.
#[derive(Clone, Debug)]
pub(super) struct ScenarioFile {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// It was named itself, not found in a folder.
    pub(super) named: bool,
}

impl ScenarioFile {
    /// Whether its first comment says so; it need not be right otherwise.
    pub(super) fn is_heavy(&self) -> bool {
        self.text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .any(|line| line.starts_with("# heavy: "))
    }

    /// Reads it, and takes what its author says for granted.
    pub(super) fn unchecked(&self) -> Result<Scenario, String> {
        let path = self.path.display().to_string();
        let scenario =
            parse(&self.id, &self.text).map_err(|error| error.render(&path, &self.text))?;
        if let Some(unknown) =
            scenario.covers().iter().find(|id| requirements::requirement(id).is_none())
        {
            let message = format!("no requirement is called {unknown}");
            return Err(self.slip("# covers", unknown, &message, "`cargo harness spec` lists all"));
        }
        if let Some(Err(word)) = scenario.order() {
            return Err(self.slip(
                "# order: ",
                &word,
                &format!("{word} is no process or task of this scenario"),
                "name those that have lines, child*3 for three in turn",
            ));
        }
        Ok(scenario)
    }

    /// Reads it, and asks the model whether its author is right.
    pub(super) fn scenario(&self) -> Result<Scenario, String> {
        let scenario = self.unchecked()?;
        let path = self.path.display().to_string();
        let allowed = model::allowed(&scenario, Choices::default());
        let finding =
            allowed.traces.iter().find_map(|trace| verdict::disagreement(&scenario, trace));
        if let Some(finding) = finding {
            let place = scenario.steps[finding.step].position;
            let text = self.text.lines().nth(place.line - 1).unwrap_or_default();
            let (column, width) = place
                .outcome
                .unwrap_or((place.what, (text.chars().count() + 1).saturating_sub(place.what)));
            let why = if finding.because.is_empty() {
                String::new()
            } else {
                format!(": {}", finding.because)
            };
            let error = ParseError {
                message: format!(
                    "it says {}, but the model says {}{why}",
                    finding.expected, finding.got
                ),
                hint: "write what must come of it, or change the steps before it".into(),
                line: place.line,
                column,
                width,
            };
            return Err(error.render(&path, &self.text));
        }
        if model::depends_on_capacity(&scenario) {
            let stops = match model::deadlock(&scenario, Choices::default()) {
                Deadlock::Below(bytes) => {
                    format!("it stops where a pipe holds less than {bytes} bytes; ")
                }
                _ => String::new(),
            };
            return Err(format!(
                "error: what it comes to depends on how much a pipe holds\n --> {path}\n  \
                 {stops}keep less than {} bytes in flight, or put more than {}\n",
                model::CAPACITY_MIN,
                model::CAPACITY_MAX
            ));
        }
        Ok(scenario)
    }
}

impl ScenarioFile {
    /// A word of its first comment that means nothing, where it stands.
    fn slip(&self, head: &str, word: &str, message: &str, hint: &str) -> String {
        let mark = format!(" {word}");
        let mut lines = (1..).zip(self.text.lines());
        let found = lines.find(|(_, text)| text.starts_with(head) && text.contains(&mark));
        let (line, text) = found.unwrap_or((1, ""));
        let column = text.find(&mark).map_or(1, |at| at + 2);
        let error = ParseError {
            message: message.into(),
            hint: hint.into(),
            line,
            column,
            width: word.len(),
        };
        error.render(&self.path.display().to_string(), &self.text)
    }
}

impl Suite {
    /// The folders that were named, or the nearest ones here or above, or those this program was built beside.
    pub(super) fn find(scenarios: Option<PathBuf>, adapters: Option<PathBuf>) -> Self {
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

    /// The files that are meant, in the order of their ids; all if nothing is named.
    pub(super) fn select(&self, what: &[String]) -> Result<Vec<ScenarioFile>, CommandError> {
        let mut found = Vec::new();
        if what.is_empty() {
            self.walk(&self.scenarios, &mut found)?;
            if found.is_empty() {
                return Err(CommandError::usage(format!(
                    "error: no scenarios in {}; name a folder with --scenarios",
                    self.scenarios.display()
                )));
            }
        }
        for word in what {
            let id = word.strip_suffix(".scenario").unwrap_or(word);
            let inside = self.scenarios.join(format!("{id}.{ENDING}"));
            let folder = self.scenarios.join(word);
            let outside = PathBuf::from(word);
            if inside.is_file() {
                found.push(self.read(&inside, true)?);
            } else if folder.is_dir() && !word.is_empty() {
                self.walk(&folder, &mut found)?;
            } else if outside.is_file() {
                found.push(self.read(&outside, true)?);
            } else if outside.is_dir() {
                self.walk(&outside, &mut found)?;
            } else {
                return Err(self.unknown(word));
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.path == b.path);
        Ok(found)
    }

    fn unknown(&self, word: &str) -> CommandError {
        let mut all = Vec::new();
        let _ = self.walk(&self.scenarios, &mut all);
        let mut near: Vec<&str> =
            all.iter().map(|source| source.id.as_str()).filter(|id| id.contains(word)).collect();
        near.sort_unstable();
        near.truncate(5);
        let cure = match near.is_empty() {
            true => "`cargo harness list` shows what there is".to_owned(),
            false => format!("is it {}?", near.join(" or ")),
        };
        CommandError::usage(format!("error: no scenario, folder or file is called {word}; {cure}"))
    }

    fn walk(&self, folder: &Path, found: &mut Vec<ScenarioFile>) -> Result<(), CommandError> {
        let unreadable = |error: std::io::Error| {
            CommandError::usage(format!("error: cannot read {}: {error}", folder.display()))
        };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                self.walk(&path, found)?;
            } else if path.extension().is_some_and(|ending| ending == ENDING) {
                found.push(self.read(&path, false)?);
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path, named: bool) -> Result<ScenarioFile, CommandError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CommandError::usage(format!("error: cannot read {}: {error}", path.display()))
        })?;
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = self.scenarios.canonicalize().unwrap_or_else(|_| self.scenarios.clone());
        // A file from elsewhere is called after itself.
        let id = match absolute.strip_prefix(&root) {
            Ok(inside) => inside.with_extension("").to_string_lossy().into_owned(),
            Err(_) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        Ok(ScenarioFile { id, path: path.to_owned(), text, named })
    }
}
