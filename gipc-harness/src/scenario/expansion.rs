//! Expands every `each`: its paragraph is repeated, with the first index outermost.

use super::{Index, Item, Line, Outcome, ParseError, Payload, Script, SourcePosition, Step};

/// The maximum number of steps of a scenario after expansion.
const MAX_STEPS: u64 = 250_000;

/// The steps of a script in file order. `positions` has one entry for each line of the file.
pub(super) fn expand(
    script: &Script,
    positions: &[SourcePosition],
) -> Result<Vec<Step>, ParseError> {
    let mut steps = Vec::new();
    let mut head: Option<(&[Index], SourcePosition)> = None;
    let mut paragraph: Vec<(&Line, SourcePosition)> = Vec::new();
    for (item, position) in script.items.iter().zip(positions) {
        match item {
            Item::Comment(_) => {}
            Item::Line(line) => paragraph.push((line, *position)),
            Item::Blank => expand_paragraph(&mut steps, head.take(), &mut paragraph)?,
            Item::Each(indices) => {
                if !paragraph.is_empty() || head.is_some() {
                    let hint = "leave an empty line above it: `each` heads a paragraph";
                    return Err(each_error(*position, "`each` inside a paragraph", hint));
                }
                head = Some((indices, *position));
            }
        }
    }
    expand_paragraph(&mut steps, head, &mut paragraph)?;
    Ok(steps)
}

/// An error that marks the word `each`.
fn each_error(position: SourcePosition, message: &str, hint: &str) -> ParseError {
    let (message, hint) = (message.to_owned(), hint.to_owned());
    ParseError { message, hint, line: position.line, column: position.what, width: 4 }
}

/// Appends the steps of a paragraph, once for each combination of the indices in its head, and empties it.
fn expand_paragraph(
    steps: &mut Vec<Step>,
    head: Option<(&[Index], SourcePosition)>,
    paragraph: &mut Vec<(&Line, SourcePosition)>,
) -> Result<(), ParseError> {
    let lines = std::mem::take(paragraph);
    let Some((indices, head_position)) = head else {
        for (line, position) in lines {
            steps.push(Substitution { values: &[], position }.step(line)?);
        }
        return Ok(());
    };
    if lines.is_empty() {
        let hint = "put the lines to repeat directly below it";
        return Err(each_error(head_position, "`each` without a paragraph", hint));
    }
    let repetitions = indices
        .iter()
        .try_fold(1_u64, |product, index| product.checked_mul(index.last - index.first + 1));
    let total = repetitions
        .and_then(|repetitions| repetitions.checked_mul(lines.len() as u64))
        .and_then(|added| added.checked_add(steps.len() as u64));
    if total.is_none_or(|total| total > MAX_STEPS) {
        let hint = "a scenario has at most 250000 when all is written out";
        return Err(each_error(head_position, "too many steps", hint));
    }
    let mut values: Vec<(String, u64)> =
        indices.iter().map(|index| (index.name.clone(), index.first)).collect();
    loop {
        for (line, position) in &lines {
            steps.push(Substitution { values: &values, position: *position }.step(line)?);
        }
        // Counts like an odometer: the last index changes first.
        let next = (0..indices.len()).rev().find(|at| values[*at].1 < indices[*at].last);
        let Some(next) = next else { return Ok(()) };
        values[next].1 += 1;
        for at in next + 1..indices.len() {
            values[at].1 = indices[at].first;
        }
    }
}

/// Replaces the indices in one line by their values.
struct Substitution<'a> {
    values: &'a [(String, u64)],
    position: SourcePosition,
}

impl Substitution<'_> {
    fn step(&self, line: &Line) -> Result<Step, ParseError> {
        let mut verb = line.verb.clone();
        for name in verb.names_mut() {
            self.name(name)?;
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
            indices: self.values.to_vec(),
        })
    }

    fn name(&self, name: &mut String) -> Result<(), ParseError> {
        if !name.contains('[') {
            return Ok(());
        }
        for (index, value) in self.values {
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
        Err(ParseError {
            message: format!("nothing to put into {name}"),
            hint: "an index must be named by the `each` above its paragraph, and not fall below 0"
                .into(),
            line: self.position.line,
            column: self.position.what,
            width: name.len(),
        })
    }

    fn payload(&self, payload: &mut Payload) {
        let Payload::Text(text) = payload else { return };
        for (index, value) in self.values {
            *text = text.replace(&format!("{{{index}}}"), &value.to_string());
        }
    }
}
