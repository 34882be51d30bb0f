//! The deadlocked steps of a small graph: processes, the pipe ends that they hold, and what their open steps wait for.
//!
//! The graph has no scenario, no evidence and no messages, so tests can compare the rule with a search through all futures.
//! `docs/decisions/007-deadlocked-set.md` has the rule and the argument for it.

use std::collections::BTreeSet;

/// What can release an open step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Any process that holds this end, by writing, reading or closing. Indexes [`ReleaseGraph::holders`].
    Holders(usize),
    /// Anything that this process does, for example its end. Indexes [`ReleaseGraph::processes`].
    Process(usize),
    /// No process is needed, or it is not known which: the step waits for a timer, a message that is there, or an ended
    /// child.
    Itself,
    /// Like `Itself`, but the step may act on the other steps of its process and on the processes below it: it cancels,
    /// closes, kills or ends them.
    Act,
}

/// One process.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// Whether the process can move without any release: it does not sleep, has a timer, or too little is known about it.
    pub(super) is_moving: bool,
    /// Whether the process ends once its open steps have returned. Its end may end the processes below it.
    pub(super) is_last_step: bool,
    /// The process that started it.
    pub(super) parent: Option<usize>,
    /// Its open steps.
    pub(super) steps: Vec<Wait>,
}

/// The processes and pipe ends at a stall.
#[derive(Clone, Debug, Default)]
pub(super) struct ReleaseGraph {
    pub(super) processes: Vec<Process>,
    /// The processes that hold each end.
    pub(super) holders: Vec<BTreeSet<usize>>,
}

impl ReleaseGraph {
    /// The processes with open steps that no process can ever release.
    ///
    /// Starts with the processes that can move now, and adds the processes that these can release until the set stops
    /// growing. The processes outside the set are deadlocked, and so are the moving processes whose open steps all wait for
    /// deadlocked processes.
    pub(super) fn deadlocked_processes(&self) -> Vec<usize> {
        let mut reached = Reached {
            graph: self,
            moving: self.processes.iter().map(|process| process.is_moving).collect(),
            exposed: vec![false; self.processes.len()],
        };
        while reached.grow() {}
        let is_deadlocked = |process: &usize| {
            let steps = &self.processes[*process].steps;
            !steps.is_empty() && !steps.iter().any(|wait| reached.can_release(*process, *wait))
        };
        (0..self.processes.len()).filter(is_deadlocked).collect()
    }

    /// Whether `process` is below `ancestor`.
    fn is_below(&self, process: usize, ancestor: usize) -> bool {
        let parent = |process: &usize| self.processes[*process].parent;
        std::iter::successors(parent(&process), parent).any(|above| above == ancestor)
    }
}

/// What can happen, as far as it has been found.
struct Reached<'a> {
    graph: &'a ReleaseGraph,
    /// The processes that can move.
    moving: Vec<bool>,
    /// The processes that a process above them, or a step of their own, can act on.
    exposed: Vec<bool>,
}

impl Reached<'_> {
    fn can_release(&self, process: usize, wait: Wait) -> bool {
        self.exposed[process]
            || match wait {
                Wait::Holders(end) => self.graph.holders[end].iter().any(|one| self.moving[*one]),
                Wait::Process(other) => self.moving[other],
                Wait::Itself | Wait::Act => true,
            }
    }

    /// Whether a process can act on the processes below it: by a step, or by its end.
    fn can_act(&self, process: usize) -> bool {
        let Process { steps, is_last_step, .. } = &self.graph.processes[process];
        let is_released = |wait: &Wait| self.can_release(process, *wait);
        self.moving[process]
            && (steps.contains(&Wait::Act) || (*is_last_step && steps.iter().all(is_released)))
    }

    /// Adds what follows from what was found so far. Returns false if nothing was added.
    fn grow(&mut self) -> bool {
        let before = (self.moving.clone(), self.exposed.clone());
        for process in 0..self.moving.len() {
            let mut steps = self.graph.processes[process].steps.iter();
            self.moving[process] |=
                self.exposed[process] || steps.any(|wait| self.can_release(process, *wait));
            if self.can_act(process) {
                for below in 0..self.exposed.len() {
                    self.exposed[below] |= self.graph.is_below(below, process);
                }
            }
        }
        before != (self.moving.clone(), self.exposed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    /// How many graphs are compared; a million in a release build takes a minute or two.
    const GRAPHS: u64 = 30_000;

    #[test]
    fn the_deadlocked_steps_are_those_that_no_reachable_future_releases() {
        let graphs = env::var("GIPC_HARNESS_GRAPHS").map_or(GRAPHS, |number| {
            number.parse().expect("GIPC_HARNESS_GRAPHS is the number of graphs")
        });
        let mut with_deadlock = 0;
        for seed in 0..graphs {
            let graph = random_graph(&mut fastrand::Rng::with_seed(seed));
            let found = graph.deadlocked_processes();
            assert_eq!(found, never_released(&graph), "seed {seed}: {graph:?}");
            with_deadlock += u64::from(!found.is_empty());
        }
        assert!(with_deadlock > graphs / 20, "{with_deadlock} graphs had a deadlock");
        assert!(with_deadlock < graphs, "every graph had a deadlock");
    }

    /// A random graph with at most five processes, seven open steps and three pipes.
    fn random_graph(rng: &mut fastrand::Rng) -> ReleaseGraph {
        let count = rng.usize(1..=5);
        let ends = 2 * rng.usize(1..=3);
        let holder_chance = rng.f32();
        let moving_chance = rng.f32() * 0.6;
        let holders =
            (0..ends).map(|_| (0..count).filter(|_| rng.f32() < holder_chance).collect()).collect();
        let mut steps_left = 7;
        let mut processes = Vec::new();
        for index in 0..count {
            let steps = rng.usize(0..=2).min(steps_left);
            steps_left -= steps;
            processes.push(Process {
                is_moving: rng.f32() < moving_chance,
                is_last_step: rng.bool(),
                parent: (index > 0).then(|| rng.usize(..index)),
                steps: (0..steps)
                    .map(|_| match rng.u8(..20) {
                        ..=11 => Wait::Holders(rng.usize(..ends)),
                        12..=17 => Wait::Process(rng.usize(..count)),
                        18 => Wait::Itself,
                        _ => Wait::Act,
                    })
                    .collect(),
            });
        }
        ReleaseGraph { processes, holders }
    }

    /// A state of the search: which processes have moved, and which steps were released, as bits.
    type Future = (u32, u32);

    /// The processes with open steps that are not released in any future. Tries every order of single events.
    fn never_released(graph: &ReleaseGraph) -> Vec<usize> {
        let mut steps = Vec::new();
        for (process, one) in graph.processes.iter().enumerate() {
            steps.extend(one.steps.iter().map(|wait| (process, *wait)));
        }
        let moving = graph.processes.iter().enumerate().filter(|(_, process)| process.is_moving);
        let start: Future = (moving.map(|(index, _)| 1 << index).sum(), 0);
        let mut seen = BTreeSet::from([start]);
        let mut unvisited = vec![start];
        let mut ever_released = 0;
        while let Some(future) = unvisited.pop() {
            ever_released |= future.1;
            for step in 0..steps.len() {
                let is_open = future.1 & 1 << step == 0;
                if is_open && is_released_next(graph, &steps, step, future) {
                    let next = (future.0 | 1 << steps[step].0, future.1 | 1 << step);
                    if seen.insert(next) {
                        unvisited.push(next);
                    }
                }
            }
            for process in 0..graph.processes.len() {
                let next = (future.0 | 1 << process, future.1);
                if is_hit_next(graph, &steps, process, future) && seen.insert(next) {
                    unvisited.push(next);
                }
            }
        }
        (0..graph.processes.len())
            .filter(|process| {
                let mut own = (0..steps.len()).filter(|step| steps[*step].0 == *process).peekable();
                own.peek().is_some() && own.all(|step| ever_released & 1 << step == 0)
            })
            .collect()
    }

    /// Whether one event can release a step now.
    fn is_released_next(
        graph: &ReleaseGraph,
        steps: &[(usize, Wait)],
        step: usize,
        future: Future,
    ) -> bool {
        let moves = |process: usize| future.0 & 1 << process != 0;
        let (process, wait) = steps[step];
        let by_itself = match wait {
            Wait::Holders(end) => graph.holders[end].iter().any(|holder| moves(*holder)),
            Wait::Process(other) => moves(other),
            Wait::Itself | Wait::Act => true,
        };
        by_itself || is_hit_next(graph, steps, process, future)
    }

    /// Whether a process above this one can act on it now: in a step that acts, or because it ends.
    fn is_hit_next(
        graph: &ReleaseGraph,
        steps: &[(usize, Wait)],
        process: usize,
        future: Future,
    ) -> bool {
        let mut above = graph.processes[process].parent;
        while let Some(ancestor) = above {
            let own = || (0..steps.len()).filter(|step| steps[*step].0 == ancestor);
            let acts = own().any(|step| steps[step].1 == Wait::Act);
            let ends = graph.processes[ancestor].is_last_step
                && own().all(|step| future.1 & 1 << step != 0);
            if future.0 & 1 << ancestor != 0 && (acts || ends) {
                return true;
            }
            above = graph.processes[ancestor].parent;
        }
        false
    }
}
