//! Expands every `each`: its paragraph is repeated, with the first index outermost.

use super::mistake_list::MistakeList;
use super::template::Template;
use super::{
    Index, Indices, Item, Line, Outcome, Outcomes, ParseError, Payload, Script, SourcePosition,
    Step, TaskId,
};
use ecow::EcoString;
use foldhash::{HashSet, HashSetExt};
use std::sync::Arc;

/// The maximum number of steps of a scenario after expansion.
const MAX_STEPS: u64 = 250_000;

/// Returns the steps of a script in file order. `positions` has one entry for each line of the file. A line that cannot be
/// expanded has no steps.
pub(super) fn expand(
    script: &Script,
    positions: &[SourcePosition],
    mistakes: &mut MistakeList<'_>,
) -> Vec<Step> {
    let (mut steps, mut tasks) = (Vec::with_capacity(count(script)), TaskIds::new());
    let mut head: Option<(&[Index], SourcePosition)> = None;
    let mut paragraph: Vec<(&Line, SourcePosition)> = Vec::new();
    for (item, position) in script.items.iter().zip(positions) {
        match item {
            Item::Comment(_) => {}
            Item::Line(line) => paragraph.push((line, *position)),
            Item::Blank => {
                expand_paragraph(&mut steps, head.take(), &mut paragraph, &mut tasks, mistakes);
            }
            Item::Each(indices) => {
                if !paragraph.is_empty() || head.is_some() {
                    let hint = "leave an empty line above it: `each` heads a paragraph";
                    mistakes.add(each_error(*position, "`each` inside a paragraph", hint));
                }
                head = Some((indices, *position));
            }
        }
    }
    expand_paragraph(&mut steps, head, &mut paragraph, &mut tasks, mistakes);
    steps
}

/// The number of steps that a script without mistakes has.
fn count(script: &Script) -> usize {
    let (mut count, mut repetitions) = (0_u64, 1_u64);
    for item in &script.items {
        match item {
            Item::Comment(_) => {}
            Item::Line(_) => count = count.saturating_add(repetitions),
            Item::Blank => repetitions = 1,
            Item::Each(indices) => {
                let counts = indices.iter().map(Index::count);
                repetitions = counts.fold(1, u64::saturating_mul);
            }
        }
    }
    usize::try_from(count.min(MAX_STEPS)).unwrap_or_default()
}

/// An error that marks the word `each`.
fn each_error(position: SourcePosition, message: &str, hint: &str) -> ParseError {
    ParseError::at((position.line, position.what, 4), message, hint)
}

/// Appends the steps of a paragraph, once for each combination of the indices in its head, and empties it.
fn expand_paragraph(
    steps: &mut Vec<Step>,
    head: Option<(&[Index], SourcePosition)>,
    paragraph: &mut Vec<(&Line, SourcePosition)>,
    tasks: &mut TaskIds,
    mistakes: &mut MistakeList<'_>,
) {
    let lines = std::mem::take(paragraph);
    let Some((indices, head_position)) = head else {
        for (line, at) in lines {
            let line = LineTemplate::new(line, at, &[], tasks);
            add_step(steps, &line, &Indices::default(), tasks, mistakes);
        }
        return;
    };
    // The script leaves out lines that could not be read. Their own mistakes say what is wrong.
    if lines.is_empty() && mistakes.is_wrong_below(head_position.line) {
        return;
    }
    let refusal = if lines.is_empty() {
        let hint = "put the lines to repeat directly below it";
        Some(("`each` without a paragraph", hint))
    } else if !is_within_limit(indices, lines.len(), steps.len()) {
        Some(("too many steps", "a scenario has at most 250000 when all is written out"))
    } else {
        None
    };
    if let Some((message, hint)) = refusal {
        mistakes.add_unless_doubtful(each_error(head_position, message, hint));
        lines.iter().for_each(|(_, position)| mistakes.doubt(position.line));
        return;
    }
    let lines: Vec<LineTemplate<'_>> =
        lines.into_iter().map(|(line, at)| LineTemplate::new(line, at, indices, tasks)).collect();
    for values in Indices::of_repetitions(&Arc::new(indices.to_vec())) {
        lines.iter().for_each(|line| add_step(steps, line, &values, tasks, mistakes));
    }
}

/// Appends the step of a line in one repetition.
fn add_step(
    steps: &mut Vec<Step>,
    line: &LineTemplate<'_>,
    indices: &Indices,
    tasks: &mut TaskIds,
    mistakes: &mut MistakeList<'_>,
) {
    match line.step(indices, tasks) {
        Ok(step) => steps.push(step),
        Err(mistake) => mistakes.add_unless_doubtful(mistake),
    }
}

/// Whether the repetitions of a paragraph with this many lines keep the scenario below the maximum number of steps.
fn is_within_limit(indices: &[Index], lines: usize, steps: usize) -> bool {
    let repetitions =
        indices.iter().try_fold(1_u64, |product, index| product.checked_mul(index.count()));
    let total = repetitions
        .and_then(|repetitions| repetitions.checked_mul(lines as u64))
        .and_then(|added| added.checked_add(steps as u64));
    total.is_some_and(|total| total <= MAX_STEPS)
}

/// The tasks of the steps so far, each once.
type TaskIds = HashSet<Arc<TaskId>>;

/// A line with indices, which are replaced by their values in each repetition. The line is split once, and repeated up to a
/// hundred thousand times.
struct LineTemplate<'a> {
    line: &'a Line,
    position: Arc<SourcePosition>,
    /// The outcomes as written; `ok` if the line has no outcome.
    expected: Outcomes,
    /// One for each name in the verb; empty if none has an index.
    verb_names: Vec<Option<Template>>,
    payload: Option<Template>,
    /// One for each outcome; empty if none has an index.
    messages: Vec<Option<Template>>,
    /// For each outcome, one for each process that it waits for.
    awaited: Vec<Vec<Option<Template>>>,
    /// The task as written.
    task_id: Arc<TaskId>,
    /// One for each name in the task; empty if none has an index.
    task_names: Vec<Option<Template>>,
}

impl<'a> LineTemplate<'a> {
    fn new(
        line: &'a Line,
        position: SourcePosition,
        indices: &[Index],
        tasks: &mut TaskIds,
    ) -> Self {
        let names = |name: &EcoString| Template::of_name(name, indices);
        let message = |payload: &Payload| match payload {
            Payload::Text(text) => Template::of_message(text, indices),
            Payload::Size(_) => None,
        };
        let mut expected: Outcomes = line.expected.iter().cloned().collect();
        if expected.is_empty() {
            expected.push(Outcome::Ok);
        }
        let mut verb = line.verb.clone();
        Self {
            line,
            position: Arc::new(position),
            verb_names: unless_fixed(verb.names_mut().iter().map(|name| names(name))),
            payload: verb.payload_mut().and_then(|payload| message(payload)),
            messages: unless_fixed(expected.iter().map(|outcome| match outcome {
                Outcome::Message(payload) => message(payload),
                _ => None,
            })),
            awaited: expected
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Blocks(processes) => unless_fixed(processes.iter().map(names)),
                    _ => Vec::new(),
                })
                .collect(),
            task_names: unless_fixed(line.task_id.clone().names_mut().map(|name| names(name))),
            task_id: shared(tasks, line.task_id.clone()),
            expected,
        }
    }

    /// The step of the line in one repetition.
    fn step(&self, indices: &Indices, tasks: &mut TaskIds) -> Result<Step, ParseError> {
        let mut verb = self.line.verb.clone();
        if !self.verb_names.is_empty() {
            for (name, template) in verb.names_mut().into_iter().zip(&self.verb_names) {
                self.fill_name(name, template.as_ref(), indices)?;
            }
        }
        let message = verb.payload_mut().zip(self.payload.as_ref());
        if let Some((Payload::Text(text), template)) = message {
            fill_message(text, template, indices);
        }
        let mut expected = self.expected.clone();
        for (outcome, template) in expected.iter_mut().zip(&self.messages) {
            if let (Outcome::Message(Payload::Text(text)), Some(template)) = (outcome, template) {
                fill_message(text, template, indices);
            }
        }
        for (outcome, templates) in expected.iter_mut().zip(&self.awaited) {
            if let (Outcome::Blocks(processes), false) = (outcome, templates.is_empty()) {
                for (name, template) in processes.make_mut().iter_mut().zip(templates) {
                    self.fill_name(name, template.as_ref(), indices)?;
                }
            }
        }
        let mut task_id = Arc::clone(&self.task_id);
        if !self.task_names.is_empty() {
            let mut own = TaskId::clone(&task_id);
            for (name, template) in own.names_mut().zip(&self.task_names) {
                self.fill_name(name, template.as_ref(), indices)?;
            }
            task_id = shared(tasks, own);
        }
        Ok(Step {
            position: Arc::clone(&self.position),
            task_id,
            verb,
            within_ms: self.line.within_ms,
            expected,
            indices: indices.clone(),
        })
    }

    fn fill_name(
        &self,
        name: &mut EcoString,
        template: Option<&Template>,
        indices: &Indices,
    ) -> Result<(), ParseError> {
        let Some(template) = template else { return Ok(()) };
        *name = template.fill(indices).map_err(|name| {
            let names: Vec<&str> = indices.iter().map(|(name, _)| name).collect();
            let hint = match names.first() {
                None => "write `each i in 1..3` above its paragraph".to_owned(),
                Some(first) => format!(
                    "the `each` above names {}: write [{first}], and let no index fall below 0",
                    names.join(" and ")
                ),
            };
            let position = (self.position.line, self.position.what, name.chars().count());
            ParseError::at(position, format!("nothing to put into {name}"), hint)
        })?;
        Ok(())
    }
}

/// Fills in the indices of a message, where each of them always has a value.
fn fill_message(text: &mut EcoString, template: &Template, indices: &Indices) {
    if let Ok(filled) = template.fill(indices) {
        *text = filled;
    }
}

/// The templates of several texts, or an empty list if no text has an index.
fn unless_fixed(templates: impl Iterator<Item = Option<Template>>) -> Vec<Option<Template>> {
    let templates: Vec<Option<Template>> = templates.collect();
    if templates.iter().all(Option::is_none) { Vec::new() } else { templates }
}

/// Returns the shared copy of a task, which all its steps use.
fn shared(tasks: &mut TaskIds, task_id: TaskId) -> Arc<TaskId> {
    if let Some(known) = tasks.get(&task_id) {
        return Arc::clone(known);
    }
    let task_id = Arc::new(task_id);
    tasks.insert(Arc::clone(&task_id));
    task_id
}
