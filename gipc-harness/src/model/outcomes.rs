//! The outcomes that a state graph contains, split as far as possible into races that do not influence each other.

use super::history::{Fact, Subject, normalize, trace};
use super::program::Program;
use super::state_graph::StateGraph;
use crate::trace::{Alternative, Race, Trace};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The maximum number of alternatives of one race, and of enumerated traces.
pub(super) const MAX_TRACES: usize = 1_000;
/// The maximum number of facts in the alternatives of one race while it is computed.
const MAX_FACTS: usize = 200_000;
/// The maximum number of steps in all enumerated traces.
const MAX_STEPS: usize = 400_000;

/// A set of traces: those that contain the common facts and one alternative of each race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcomes {
    common: Vec<Fact>,
    /// The races, sorted, each with its alternatives sorted.
    races: Vec<Vec<Vec<Fact>>>,
}

impl Outcomes {
    /// Collects the outcomes of all paths through a graph; `None` if there are too many.
    pub(super) fn of(graph: &StateGraph) -> Option<Self> {
        let order = topological_order(graph);
        let mut outcomes = Self { common: Vec::new(), races: Vec::new() };
        for segment in segments(graph, &order) {
            outcomes.add(deltas(graph, segment)?);
        }
        normalize(&mut outcomes.common);
        outcomes.races.sort();
        Some(outcomes)
    }

    /// All traces, unless there are too many.
    pub(super) fn traces(&self, program: &Program<'_>) -> Option<HashSet<Trace>> {
        let mut count: usize = 1;
        for race in &self.races {
            count = count.saturating_mul(race.len());
        }
        if count > MAX_TRACES
            || count.saturating_mul(program.step_count()) > MAX_STEPS.max(program.step_count())
        {
            return None;
        }
        let mut choices: Vec<Vec<&Fact>> = vec![self.common.iter().collect()];
        for race in &self.races {
            let extended = choices.iter().flat_map(|facts| {
                race.iter()
                    .map(move |alternative| facts.iter().copied().chain(alternative).collect())
            });
            choices = extended.collect();
        }
        Some(choices.into_iter().map(|facts| trace(program, facts)).collect())
    }

    /// A few traces that together contain every alternative of every race.
    pub(super) fn covering_traces(&self, program: &Program<'_>) -> Vec<Trace> {
        let alternatives = self.races.iter().map(Vec::len).max().unwrap_or(1);
        let count = alternatives.min(MAX_STEPS / program.step_count().max(1)).max(1);
        let covering = (0..count).map(|at| {
            let chosen = self.races.iter().flat_map(|race| &race[at % race.len()]);
            trace(program, self.common.iter().chain(chosen))
        });
        covering.collect()
    }

    /// The races, with the facts of each alternative.
    pub(super) fn races(&self, program: &Program<'_>) -> Vec<Race> {
        let common = trace(program, &self.common);
        let races = self.races.iter().map(|race| {
            let subjects: BTreeSet<Subject> = race.iter().flatten().map(Fact::subject).collect();
            let alternatives =
                race.iter().map(|facts| alternative(program, &common, &subjects, facts));
            Race { alternatives: alternatives.collect() }
        });
        races.collect()
    }

    /// Adds what happens in one segment of the graph: exactly one of these deltas.
    fn add(&mut self, deltas: BTreeSet<Vec<Fact>>) {
        let mut alternatives: Vec<Vec<Fact>> = deltas.into_iter().collect();
        let mut counts: BTreeMap<&Fact, usize> = BTreeMap::new();
        for fact in alternatives.iter().flatten() {
            *counts.entry(fact).or_default() += 1;
        }
        let in_all = counts.into_iter().filter(|(_, count)| *count == alternatives.len());
        let common: BTreeSet<Fact> = in_all.map(|(fact, _)| fact.clone()).collect();
        for facts in &mut alternatives {
            facts.retain(|fact| !common.contains(fact));
        }
        self.common.extend(common);
        if alternatives.len() > 1 {
            self.races.push(alternatives);
        }
    }
}

/// The states of these subjects if these facts are added to the common ones.
fn alternative(
    program: &Program<'_>,
    common: &Trace,
    subjects: &BTreeSet<Subject>,
    facts: &[Fact],
) -> Alternative {
    let name = |process: &usize| program.processes[*process].name;
    let mut alternative = Alternative::default();
    for subject in subjects {
        match (subject, facts.iter().find(|fact| fact.subject() == *subject)) {
            (_, Some(Fact::Step(step, state))) => alternative.steps.push((*step, state.clone())),
            (Subject::Step(step), _) => {
                alternative.steps.push((*step, common.steps[*step].clone()));
            }
            (_, Some(Fact::Exit(process, exit))) => {
                alternative.exits.push((name(process).to_owned(), Some(exit.clone())));
            }
            (Subject::Exit(process), _) => {
                let exit = common.exits.get(name(process)).cloned();
                alternative.exits.push((name(process).to_owned(), exit));
            }
            (_, Some(Fact::RemainingHandles(process, count))) => {
                alternative.remaining_handles.push((name(process).to_owned(), Some(*count)));
            }
            (Subject::RemainingHandles(process), _) => {
                let count = common.remaining_handles.get(name(process)).copied();
                alternative.remaining_handles.push((name(process).to_owned(), count));
            }
        }
    }
    alternative
}

/// The nodes in an order in which every edge leads forward.
fn topological_order(graph: &StateGraph) -> Vec<usize> {
    let mut order = Vec::with_capacity(graph.nodes.len());
    let mut visited = vec![false; graph.nodes.len()];
    visited[0] = true;
    let mut path = vec![(0, 0)];
    while let Some((node, next)) = path.last_mut() {
        match graph.nodes[*node].get(*next) {
            Some(edge) => {
                *next += 1;
                if !std::mem::replace(&mut visited[edge.target], true) {
                    path.push((edge.target, 0));
                }
            }
            None => {
                order.push(*node);
                path.pop();
            }
        }
    }
    order.reverse();
    order
}

/// Splits a graph at the nodes that are on every path. What happens before such a node and what happens after it are
/// independent.
fn segments<'o>(graph: &StateGraph, order: &'o [usize]) -> Vec<&'o [usize]> {
    let mut positions = vec![0; order.len()];
    for (position, node) in order.iter().enumerate() {
        positions[*node] = position;
    }
    let (mut segments, mut start, mut farthest) = (Vec::new(), 0, 0);
    for (position, node) in order.iter().enumerate() {
        if position > start && farthest == position {
            segments.push(&order[start..=position]);
            start = position;
        }
        let targets = graph.nodes[*node].iter().map(|edge| positions[edge.target]);
        // A path may also end in a final state.
        let end = if graph.nodes[*node].is_empty() { order.len() } else { 0 };
        farthest = targets.chain([end, farthest]).max().unwrap_or_default();
    }
    if start + 1 < order.len() {
        segments.push(&order[start..]);
    }
    segments
}

/// Everything that may happen between the first node of a segment and its last, or a final state.
fn deltas(graph: &StateGraph, segment: &[usize]) -> Option<BTreeSet<Vec<Fact>>> {
    let mut reached: BTreeMap<usize, BTreeSet<Vec<Fact>>> = BTreeMap::new();
    reached.insert(segment[0], BTreeSet::from([Vec::new()]));
    let mut results = BTreeSet::new();
    let mut count = 0;
    for node in segment {
        let deltas = reached.remove(node).unwrap_or_default();
        let is_end = Some(node) == segment.last() || graph.nodes[*node].is_empty();
        if is_end {
            results.extend(deltas);
            continue;
        }
        for (delta, edge) in
            deltas.iter().flat_map(|delta| graph.nodes[*node].iter().map(move |edge| (delta, edge)))
        {
            let mut facts = [delta.as_slice(), &edge.facts].concat();
            normalize(&mut facts);
            count += facts.len();
            let at_target = reached.entry(edge.target).or_default();
            at_target.insert(facts);
            if at_target.len() > MAX_TRACES || count > MAX_FACTS.max(2 * edge.facts.len()) {
                return None;
            }
        }
    }
    (results.len() <= MAX_TRACES).then_some(results)
}
