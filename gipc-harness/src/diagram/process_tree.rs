//! The columns of a diagram: the processes in the order of their tree, each followed by its tasks.

use crate::scenario::{Outcome, Scenario, TaskId, Verb};
use crate::trace::{StepState, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// The processes of a run, each with its parent.
pub(super) struct ProcessTree<'a> {
    /// The processes that existed, in the order of the tree: each before its children.
    pub(super) processes: Vec<&'a str>,
    /// The step that started each process.
    pub(super) spawns: BTreeMap<&'a str, usize>,
    /// The tasks of each process that did something, except the process itself, in the order of their first steps.
    pub(super) tasks: BTreeMap<&'a str, Vec<&'a TaskId>>,
}

impl<'a> ProcessTree<'a> {
    pub(super) fn new(scenario: &'a Scenario, trace: &'a Trace) -> Self {
        let mut spawns = BTreeMap::new();
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut tasks: BTreeMap<&str, Vec<&TaskId>> = BTreeMap::new();
        let mut seen_tasks = BTreeSet::new();
        let mut existing = BTreeSet::from(["main"]);
        existing.extend(trace.exits.keys().map(String::as_str));
        for (index, (step, state)) in scenario.steps.iter().zip(&trace.steps).enumerate() {
            if *state == StepState::NotStarted {
                continue;
            }
            let process = step.task_id.process.as_str();
            existing.insert(process);
            if step.task_id.task.is_some() && seen_tasks.insert(&step.task_id) {
                tasks.entry(process).or_default().push(&step.task_id);
            }
            if let Verb::Spawn { child, .. } = &step.verb {
                if state.is(&Outcome::Ok) {
                    existing.insert(child);
                }
                if existing.contains(child.as_str()) && !spawns.contains_key(child.as_str()) {
                    spawns.insert(child.as_str(), index);
                    children.entry(process).or_default().push(child);
                }
            }
        }
        let mut tree = Self { processes: Vec::new(), spawns, tasks };
        let mut stack = vec!["main"];
        while let Some(process) = stack.pop() {
            tree.processes.push(process);
            stack.extend(children.get(process).into_iter().flatten().rev().copied());
        }
        // A process may exist although its spawn was refused.
        let known: BTreeSet<&str> = tree.processes.iter().copied().collect();
        tree.processes.extend(existing.difference(&known));
        tree
    }

    /// The lanes: a process, its tasks, its children.
    pub(super) fn task_ids(&self) -> Vec<TaskId> {
        let mut task_ids = Vec::new();
        for process in &self.processes {
            task_ids.push(TaskId::process(*process));
            task_ids.extend(self.tasks.get(process).into_iter().flatten().copied().cloned());
        }
        task_ids
    }
}
