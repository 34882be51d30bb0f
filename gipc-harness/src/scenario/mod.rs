//! What should happen: processes, steps, and the outcomes that each step may have.
//!
//! This module describes scenarios only. It does not execute them and does not use the operating system.

use std::sync::Arc;

mod error;
mod verb;
mod outcome;
mod script;
mod indices;
mod step;
mod lexer;
mod token_line;
mod grammar;
mod common_mistakes;
mod verb_parser;
mod outcome_parser;
mod parser;
mod template;
mod expansion;
mod mistake_list;
mod validation;
mod formatter;
mod pipe_ends;
mod program_start;
mod process_groups;
#[cfg(test)]
mod tests;

pub use error::{ParseError, Severity, mark};
pub use grammar::{Profile, VERBS};
pub use indices::Indices;
pub use outcome::{Outcome, Payload};
pub use parser::{parse, parse_all};
pub use pipe_ends::{HandleTable, PipeEnd, PipeId, Side};
pub use program_start::{Executable, ProgramStart, Stream, StreamName, StreamSource};
pub use script::{Index, Item, Line, Script, SourcePosition};
pub use step::{Outcomes, Step, TaskId};
pub use verb::{ChildAct, Closing, Codec, Counted, CutAt, Disposition, Verb};

/// A script for several processes: which process does what, in which order, and which outcomes each step may have.
///
/// A scenario does not change after it was read. [`Scenario::with_steps`] makes a variant of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The path below `scenarios/` without its extension: `close/eof-after-close`.
    pub id: String,
    /// The file as it was read. Errors and failure screens quote it.
    pub text: String,
    /// The layout: comments, blank lines, `each` heads and lines as written.
    pub script: Arc<Script>,
    /// The steps in file order, with every `each` expanded.
    pub steps: Arc<Vec<Step>>,
    /// The pipe ends of each handle.
    pub handles: Arc<HandleTable>,
}

impl Scenario {
    fn new(id: &str, text: &str, script: Script, steps: Vec<Step>) -> Self {
        let handles = Arc::new(HandleTable::of(&steps));
        let (id, text, script) = (id.to_owned(), text.to_owned(), Arc::new(script));
        Self { id, text, script, steps: Arc::new(steps), handles }
    }

    /// Returns the same scenario with other steps. Its text and layout stay those of the file.
    #[must_use]
    pub fn with_steps(&self, steps: Vec<Step>) -> Self {
        let handles = Arc::new(HandleTable::of(&steps));
        Self { steps: Arc::new(steps), handles, ..self.clone() }
    }

    /// The first sentence of the first comment, which says what must hold.
    pub fn about(&self) -> String {
        let paragraph: Vec<&str> = self.header().take_while(|line| !line.is_empty()).collect();
        let text = paragraph.join(" ");
        match text.find(". ") {
            Some(end) => text[..=end].to_owned(),
            None => text,
        }
    }

    /// The ids of the requirements that the scenario tests, from its `# covers` lines.
    pub fn covers(&self) -> Vec<&str> {
        self.header()
            .filter_map(|line| line.strip_prefix("covers "))
            .flat_map(str::split_whitespace)
            .collect()
    }

    /// The reason in its `# heavy: …` line, if it has one. A heavy scenario runs only on request.
    pub fn heavy(&self) -> Option<&str> {
        self.header().find_map(|line| line.strip_prefix("heavy: "))
    }

    /// The processes that may still run when the run is over, from its `# outlives: …` lines.
    pub fn outlives(&self) -> impl Iterator<Item = &str> {
        self.header()
            .filter_map(|line| line.strip_prefix("outlives: "))
            .flat_map(str::split_whitespace)
    }

    /// The order of releases in its `# order: …` line, if it has one: task names, with `child*3` for three releases in
    /// a row. The error is the first word that is not a task of the scenario.
    pub fn order(&self) -> Option<Result<Vec<TaskId>, String>> {
        let words = self.header().find_map(|line| line.strip_prefix("order: "))?;
        let mut order = Vec::new();
        for word in words.split_whitespace() {
            let (name, times) = word.split_once('*').unwrap_or((word, "1"));
            let mut task_ids = self.steps.iter().map(|step| &step.task_id);
            let task_id = task_ids.find(|task_id| task_id.to_string() == name);
            match (task_id, times.parse()) {
                (Some(task_id), Ok(times)) => {
                    order.extend(std::iter::repeat_n(TaskId::clone(task_id), times));
                }
                _ => return Some(Err(word.to_owned())),
            }
        }
        Some(Ok(order))
    }

    /// The lines of the first comment block.
    fn header(&self) -> impl Iterator<Item = &str> {
        self.script.items.iter().map_while(|item| match item {
            Item::Comment(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Writes an order of releases as the `order: …` line that [`Scenario::order`] reads.
pub fn order_line(task_ids: &[TaskId]) -> String {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for name in task_ids.iter().map(TaskId::to_string) {
        match runs.last_mut() {
            Some((last, times)) if *last == name => *times += 1,
            _ => runs.push((name, 1)),
        }
    }
    let words: Vec<String> = runs
        .into_iter()
        .map(|(name, times)| if times == 1 { name } else { format!("{name}*{times}") })
        .collect();
    format!("order: {}", words.join(" "))
}
