//! What should happen: processes, steps, and the outcome that each step must have.
//!
//! Knows nothing of how a scenario is performed, nor that processes exist.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

mod verb;
mod outcome;
mod lexer;
mod parser;
mod grammar;
mod expansion;
mod validation;
mod handle_rules;
mod formatter;
mod pipe_ends;
#[cfg(test)]
mod tests;

pub use grammar::{Profile, VERBS};
pub use outcome::{Outcome, Payload};
pub use parser::{OUTCOMES, ParseError, parse};
pub use pipe_ends::{HandleTable, PipeEnd, PipeId, Side};
pub use verb::{ChildAct, Codec, Counted, CutAt, Disposition, Verb};

/// One question: which process does what, in which order, and which outcome each step must have.
///
/// A scenario does not change after it was read. A variant of it is a new scenario that [`Scenario::with_steps`] makes.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The path below `scenarios/` without its extension: `close/eof-after-close`.
    pub id: String,
    /// The file as it was read; errors and failure screens quote it.
    pub text: String,
    /// The layout: comments, blank lines, `each` heads and lines as written.
    pub script: Arc<Script>,
    /// The steps in the order of the file, with every `each` expanded.
    pub steps: Arc<[Step]>,
    /// Which handle stands for which pipe ends.
    pub handles: Arc<HandleTable>,
}

/// A scenario file as its author laid it out; `print` gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// One entry a line of the file.
    pub items: Vec<Item>,
}

/// One line of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `# …`, without the `#` and the blank that follows it.
    Comment(String),
    /// An empty line: the end of a paragraph.
    Blank,
    /// `each i in 1..1000, j in 1..10`: the head of a paragraph.
    Each(Vec<Index>),
    /// `who what => outcome`, with its indices still in it.
    Line(Line),
}

/// `i in 1..1000`, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name between the brackets.
    pub name: String,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// A step as written, before `each` is written out. Names may carry `[i]`, `[i+1]` or `[i-1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who, as written.
    pub task_id: TaskId,
    /// What, as written.
    pub verb: Verb,
    /// `within 50ms`.
    pub within_ms: Option<u64>,
    /// After `=>`; empty where nothing was written, which means `ok`.
    pub expected: Vec<Outcome>,
}

/// Where in the file a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The first column of what is done, from 1.
    pub what: usize,
    /// The first column and the length of what stands after `=>`, if anything does.
    pub outcome: Option<(usize, usize)>,
}

/// One step of one process or task, with concrete names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is written. All repetitions of an `each` share a place.
    pub place: Place,
    /// Who does it.
    pub task_id: TaskId,
    /// What is done.
    pub verb: Verb,
    /// The time limit of the call, in milliseconds.
    pub within_ms: Option<u64>,
    /// The outcomes allowed; never empty.
    pub expected: Vec<Outcome>,
    /// Which repetition of an `each` this is.
    pub indices: Vec<(String, u64)>,
}

/// A process, or one task inside it: what does its steps in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The process: `main`, `child[3]`.
    pub process: String,
    /// The task inside it: `reader` in `main/reader`.
    pub task: Option<String>,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{}/{task}", self.process),
            None => f.write_str(&self.process),
        }
    }
}

/// An order of releases as `Scenario::order` reads it.
pub fn order_line(task_ids: &[TaskId]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for task_id in task_ids.iter().map(TaskId::to_string) {
        match words.last_mut() {
            Some((last, times)) if *last == task_id => *times += 1,
            _ => words.push((task_id, 1)),
        }
    }
    let word = |(task_id, times): &(String, usize)| match times {
        1 => task_id.clone(),
        _ => format!("{task_id}*{times}"),
    };
    format!("order: {}", words.iter().map(word).collect::<Vec<_>>().join(" "))
}

impl TaskId {
    /// The task_id of a process itself.
    pub fn process(name: impl Into<String>) -> Self {
        Self { process: name.into(), task: None }
    }
}

impl Scenario {
    fn new(id: &str, text: &str, script: Script, steps: Vec<Step>) -> Self {
        let handles = Arc::new(HandleTable::of(&steps));
        let (id, text, script) = (id.to_owned(), text.to_owned(), Arc::new(script));
        Self { id, text, script, steps: steps.into(), handles }
    }

    /// The same scenario with other steps; its text and layout stay those of the file.
    #[must_use]
    pub fn with_steps(&self, steps: Vec<Step>) -> Self {
        let handles = Arc::new(HandleTable::of(&steps));
        Self { steps: steps.into(), handles, ..self.clone() }
    }

    /// The first sentence of its comment: what must hold.
    pub fn about(&self) -> String {
        let text = self.head().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        match text.find(". ") {
            Some(end) => text[..=end].to_owned(),
            None => text,
        }
    }

    /// The requirements it asks: its `# covers` lines.
    pub fn covers(&self) -> Vec<&str> {
        self.head()
            .filter_map(|line| line.strip_prefix("covers "))
            .flat_map(str::split_whitespace)
            .collect()
    }

    /// Why it is heavy, if it is: its `# heavy: …` line. A heavy one runs only when asked for.
    pub fn heavy(&self) -> Option<&str> {
        self.head().find_map(|line| line.strip_prefix("heavy: "))
    }

    /// The order of releases that it asks for, if it does: its `# order: …` line, a task_id a word, `child*3` for three
    /// in turn. A word that is no task_id of it comes back as the error.
    pub fn order(&self) -> Option<Result<Vec<TaskId>, String>> {
        let words = self.head().find_map(|line| line.strip_prefix("order: "))?;
        let mut order = Vec::new();
        for word in words.split_whitespace() {
            let (name, times) = word.split_once('*').unwrap_or((word, "1"));
            let task_id = self
                .steps
                .iter()
                .map(|step| &step.task_id)
                .find(|task_id| task_id.to_string() == name);
            match (task_id, times.parse()) {
                (Some(task_id), Ok(times)) => {
                    order.extend(std::iter::repeat_n(task_id.clone(), times))
                }
                _ => return Some(Err(word.to_owned())),
            }
        }
        Some(Ok(order))
    }

    /// The first comment block.
    fn head(&self) -> impl Iterator<Item = &str> {
        self.script.items.iter().map_while(|item| match item {
            Item::Comment(text) => Some(text.as_str()),
            _ => None,
        })
    }
}
