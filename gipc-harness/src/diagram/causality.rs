//! What had to come before what in a run: the begin and the end of each step, the start and the end of each process, and the
//! causes between them. The row of each is the length of the longest chain of causes before it.

use super::ArrowKind;
use super::process_tree::ProcessTree;
use crate::scenario::{ChildAct, Outcome, PipeEnd, PipeId, Scenario, Side, Step, TaskId, Verb};
use crate::trace::{EndState, Occurrence, Ownership, ProcessExit, StepState, Trace};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Node {
    /// A process starts. The number is its place in the tree.
    Start(usize),
    /// A step begins.
    Begin(usize),
    /// A step returns.
    End(usize),
    /// A process ends. The number is its place in the tree.
    Exit(usize),
}

/// A cause that is drawn as an arrow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) from: Node,
    pub(super) to: Node,
    pub(super) kind: ArrowKind,
    pub(super) pipe: Option<PipeId>,
}

/// The moments of a run with their causes and rows.
pub(super) struct Causality<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    ownership: Ownership<'a>,
    /// The place of each process in the tree.
    places: BTreeMap<&'a str, usize>,
    /// The steps that returned after another task had begun something since their begin.
    pub(super) waited: BTreeSet<usize>,
    /// The causes that are drawn.
    pub(super) causes: Vec<Cause>,
    /// For each moment, the moments directly before it, and the minimum distance in rows.
    before: BTreeMap<Node, Vec<(Node, usize)>>,
    /// The row of each moment.
    pub(super) rows: BTreeMap<Node, usize>,
}

impl<'a> Causality<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        trace: &'a Trace,
        tree: &ProcessTree<'a>,
        history: &[Occurrence],
    ) -> Self {
        let places = tree.processes.iter().enumerate().map(|(place, name)| (*name, place));
        let mut causality = Self {
            scenario,
            trace,
            ownership: Ownership::replay(scenario, trace),
            places: places.collect(),
            waited: waited(scenario, history),
            causes: Vec::new(),
            before: BTreeMap::new(),
            rows: BTreeMap::new(),
        };
        causality.order_lanes(tree);
        causality.find_causes();
        causality.order_waits(history);
        causality.assign_rows();
        causality
    }

    /// The moments directly before a moment.
    pub(super) fn before(&self, node: Node) -> impl Iterator<Item = Node> {
        self.before.get(&node).into_iter().flatten().map(|(before, _)| *before)
    }

    fn has_begun(&self, step: usize) -> bool {
        self.trace.steps[step] != StepState::NotStarted
    }

    fn has_returned(&self, step: usize) -> bool {
        matches!(self.trace.steps[step], StepState::Completed { .. })
    }

    fn exit_of(&self, process: &str) -> Option<Node> {
        let has_ended = !self.trace.runs(process);
        self.places.get(process).filter(|_| has_ended).map(|place| Node::Exit(*place))
    }

    fn order(&mut self, from: Node, to: Node, rows: usize) {
        self.before.entry(from).or_default();
        self.before.entry(to).or_default().push((from, rows));
    }

    fn cause(&mut self, from: Node, to: Node, kind: ArrowKind, pipe: Option<PipeId>) {
        self.order(from, to, 1);
        self.causes.push(Cause { from, to, kind, pipe });
    }

    /// Orders what happens inside each process: its start, the steps of each task, its end.
    fn order_lanes(&mut self, tree: &ProcessTree<'a>) {
        let mut last: BTreeMap<&TaskId, Node> = BTreeMap::new();
        for place in 0..tree.processes.len() {
            self.before.entry(Node::Start(place)).or_default();
        }
        for (index, step) in self.scenario.steps.iter().enumerate() {
            if !self.has_begun(index) {
                continue;
            }
            let start = Node::Start(self.places[step.task_id.process.as_str()]);
            let previous = last.get(&*step.task_id).copied().unwrap_or(start);
            self.order(previous, Node::Begin(index), 1);
            let reached = if self.has_returned(index) {
                let waits = usize::from(self.waited.contains(&index));
                self.order(Node::Begin(index), Node::End(index), waits);
                Node::End(index)
            } else {
                Node::Begin(index)
            };
            last.insert(&step.task_id, reached);
        }
        for process in &tree.processes {
            let Some(exit) = self.exit_of(process) else { continue };
            self.order(Node::Start(self.places[process]), exit, 1);
            let is_of = |task_id: &&TaskId| task_id.process == *process;
            let ends: Vec<Node> =
                last.iter().filter(|(task_id, _)| is_of(task_id)).map(|(_, node)| *node).collect();
            ends.into_iter().for_each(|end| self.order(end, exit, 1));
        }
        for (child, spawn) in &tree.spawns {
            let start = Node::Start(self.places[child]);
            self.cause(Node::Begin(*spawn), start, ArrowKind::Spawn, None);
        }
    }

    fn find_causes(&mut self) {
        let makers = self.makers();
        let mut cancellations: BTreeMap<&TaskId, VecDeque<usize>> = BTreeMap::new();
        let scenario = self.scenario;
        for (index, step) in scenario.steps.iter().enumerate() {
            if let (Verb::Cancel { task }, true) = (&step.verb, self.has_returned(index)) {
                cancellations.entry(task).or_default().push_back(index);
            }
        }
        for (index, step) in scenario.steps.iter().enumerate() {
            if !self.has_begun(index) {
                continue;
            }
            for end in step.verb.handles().flat_map(|handle| scenario.handles.ends(handle)) {
                let maker = makers.get(end).copied();
                let is_elsewhere = |maker: &usize| {
                    let other = &scenario.steps[*maker].task_id;
                    *maker != index
                        && other.process == step.task_id.process
                        && *other != step.task_id
                };
                if let Some(maker) = maker.filter(is_elsewhere) {
                    self.order(Node::End(maker), Node::Begin(index), 1);
                }
            }
            let StepState::Completed { outcome, from, .. } = &self.trace.steps[index] else {
                continue;
            };
            if *outcome == Outcome::Cancelled {
                let cancel = cancellations.get_mut(&*step.task_id).and_then(VecDeque::pop_front);
                if let Some(cancel) = cancel {
                    let (from, to) = (Node::Begin(cancel), Node::End(index));
                    self.cause(from, to, ArrowKind::Signal, None);
                }
            }
            self.find_cause(index, step, outcome, *from);
        }
    }

    /// Orders the begin of a step that waited before what it waited for, as it was in this run.
    fn order_waits(&mut self, history: &[Occurrence]) {
        let mut places: BTreeMap<Node, usize> = BTreeMap::new();
        for (place, occurrence) in history.iter().enumerate() {
            let node = match occurrence {
                Occurrence::Started(step) => Some(Node::Begin(*step)),
                Occurrence::Exited(process) => self.exit_of(process),
                Occurrence::Completed(_) | Occurrence::Stalled => None,
            };
            if let Some(node) = node {
                places.entry(node).or_insert(place);
            }
        }
        for cause in self.causes.clone() {
            let Node::End(step) = cause.to else { continue };
            let (began, came) = (places.get(&Node::Begin(step)), places.get(&cause.from));
            if self.waited.contains(&step) && began.is_some() && came > began {
                self.order(Node::Begin(step), cause.from, 1);
            }
        }
    }

    /// Finds the cause of the outcome of one step.
    fn find_cause(&mut self, index: usize, step: &Step, outcome: &Outcome, from: Option<usize>) {
        let here = Node::End(index);
        match (&step.verb, outcome) {
            (Verb::Get { handle }, Outcome::Message(_)) => {
                let pipe = self.scenario.handles.pipe(handle, Side::Reader);
                let Some(put) = from.filter(|put| self.has_begun(*put)) else { return };
                self.cause(Node::Begin(put), here, ArrowKind::Message, pipe);
                if self.waited.contains(&put) && self.has_returned(put) {
                    self.order(Node::Begin(index), Node::End(put), 1);
                }
            }
            (Verb::Get { handle }, Outcome::Eof | Outcome::Truncated) => {
                self.find_end(handle, Side::Reader, here);
            }
            (Verb::Put { handle, .. }, Outcome::Broken) => {
                self.find_end(handle, Side::Writer, here);
            }
            (
                Verb::Join { child } | Verb::Child { child, .. },
                Outcome::Exit(_) | Outcome::Signal(_) | Outcome::Raised | Outcome::No,
            )
            | (Verb::Child { act: ChildAct::Stall | ChildAct::Reaped, child }, Outcome::Ok) => {
                if let Some(exit) = self.exit_of(child) {
                    self.cause(exit, here, ArrowKind::Exit, None);
                }
            }
            (
                Verb::Kill { child }
                | Verb::Signal { child, .. }
                | Verb::Child { act: ChildAct::Terminate, child },
                Outcome::Ok,
            ) => self.find_victim(step, child, index),
            (Verb::SignalGroup { child, .. }, Outcome::Ok) => {
                for member in self.scenario.process_group(child) {
                    self.find_victim(step, member, index);
                }
            }
            (Verb::Until { task_id }, Outcome::Ok) => {
                // The last step of the other task above this line is the one that waits.
                let is_awaited = |other: &usize| {
                    *self.scenario.steps[*other].task_id == *task_id && self.has_begun(*other)
                };
                if let Some(waiting) = (0..index).rev().find(is_awaited) {
                    self.order(Node::Begin(waiting), here, 1);
                }
            }
            _ => {}
        }
    }

    /// Finds what closed the end opposite to the one that a step uses, which is the `side` of its handle.
    fn find_end(&mut self, handle: &str, side: Side, here: Node) {
        let Some(end) = self.scenario.handles.end(handle, side).map(PipeEnd::opposite) else {
            return;
        };
        let cause = match self.ownership.state(end) {
            Some(EndState::Closed(task_id)) => {
                let closes = |(index, step): &(usize, &Step)| {
                    step.task_id.to_string() == *task_id
                        && self.trace.steps[*index].is(&Outcome::Ok)
                        && matches!(step.verb, Verb::Close { .. } | Verb::Leave { .. })
                        && step
                            .verb
                            .handles()
                            .any(|handle| self.scenario.handles.ends(handle).contains(&end))
                };
                let mut steps = self.scenario.steps.iter().enumerate();
                steps.find(closes).map(|(index, _)| Node::Begin(index))
            }
            Some(EndState::Exited(process)) => self.exit_of(process),
            _ => None,
        };
        if let Some(cause) = cause {
            self.cause(cause, here, ArrowKind::End, Some(end.pipe));
        }
    }

    /// Finds the process that a signal ended.
    fn find_victim(&mut self, step: &Step, child: &str, index: usize) {
        let Some(ProcessExit::Signal(died_of)) = self.trace.exits.get(child) else { return };
        let is_caused = self.causes.iter().any(|cause| Some(cause.to) == self.exit_of(child));
        if let Some(exit) =
            self.exit_of(child).filter(|_| step.verb.sent_signal() == Some(died_of) && !is_caused)
        {
            self.cause(Node::Begin(index), exit, ArrowKind::Signal, None);
        }
    }

    /// The step that made each pipe end.
    fn makers(&self) -> BTreeMap<PipeEnd, usize> {
        let mut makers = BTreeMap::new();
        for (index, step) in self.scenario.steps.iter().enumerate() {
            if self.trace.steps[index].is(&Outcome::Ok) {
                let ends = self.scenario.handles.made_by(index, &step.verb);
                makers.extend(ends.into_iter().map(|end| (end, index)));
            }
        }
        makers
    }

    /// Gives each moment the row after the last of its causes. If causes contradict each other, which is possible only in a
    /// run that broke the rules, they are followed as far as they do not.
    fn assign_rows(&mut self) {
        let mut after: BTreeMap<Node, Vec<(Node, usize)>> = BTreeMap::new();
        let mut missing: BTreeMap<Node, usize> = BTreeMap::new();
        for (node, before) in &self.before {
            missing.insert(*node, before.len());
            for (cause, rows) in before {
                after.entry(*cause).or_default().push((*node, *rows));
            }
        }
        let is_ready = |(node, count): (&Node, &usize)| (*count == 0).then_some(*node);
        let mut ready: VecDeque<Node> = missing.iter().filter_map(is_ready).collect();
        let mut rows: BTreeMap<Node, usize> = ready.iter().map(|node| (*node, 0)).collect();
        let mut done: BTreeSet<Node> = BTreeSet::new();
        loop {
            let next = ready.pop_front();
            let stuck = || missing.keys().find(|node| !done.contains(*node)).copied();
            let Some(node) = next.or_else(stuck) else { break };
            if !done.insert(node) {
                continue;
            }
            let row = *rows.entry(node).or_insert(0);
            for (effect, distance) in after.get(&node).into_iter().flatten() {
                if done.contains(effect) {
                    continue;
                }
                let least = rows.entry(*effect).or_insert(0);
                *least = (*least).max(row + distance);
                let missing = missing.entry(*effect).or_insert(1);
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    ready.push_back(*effect);
                }
            }
        }
        self.rows = rows;
    }
}

/// The steps during which another task began a step.
fn waited(scenario: &Scenario, history: &[Occurrence]) -> BTreeSet<usize> {
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut waited = BTreeSet::new();
    for occurrence in history {
        match occurrence {
            Occurrence::Started(step) => {
                let task_id = &scenario.steps[*step].task_id;
                waited
                    .extend(open.iter().filter(|open| scenario.steps[**open].task_id != *task_id));
                open.insert(*step);
            }
            Occurrence::Completed(step) => {
                open.remove(step);
            }
            Occurrence::Exited(_) | Occurrence::Stalled => {}
        }
    }
    waited
}
