//! The graph of the states that a scenario can reach, as far as partial-order reduction has to explore it.
//!
//! Nodes are the states in which there is a choice, and the final states; edges carry the facts that become true between
//! them. Scenarios are straight-line programs, so the graph has no cycles.

use super::history::Fact;
use super::program::Program;
use super::state::{State, Transition};
use super::stubborn_set::{Recent, StubbornSets};
use std::collections::HashMap;

/// The most nodes of a graph.
const MAX_NODES: usize = 20_000;
/// The most work for one graph: one unit for each agent that is considered when a set of transitions is chosen, and one
/// for each task, process and pipe of a state that is copied or hashed.
const MAX_WORK: usize = 10_000_000;
/// The most memory for one graph, in facts and in parts of pending states, each of about a hundred bytes.
const MAX_KEPT: usize = 300_000;

/// Node 0 is the initial state.
pub(super) struct StateGraph {
    pub(super) nodes: Vec<Vec<Edge>>,
}

/// What happens between two nodes. A final state has no edges.
pub(super) struct Edge {
    pub(super) facts: Vec<Fact>,
    pub(super) target: usize,
}

/// Explores the states of a program. Returns `None` if that would take too much time or memory.
pub(super) fn explore(program: &Program<'_>) -> Option<StateGraph> {
    // The rules of the reduction hold for the correct model only.
    let is_reduced = program.choices.mutation.is_none();
    explore_with(program, is_reduced.then(|| StubbornSets::new(program)), MAX_WORK)
}

/// Explores every order of transitions, to compare the reduction with.
#[cfg(test)]
pub(super) fn explore_unreduced(program: &Program<'_>) -> Option<StateGraph> {
    explore_with(program, None, MAX_WORK / 100)
}

fn explore_with<'p>(
    program: &'p Program<'p>,
    sets: Option<StubbornSets<'p>>,
    max_work: usize,
) -> Option<StateGraph> {
    let mut explorer = Explorer::new(program, sets, max_work);
    let mut initial = State::start(program);
    initial.is_fine_grained = true;
    // The initial state is a node even if there is no choice in it.
    let edge = explorer.follow(initial, Recent::default())?;
    explorer.nodes[0].push(edge);
    while let Some(Pending { node, state, choice, recent }) = explorer.pending.pop() {
        explorer.kept -= explorer.size;
        for transition in choice {
            let mut next = state.clone();
            next.advance(transition);
            let edge = explorer.follow(next, recent.clone())?;
            explorer.nodes[node].push(edge);
        }
    }
    Some(StateGraph { nodes: explorer.nodes })
}

/// A state that has been reached, with the transitions to explore from there.
struct Pending<'p> {
    node: usize,
    state: State<'p>,
    choice: Vec<Transition>,
    recent: Recent,
}

struct Explorer<'p> {
    /// `None` if every transition is explored in every state.
    sets: Option<StubbornSets<'p>>,
    nodes: Vec<Vec<Edge>>,
    /// The nodes by the fingerprints of their states.
    known: HashMap<u64, usize>,
    pending: Vec<Pending<'p>>,
    /// How many parts a state has.
    size: usize,
    work: usize,
    max_work: usize,
    kept: usize,
}

impl<'p> Explorer<'p> {
    fn new(program: &'p Program<'p>, sets: Option<StubbornSets<'p>>, max_work: usize) -> Self {
        Self {
            sets,
            nodes: vec![Vec::new()],
            known: HashMap::new(),
            pending: Vec::new(),
            size: program.tasks.len() + program.processes.len() + program.pipes.len(),
            work: 0,
            max_work,
            kept: 0,
        }
    }

    /// Follows a state to the next node. Returns `None` at a bound.
    fn follow(&mut self, mut state: State<'p>, mut recent: Recent) -> Option<Edge> {
        let choice = loop {
            self.work += 1;
            if self.work > self.max_work {
                return None;
            }
            let choice = match &self.sets {
                Some(sets) => sets.choose(&state, &recent, &mut self.work),
                None => state.transitions(usize::MAX).collect(),
            };
            if let Some(sets) = &self.sets {
                sets.moved(&mut recent, &choice);
            }
            match choice.as_slice() {
                [] if state.settle().is_none() => break choice,
                [] => {}
                [transition] => drop(state.advance(*transition)),
                _ => break choice,
            }
        };
        let facts = state.history.take();
        self.kept += facts.len();
        let target = self.node(state, choice, recent);
        let is_within_bounds =
            self.work <= self.max_work && self.kept <= MAX_KEPT && self.nodes.len() <= MAX_NODES;
        is_within_bounds.then_some(Edge { facts, target })
    }

    fn node(&mut self, state: State<'p>, choice: Vec<Transition>, recent: Recent) -> usize {
        // The state is hashed here, and copied for each of its transitions.
        self.work += self.size * (1 + choice.len());
        let next = self.nodes.len();
        let node = *self.known.entry(state.fingerprint()).or_insert(next);
        if node == next {
            self.nodes.push(Vec::new());
            if !choice.is_empty() {
                self.kept += self.size;
                self.pending.push(Pending { node, state, choice, recent });
            }
        }
        node
    }
}
