//! Writes out every `each`: a paragraph below one is repeated, the first index outermost.

use super::parser::ParseError;
use super::{Index, Item, Line, Outcome, Payload, Place, Script, Step, TaskId, Verb};

/// The most steps a scenario may have when all is written out.
const MOST_STEPS: usize = 250_000;

/// The steps of a script in story order. `places` has one entry a line.
pub(super) fn expand(script: &Script, places: &[Place]) -> Result<Vec<Step>, ParseError> {
    let mut steps = Vec::new();
    let mut head: Option<(&[Index], Place)> = None;
    let mut paragraph: Vec<(&Line, Place)> = Vec::new();
    let items = script.items.iter().zip(places).map(|(item, place)| (item, *place));
    for (item, place) in items {
        match item {
            Item::Comment(_) => {}
            Item::Line(line) => paragraph.push((line, place)),
            Item::Blank => write_out(&mut steps, head.take(), &mut paragraph)?,
            Item::Each(indices) => {
                if !paragraph.is_empty() || head.is_some() {
                    let cure = "leave an empty line above it: `each` heads a paragraph";
                    return Err(error(place, 4, "`each` inside a paragraph", cure));
                }
                head = Some((indices, place));
            }
        }
    }
    write_out(&mut steps, head, &mut paragraph)?;
    Ok(steps)
}

fn error(place: Place, width: usize, message: &str, cure: &str) -> ParseError {
    let (line, column) = (place.line, place.what);
    ParseError { message: message.into(), cure: cure.into(), line, column, width }
}

fn write_out(
    steps: &mut Vec<Step>,
    head: Option<(&[Index], Place)>,
    paragraph: &mut Vec<(&Line, Place)>,
) -> Result<(), ParseError> {
    let lines = std::mem::take(paragraph);
    let Some((indices, at)) = head else {
        for (line, place) in lines {
            steps.push(concrete(line, place, &[])?);
        }
        return Ok(());
    };
    if lines.is_empty() {
        let cure = "put the lines to repeat directly below it";
        return Err(error(at, 4, "`each` without a paragraph", cure));
    }
    let times = indices
        .iter()
        .try_fold(1_u64, |times, index| times.checked_mul(index.last - index.first + 1));
    let total = times.and_then(|times| times.checked_mul(lines.len() as u64));
    if total.is_none_or(|total| total + steps.len() as u64 > MOST_STEPS as u64) {
        return Err(error(
            at,
            4,
            "too many steps",
            "a scenario has at most 250000 when all is written out",
        ));
    }
    let mut values: Vec<(String, u64)> =
        indices.iter().map(|index| (index.name.clone(), index.first)).collect();
    loop {
        for (line, place) in &lines {
            steps.push(concrete(line, *place, &values)?);
        }
        // Counts on like an odometer: the last index first.
        let next = (0..indices.len()).rev().find(|at| values[*at].1 < indices[*at].last);
        let Some(next) = next else { return Ok(()) };
        values[next].1 += 1;
        for at in next + 1..indices.len() {
            values[at].1 = indices[at].first;
        }
    }
}

fn concrete(line: &Line, place: Place, values: &[(String, u64)]) -> Result<Step, ParseError> {
    let write = Substitution { values, place };
    let task_id = |task_id: &TaskId| -> Result<TaskId, ParseError> {
        let task = task_id.task.as_ref().map(|task| write.name(task)).transpose()?;
        Ok(TaskId { process: write.name(&task_id.process)?, task })
    };
    let verb = match &line.verb {
        Verb::Pipe { reader, writer, codec } => {
            Verb::Pipe { reader: write.name(reader)?, writer: write.name(writer)?, codec: *codec }
        }
        Verb::Duplex { near, far } => {
            Verb::Duplex { near: write.name(near)?, far: write.name(far)? }
        }
        Verb::Spawn { child, handles, listed } => Verb::Spawn {
            child: write.name(child)?,
            handles: write.names(handles)?,
            listed: write.names(listed)?,
        },
        Verb::Put { handle, payload } => {
            Verb::Put { handle: write.name(handle)?, payload: write.payload(payload) }
        }
        Verb::Get { handle } => Verb::Get { handle: write.name(handle)? },
        Verb::Close { handle } => Verb::Close { handle: write.name(handle)? },
        Verb::Join { child } => Verb::Join { child: write.name(child)? },
        Verb::Kill { child } => Verb::Kill { child: write.name(child)? },
        Verb::Exit { code } => Verb::Exit { code: *code },
        Verb::Until { task_id: of } => Verb::Until { task_id: task_id(of)? },
        Verb::Cancel { task } => Verb::Cancel { task: task_id(task)? },
        Verb::Child { act, child } => Verb::Child { act: *act, child: write.name(child)? },
        Verb::Exec { ghost } => Verb::Exec { ghost: write.name(ghost)? },
        Verb::Cut { handle, payload, at } => {
            Verb::Cut { handle: write.name(handle)?, payload: write.payload(payload), at: *at }
        }
        Verb::Rest { handle } => Verb::Rest { handle: write.name(handle)? },
        Verb::Announce { handle, size } => {
            Verb::Announce { handle: write.name(handle)?, size: *size }
        }
        Verb::Signal { child, signal } => {
            Verb::Signal { child: write.name(child)?, signal: signal.clone() }
        }
        Verb::Enter { handles } => Verb::Enter { handles: write.names(handles)? },
        Verb::Leave { handles, raising } => {
            Verb::Leave { handles: write.names(handles)?, raising: *raising }
        }
        Verb::Pass { handle, passed } => {
            Verb::Pass { handle: write.name(handle)?, passed: write.name(passed)? }
        }
        Verb::Pause { .. }
        | Verb::Raise
        | Verb::Dispose { .. }
        | Verb::Limit { .. }
        | Verb::Count { .. } => line.verb.clone(),
    };
    let mut expected = Vec::new();
    for outcome in &line.expected {
        expected.push(match outcome {
            Outcome::Message(payload) => Outcome::Message(write.payload(payload)),
            Outcome::Blocks(on) => {
                Outcome::Blocks(on.iter().map(|who| write.name(who)).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        });
    }
    if expected.is_empty() {
        expected.push(Outcome::Ok);
    }
    let task_id = task_id(&line.task_id)?;
    let (within_ms, indices) = (line.within_ms, values.to_vec());
    Ok(Step { place, task_id, verb, within_ms, expected, indices })
}

struct Substitution<'a> {
    values: &'a [(String, u64)],
    place: Place,
}

impl Substitution<'_> {
    fn name(&self, name: &str) -> Result<String, ParseError> {
        if !name.contains('[') {
            return Ok(name.to_owned());
        }
        let mut name = name.to_owned();
        for (index, value) in self.values {
            name = name.replace(&format!("[{index}]"), &format!("[{value}]"));
            name = name.replace(&format!("[{index}+1]"), &format!("[{}]", value + 1));
            if let Some(less) = value.checked_sub(1) {
                name = name.replace(&format!("[{index}-1]"), &format!("[{less}]"));
            }
        }
        let open =
            name.split('[').skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        if open {
            let cure =
                "an index must be named by the `each` above its paragraph, and not fall below 0";
            return Err(error(
                self.place,
                name.len(),
                &format!("nothing to put into {name}"),
                cure,
            ));
        }
        Ok(name)
    }

    fn names(&self, names: &[String]) -> Result<Vec<String>, ParseError> {
        names.iter().map(|name| self.name(name)).collect()
    }

    fn payload(&self, payload: &Payload) -> Payload {
        let Payload::Text(text) = payload else { return payload.clone() };
        let mut text = text.clone();
        for (index, value) in self.values {
            text = text.replace(&format!("{{{index}}}"), &value.to_string());
        }
        Payload::Text(text)
    }
}
