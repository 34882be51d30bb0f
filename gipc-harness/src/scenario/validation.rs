//! Whether a scenario can be meant: names exist, handles are used by their owners, nothing is left out.
//!
//! Asks nothing of the model. What is wrong here is the author's slip, and is said before any process starts.

use super::parser::ParseError;
use super::{ChildAct, Outcome, Scenario, Step, TaskId, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// What happened to one end of a pipe so far, in story order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndStatus {
    Held(String),
    Closed(usize),
}

/// Walks the steps in story order, and stops at the first that cannot be meant.
pub(super) fn validate(scenario: &Scenario) -> Result<(), ParseError> {
    let mut checker = Validator::new(scenario);
    for step in scenario.steps.iter() {
        checker.step(step)?;
    }
    checker.whole()
}

/// Outcomes that say that nothing was done.
pub(super) fn is_refusal(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Closed | Outcome::Misuse | Outcome::Locked | Outcome::Encode | Outcome::Os(_)
    )
}

pub(super) struct Validator<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) spawned: BTreeMap<String, &'a Step>,
    pub(super) parents: BTreeMap<String, String>,
    pub(super) refused: BTreeSet<String>,
    pub(super) task_ids: BTreeSet<&'a TaskId>,
    pub(super) exited: BTreeMap<&'a TaskId, usize>,
    /// The ends a name stands for.
    pub(super) names: BTreeMap<String, Vec<String>>,
    pub(super) ends: BTreeMap<String, EndStatus>,
    pub(super) readers: BTreeSet<String>,
    /// Programs that are no business of the library's, and who started them.
    pub(super) ghosts: BTreeMap<String, String>,
    /// Writers in the middle of a frame, and the line that left them there; whether the rest can follow.
    pub(super) cut: BTreeMap<String, (usize, bool)>,
    /// Writers of values.
    pub(super) typed: BTreeSet<String>,
    pub(super) untils: BTreeMap<&'a TaskId, (&'a TaskId, &'a Step)>,
}

impl<'a> Validator<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            spawned: BTreeMap::new(),
            parents: BTreeMap::new(),
            refused: BTreeSet::new(),
            task_ids: scenario.steps.iter().map(|step| &step.task_id).collect(),
            exited: BTreeMap::new(),
            names: BTreeMap::new(),
            ends: BTreeMap::new(),
            readers: BTreeSet::new(),
            ghosts: BTreeMap::new(),
            cut: BTreeMap::new(),
            typed: BTreeSet::new(),
            untils: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &'a Step) -> Result<(), ParseError> {
        self.who(step)?;
        let errs = step.expected.iter().all(is_refusal);
        match &step.verb {
            // What is refused by the system makes nothing.
            Verb::Pipe { .. } | Verb::Duplex { .. } if errs => {}
            Verb::Pipe { reader, writer, codec } => {
                self.make(step, reader, std::slice::from_ref(reader))?;
                self.make(step, writer, std::slice::from_ref(writer))?;
                self.readers.insert(reader.clone());
                if codec.is_some() {
                    self.typed.insert(writer.clone());
                }
            }
            Verb::Duplex { near, far } => {
                for name in [near, far] {
                    let halves = [format!("{name}.r"), format!("{name}.w")];
                    self.make(step, name, &halves)?;
                    for half in halves {
                        self.names.insert(half.clone(), vec![half]);
                    }
                }
            }
            Verb::Spawn { child, handles, listed } => {
                for handle in listed {
                    self.used(step, handle, None, errs)?;
                }
                self.spawn(step, child, handles, errs)?;
            }
            Verb::Put { handle, payload } => {
                self.used(step, handle, Some(".w"), errs)?;
                self.put(step, handle, payload)?;
            }
            Verb::Get { handle } => self.used(step, handle, Some(".r"), errs)?,
            Verb::Close { handle } => {
                self.used(step, handle, None, errs)?;
                if step.expected == [Outcome::Ok] {
                    self.close(step, handle);
                }
            }
            Verb::Cut { .. } | Verb::Rest { .. } | Verb::Announce { .. } => self.frame(step)?,
            Verb::Enter { handles } | Verb::Leave { handles, .. } => {
                for handle in handles {
                    self.used(step, handle, None, true)?;
                    if matches!(step.verb, Verb::Leave { .. }) && !errs {
                        self.close(step, handle);
                    }
                }
            }
            Verb::Pass { handle, passed } => {
                self.used(step, handle, Some(".w"), errs)?;
                self.used(step, passed, None, errs)?;
            }
            Verb::Exec { ghost } => {
                if self.spawned.contains_key(ghost) || self.ghosts.contains_key(ghost) {
                    let message = format!("there is a process {ghost} already");
                    return Err(self.error(step, &message, "give each process a name of its own"));
                }
                self.ghosts.insert(ghost.clone(), step.task_id.process.clone());
            }
            Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::Child { child, .. } => self.child(step, child)?,
            Verb::Until { task_id } => {
                if !self.task_ids.contains(task_id) || *task_id == step.task_id {
                    return Err(self.error(
                        step,
                        &format!("{task_id} has no lines that could block"),
                        "name another process or task of this scenario",
                    ));
                }
                self.untils.insert(&step.task_id, (task_id, step));
                self.cycle(&step.task_id)?;
            }
            Verb::Cancel { task } => {
                let ours = task.process == step.task_id.process && task.task.is_some();
                if !ours || !self.task_ids.contains(task) || *task == step.task_id {
                    let cure = format!(
                        "name another task of {}, such as {}/reader",
                        step.task_id.process, step.task_id.process
                    );
                    return Err(self.error(
                        step,
                        &format!("{task} cannot be cancelled from here"),
                        &cure,
                    ));
                }
            }
            Verb::Exit { .. } | Verb::Raise => {
                self.exited.insert(&step.task_id, step.place.line);
            }
            Verb::Pause { .. } => {
                if self.scenario.steps.iter().all(|step| step.within_ms.is_none()) {
                    return Err(self.error(step, "a pause orders nothing", "use `until WHO blocks`, a message or a join; a pause is only for a scenario with a `within`"));
                }
            }
            Verb::Dispose { .. } | Verb::Limit { .. } | Verb::Count { .. } => {}
        }
        if !matches!(step.verb, Verb::Until { .. }) {
            self.untils.remove(&step.task_id);
        }
        Ok(())
    }

    /// It must be a child of this process; or a program beside the library, where that is enough.
    fn child(&self, step: &Step, child: &str) -> Result<(), ParseError> {
        let process = &step.task_id.process;
        let any = matches!(step.verb, Verb::Child { act: ChildAct::Reap | ChildAct::Stall, .. });
        if self.parents.get(child) == Some(process)
            || (any && self.ghosts.get(child) == Some(process))
        {
            return Ok(());
        }
        let cure = format!("`spawn {child}` must stand above it, by {process}");
        Err(self.error(step, &format!("{child} is no child of {process}"), &cure))
    }

    pub(super) fn error(&self, step: &Step, message: &str, cure: &str) -> ParseError {
        let place = step.place;
        let width = step.what().chars().count();
        ParseError {
            message: message.into(),
            cure: cure.into(),
            line: place.line,
            column: place.what,
            width,
        }
    }

    /// The process of a line must have been spawned above it, and its task_id must not have ended.
    fn who(&self, step: &Step) -> Result<(), ParseError> {
        let process = &step.task_id.process;
        let mut error = self.error(step, "", "");
        error.column = 1;
        error.width = step.task_id.to_string().chars().count();
        if self.refused.contains(process) {
            error.message = format!("{process} never comes into being");
            error.cure = "its spawn is expected to fail: it has no lines".into();
            return Err(error);
        }
        if process != "main" && !self.spawned.contains_key(process) {
            error.message = format!("no process {process} here");
            error.cure = format!("`spawn {process}` must stand above its first line");
            return Err(error);
        }
        if let Some(line) = self.exited.get(&step.task_id) {
            error.message = format!("{} has ended", step.task_id);
            error.cure = format!("nothing can follow the exit of line {line}");
            return Err(error);
        }
        Ok(())
    }

    fn cycle(&self, from: &'a TaskId) -> Result<(), ParseError> {
        let mut seen = BTreeSet::from([from]);
        let mut at = from;
        while let Some((next, step)) = self.untils.get(at) {
            if !seen.insert(next) {
                return Err(self.error(
                    step,
                    "a circle of `until`",
                    "each waits until another waits: let one of them do something",
                ));
            }
            at = next;
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), ParseError> {
        let scenario = self.scenario;
        let Some(first) = scenario.steps.first() else {
            let cure = "write a line such as `main        pipe r w`".into();
            return Err(ParseError {
                message: "nothing happens here".into(),
                cure,
                line: 1,
                column: 1,
                width: 1,
            });
        };
        let asks = |step: &Step| step.expected != [Outcome::Ok];
        if !scenario.steps.iter().any(asks) {
            return Err(self.error(
                first,
                "this asks nothing",
                "write what must come of a step after `=>`",
            ));
        }
        for task_id in &self.task_ids {
            if task_id.task.is_some()
                && !self.task_ids.contains(&TaskId::process(&task_id.process))
                && task_id.process != "main"
            {
                let step =
                    scenario.steps.iter().find(|step| step.task_id == **task_id).unwrap_or(first);
                let mut error = self.error(
                    step,
                    &format!("{task_id} is a task without a process"),
                    &format!("{} needs lines of its own", task_id.process),
                );
                error.column = 1;
                error.width = task_id.to_string().chars().count();
                return Err(error);
            }
        }
        self.payloads()
    }
}
