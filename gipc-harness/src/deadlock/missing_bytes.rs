//! Finds where bytes of messages are that were put and are not in the pipe.
//!
//! The kernel shows how many bytes are in the pipe now, but not which process wrote or read the others. So a reader and a
//! writer are told apart only if the steps allow it.

use super::wait_for_graph::WaitForGraph;
use crate::scenario::{Outcome, PipeEnd, PipeId, Side, Step, Verb};
use std::collections::BTreeSet;

impl WaitForGraph<'_> {
    /// Whether a step is a get from a pipe that lacks bytes of its messages.
    pub(super) fn waits_for_missing_bytes(&self, step: usize) -> bool {
        let is_get = matches!(self.scenario.steps[step].verb, Verb::Get { .. });
        is_get && self.awaited_end(step).is_some_and(|end| self.lacks_bytes(end.pipe))
    }

    /// Whether the kernel shows fewer bytes in a pipe than its messages have.
    pub(super) fn lacks_bytes(&self, pipe: PipeId) -> bool {
        self.evidence.bytes_in(pipe).is_some_and(|bytes| bytes < self.content(pipe).bytes())
    }

    /// Says where the bytes of messages are that were put into a pipe, were not got, and are not in the pipe.
    pub(super) fn why_bytes_are_missing(&self, reader: PipeEnd) -> String {
        let (r, w) = (self.ownership.name(reader), self.ownership.name(reader.opposite()));
        let missing =
            self.content(reader.pipe).bytes() - self.evidence.bytes_in(reader.pipe).unwrap_or(0);
        let (bytes, are) = if missing == 1 { ("byte", "is") } else { ("bytes", "are") };
        match self.given_up_gets.get(&reader.pipe) {
            Some(line) => format!(
                "{missing} {bytes} of messages that were put {are} not in the pipe: {r} was read further than any get \
                 returned, so its reader has lost its place in the stream (a get was given up, line {line})"
            ),
            None => {
                let taken = format!("the reader of {r} has taken them and returned no message");
                let who = match self.writer_of(reader.pipe) {
                    Some((writer, line)) => format!(
                        "either a put to {w} returned{line} and {writer} kept them, or {taken}"
                    ),
                    None => taken,
                };
                format!("{missing} {bytes} of messages that were put {are} not in the pipe: {who}")
            }
        }
    }

    /// The process that has put into a pipe, and the line of the put if there was only one. `None` if all its messages were
    /// written in parts, which the agent does without the library.
    fn writer_of(&self, pipe: PipeId) -> Option<(String, String)> {
        let steps = self.scenario.steps.iter().zip(&self.evidence.trace.steps);
        let puts: Vec<&Step> = steps
            .filter(|(step, state)| match &step.verb {
                Verb::Put { handle, .. } => {
                    state.is(&Outcome::Ok)
                        && self.scenario.handles.pipe(handle, Side::Writer) == Some(pipe)
                }
                _ => false,
            })
            .map(|(step, _)| step)
            .collect();
        let processes: BTreeSet<&str> =
            puts.iter().map(|step| step.task_id.process.as_str()).collect();
        let writer = match processes.len() {
            0 => return None,
            1 => puts[0].task_id.process.to_string(),
            _ => "the writer".to_owned(),
        };
        let line = match &puts[..] {
            [put] => format!(" (line {})", put.position.line),
            _ => String::new(),
        };
        Some((writer, line))
    }

    /// Whether the kernel does not show the number of bytes in a pipe because no process holds its writer.
    pub(super) fn hides_what_is_left(&self, pipe: PipeId) -> bool {
        let writer = PipeEnd::writer(pipe);
        self.evidence.bytes_in(pipe).is_none()
            && self.evidence.fully_known_ends.contains(&writer)
            && self.holders_of(writer).is_empty()
    }
}
