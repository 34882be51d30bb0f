//! The graph of the states that a scenario can reach, as far as partial-order reduction has to explore it.
//!
//! Nodes are the states in which there is a choice, and the final states; edges carry the facts that become true between
//! them. Scenarios are straight-line programs, so the graph has no cycles.

use super::history::Fact;
use super::program::Program;
use super::state::{State, Transition};
use super::stubborn_set::{Recent, StubbornSets};
use foldhash::{HashMap, HashMapExt};

/// The maximum number of nodes of a graph.
const MAX_NODES: usize = 20_000;
/// The maximum work for the graphs of one question, which takes about half a second: one unit for each agent that is
/// considered when a set of transitions is chosen, and one for each part of a state that is copied or hashed.
pub(super) const MAX_WORK: usize = 25_000_000;
/// The maximum memory for one graph, in facts and in parts of pending states, each of about a hundred bytes.
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

/// Explores the states of a program. Returns `None` if that would take too much memory, or more than this much work.
/// Subtracts the work that was done.
pub(super) fn explore(program: &Program<'_>, work: &mut usize) -> Option<StateGraph> {
    // The rules of the reduction hold for the correct model only.
    let is_reduced = program.choices.mutation.is_none();
    explore_with(program, is_reduced.then(|| StubbornSets::new(program)), work)
}

/// Explores every order of transitions. Returns `None` unless the graph is small.
pub(super) fn explore_unreduced(program: &Program<'_>) -> Option<StateGraph> {
    explore_with(program, None, &mut (MAX_WORK / 200))
}

fn explore_with<'p>(
    program: &'p Program<'p>,
    sets: Option<StubbornSets<'p>>,
    work: &mut usize,
) -> Option<StateGraph> {
    let mut explorer = Explorer::new(sets, *work);
    let graph = explorer.explore(program);
    *work = work.saturating_sub(explorer.work);
    graph
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
    work: usize,
    max_work: usize,
    kept: usize,
}

impl<'p> Explorer<'p> {
    fn new(sets: Option<StubbornSets<'p>>, max_work: usize) -> Self {
        Self {
            sets,
            nodes: vec![Vec::new()],
            known: HashMap::new(),
            pending: Vec::new(),
            work: 0,
            max_work,
            kept: 0,
        }
    }

    fn explore(&mut self, program: &'p Program<'p>) -> Option<StateGraph> {
        let mut initial = State::start_search(program);
        initial.is_fine_grained = true;
        // The initial state is a node even if there is no choice in it.
        let edge = self.follow(initial, Recent::default())?;
        self.nodes[0].push(edge);
        while let Some(Pending { node, state, choice, recent }) = self.pending.pop() {
            self.kept -= state.weight();
            for transition in choice {
                let mut next = state.clone();
                next.advance(transition);
                let edge = self.follow(next, recent.clone())?;
                self.nodes[node].push(edge);
            }
        }
        Some(StateGraph { nodes: std::mem::take(&mut self.nodes) })
    }

    /// Follows a state to the next node. Returns `None` if a bound was reached.
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
            let alternatives =
                choice.iter().filter_map(|transition| state.alternative(*transition));
            let choice: Vec<Transition> = choice.iter().copied().chain(alternatives).collect();
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
        // A node's state is hashed, and copied for each of its transitions.
        let weight = state.weight();
        self.work += weight * (1 + choice.len());
        let next = self.nodes.len();
        let node = *self.known.entry(state.fingerprint()).or_insert(next);
        if node == next {
            self.nodes.push(Vec::new());
            if !choice.is_empty() {
                self.kept += weight;
                self.pending.push(Pending { node, state, choice, recent });
            }
        }
        node
    }
}
