//! One scenario file: its text, and the scenario in it, checked against the model or not.

use super::alternatives::impossible_alternative;
use super::notes::unknown_outcomes;
use crate::error::Error;
use crate::model::{self, Analysis, Choices, Deadlock};
use crate::requirements;
use crate::scenario::{ParseError, Scenario, parse};
use crate::trace::{Mismatch, disagreement};
use std::path::{Path, PathBuf};

/// A scenario file that was read.
#[derive(Clone, Debug)]
pub struct ScenarioFile {
    /// The path below the suite's folder without its extension; the bare file name for a file from elsewhere.
    pub id: String,
    /// The path.
    pub path: PathBuf,
    /// The text.
    pub text: String,
    /// The file itself was named, not a folder that contains it.
    pub is_named: bool,
}

impl ScenarioFile {
    pub(super) fn read(path: &Path, suite: &Path, is_named: bool) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("error: cannot read {}: {error}", path.display()))
        })?;
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = suite.canonicalize().unwrap_or_else(|_| suite.to_owned());
        let id = match absolute.strip_prefix(&root) {
            Ok(inside) => inside.with_extension("").to_string_lossy().into_owned(),
            Err(_) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        Ok(Self { id, path: path.to_owned(), text, is_named })
    }

    /// Whether the first comment says that the scenario is heavy. Does not parse the file.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .any(|line| line.starts_with("# heavy: "))
    }

    /// Parses the scenario and checks the words of its first comment. An error is a complete message.
    pub fn parse(&self) -> Result<Scenario, String> {
        let scenario = parse(&self.id, &self.text).map_err(|error| self.render(&error))?;
        let unknown =
            scenario.covers().into_iter().find(|id| requirements::requirement(id).is_none());
        if let Some(id) = unknown {
            let message = format!("no requirement is called {id}");
            let error =
                self.comment_error("# covers", id, &message, "`cargo harness spec` lists all");
            return Err(self.render(&error));
        }
        if let Some(Err(word)) = scenario.order() {
            let message = format!("{word} is no process or task of this scenario");
            let hint = "name those that have lines, child*3 for three in turn";
            return Err(self.render(&self.comment_error("# order: ", &word, &message, hint)));
        }
        Ok(scenario)
    }

    /// Parses the scenario, and checks that the model gives the outcomes in the file, whatever a pipe holds. Refuses a
    /// scenario of which the model cannot find all outcomes. An error is a complete message.
    pub fn checked(&self) -> Result<Scenario, String> {
        self.checked_for(Choices::default())
    }

    /// The same as [`ScenarioFile::checked`] for an implementation with these choices.
    pub fn checked_for(&self, choices: Choices) -> Result<Scenario, String> {
        let scenario = self.parse()?;
        let Analysis { allowed, depends_on_capacity } = model::analyze(&scenario, choices);
        let mismatch = allowed.traces.iter().find_map(|trace| disagreement(&scenario, trace));
        if let Some(mismatch) = mismatch {
            return Err(self.render(&self.disagreement_error(&scenario, &mismatch)));
        }
        if !allowed.is_known() {
            return Err(self.render(&unknown_outcomes(&scenario, choices)));
        }
        if let Some(error) = impossible_alternative(&scenario, &allowed) {
            return Err(self.render(&error));
        }
        if depends_on_capacity {
            return Err(self.capacity_error(&scenario));
        }
        Ok(scenario)
    }

    fn render(&self, error: &ParseError) -> String {
        error.render(&self.path.display().to_string(), &self.text)
    }

    fn disagreement_error(&self, scenario: &Scenario, mismatch: &Mismatch) -> ParseError {
        let position = scenario.steps[mismatch.step].position;
        let text = self.text.lines().nth(position.line - 1).unwrap_or_default();
        let (column, width) = position
            .outcome
            .unwrap_or((position.what, (text.chars().count() + 1).saturating_sub(position.what)));
        let why = match mismatch.because.is_empty() {
            true => String::new(),
            false => format!(": {}", mismatch.because),
        };
        let message =
            format!("it says {}, but the model says {}{why}", mismatch.expected, mismatch.got);
        let hint = "write what must come of it, or change the steps before it".into();
        ParseError { message, hint, line: position.line, column, width }
    }

    fn capacity_error(&self, scenario: &Scenario) -> String {
        let stops = match model::deadlock(scenario, Choices::default()) {
            Deadlock::Below(bytes) => {
                format!("it stops where a pipe holds less than {bytes} bytes; ")
            }
            _ => String::new(),
        };
        format!(
            "error: what it comes to depends on how much a pipe holds\n --> {}\n  \
             {stops}keep less than {} bytes in flight, or put more than {}\n",
            self.path.display(),
            model::CAPACITY_MIN,
            model::CAPACITY_MAX
        )
    }

    /// An error about a word of the first comment, at its position.
    fn comment_error(&self, head: &str, word: &str, message: &str, hint: &str) -> ParseError {
        let mark = format!(" {word}");
        let mut lines = (1..).zip(self.text.lines());
        let found = lines.find(|(_, text)| text.starts_with(head) && text.contains(&mark));
        let (line, text) = found.unwrap_or((1, ""));
        let column = text.find(&mark).map_or(1, |at| at + 2);
        let (message, hint) = (message.into(), hint.into());
        ParseError { message, hint, line, column, width: word.len() }
    }
}
