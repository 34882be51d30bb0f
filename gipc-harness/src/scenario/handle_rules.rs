//! The handles of a scenario in story order: who has them, and whether what a line does with one can be meant.

use super::parser::ParseError;
use super::validation::{EndStatus, Validator, is_refusal};
use super::{CutAt, Payload, Step, TaskId, Verb};
use std::collections::{BTreeMap, BTreeSet};

impl<'a> Validator<'a> {
    pub(super) fn make(
        &mut self,
        step: &Step,
        name: &str,
        ends: &[String],
    ) -> Result<(), ParseError> {
        if self.names.contains_key(name) {
            return Err(self.error(
                step,
                &format!("there is a handle {name} already"),
                "give each handle a name of its own",
            ));
        }
        self.names.insert(name.to_owned(), ends.to_vec());
        for end in ends {
            self.ends.insert(end.clone(), EndStatus::Held(step.task_id.process.clone()));
        }
        Ok(())
    }

    pub(super) fn spawn(
        &mut self,
        step: &'a Step,
        child: &str,
        handles: &[String],
        errs: bool,
    ) -> Result<(), ParseError> {
        if child == "main" || self.spawned.contains_key(child) || self.ghosts.contains_key(child) {
            return Err(self.error(
                step,
                &format!("there is a process {child} already"),
                "give each process a name of its own",
            ));
        }
        for handle in handles {
            self.used(step, handle, None, errs)?;
        }
        if errs {
            self.refused.insert(child.to_owned());
            return Ok(());
        }
        let given: Vec<String> =
            handles.iter().flat_map(|handle| self.names[handle].clone()).collect();
        if given.iter().collect::<BTreeSet<_>>().len() < given.len() {
            return Err(self.error(
                step,
                "a handle is given twice",
                "name it once, or write `=> misuse`",
            ));
        }
        for end in given {
            self.ends.insert(end, EndStatus::Held(child.to_owned()));
        }
        self.spawned.insert(child.to_owned(), step);
        self.parents.insert(child.to_owned(), step.task_id.process.clone());
        Ok(())
    }

    /// The process must own the handle, or the line asks what happens when it does not.
    pub(super) fn used(
        &self,
        step: &Step,
        handle: &str,
        half: Option<&str>,
        errs: bool,
    ) -> Result<(), ParseError> {
        let Some(ends) = self.names.get(handle) else {
            return Err(self.error(
                step,
                &format!("there is no handle {handle} yet"),
                "`pipe` or `duplex` must name it above",
            ));
        };
        let wanted: Vec<&String> = match half {
            Some(half) if ends.len() == 2 => {
                ends.iter().filter(|end| end.ends_with(half)).collect()
            }
            _ => ends.iter().collect(),
        };
        if let (Some(half), [only]) = (half, ends.as_slice()) {
            let wrong = self.is_wrong_way(only, half);
            if wrong && !errs {
                let (verb, other) =
                    if half == ".w" { ("put", "writer") } else { ("get", "reader") };
                return Err(self.error(
                    step,
                    &format!("{handle} cannot {verb}"),
                    &format!("`{verb}` needs the {other} of a pipe, or a duplex"),
                ));
            }
        }
        if errs {
            return Ok(());
        }
        // One open half is enough to close or give what is left of a duplex.
        let held = |end: &&String| {
            self.ends.get(*end) == Some(&EndStatus::Held(step.task_id.process.clone()))
        };
        if wanted.iter().any(held) {
            return Ok(());
        }
        let process = &step.task_id.process;
        let why = match wanted.first().and_then(|end| self.ends.get(*end)) {
            Some(EndStatus::Closed(line)) => format!("it was closed in line {line}"),
            Some(EndStatus::Held(owner)) => format!("{owner} owns it here"),
            None => "nobody owns it".into(),
        };
        let cure = format!("{why}; if that is the question, write `=> closed` or `=> misuse`");
        Err(self.error(step, &format!("{process} does not own {handle}"), &cure))
    }

    /// Whether the single end is the reader where a writer is wanted, or the other way round.
    pub(super) fn is_wrong_way(&self, end: &str, half: &str) -> bool {
        if end.ends_with(".r") || end.ends_with(".w") {
            return !end.ends_with(half);
        }
        self.readers.contains(end) == (half == ".w")
    }

    pub(super) fn close(&mut self, step: &Step, handle: &str) {
        for end in self.names.get(handle).cloned().unwrap_or_default() {
            self.ends.insert(end, EndStatus::Closed(step.place.line));
        }
    }

    pub(super) fn put(
        &self,
        step: &Step,
        handle: &str,
        payload: &Payload,
    ) -> Result<(), ParseError> {
        if let Some((line, _)) = self.cut.get(handle) {
            let message = format!("{handle} is in the middle of a message since line {line}");
            return Err(self.error(step, &message, &format!("`rest {handle}` must come first")));
        }
        if self.typed.contains(handle) && matches!(payload, Payload::Size(_)) {
            let cure = "a pipe with a codec carries texts, such as \"a\"";
            return Err(self.error(step, "noise is no value", cure));
        }
        Ok(())
    }

    /// Frames are cut, finished and announced in an order that makes sense.
    pub(super) fn frame(&mut self, step: &Step) -> Result<(), ParseError> {
        let errs = step.expected.iter().all(is_refusal);
        match &step.verb {
            Verb::Cut { handle, payload, at } => {
                self.alone(step, handle)?;
                self.used(step, handle, Some(".w"), errs)?;
                self.put(step, handle, payload)?;
                let fits = match at {
                    CutAt::Bytes(bytes) => *bytes <= payload.len(),
                    CutAt::Header(more) => *more < payload.len(),
                    CutAt::End(less) => (1..=payload.len()).contains(less),
                };
                if !fits || payload.len() > 400 {
                    let cure = "a message of up to 400 bytes, cut before its end";
                    return Err(self.error(step, "it cannot be cut there", cure));
                }
                self.cut.insert(handle.clone(), (step.place.line, true));
            }
            Verb::Announce { handle, .. } => {
                self.alone(step, handle)?;
                self.used(step, handle, Some(".w"), errs)?;
                self.put(step, handle, &Payload::Text(String::new()))?;
                self.cut.insert(handle.clone(), (step.place.line, false));
            }
            Verb::Rest { handle } => {
                self.used(step, handle, Some(".w"), errs)?;
                if !self.cut.remove(handle).is_some_and(|(_, rest)| rest) {
                    let cure = format!("`cut {handle} PAYLOAD at header` must stand above it");
                    return Err(self.error(step, "there is no rest", &cure));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is written by hand asks no lock: no other task of its process may put there.
    fn alone(&self, step: &Step, handle: &str) -> Result<(), ParseError> {
        let puts = |other: &&Step| match &other.verb {
            Verb::Put { handle: it, .. } => {
                let near = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest == ".w");
                let same = it == handle || near(it, handle) || near(handle, it);
                same && other.task_id != step.task_id
                    && other.task_id.process == step.task_id.process
            }
            _ => false,
        };
        match self.scenario.steps.iter().find(puts) {
            None => Ok(()),
            Some(other) => {
                let message =
                    format!("{} puts there, too, in line {}", other.task_id, other.place.line);
                Err(self.error(step, &message, "cut frames where one task writes alone"))
            }
        }
    }

    /// Where a pipe has several writers or readers at once, a message must say who sent it.
    pub(super) fn payloads(&self) -> Result<(), ParseError> {
        let mut users: BTreeMap<&str, [BTreeSet<&TaskId>; 2]> = BTreeMap::new();
        for step in self.scenario.steps.iter() {
            match &step.verb {
                Verb::Put { handle, .. } | Verb::Cut { handle, .. } => {
                    users.entry(handle).or_default()[1].insert(&step.task_id)
                }
                Verb::Get { handle } => users.entry(handle).or_default()[0].insert(&step.task_id),
                _ => continue,
            };
        }
        let mut seen: BTreeSet<(&str, &Payload)> = BTreeSet::new();
        for step in self.scenario.steps.iter() {
            let Verb::Put { handle, payload } = &step.verb else { continue };
            if users[handle.as_str()][1].len() < 2 {
                continue;
            }
            let twice = matches!(payload, Payload::Text(_)) && !seen.insert((handle, payload));
            let short = matches!(payload, Payload::Size(size) if *size < 16);
            if twice || short {
                return Err(self.error(
                    step,
                    "this message does not say who sent it",
                    "several tasks put here: write different texts, or sizes of at least 16 bytes",
                ));
            }
        }
        Ok(())
    }
}
