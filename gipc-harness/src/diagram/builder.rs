//! Builds the diagram of a run: lanes from the process tree, marks from the steps, arrows from the causes.

use super::causality::{Causality, Node};
use super::fold::Fold;
use super::marks::{compress_rows, kind, pipe, plain};
use super::process_tree::ProcessTree;
use super::{Arrow, Bar, Column, Diagram, Mark, MarkKind, Wait};
use crate::deadlock::{StallReport, explain_model};
use crate::model::{self, Choices};
use crate::scenario::{Outcome, PipeEnd, PipeId, Scenario, TaskId, Verb};
use crate::trace::{InjectionPoint, Observation, Occurrence, StepState, Trace};
use crate::variant::{Job, Variant};
use crate::verdict::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// The run that a diagram shows.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    scenario: &'a Scenario,
    trace: &'a Trace,
    history: Vec<Occurrence>,
    stall: Option<StallReport>,
    /// The steps with an outcome that is not allowed, and what was expected.
    wrong: BTreeMap<usize, String>,
    /// Where a fault was injected, and its name.
    fault: Option<(InjectionPoint, &'static str)>,
    /// The steps that the variant inserted.
    inserted: std::ops::Range<usize>,
    subtitle: String,
    status: String,
    is_expected: bool,
}

impl<'a> Run<'a> {
    /// A run that was observed and judged. `adapter` is the name of what it ran on.
    #[must_use]
    pub fn observed(
        job: &'a Job,
        observation: &'a Observation,
        verdict: &Verdict,
        adapter: &str,
    ) -> Self {
        let mismatches = verdict.mismatch.iter().chain(&verdict.further_mismatches);
        let fault = match &job.variant {
            Variant::Kill { at, .. } => Some((*at, "SIGKILL")),
            Variant::Pause { at, .. } => Some((*at, "stopped and continued")),
            _ => None,
        };
        let inserted = job.edits.inserted.as_ref();
        let inserted = inserted.map_or(0..0, |(at, steps)| *at..*at + steps.len());
        Self {
            scenario: &job.scenario,
            trace: &observation.trace,
            history: observation.history.clone(),
            stall: verdict.stall.clone(),
            wrong: mismatches.map(|one| (one.step, one.expected.clone())).collect(),
            fault,
            inserted,
            subtitle: format!("{adapter} {}", job.flags()).trim().to_owned(),
            status: verdict.status.to_string(),
            is_expected: verdict.status.is_expected(),
        }
    }

    /// The trace that the model predicts in file order. `trace` is that of [`model::predict`].
    #[must_use]
    pub fn predicted(scenario: &'a Scenario, trace: &'a Trace, choices: Choices) -> Self {
        let stall = explain_model(scenario, trace);
        Self {
            scenario,
            trace,
            history: model::schedule(scenario, choices).history(),
            status: if stall.is_some() { "DEADLOCK" } else { "" }.to_owned(),
            is_expected: true,
            stall,
            wrong: BTreeMap::new(),
            fault: None,
            inserted: 0..0,
            subtitle: "as the model predicts it".to_owned(),
        }
    }

    /// Draws the run. Unless `full`, only one of many equal repetitions is drawn, and of more than [`MAX_EVENTS`] events
    /// only those that led to the failure.
    ///
    /// [`MAX_EVENTS`]: super::MAX_EVENTS
    #[must_use]
    pub fn diagram(&self, full: bool) -> Diagram {
        let tree = ProcessTree::new(self.scenario, self.trace);
        let causality = Causality::new(self.scenario, self.trace, &tree, &self.history);
        let wrong: BTreeSet<usize> = self.wrong.keys().copied().collect();
        let fold = Fold::new(self.scenario, self.trace, &causality, &wrong, full);
        let mut diagram = Diagram {
            title: self.scenario.id.clone(),
            subtitle: self.subtitle.clone(),
            status: self.status.clone(),
            is_expected: self.is_expected,
            omissions: fold.omissions.clone(),
            visible: fold.visible.iter().copied().collect(),
            ..Diagram::default()
        };
        Builder {
            run: self,
            tree: &tree,
            causality: &causality,
            fold: &fold,
            lane_of: BTreeMap::new(),
            mark_of: BTreeMap::new(),
        }
        .build(&mut diagram);
        diagram
    }
}

struct Builder<'a> {
    run: &'a Run<'a>,
    tree: &'a ProcessTree<'a>,
    causality: &'a Causality<'a>,
    fold: &'a Fold,
    lane_of: BTreeMap<TaskId, usize>,
    /// The marks of the moments that are drawn.
    mark_of: BTreeMap<Node, usize>,
}

impl Builder<'_> {
    fn build(mut self, diagram: &mut Diagram) {
        self.add_lanes(diagram);
        self.add_marks(diagram);
        self.add_gaps(diagram);
        compress_rows(diagram);
        self.add_arrows(diagram);
        self.add_waits(diagram);
        self.end_lanes(diagram);
        let mut order: Vec<usize> = (0..diagram.marks.len()).collect();
        order.sort_by_key(|mark| (diagram.marks[*mark].row, diagram.marks[*mark].lane));
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
        diagram.marks = order.iter().map(|old| diagram.marks[*old].clone()).collect();
        for arrow in &mut diagram.arrows {
            (arrow.from, arrow.to) = (place[arrow.from], place[arrow.to]);
        }
    }

    /// Whether a process is drawn: it does something that is drawn, or its start is drawn.
    fn is_drawn(&self, process: &str, busy: &BTreeSet<&str>) -> bool {
        let spawn = self.tree.spawns.get(process);
        process == "main"
            || busy.contains(process)
            || spawn.is_some_and(|spawn| self.fold.visible.contains(spawn))
            || (spawn.is_none() && self.fold.omissions.is_empty())
    }

    fn add_lanes(&mut self, diagram: &mut Diagram) {
        let steps = &self.run.scenario.steps;
        let visible = &self.fold.visible;
        let task_ids: BTreeSet<&TaskId> =
            visible.iter().map(|step| &*steps[*step].task_id).collect();
        let busy: BTreeSet<&str> =
            task_ids.iter().map(|task_id| task_id.process.as_str()).collect();
        for task_id in self.tree.task_ids() {
            let process = &task_id.process;
            let is_task = task_id.task.is_some();
            if !self.is_drawn(process, &busy) || (is_task && !task_ids.contains(&task_id)) {
                continue;
            }
            let spawn = self.tree.spawns.get(process.as_str()).copied();
            let parent = match (is_task, spawn) {
                (true, _) => Some(TaskId::process(process.as_str())),
                (false, Some(spawn)) => Some(TaskId::clone(&steps[spawn].task_id)),
                (false, None) => None,
            };
            let replicas = spawn.and_then(|spawn| self.fold.times.get(&spawn)).copied();
            let lane = diagram.lanes.len();
            self.lane_of.insert(task_id.clone(), lane);
            diagram.lanes.push(Column {
                parent: parent.and_then(|parent| self.lane_of.get(&parent).copied()),
                task_id,
                replicas: replicas.filter(|_| !is_task).unwrap_or(1),
                first_row: 0,
                last_row: 0,
                has_ended: false,
            });
        }
    }

    fn row(&self, node: Node) -> usize {
        self.causality.rows.get(&node).copied().unwrap_or(0)
    }

    fn add(&mut self, diagram: &mut Diagram, nodes: &[Node], mark: Mark) {
        for node in nodes {
            self.mark_of.insert(*node, diagram.marks.len());
        }
        diagram.marks.push(mark);
    }

    fn add_marks(&mut self, diagram: &mut Diagram) {
        for (place, process) in self.tree.processes.iter().enumerate() {
            let Some(lane) = self.lane_of.get(&TaskId::process(*process)).copied() else {
                continue;
            };
            let node = Node::Start(place);
            let text = match diagram.lanes[lane].replicas {
                1 => (*process).to_owned(),
                many => format!("{process} ×{many}"),
            };
            let start = plain(lane, self.row(node), MarkKind::Start, text);
            self.add(diagram, &[node], start);
        }
        // Leave room for the bars of steps that never return, below everything that happened.
        let end = self.causality.rows.values().max().map_or(1, |row| row + 1);
        for step in self.fold.visible.iter().copied().collect::<Vec<_>>() {
            let mark = self.step_mark(step, end);
            let nodes = [Node::Begin(step), Node::End(step)];
            self.add(diagram, &nodes, mark);
        }
        for (place, process) in self.tree.processes.iter().enumerate() {
            let (Some(lane), Some(exit)) = (
                self.lane_of.get(&TaskId::process(*process)).copied(),
                self.run.trace.exits.get(*process).filter(|_| !self.run.trace.runs(process)),
            ) else {
                continue;
            };
            let node = Node::Exit(place);
            let text = exit.to_string();
            // If a process ends itself, do not draw its end twice.
            let is_own =
                |mark: &Mark| mark.lane == lane && mark.step.is_some() && mark.text == text;
            if let Some(last) = diagram.marks.iter().rposition(is_own) {
                (diagram.marks[last].kind, diagram.marks[last].row) =
                    (MarkKind::Exit, self.row(node));
                self.mark_of.insert(node, last);
                continue;
            }
            let mark = plain(lane, self.row(node), MarkKind::Exit, text);
            self.add(diagram, &[node], mark);
        }
        self.add_fault(diagram);
    }

    fn step_mark(&self, index: usize, end: usize) -> Mark {
        let scenario = self.run.scenario;
        let step = &scenario.steps[index];
        let state = &self.run.trace.steps[index];
        let (begin, returned) = (self.row(Node::Begin(index)), self.row(Node::End(index)));
        let waited = self.causality.waited.contains(&index);
        let (row, bar) = match state {
            StepState::NotStarted => (end, None),
            StepState::Pending => {
                let place = self.tree.processes.iter().position(|it| *it == step.task_id.process);
                let exit = place.map(Node::Exit).and_then(|exit| self.causality.rows.get(&exit));
                let to = exit.copied().unwrap_or(end);
                (begin, Some(Bar { from: begin, to, forever: exit.is_none() }))
            }
            StepState::Completed { .. } if waited && returned > begin => {
                // A step that waits for space sends its message at once. A step that waits for a cause is over when the
                // cause comes.
                let row = if matches!(step.verb, Verb::Put { .. }) { begin } else { returned };
                (row, Some(Bar { from: begin, to: returned, forever: false }))
            }
            StepState::Completed { .. } => (returned, None),
        };
        let mut text = step.what();
        if !state.is(&Outcome::Ok) {
            let outcome = match state {
                StepState::Pending => "…".to_owned(),
                StepState::NotStarted => "never begins".to_owned(),
                StepState::Completed { .. } => state.as_outcome().to_string(),
            };
            text = format!("{text} → {outcome}");
        }
        if let Some(times) = self.fold.times.get(&index) {
            text = format!("{text} ×{times}");
        }
        if self.run.inserted.contains(&index) {
            text = format!("{text} (injected)");
        }
        Mark {
            lane: self.lane_of.get(&step.task_id).copied().unwrap_or(0),
            row,
            kind: if self.run.inserted.contains(&index) {
                MarkKind::Fault
            } else {
                kind(step, state)
            },
            text,
            step: Some(index),
            pipe: pipe(scenario, index, step),
            bar,
            expected: self.run.wrong.get(&index).cloned(),
        }
    }

    /// Adds the fault that was injected, one row after the step at which it was injected.
    fn add_fault(&mut self, diagram: &mut Diagram) {
        let Some((at, name)) = self.run.fault else { return };
        let Some(step) = self.mark_of.get(&Node::Begin(at.step)).copied() else { return };
        let process = TaskId::process(self.run.scenario.steps[at.step].task_id.process.as_str());
        let Some(lane) = self.lane_of.get(&process).copied() else { return };
        let place = self.tree.processes.iter().position(|it| *it == process.process);
        let exit = place.map(Node::Exit).filter(|it| self.causality.rows.contains_key(it));
        // A killed process ends where the fault is. The mark is between its last step and its end.
        let row = match exit {
            Some(exit) if name == "SIGKILL" => self.row(exit).saturating_sub(1),
            _ => diagram.marks[step].row,
        };
        for mark in diagram.marks.iter_mut() {
            if mark.row > row {
                mark.row += 1;
            }
            if let Some(bar) = &mut mark.bar {
                bar.to += usize::from(bar.to > row);
                bar.from += usize::from(bar.from > row);
            }
        }
        diagram.marks.push(plain(lane, row + 1, MarkKind::Fault, format!("{name} (injected)")));
    }

    /// Adds a mark for each group of consecutive steps of a lane that are left out, except repetitions.
    fn add_gaps(&self, diagram: &mut Diagram) {
        let mut hidden: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut gaps = Vec::new();
        for (index, step) in self.run.scenario.steps.iter().enumerate() {
            let Some(lane) = self.lane_of.get(&step.task_id).copied() else { continue };
            if self.fold.visible.contains(&index) {
                gaps.extend(hidden.remove(&lane).map(|gap| (lane, gap)));
            } else if self.run.trace.steps[index] != StepState::NotStarted
                && !self.fold.repeated.contains(&index)
            {
                let (count, row) = hidden.entry(lane).or_default();
                (*count, *row) = (*count + 1, (*row).max(self.row(Node::Begin(index))));
            }
        }
        gaps.extend(hidden);
        for (lane, (count, row)) in gaps {
            let text = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
            diagram.marks.push(plain(lane, row, MarkKind::Gap, text));
        }
    }

    fn add_arrows(&self, diagram: &mut Diagram) {
        for cause in &self.causality.causes {
            let mark = |node| self.mark_of.get(&node).copied();
            if let (Some(from), Some(to)) = (mark(cause.from), mark(cause.to)) {
                diagram.arrows.push(Arrow { from, to, kind: cause.kind, pipe: cause.pipe });
            }
        }
        diagram.arrows.sort_by_key(|arrow| (arrow.to, arrow.from));
    }

    fn add_waits(&self, diagram: &mut Diagram) {
        let scenario = self.run.scenario;
        for (step, expected) in &self.run.wrong {
            let (line, task_id, what) = {
                let step = &scenario.steps[*step];
                (step.position.line, &step.task_id, step.what())
            };
            let got = match &self.run.trace.steps[*step] {
                StepState::NotStarted => "never begins".to_owned(),
                StepState::Pending => "does not return".to_owned(),
                state => format!("gives {}", state.as_outcome()),
            };
            let finding =
                format!("Line {line}: {task_id} {what} {got}, and should give {expected}.");
            diagram.findings.push(finding);
        }
        let Some(stall) = &self.run.stall else { return };
        let is_on_cycle = |from: &str, to: &str| {
            stall.cycle.windows(2).any(|pair| pair[0] == from && pair[1] == to)
        };
        for wait in &stall.waits {
            let step = &scenario.steps[wait.step];
            let process = step.task_id.process.as_str();
            let Some(lane) = self.lane_of.get(&step.task_id).copied() else { continue };
            if !self.fold.visible.contains(&wait.step) {
                continue;
            }
            let on = wait.on.iter().filter_map(|other| {
                let lane = *self.lane_of.get(&TaskId::process(other.as_str()))?;
                Some((lane, is_on_cycle(process, other)))
            });
            let (on, text) =
                (on.collect(), format!("{} {}: {}", step.task_id, step.what(), wait.why));
            diagram.waits.push(Wait { lane, on, text });
        }
        let sentences = stall.leaks.iter().chain(&stall.explanations);
        diagram.findings.extend(sentences.map(|sentence| format!("{sentence}.")));
    }

    /// Sets the rows in which the lanes begin and end, and the pipes that are drawn.
    fn end_lanes(&self, diagram: &mut Diagram) {
        let last = |mark: &Mark| mark.bar.map_or(mark.row, |bar| bar.to.max(mark.row));
        diagram.rows = diagram.marks.iter().map(last).max().unwrap_or(0) + 1;
        let starts: BTreeMap<usize, usize> = diagram
            .marks
            .iter()
            .filter(|mark| mark.kind == MarkKind::Start)
            .map(|mark| (mark.lane, mark.row))
            .collect();
        let ends: BTreeMap<usize, usize> = diagram
            .marks
            .iter()
            .filter(|mark| mark.kind == MarkKind::Exit)
            .map(|mark| (mark.lane, mark.row))
            .collect();
        let lane_of = |task_id: &TaskId| self.lane_of.get(task_id).copied();
        for (lane, entry) in diagram.lanes.iter_mut().enumerate() {
            let process = lane_of(&TaskId::process(entry.task_id.process.as_str())).unwrap_or(lane);
            entry.first_row = starts.get(&process).copied().unwrap_or(0);
            entry.has_ended = ends.contains_key(&process);
            let of_lane = diagram.marks.iter().filter(|mark| mark.lane == lane);
            let own_end = of_lane.map(last).max().unwrap_or(entry.first_row);
            entry.last_row = match (ends.get(&process), entry.task_id.task.is_some()) {
                (Some(_), true) => own_end,
                (Some(row), false) => *row,
                (None, true) => own_end,
                (None, false) => diagram.rows - 1,
            };
        }
        let used: BTreeSet<PipeId> = diagram.marks.iter().filter_map(|mark| mark.pipe).collect();
        diagram.pipes = used.into_iter().map(|pipe| (pipe, self.pipe_name(pipe))).collect();
    }

    fn pipe_name(&self, pipe: PipeId) -> String {
        let handles = &self.run.scenario.handles;
        let (writer, reader) = (PipeEnd::writer(pipe), PipeEnd::reader(pipe));
        format!("{} → {}", handles.name(writer), handles.name(reader))
    }
}
