//! The rules about handles: which process owns each pipe end at a step, and whether the step may use it.

use crate::scenario::{HandleTable, Outcome, ParseError, PipeEnd, Side, Step};
use crate::similar::closest;
use ecow::EcoString;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeSet;

/// The owners of all pipe ends after the steps checked so far, in file order.
pub(super) struct HandleRules<'a> {
    table: &'a HandleTable,
    /// The names that steps have given to handles.
    names: HashSet<&'a str>,
    /// The pipe ends that steps have made.
    ends: HashMap<PipeEnd, EndStatus<'a>>,
    /// The handles whose pipes are streams of programs.
    streams: BTreeSet<&'a str>,
}

/// What has happened to a pipe end so far.
struct EndStatus<'a> {
    /// The processes that own it: more than one if it is shared.
    owners: SmallVec<[&'a str; 1]>,
    /// The line of the last step that closed it in its process.
    closed: Option<usize>,
}

impl EndStatus<'_> {
    fn is_owned_by(&self, process: &str) -> bool {
        self.owners.contains(&process)
    }
}

impl<'a> HandleRules<'a> {
    pub(super) fn new(table: &'a HandleTable) -> Self {
        let (names, ends) = (HashSet::new(), HashMap::new());
        Self { table, names, ends, streams: BTreeSet::new() }
    }

    /// Adds a handle that its step makes.
    pub(super) fn make(&mut self, step: &'a Step, name: &'a str) -> Result<(), ParseError> {
        if !self.names.insert(name) {
            let message = format!("there is a handle {name} already");
            let hint = match step.indices.first() {
                Some((index, _)) if !name.contains('[') => {
                    format!("`each` repeats this line: write {name}[{index}]")
                }
                _ => "give each handle a name of its own".to_owned(),
            };
            return Err(ParseError::at_action(step, message, hint));
        }
        for end in self.table.ends(name) {
            let owners = smallvec![step.task_id.process.as_str()];
            self.ends.insert(*end, EndStatus { owners, closed: None });
        }
        Ok(())
    }

    /// Gives handles to a child; those that are not shared move. The process must be allowed to use them.
    pub(super) fn give(
        &mut self,
        step: &Step,
        child: &'a str,
        handles: &[EcoString],
        shared: &[EcoString],
    ) -> Result<(), ParseError> {
        let mut given = BTreeSet::new();
        for end in handles.iter().flat_map(|handle| self.table.ends(handle)) {
            if !given.insert(*end) {
                let hint = "name it once, or write `=> misuse`";
                return Err(ParseError::at_action(step, "a handle is given twice", hint));
            }
        }
        let table = self.table;
        let kept: BTreeSet<_> = shared.iter().flat_map(|handle| table.ends(handle)).collect();
        for end in given {
            let Some(status) = self.ends.get_mut(&end) else { continue };
            // If the start may be refused, the handle may stay where it is.
            let may_stay = step.expected.iter().any(Outcome::is_refusal);
            if !kept.contains(&end) && !may_stay {
                status.owners.retain(|owner| *owner != step.task_id.process);
            }
            status.owners.push(child);
        }
        Ok(())
    }

    /// Checks that a handle is shared only once: sharing makes a copy, and an implementation cannot know that two copies are
    /// of the same handle.
    pub(super) fn check_shared(&self, step: &Step, shared: &[EcoString]) -> Result<(), ParseError> {
        let mut ends = BTreeSet::new();
        if shared.iter().flat_map(|handle| self.table.ends(handle)).all(|end| ends.insert(*end)) {
            return Ok(());
        }
        Err(ParseError::at_action(step, "a handle is shared twice", "name it once"))
    }

    /// Records the handles of pipes that are streams of programs.
    pub(super) fn add_streams(&mut self, handles: impl Iterator<Item = &'a str>) {
        self.streams.extend(handles);
    }

    pub(super) fn is_stream(&self, handle: &str) -> bool {
        self.streams.contains(handle)
    }

    /// Checks that only an end of a stream becomes a stream of another program.
    pub(super) fn check_stream(&self, step: &Step, handle: &str) -> Result<(), ParseError> {
        if self.streams.contains(handle) {
            return Ok(());
        }
        let message = format!("{handle} is no stream of a program");
        let hint = "give an end of a stream that another `run` has made; a new pipe has two names";
        Err(ParseError::at_action(step, message, hint))
    }

    /// Checks that a process of the implementation is not given an end of a stream.
    pub(super) fn check_no_stream(&self, step: &Step, handle: &str) -> Result<(), ParseError> {
        if !self.streams.contains(handle) {
            return Ok(());
        }
        let message = format!("{handle} is a stream of a program");
        let hint =
            "`run` can give it to another program; `spawn` gives ends that `pipe` or `duplex` made";
        Err(ParseError::at_action(step, message, hint))
    }

    /// Closes all ends of a handle.
    pub(super) fn close(&mut self, step: &Step, handle: &str) {
        for end in self.table.ends(handle) {
            if let Some(status) = self.ends.get_mut(end) {
                status.owners.retain(|owner| *owner != step.task_id.process);
                status.closed = Some(step.position.line);
            }
        }
    }

    /// Checks that the handle was made above the step.
    pub(super) fn check_exists(&self, step: &Step, handle: &str) -> Result<(), ParseError> {
        let ends = self.table.ends(handle);
        if !ends.is_empty() && ends.iter().all(|end| self.ends.contains_key(end)) {
            return Ok(());
        }
        let message = format!("there is no handle {handle} yet");
        let names: BTreeSet<&str> = self.names.iter().copied().collect();
        let hint = match closest(handle, names) {
            Some(name) => format!("is it {name}?"),
            None => "`pipe` or `duplex` must name it above".to_owned(),
        };
        Err(ParseError::at_action(step, message, hint))
    }

    /// Checks that the handle exists. Unless the step expects a refusal, the handle must also have the needed side, and the
    /// process of the step must own it.
    pub(super) fn check_use(
        &self,
        step: &Step,
        handle: &str,
        side: Option<Side>,
    ) -> Result<(), ParseError> {
        self.check_exists(step, handle)?;
        if step.expects_refusal() {
            return Ok(());
        }
        let is_of_side = |end: &&PipeEnd| side.is_none_or(|side| end.side == side);
        let mut ends = self.table.ends(handle).iter().filter(is_of_side).peekable();
        if let (Some(side), None) = (side, ends.peek()) {
            return Err(wrong_side(step, handle, side));
        }
        // To close a duplex or to move it to a child, one open half is enough.
        let process = &step.task_id.process;
        let is_owned = |end| self.ends.get(end).is_some_and(|status| status.is_owned_by(process));
        if ends.clone().any(is_owned) {
            return Ok(());
        }
        let reason = match ends.next().and_then(|end| self.ends.get(end)) {
            Some(EndStatus { owners, .. }) if owners.len() > 1 => {
                format!("{} own it here", owners.join(" and "))
            }
            Some(EndStatus { owners, .. }) if owners.len() == 1 => {
                format!("{} owns it here", owners[0])
            }
            Some(EndStatus { closed: Some(line), .. }) => format!("it was closed in line {line}"),
            _ => "no process owns it".to_owned(),
        };
        let message = format!("{} does not own {handle}", step.task_id.process);
        let hint = format!("{reason}; if that is the question, write `=> closed` or `=> misuse`");
        Err(ParseError::at_action(step, message, hint))
    }
}

fn wrong_side(step: &Step, handle: &str, side: Side) -> ParseError {
    let (verb, needed) = match side {
        Side::Writer => ("put", "writer"),
        Side::Reader => ("get", "reader"),
    };
    let message = format!("{handle} cannot {verb}");
    let hint = format!("`{verb}` needs the {needed} of a pipe, or a duplex");
    ParseError::at_action(step, message, hint)
}
