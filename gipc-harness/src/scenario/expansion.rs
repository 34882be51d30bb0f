//! Expands every `each`: its paragraph is repeated, with the first index outermost.

use super::mistake_list::MistakeList;
use super::{Index, Item, Line, Outcome, ParseError, Payload, Script, SourcePosition, Step};
use std::sync::Arc;

/// The maximum number of steps of a scenario after expansion.
const MAX_STEPS: u64 = 250_000;

/// The steps of a script in file order. `positions` has one entry for each line of the file. A line that cannot be
/// expanded has no steps.
pub(super) fn expand(
    script: &Script,
    positions: &[SourcePosition],
    mistakes: &mut MistakeList<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut head: Option<(&[Index], SourcePosition)> = None;
    let mut paragraph: Vec<(&Line, SourcePosition)> = Vec::new();
    for (item, position) in script.items.iter().zip(positions) {
        match item {
            Item::Comment(_) => {}
            Item::Line(line) => paragraph.push((line, *position)),
            Item::Blank => expand_paragraph(&mut steps, head.take(), &mut paragraph, mistakes),
            Item::Each(indices) => {
                if !paragraph.is_empty() || head.is_some() {
                    let hint = "leave an empty line above it: `each` heads a paragraph";
                    mistakes.add(each_error(*position, "`each` inside a paragraph", hint));
                }
                head = Some((indices, *position));
            }
        }
    }
    expand_paragraph(&mut steps, head, &mut paragraph, mistakes);
    steps
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
    mistakes: &mut MistakeList<'_>,
) {
    let lines = std::mem::take(paragraph);
    let Some((indices, head_position)) = head else {
        let values = Arc::from([]);
        for (line, position) in lines {
            match (Substitution { values: &values, position }).step(line, Uses::of(line)) {
                Ok(step) => steps.push(step),
                Err(mistake) => mistakes.add_unless_doubtful(mistake),
            }
        }
        return;
    };
    // Lines that could not be read are no part of the script. Their own mistakes say what is wrong.
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
    let lines: Vec<_> = lines.into_iter().map(|(line, at)| (line, at, Uses::of(line))).collect();
    let mut values: Vec<(Arc<str>, u64)> =
        indices.iter().map(|index| (index.name.as_str().into(), index.first)).collect();
    loop {
        let shared: Arc<[(Arc<str>, u64)]> = values.as_slice().into();
        for (line, position, uses) in &lines {
            match (Substitution { values: &shared, position: *position }).step(line, *uses) {
                Ok(step) => steps.push(step),
                Err(mistake) => mistakes.add_unless_doubtful(mistake),
            }
        }
        // Counts like an odometer: the last index changes first.
        let next = (0..indices.len()).rev().find(|at| values[*at].1 < indices[*at].last);
        let Some(next) = next else { return };
        values[next].1 += 1;
        for at in next + 1..indices.len() {
            values[at].1 = indices[at].first;
        }
    }
}

/// Whether the repetitions of a paragraph with this many lines keep the scenario below the maximum number of steps.
fn is_within_limit(indices: &[Index], lines: usize, steps: usize) -> bool {
    let repetitions = indices
        .iter()
        .try_fold(1_u64, |product, index| product.checked_mul(index.last - index.first + 1));
    let total = repetitions
        .and_then(|repetitions| repetitions.checked_mul(lines as u64))
        .and_then(|added| added.checked_add(steps as u64));
    total.is_some_and(|total| total <= MAX_STEPS)
}

/// Where a line may use indices. A line is repeated up to a hundred thousand times, and looked at once.
#[derive(Clone, Copy)]
struct Uses {
    /// A name that the verb contains has a bracket.
    in_names: bool,
}

impl Uses {
    fn of(line: &Line) -> Self {
        let in_names = line.verb.clone().names_mut().iter().any(|name| name.contains('['));
        Self { in_names }
    }
}

/// Replaces the indices in one line by their values.
struct Substitution<'a> {
    values: &'a Arc<[(Arc<str>, u64)]>,
    position: SourcePosition,
}

impl Substitution<'_> {
    fn step(&self, line: &Line, uses: Uses) -> Result<Step, ParseError> {
        let mut verb = line.verb.clone();
        if uses.in_names {
            for name in verb.names_mut() {
                self.name(name)?;
            }
        }
        if let Some(payload) = verb.payload_mut() {
            self.payload(payload);
        }
        let mut expected = line.expected.clone();
        for outcome in &mut expected {
            match outcome {
                Outcome::Message(payload) => self.payload(payload),
                Outcome::Blocks(processes) => {
                    processes.iter_mut().try_for_each(|process| self.name(process))?;
                }
                _ => {}
            }
        }
        if expected.is_empty() {
            expected.push(Outcome::Ok);
        }
        let mut task_id = line.task_id.clone();
        for name in task_id.names_mut() {
            self.name(name)?;
        }
        Ok(Step {
            position: self.position,
            task_id,
            verb,
            within_ms: line.within_ms,
            expected,
            indices: Arc::clone(self.values),
        })
    }

    fn name(&self, name: &mut String) -> Result<(), ParseError> {
        if !name.contains('[') {
            return Ok(());
        }
        for (index, value) in self.values.iter() {
            *name = name.replace(&format!("[{index}]"), &format!("[{value}]"));
            *name = name.replace(&format!("[{index}+1]"), &format!("[{}]", value + 1));
            if let Some(previous) = value.checked_sub(1) {
                *name = name.replace(&format!("[{index}-1]"), &format!("[{previous}]"));
            }
        }
        let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        if name.split('[').skip(1).all(is_number) {
            return Ok(());
        }
        let names: Vec<&str> = self.values.iter().map(|(name, _)| &**name).collect();
        let hint = match names.first() {
            None => "write `each i in 1..3` above its paragraph".to_owned(),
            Some(first) => format!(
                "the `each` above names {}: write [{first}], and let no index fall below 0",
                names.join(" and ")
            ),
        };
        let position = (self.position.line, self.position.what, name.chars().count());
        Err(ParseError::at(position, format!("nothing to put into {name}"), hint))
    }

    fn payload(&self, payload: &mut Payload) {
        let Payload::Text(text) = payload else { return };
        if !text.contains('{') {
            return;
        }
        for (index, value) in self.values.iter() {
            *text = text.replace(&format!("{{{index}}}"), &value.to_string());
        }
    }
}
