//! The error of the scenario language: what is wrong, where, and what to write instead.

use super::Step;
use std::fmt::Write;

/// A mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// The line, from 1.
    pub line: usize,
    /// The first column of the marked text, from 1, in characters.
    pub column: usize,
    /// The length of the marked text, in characters.
    pub width: usize,
}

impl ParseError {
    /// An error that marks the action of a step.
    pub(super) fn at_action(
        step: &Step,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            line: step.position.line,
            column: step.position.what,
            width: step.what().chars().count(),
        }
    }

    /// An error that marks the process or task of a step.
    pub(super) fn at_task(
        step: &Step,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let width = step.task_id.to_string().chars().count();
        Self { column: 1, width, ..Self::at_action(step, message, hint) }
    }

    /// The error as several lines of text: the message, the position, the line of the file, and the hint beside a
    /// caret. `path` names the file, `text` is its content.
    pub fn render(&self, path: &str, text: &str) -> String {
        let quoted = text.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.column.saturating_sub(1));
        let caret = "^".repeat(self.width.max(1));
        let mut out = format!("error: {}\n", self.message);
        let _ = writeln!(out, "{margin}--> {path}:{number}:{}", self.column);
        let _ = writeln!(out, "{number} | {quoted}");
        let _ = writeln!(out, "{margin} | {indent}{caret} {}", self.hint);
        out
    }
}
