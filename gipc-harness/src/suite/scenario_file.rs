//! One scenario file: its text and the scenario in it, which may be checked against the model.

use super::{BUILT_IN, disagreement, header, lints};
use crate::error::Error;
use crate::model::Choices;
use crate::program;
use crate::scenario::{ParseError, Scenario, parse_all};
use std::fmt;
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
    /// Whether the file is below the suite's folder.
    pub is_in_suite: bool,
    /// Whether the file itself was named, and not a folder that contains it.
    pub is_named: bool,
    /// Whether the scenario is inside the program, and there is no file at the path.
    pub is_embedded: bool,
}

impl ScenarioFile {
    /// Reads a file. `suite` is the folder of the suite, if it is one.
    pub(super) fn read(path: &Path, suite: Option<&Path>, is_named: bool) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::usage(format!("error: cannot read {}: {error}", path.display()))
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = suite.map(|suite| suite.canonicalize().unwrap_or_else(|_| suite.to_owned()));
        let inside = root.as_ref().and_then(|root| absolute.strip_prefix(root).ok());
        let is_in_suite = inside.is_some();
        let id = match inside {
            Some(inside) => inside.with_extension("").to_string_lossy().into_owned(),
            None => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        Ok(Self { id, path: path.to_owned(), text, is_in_suite, is_named, is_embedded: false })
    }

    /// A scenario inside the program, with its path below the suite's folder.
    pub(super) fn embedded(path: &str, text: &str) -> Self {
        let id = path.strip_suffix(".scenario").unwrap_or(path).to_owned();
        let (path, text) = (Path::new(BUILT_IN).join(path), text.to_owned());
        Self { id, path, text, is_in_suite: true, is_named: false, is_embedded: true }
    }

    /// Whether the first comment says that the scenario is heavy. Does not parse the file.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.first_comment().any(|line| line.starts_with("# heavy: "))
    }

    /// The requirements that the first comment names. Does not parse the file.
    pub fn covers(&self) -> impl Iterator<Item = &str> {
        self.first_comment()
            .filter_map(|line| line.strip_prefix("# covers "))
            .flat_map(str::split_whitespace)
    }

    fn first_comment(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| line.starts_with('#'))
    }

    /// Parses the scenario and checks the words of its first comment.
    pub fn parse(&self) -> Result<Scenario, Refusal> {
        let mut errors = header::mistakes(&self.text);
        match parse_all(&self.id, &self.text) {
            Ok(scenario) => {
                errors.extend(header::unknown_task_in_order(&scenario));
                if scenario.outlives().next().is_some() {
                    errors.extend(header::wrong_orphan(&scenario));
                }
                if errors.is_empty() {
                    return Ok(scenario);
                }
            }
            Err(mistakes) => errors.extend(mistakes),
        }
        errors.sort_by_key(|error| (error.line, error.column));
        Err(self.refuse(errors))
    }

    /// Parses the scenario, and checks that the model gives the outcomes in the file for every capacity of a pipe. Refuses a
    /// scenario if the model cannot find all its outcomes.
    pub fn checked(&self) -> Result<Scenario, Refusal> {
        self.checked_for(Choices::default())
    }

    /// The same as [`ScenarioFile::checked`] for an implementation with these choices.
    pub fn checked_for(&self, choices: Choices) -> Result<Scenario, Refusal> {
        let scenario = self.parse()?;
        let mut errors = disagreement::errors(&scenario, choices);
        if let Some(first) = errors.first_mut() {
            let command =
                program::command(&format!("run --unchecked {}", program::path(&self.path)));
            first.notes.push(format!("if you think that the model is wrong: {command}"));
            return Err(self.refuse(errors));
        }
        Ok(scenario)
    }

    /// Warnings about what is probably unintended in a scenario that the model agrees with.
    #[must_use]
    pub fn warnings(&self, scenario: &Scenario) -> Refusal {
        self.refuse(lints::warnings(scenario))
    }

    fn refuse(&self, mut errors: Vec<ParseError>) -> Refusal {
        for error in &mut errors {
            error.limit_to(self.text.lines().nth(error.line - 1).unwrap_or_default());
        }
        Refusal { path: self.path.clone(), text: self.text.clone(), errors }
    }
}

/// Why a scenario file is refused: all its mistakes. Its `Display` text is a complete message.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The mistakes in the order of their lines.
    pub errors: Vec<ParseError>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::usage(refusal.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        let errors: Vec<String> =
            self.errors.iter().map(|error| error.render(&path, &self.text)).collect();
        f.write_str(&errors.join("\n"))
    }
}
