//! The rules about handles that are dropped, or whose descriptors are closed without the knowledge of the implementation.

use crate::scenario::{Closing, HandleTable, Outcome, ParseError, PipeEnd, Step, TaskId, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// The tasks and scopes that have used each pipe end so far, and the ends whose handle no later step may use, in file order.
pub(super) struct ClosingRules<'a> {
    table: &'a HandleTable,
    /// Whether any step closes a handle in one of these ways.
    are_needed: bool,
    users: BTreeMap<PipeEnd, BTreeSet<User<'a>>>,
    /// By process and end: the line of the step, and what it did.
    gone: BTreeMap<(&'a str, PipeEnd), (usize, Closing)>,
}

/// A task or a scope that may keep a reference to a handle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum User<'a> {
    Task(&'a TaskId),
    Scope(&'a str),
}

impl User<'_> {
    fn process(&self) -> &str {
        match self {
            Self::Task(task) => &task.process,
            Self::Scope(process) => process,
        }
    }
}

impl<'a> ClosingRules<'a> {
    pub(super) fn new(steps: &[Step], table: &'a HandleTable) -> Self {
        let is_unusual = |step: &Step| match step.verb {
            Verb::Close { by, .. } => by != Closing::Call,
            _ => false,
        };
        let are_needed = steps.iter().any(is_unusual);
        Self { table, are_needed, users: BTreeMap::new(), gone: BTreeMap::new() }
    }

    /// Checks the handles of a step, and records what the step does to them.
    pub(super) fn check(&mut self, step: &'a Step) -> Result<(), ParseError> {
        if !self.are_needed {
            return Ok(());
        }
        let process = step.task_id.process.as_str();
        let table = self.table;
        let own_close = matches!(step.verb, Verb::Close { by: Closing::Call, .. });
        for handle in step.verb.handles() {
            for end in table.ends(handle) {
                match self.gone.get(&(process, *end)) {
                    Some((line, Closing::Drop)) => {
                        let message = format!("{handle} was dropped in line {line}");
                        let hint = "a handle that was dropped has no name any more";
                        return Err(ParseError::at_action(step, message, hint));
                    }
                    Some((line, _)) if !own_close => {
                        let message =
                            format!("the descriptor of {handle} was closed in line {line}");
                        let hint = "after that only `close` can be asked";
                        return Err(ParseError::at_action(step, message, hint));
                    }
                    _ => {}
                }
            }
        }
        if own_close {
            for end in step.verb.handles().flat_map(|handle| table.ends(handle)) {
                self.gone.remove(&(process, *end));
            }
        }
        if let Verb::Close { handle, by: by @ (Closing::Drop | Closing::Descriptor) } = &step.verb {
            self.check_unusual_close(step, handle, *by)?;
            let line = step.position.line;
            self.gone.extend(table.ends(handle).iter().map(|end| ((process, *end), (line, *by))));
        }
        let user = match step.verb {
            Verb::Enter { .. } => User::Scope(process),
            _ => User::Task(&step.task_id),
        };
        for end in step.verb.handles().flat_map(|handle| table.ends(handle)) {
            self.users.entry(*end).or_default().insert(user);
        }
        Ok(())
    }

    fn check_unusual_close(
        &self,
        step: &Step,
        handle: &str,
        by: Closing,
    ) -> Result<(), ParseError> {
        let wrong = |message: String, hint: &str| Err(ParseError::at_action(step, message, hint));
        let ends = self.table.ends(handle);
        if step.expected[..] != [Outcome::Ok] {
            return wrong("this step cannot be refused".into(), "write no outcome");
        }
        if handle.contains('.') {
            let hint = "name the whole duplex, which has the reference";
            return wrong(format!("{handle} is one half of a duplex"), hint);
        }
        if by == Closing::Descriptor && ends.len() != 1 {
            return wrong(format!("{handle} has several descriptors"), "name an end of a pipe");
        }
        let process = step.task_id.process.as_str();
        let users = ends.iter().filter_map(|end| self.users.get(end)).flatten();
        let mut others =
            users.filter(|user| user.process() == process && **user != User::Task(&step.task_id));
        match others.next() {
            Some(User::Task(task)) => {
                let message = format!("{task} has used {handle}, and may keep a reference to it");
                wrong(message, "let the task that uses a handle drop it")
            }
            Some(User::Scope(_)) => {
                wrong(format!("{handle} is in a scope"), "`leave` closes the handles of a scope")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;
    use rstest::rstest;

    #[rstest]
    #[case::used_after_the_drop("drop handle r\nmain get r => eof", "r was dropped in line 2")]
    #[case::given_after_the_drop("drop handle r\nmain spawn child r", "r was dropped in line 2")]
    #[case::dropped_twice("drop handle r\nmain drop handle r", "r was dropped in line 2")]
    #[case::refused("drop handle r => closed", "this step cannot be refused")]
    #[case::of_another_task(
        "drop handle w\nmain/other get r => eof\nmain drop handle r",
        "main/other has used r"
    )]
    #[case::in_a_scope("enter r w\nmain drop handle r", "r is in a scope")]
    #[case::used_without_a_descriptor(
        "close descriptor r\nmain get r => closed",
        "the descriptor of r was closed in line 2"
    )]
    #[case::half_of_a_duplex("duplex a b\nmain drop handle a.r", "a.r is one half of a duplex")]
    #[case::descriptors_of_a_duplex(
        "duplex a b\nmain close descriptor a",
        "a has several descriptors"
    )]
    fn a_handle_without_a_reference_or_a_descriptor_is_not_used(
        #[case] lines: &str,
        #[case] says: &str,
    ) {
        let text = format!("main pipe r w\nmain {lines}\nmain join nobody => exit 0\n");
        let error = parse("a.scenario", &text).expect_err("the scenario is wrong");
        assert!(error.message.contains(says), "{}", error.message);
    }

    #[test]
    fn a_handle_is_closed_after_its_descriptor_and_then_asked_again() {
        let text = "main pipe r w\nmain close descriptor r\nmain close r => os:EBADF\nmain get r => closed\n";
        parse("a.scenario", text).expect("the scenario is right");
    }
}
