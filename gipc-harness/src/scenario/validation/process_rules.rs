//! The rules about processes and tasks: which of them exist at a step, and what may be done to them.

use crate::scenario::{ChildAct, Closing, Counted, ParseError, Step, TaskId, Verb};
use crate::similar::closest;
use foldhash::{HashMap, HashMapExt, HashSet};
use std::collections::{BTreeMap, BTreeSet};

/// The processes and tasks of a scenario after the steps checked so far, in file order.
pub(super) struct ProcessRules<'a> {
    /// All tasks that have lines anywhere in the scenario.
    task_ids: HashSet<&'a TaskId>,
    /// The parent of each spawned process.
    parents: HashMap<&'a str, &'a str>,
    /// Processes whose spawn is expected to be refused.
    refused: BTreeSet<&'a str>,
    /// Processes that `run` has started.
    programs: BTreeSet<&'a str>,
    /// Processes that are the first of a process group.
    groups: BTreeSet<&'a str>,
    /// Children whose objects were dropped, and the lines in which that happened.
    dropped: BTreeMap<&'a str, usize>,
    /// Programs that run without the implementation, and the processes that started them.
    ghosts: BTreeMap<&'a str, &'a str>,
    /// Tasks that have exited, and the lines in which they did.
    exited: BTreeMap<&'a TaskId, usize>,
    /// Tasks whose last step is an `until`, the tasks that they wait for, and that step.
    untils: BTreeMap<&'a TaskId, (&'a TaskId, &'a Step)>,
}

impl<'a> ProcessRules<'a> {
    pub(super) fn new(steps: &'a [Step]) -> Self {
        Self {
            task_ids: steps.iter().map(|step| &*step.task_id).collect(),
            parents: HashMap::new(),
            refused: BTreeSet::new(),
            programs: BTreeSet::new(),
            groups: BTreeSet::new(),
            dropped: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            exited: BTreeMap::new(),
            untils: BTreeMap::new(),
        }
    }

    /// Checks that the process of a step was spawned above it, and that its task has not exited.
    pub(super) fn check_actor(&self, step: &Step) -> Result<(), ParseError> {
        let process = step.task_id.process.as_str();
        let (message, hint) = if self.refused.contains(process) {
            let hint = "its spawn is expected to fail: it has no lines".to_owned();
            (format!("{process} never comes into being"), hint)
        } else if process != "main" && !self.parents.contains_key(process) {
            let hint = match self.meant_process(process) {
                Some(name) => format!("is it {name}?"),
                None => format!("`spawn {process}` must stand above its first line"),
            };
            (format!("no process {process} here"), hint)
        } else if let Some(line) = self.exited.get(&*step.task_id) {
            let hint = format!("nothing can follow the exit of line {line}");
            (format!("{} has ended", step.task_id), hint)
        } else {
            return Ok(());
        };
        Err(ParseError::at_task(step, message, hint))
    }

    /// The process or task that was probably meant by an unknown process: one with a similar name, or a task that was
    /// written with `-` instead of `/`.
    fn meant_process(&self, name: &str) -> Option<String> {
        let known: BTreeSet<&str> = self.parents.keys().copied().collect();
        let processes = || ["main"].into_iter().chain(known.iter().copied());
        let as_task = processes().find_map(|process| {
            let task = name.strip_prefix(process)?.strip_prefix('-')?;
            Some(format!("{process}/{task}"))
        });
        as_task.or_else(|| closest(name, processes()).map(str::to_owned))
    }

    /// Checks that a new process has a name that no other process has.
    pub(super) fn check_new_name(&self, step: &Step, name: &str) -> Result<(), ParseError> {
        if name == "main" || self.parents.contains_key(name) || self.ghosts.contains_key(name) {
            let message = format!("there is a process {name} already");
            let hint = match step.indices.first() {
                Some((index, _)) if !name.contains('[') => {
                    format!("`each` repeats this line: write {name}[{index}]")
                }
                _ => "give each process a name of its own".to_owned(),
            };
            return Err(ParseError::at_action(step, message, hint));
        }
        Ok(())
    }

    pub(super) fn spawn(&mut self, step: &'a Step, child: &'a str) {
        self.parents.insert(child, &step.task_id.process);
    }

    pub(super) fn add_program(&mut self, child: &'a str) {
        self.programs.insert(child);
    }

    pub(super) fn add_group(&mut self, child: &'a str) {
        self.groups.insert(child);
    }

    /// Checks that a child is the first process of a group, since only that process names the group.
    pub(super) fn check_group(&self, step: &Step, child: &str) -> Result<(), ParseError> {
        if self.groups.contains(child) {
            return Ok(());
        }
        let message = format!("{child} has no process group of its own");
        let hint = format!("start it with `spawn {child} in-group`, or write `signal {child} …`");
        Err(ParseError::at_action(step, message, hint))
    }

    /// Checks that a step suits a program, which has no library and whose calls take no time limit.
    pub(super) fn check_program(&self, step: &Step) -> Result<(), ParseError> {
        let process = step.task_id.process.as_str();
        if !self.programs.contains(process) {
            return Ok(());
        }
        let (message, hint) = match &step.verb {
            _ if step.within_ms.is_some() => {
                ("a program takes no time limit", "write `within` at a step of its parent")
            }
            Verb::Pipe { .. }
            | Verb::Duplex { .. }
            | Verb::Spawn { program: None, .. }
            | Verb::Cancel { .. }
            | Verb::Raise
            | Verb::Exec { .. }
            | Verb::Count { what: Counted::Handles }
            | Verb::Enter { .. }
            | Verb::Leave { .. }
            | Verb::Pass { .. }
            | Verb::GetWithin { .. }
            | Verb::Close { by: Closing::Drop | Closing::Descriptor, .. }
            | Verb::Child { act: ChildAct::Drop, .. } => (
                "a program does not use the library",
                "it can put, get, close, run, join, kill, exit, and write frames by hand",
            ),
            _ => return Ok(()),
        };
        Err(ParseError::at_action(step, message, hint))
    }

    /// Records that the object of a child is dropped.
    pub(super) fn drop_child(&mut self, step: &Step, child: &'a str) {
        self.dropped.insert(child, step.position.line);
    }

    pub(super) fn refuse_spawn(&mut self, child: &'a str) {
        self.refused.insert(child);
    }

    pub(super) fn exec(&mut self, step: &'a Step, ghost: &'a str) -> Result<(), ParseError> {
        self.check_new_name(step, ghost)?;
        self.ghosts.insert(ghost, &step.task_id.process);
        Ok(())
    }

    pub(super) fn exit(&mut self, step: &'a Step) {
        self.exited.insert(&step.task_id, step.position.line);
    }

    /// Checks that the target of a step is a child of its process. `reap` and `stall` also accept a program that the process
    /// started without the implementation.
    pub(super) fn check_child(&self, step: &Step, child: &str) -> Result<(), ParseError> {
        let process = step.task_id.process.as_str();
        if let Some(line) = self.dropped.get(child) {
            let message = format!("{child} cannot be named any more");
            let hint = format!("its object was dropped in line {line}");
            return Err(ParseError::at_action(step, message, hint));
        }
        let accepts_ghost =
            matches!(step.verb, Verb::Child { act: ChildAct::Reap | ChildAct::Stall, .. });
        let is_ghost = self.ghosts.get(child) == Some(&process);
        if self.parents.get(child) == Some(&process) || (accepts_ghost && is_ghost) {
            return Ok(());
        }
        let children = self.parents.iter().filter(|(_, parent)| **parent == process);
        let children: BTreeSet<&str> = children.map(|(name, _)| *name).collect();
        let hint = match (self.parents.get(child), closest(child, children)) {
            _ if child == "main" => "main has no parent in a scenario; name a child".to_owned(),
            (Some(parent), _) => format!("{parent} spawned {child}, and only {parent} can do this"),
            (None, Some(name)) => format!("is it {name}?"),
            (None, None) => format!("`spawn {child}` must stand above it, by {process}"),
        };
        Err(ParseError::at_action(step, format!("{child} is no child of {process}"), hint))
    }

    /// Checks that a cancelled task is another task of the same process.
    pub(super) fn check_cancel(&self, step: &Step, task: &TaskId) -> Result<(), ParseError> {
        let process = &step.task_id.process;
        let is_own_task = task.process == *process && task.task.is_some();
        if is_own_task && self.task_ids.contains(task) && *task != *step.task_id {
            return Ok(());
        }
        let message = format!("{task} cannot be cancelled from here");
        let hint = format!("name another task of {process}, such as {process}/reader");
        Err(ParseError::at_action(step, message, hint))
    }

    /// Checks that an awaited task is another one that has lines, and that it does not wait for this task.
    pub(super) fn until(&mut self, step: &'a Step, awaited: &'a TaskId) -> Result<(), ParseError> {
        if !self.task_ids.contains(awaited) || *awaited == *step.task_id {
            let message = format!("{awaited} has no lines that could block");
            let others = self.task_ids.iter().filter(|id| ***id != *step.task_id);
            let others: BTreeSet<&TaskId> = others.copied().collect();
            let names: Vec<String> = others.iter().map(|id| id.to_string()).collect();
            let awaited = awaited.to_string();
            let hint = match closest(&awaited, names.iter().map(String::as_str)) {
                Some(name) => format!("is it {name}?"),
                None => {
                    format!("name another process or task of this scenario: {}", names.join(", "))
                }
            };
            return Err(ParseError::at_action(step, message, hint));
        }
        self.untils.insert(&step.task_id, (awaited, step));
        let mut visited = BTreeSet::from([&*step.task_id]);
        let mut task_id = &*step.task_id;
        while let Some((next, step)) = self.untils.get(task_id) {
            if !visited.insert(next) {
                let hint = "each waits until another waits: let one of them do something";
                return Err(ParseError::at_action(step, "a circle of `until`", hint));
            }
            task_id = next;
        }
        Ok(())
    }

    /// Forgets the `until` of a task that has a step after it.
    pub(super) fn end_until(&mut self, task_id: &TaskId) {
        self.untils.remove(task_id);
    }

    /// Checks that each process with tasks has lines of its own.
    pub(super) fn check_tasks(&self, steps: &[Step]) -> Result<(), ParseError> {
        let has_lines =
            |process: &str| process == "main" || self.task_ids.contains(&TaskId::process(process));
        let orphans = self.task_ids.iter().filter(|task_id| !has_lines(&task_id.process));
        let orphan = orphans.min();
        let step = orphan.and_then(|orphan| steps.iter().find(|step| *step.task_id == **orphan));
        let Some(step) = step else { return Ok(()) };
        let message = format!("{} is a task without a process", step.task_id);
        let process = &step.task_id.process;
        let hint =
            format!("{process} needs lines of its own: write {process} in one of these lines");
        Err(ParseError::at_task(step, message, hint))
    }
}
