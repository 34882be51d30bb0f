//! Partial-order reduction: chooses, in each state, a set of transitions that are enough to explore there.
//!
//! The sets are strong stubborn sets (Valmari): transitions outside the set neither conflict with an enabled transition of
//! the set nor enable a disabled one. Exploring only the set still reaches every state in which nothing can happen any more,
//! with every history. Time passes only in such states, so timers play no role here.

use super::agent::Agent;
use super::dependencies::Dependencies;
use super::footprint::Footprint;
use super::program::Program;
use super::state::{State, Transition};
use std::collections::BTreeSet;

/// How many transitions of each kind are tried as the first member of a set.
const MAX_SEEDS: usize = 8;

/// Chooses stubborn sets for the states of one program.
pub(super) struct StubbornSets<'p> {
    program: &'p Program<'p>,
    footprint: Footprint,
}

impl<'p> StubbornSets<'p> {
    pub(super) fn new(program: &'p Program<'p>) -> Self {
        Self { program, footprint: Footprint::of(program) }
    }

    /// The transitions to explore, or none if nothing can happen. `recent` are the agents that were involved last. As long
    /// as one of them can move on its own, no other set needs to be tried, and paths that differ only in what these agents
    /// did soon meet again. `work` counts the agents that are considered.
    pub(super) fn choose(
        &self,
        state: &State<'_>,
        recent: &Recent,
        work: &mut usize,
    ) -> Vec<Transition> {
        let mut best = Vec::new();
        let others =
            state.transitions(MAX_SEEDS).map(|transition| Agent::of(transition, self.program));
        for seed in recent.agents.iter().copied().chain(others) {
            let limit = if best.is_empty() { usize::MAX } else { best.len() };
            let mut closure = Closure::new(&self.footprint, state);
            if let Some(set) = closure.of(seed, limit) {
                best = set;
            }
            *work += 1 + closure.work;
            if best.len() == 1 {
                break;
            }
        }
        best
    }

    /// Records the agents of the last set, which are tried first after one of its transitions.
    pub(super) fn moved(&self, recent: &mut Recent, set: &[Transition]) {
        for transition in set {
            let agent = Agent::of(*transition, self.program);
            recent.agents.retain(|other| *other != agent);
            recent.agents.insert(0, agent);
        }
        recent.agents.truncate(MAX_SEEDS);
    }
}

/// The agents that were involved in the last transitions, the last one first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    agents: Vec<Agent>,
}

/// One stubborn set while it is computed.
struct Closure<'c, 'p> {
    state: &'c State<'p>,
    dependencies: Dependencies<'c, 'p>,
    members: BTreeSet<Agent>,
    /// Members whose dependencies have not been added yet.
    pending: Vec<Agent>,
    /// How many agents have been considered.
    work: usize,
}

impl<'c, 'p> Closure<'c, 'p> {
    fn new(footprint: &'c Footprint, state: &'c State<'p>) -> Self {
        let dependencies = Dependencies::new(footprint, state);
        Self { state, dependencies, members: BTreeSet::new(), pending: Vec::new(), work: 0 }
    }

    /// The enabled transitions of the stubborn set that contains this agent; `None` if the agent is not enabled, or if the
    /// set does not have fewer of them than the limit.
    fn of(&mut self, seed: Agent, limit: usize) -> Option<Vec<Transition>> {
        seed.enabled_transition(self.state)?;
        self.add(seed);
        let mut enabled = Vec::new();
        while let Some(agent) = self.pending.pop() {
            let dependent = match agent.enabled_transition(self.state) {
                Some(transition) => {
                    enabled.push(transition);
                    if enabled.len() >= limit {
                        return None;
                    }
                    self.dependencies.conflicts(transition)
                }
                None => self.enabling(agent),
            };
            dependent.into_iter().for_each(|agent| self.add(agent));
        }
        Some(enabled)
    }

    fn add(&mut self, agent: Agent) {
        self.work += 1;
        if self.members.insert(agent) {
            self.pending.push(agent);
        }
    }

    /// The agents without which a disabled agent stays disabled.
    fn enabling(&mut self, agent: Agent) -> Vec<Agent> {
        match agent {
            Agent::Task(task) => self.dependencies.enabling(task),
            // A process must close all its ends first. One of them is enough for the set.
            Agent::Exit(process) => {
                let is_closing = |member: &Agent| matches!(member, Agent::CloseEnd(closer, _) if *closer == process);
                let first = self.state.processes[process].ends.first();
                let is_covered = self.members.iter().any(is_closing);
                let end = first.filter(|_| !is_covered);
                end.map(|end| Agent::CloseEnd(process, *end)).into_iter().collect()
            }
            Agent::CloseEnd(..) | Agent::Return(_) => Vec::new(),
        }
    }
}
