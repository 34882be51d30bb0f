//! The error of the scenario language: what is wrong, where, and what to write instead.

use super::Step;
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns between two tab stops in a quoted line.
const TAB: usize = 4;

/// A mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Whether the scenario is refused because of it.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// More lines of explanation, which are shown below the quoted line.
    pub notes: Vec<String>,
    /// The line, from 1.
    pub line: usize,
    /// The first column of the marked text, from 1, in characters.
    pub column: usize,
    /// The length of the marked text, in characters.
    pub width: usize,
}

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The scenario is refused.
    Error,
    /// The scenario can run, but will probably not test what its author thinks.
    Warning,
}

impl Severity {
    /// The word at the beginning of a report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl ParseError {
    /// An error at a position: a line, a column and a width, all from 1 and in characters.
    pub fn at(
        (line, column, width): (usize, usize, usize),
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self { severity: Severity::Error, message, hint, notes: Vec::new(), line, column, width }
    }

    /// An error that marks the action of a step.
    pub fn at_action(step: &Step, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let width = step.what().chars().count();
        Self::at((step.position.line, step.position.what, width), message, hint)
    }

    /// An error that marks the outcome of a step, or its action if the line has no outcome. `text` is that of the file.
    pub fn at_outcome(
        text: &str,
        step: &Step,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let position = &step.position;
        let text = text.lines().nth(position.line - 1).unwrap_or_default();
        let rest = (text.trim_end().chars().count() + 1).saturating_sub(position.what);
        let (column, width) = position.outcome.unwrap_or((position.what, rest));
        Self::at((position.line, column, width), message, hint)
    }

    /// An error that marks the process or task of a step.
    pub(super) fn at_task(
        step: &Step,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let width = step.task_id.to_string().chars().count();
        Self::at((step.position.line, 1, width), message, hint)
    }

    /// Shortens the mark so that it ends where the action of its line ends: the names in a line below an `each` are shorter
    /// in the file than after its expansion.
    pub fn limit_to(&mut self, line: &str) {
        let is_outcome = line.chars().take(self.column.saturating_sub(1)).collect::<String>();
        let end = match line.split_once(" => ").filter(|_| !is_outcome.contains("=>")) {
            Some((action, _)) => action,
            None => line,
        };
        let end = end.trim_end().chars().count();
        self.width = self.width.min((end + 1).saturating_sub(self.column)).max(1);
    }

    /// The error as several lines of text: the message, the position, the line of the file, the hint beside a caret, and
    /// the notes. `path` names the file, `text` is its content.
    pub fn render(&self, path: &str, text: &str) -> String {
        let quoted = text.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
        let (quoted, carets) = mark(quoted, self.column, self.width);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut out = format!("{}: {}\n", self.severity.word(), self.message);
        let _ = writeln!(out, "{margin}--> {path}:{number}:{}", self.column);
        let _ = writeln!(out, "{number} | {quoted}");
        let _ = writeln!(out, "{margin} | {carets} {}", self.hint);
        for note in &self.notes {
            let _ = writeln!(out, "{}", format!("{margin} = {note}").trim_end());
        }
        out
    }
}

/// A line as a terminal shows it, tabs expanded, and a line of carets below the marked text. The column, from 1, and the
/// width count characters.
#[must_use]
pub fn mark(line: &str, column: usize, width: usize) -> (String, String) {
    let (line, column, width) = shortened(line, column, width);
    let mut shown = String::new();
    // The columns of the terminal at which the marked text begins and ends.
    let (mut begin, mut end) = (None, None);
    for (at, c) in (1..).zip(line.chars()) {
        if at == column {
            begin = Some(shown.width());
        }
        if at == column + width {
            end = Some(shown.width());
        }
        match c {
            '\t' => shown.push_str(&" ".repeat(TAB - shown.width() % TAB)),
            c if c.width().is_none() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    let begin = begin.unwrap_or(shown.width());
    let end = end.unwrap_or_else(|| shown.width().max(begin));
    let carets = "^".repeat(end.saturating_sub(begin).max(1));
    (shown, format!("{}{carets}", " ".repeat(begin)))
}

/// A line of a reasonable length: of a longer one only its beginning, or its beginning and the marked text.
fn shortened(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    const MAX: usize = 160;
    let length = line.chars().count();
    if length <= MAX {
        return (line.to_owned(), column, width);
    }
    let part = |from: usize, to: usize| {
        line.chars().skip(from).take(to.saturating_sub(from)).collect::<String>()
    };
    let is_cut = |to: usize| if to < length { " …" } else { "" };
    if column <= MAX / 2 + 1 || column + width <= MAX {
        let width = width.min((MAX + 1).saturating_sub(column));
        return (part(0, MAX) + is_cut(MAX), column, width);
    }
    let head = part(0, MAX / 2) + " … ";
    let end = length.min(column - 1 + MAX / 2);
    let (shown, width) = (part(column - 1, end), width.min((end + 1).saturating_sub(column)));
    let column = head.chars().count() + 1;
    (head + &shown + is_cut(end), column, width)
}

#[cfg(test)]
mod tests {
    use super::mark;
    use rstest::rstest;

    #[rstest]
    #[case::plain("main get r", 6, 5, "main get r", "     ^^^^^")]
    #[case::a_tab_is_expanded("main\tget r", 6, 5, "main    get r", "        ^^^^^")]
    #[case::wide_characters_take_two_columns(
        "put \"日本\" x",
        10,
        1,
        "put \"日本\" x",
        "           ^"
    )]
    #[case::a_wide_mark_has_wide_carets("put \"日本\"", 5, 4, "put \"日本\"", "    ^^^^^^")]
    #[case::beyond_the_end("main", 6, 1, "main", "    ^")]
    #[case::a_control_character_has_a_width("a\u{7}b", 3, 1, "a\u{fffd}b", "  ^")]
    fn carets_stand_below_the_marked_text(
        #[case] line: &str,
        #[case] column: usize,
        #[case] width: usize,
        #[case] shown: &str,
        #[case] carets: &str,
    ) {
        assert_eq!(mark(line, column, width), (shown.to_owned(), carets.to_owned()));
    }

    #[rstest]
    #[case::the_mark_is_long(5, 290, 162, 4, 156)]
    #[case::the_mark_is_behind(200, 5, 165, 83, 5)]
    #[case::the_mark_is_at_the_end(298, 3, 86, 83, 3)]
    fn of_a_long_line_the_part_around_the_mark_is_shown(
        #[case] column: usize,
        #[case] width: usize,
        #[case] length: usize,
        #[case] indent: usize,
        #[case] carets: usize,
    ) {
        let (shown, marks) = mark(&"x".repeat(300), column, width);
        let indentation = marks.len() - marks.trim_start().len();
        assert_eq!(
            (shown.chars().count(), indentation, marks.trim().len()),
            (length, indent, carets)
        );
        assert!(shown.contains(" …"), "{shown}");
    }
}
