//! The rules about messages: frames are cut and completed in a possible order, and values can be encoded.

use crate::scenario::{CutAt, ParseError, Payload, PipeEnd, Scenario, Side, Step, Verb};
use ecow::EcoString;
use std::collections::{BTreeMap, BTreeSet};

/// The longest message, in bytes, that every system writes in one piece together with its header: POSIX guarantees 512
/// bytes.
const MAX_ATOMIC: u64 = 400;

/// The state of the frames on all pipes after the steps checked so far, in file order.
pub(super) struct FrameRules<'a> {
    scenario: &'a Scenario,
    /// The writers that have written an incomplete frame.
    incomplete: BTreeMap<PipeEnd, IncompleteFrame>,
    /// The writers that encode values.
    with_codec: BTreeSet<PipeEnd>,
}

struct IncompleteFrame {
    /// The line that wrote its first part.
    line: usize,
    /// Whether `rest` can write the other part.
    has_rest: bool,
}

impl<'a> FrameRules<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, incomplete: BTreeMap::new(), with_codec: BTreeSet::new() }
    }

    pub(super) fn add_codec(&mut self, writer: &str) {
        self.with_codec.extend(self.writer(writer));
    }

    /// Checks that a message follows a complete frame, and that a codec is given only texts.
    pub(super) fn check_message(
        &self,
        step: &Step,
        handle: &str,
        payload: &Payload,
    ) -> Result<(), ParseError> {
        if self.incomplete.is_empty() && self.with_codec.is_empty() {
            return Ok(());
        }
        let Some(writer) = self.writer(handle) else { return Ok(()) };
        if let Some(IncompleteFrame { line, .. }) = self.incomplete.get(&writer) {
            let message = format!("{handle} is in the middle of a message since line {line}");
            let hint = format!("`rest {handle}` must come first");
            return Err(ParseError::at_action(step, message, hint));
        }
        if self.with_codec.contains(&writer) && matches!(payload, Payload::Size(_)) {
            let hint = "a pipe with a codec carries texts, such as \"a\"";
            return Err(ParseError::at_action(step, "noise is no value", hint));
        }
        Ok(())
    }

    pub(super) fn cut(
        &mut self,
        step: &Step,
        handle: &str,
        payload: &Payload,
        at: CutAt,
    ) -> Result<(), ParseError> {
        self.check_message(step, handle, payload)?;
        let is_before_end = match at {
            CutAt::Bytes(bytes) => bytes <= payload.len(),
            CutAt::Header(bytes) => bytes < payload.len(),
            CutAt::End(bytes) => (1..=payload.len()).contains(&bytes),
        };
        if !is_before_end || payload.len() > MAX_ATOMIC {
            let hint = "a message of up to 400 bytes, cut before its end";
            return Err(ParseError::at_action(step, "it cannot be cut there", hint));
        }
        self.begin_frame(step, handle, true);
        Ok(())
    }

    pub(super) fn announce(&mut self, step: &Step, handle: &str) -> Result<(), ParseError> {
        self.check_message(step, handle, &Payload::Text(EcoString::new()))?;
        self.begin_frame(step, handle, false);
        Ok(())
    }

    pub(super) fn rest(&mut self, step: &Step, handle: &str) -> Result<(), ParseError> {
        let frame = self.writer(handle).and_then(|writer| self.incomplete.remove(&writer));
        if frame.is_some_and(|frame| frame.has_rest) {
            return Ok(());
        }
        let hint = format!("`cut {handle} PAYLOAD at header` must stand above it");
        Err(ParseError::at_action(step, "there is no rest", hint))
    }

    /// Checks that no other task puts to the same pipe: `cut` and `announce` take no lock. This concerns the other tasks of
    /// the process, and those of other processes if the writer is shared.
    pub(super) fn check_sole_writer(&self, step: &Step, handle: &str) -> Result<(), ParseError> {
        let Some(writer) = self.writer(handle) else { return Ok(()) };
        let puts_to_writer = |other: &&Step| match &other.verb {
            Verb::Put { handle, .. } => self.writer(handle) == Some(writer),
            _ => false,
        };
        let is_shared = self.scenario.handles.is_shared(writer);
        let is_other_task = |other: &&Step| {
            let is_same_process = other.task_id.process == step.task_id.process;
            (is_same_process || is_shared) && other.task_id != step.task_id
        };
        let mut others = self.scenario.steps.iter().filter(is_other_task);
        let Some(other) = others.find(puts_to_writer) else { return Ok(()) };
        let message = format!("{} puts there, too, in line {}", other.task_id, other.position.line);
        Err(ParseError::at_action(step, message, "cut frames where one task writes alone"))
    }

    fn begin_frame(&mut self, step: &Step, handle: &str, has_rest: bool) {
        if let Some(writer) = self.writer(handle) {
            let line = step.position.line;
            self.incomplete.insert(writer, IncompleteFrame { line, has_rest });
        }
    }

    fn writer(&self, handle: &str) -> Option<PipeEnd> {
        self.scenario.handles.end(handle, Side::Writer)
    }
}

/// Checks that several processes put through a shared writer only messages that the system writes in one piece.
pub(super) fn check_shared_writers(scenario: &Scenario) -> Result<(), ParseError> {
    if !scenario.handles.has_shared() {
        return Ok(());
    }
    let put = |step: &Step| match &step.verb {
        Verb::Put { handle, payload } => {
            let writer = scenario.handles.end(handle, Side::Writer)?;
            scenario.handles.is_shared(writer).then_some((writer, payload.len()))
        }
        _ => None,
    };
    let mut senders: BTreeMap<PipeEnd, BTreeSet<&str>> = BTreeMap::new();
    for step in scenario.steps.iter() {
        if let Some((writer, _)) = put(step) {
            senders.entry(writer).or_default().insert(&step.task_id.process);
        }
    }
    for step in scenario.steps.iter() {
        let Some((writer, len)) = put(step) else { continue };
        if len > MAX_ATOMIC && senders[&writer].len() > 1 {
            let message = "this message may mix with that of another process";
            let hint = "several processes put through this writer: write up to 400 bytes at once";
            return Err(ParseError::at_action(step, message, hint));
        }
    }
    Ok(())
}
