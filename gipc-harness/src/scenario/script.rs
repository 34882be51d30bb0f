//! A scenario file as its author laid it out: comments, paragraphs, `each` heads, and lines with their indices.

use super::{Outcome, TaskId, Verb};

/// The layout of a scenario file. Its `Display` text is the formatted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The lines of the file, without blank lines at its end.
    pub items: Vec<Item>,
}

/// One line of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `# …`, without the `#` and the blank that follows it.
    Comment(String),
    /// An empty line, which ends a paragraph.
    Blank,
    /// `each i in 1..1000, j in 1..10`: the head of a paragraph that is repeated.
    Each(Vec<Index>),
    /// `TASK ACTION => OUTCOME`, with its indices still in it.
    Line(Line),
}

/// `i in 1..1000`, both bounds included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name that stands between brackets in the paragraph.
    pub name: String,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// A step as written, before `each` is expanded. Names may contain `[i]`, `[i+1]` or `[i-1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The process or task, as written.
    pub task_id: TaskId,
    /// The action, as written.
    pub verb: Verb,
    /// The time limit in milliseconds: `within 50ms`.
    pub within_ms: Option<u32>,
    /// The outcomes after `=>`. Empty if the line has none, which means `ok`.
    pub expected: Vec<Outcome>,
}

/// The position of a step in its file. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The line, from 1.
    pub line: usize,
    /// The first column of the action, from 1.
    pub what: usize,
    /// The first column, from 1, and the length of the text after `=>`, if the line has an arrow.
    pub outcome: Option<(usize, usize)>,
}

impl Index {
    /// The number of its values.
    pub(super) fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}
