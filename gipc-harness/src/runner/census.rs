//! The census: what each process still holds when all its steps have completed, before it is told to finish.
//!
//! The harness examines the process from outside, so that no implementation can hide anything. A process that holds too much
//! may just be about to close something or to reap a child. So it is told to finish later: when it holds less, or when all
//! its threads sleep without a timer and it still holds the same. (A process that gets no processor time is not asleep.)

use super::pipe_names::PipeNames;
use super::sessions::Sessions;
use super::step_index::StepIndex;
use crate::adapter::Keeps;
use crate::proc::open_files::{OpenFile, open_files, zombie_children};
use crate::proc::snapshot::{ProcSnapshot, Sleep, TimerPolicy};
use crate::scenario::{Outcome, PipeEnd, Scenario, Verb};
use crate::trace::{Census, Censuses, HeldDescriptor, Ownership, ProcessExit, StepState};
use std::collections::{BTreeMap, BTreeSet};

/// The census of a process that never sleeps without a timer is given up after this many looks.
const MAX_LOOKS: u32 = 40;

/// How many descriptors a process may hold for each running child, besides those that it always keeps: one that shows when
/// the child ends, such as a pidfd, and one for what the child sends back.
const PER_RUNNING_CHILD: u64 = 2;

/// What an event loop opens for itself when it first needs it. One of each is not a leak.
const LOOP_FILES: [&str; 4] = [
    "anon_inode:[eventpoll]",
    "anon_inode:[eventfd]",
    "anon_inode:[signalfd]",
    "anon_inode:[timerfd]",
];

/// The censuses of a run.
pub(super) struct CensusTaker<'a> {
    keeps: &'a Keeps,
    index: StepIndex<'a>,
    /// What each process held when it connected. Processes that the system does not show are missing.
    at_hello: BTreeMap<String, BTreeSet<OpenFile>>,
    /// The processes that have completed all steps but hold too much, with the number of looks at each.
    unsettled: BTreeMap<String, u32>,
    censuses: Censuses,
}

/// What a census needs to know of the run.
pub(super) struct View<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) states: &'a [StepState],
    pub(super) sessions: &'a Sessions,
    pub(super) pipes: &'a PipeNames,
}

impl<'a> CensusTaker<'a> {
    pub(super) fn new(scenario: &'a Scenario, keeps: &'a Keeps) -> Self {
        Self {
            keeps,
            index: StepIndex::new(scenario),
            at_hello: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            censuses: BTreeMap::new(),
        }
    }

    /// Records what a process holds that has just connected. It has performed no steps yet.
    pub(super) fn note_hello(&mut self, process: &str, pid: i32) {
        self.at_hello.extend(open_files(pid).map(|files| (process.to_owned(), files)));
    }

    /// Looks at a process that has completed all its steps. Returns true if it can be told to finish. Otherwise
    /// [`Self::settle`] must look again.
    pub(super) fn is_clean(&mut self, process: &str, view: &View<'_>) -> bool {
        let is_clean = self.look(process, view).is_none_or(|census| census.is_clean());
        if !is_clean {
            self.unsettled.insert(process.to_owned(), 0);
        }
        is_clean
    }

    /// Whether any process waits for its census.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Looks again at the processes that held too much. Returns those that can be told to finish.
    pub(super) fn settle(&mut self, view: &View<'_>) -> Vec<String> {
        let unsettled: Vec<String> = self.unsettled.keys().cloned().collect();
        unsettled.into_iter().filter(|process| self.is_settled(process, view)).collect()
    }

    fn is_settled(&mut self, process: &str, view: &View<'_>) -> bool {
        let looks = self.unsettled.get_mut(process).map_or(0, |looks| {
            *looks += 1;
            *looks
        });
        let pid = view.sessions.pid_and_control(process).map(|(pid, _)| pid);
        let pid = pid.filter(|_| view.sessions.is_alive(process));
        let Some(pid) = pid else {
            self.unsettled.remove(process);
            return false;
        };
        // The process must have slept through both looks. The second look comes later than the wake-up for a child that
        // ended at the moment of the first.
        let before = ProcSnapshot::take(&[pid]);
        let (first, second) = (self.look(process, view), self.look(process, view));
        let after = ProcSnapshot::take(&[pid]);
        let sleep = before.sleep_until(&after, TimerPolicy::HelperTimersIgnored);
        let is_settled = match second {
            Some(census) if !census.is_clean() => {
                let is_asleep =
                    matches!(sleep, Sleep::Asleep(_)) && first.as_ref() == Some(&census);
                if is_asleep {
                    self.censuses.insert(process.to_owned(), census);
                }
                is_asleep || looks >= MAX_LOOKS
            }
            _ => true,
        };
        if is_settled {
            self.unsettled.remove(process);
        }
        is_settled
    }

    pub(super) fn into_censuses(self) -> Censuses {
        self.censuses
    }

    /// What a process holds now and should not hold. `None` if the system does not show it.
    fn look(&self, process: &str, view: &View<'_>) -> Option<Census> {
        let (pid, _) = view.sessions.pid_and_control(process)?;
        let at_hello = self.at_hello.get(process)?;
        let mut unseen = self.owned_ends(process, view);
        let mut descriptors = Vec::new();
        let mut loop_files = BTreeSet::new();
        for file in open_files(pid)? {
            let end = view.pipes.end_of(pid, &file);
            // One descriptor of an end that the process owns is expected. A second one is too many.
            if end.is_some_and(|end| unseen.remove(&end)) {
                continue;
            }
            let was_there = at_hello.contains(&file);
            let is_of_loop = LOOP_FILES.contains(&file.target.as_str());
            if is_of_loop && !was_there && loop_files.insert(file.target.clone()) {
                continue;
            }
            if !(was_there && (end.is_none() || self.keeps.inherited)) {
                descriptors.push(HeldDescriptor { number: file.fd, what: file.target, end });
            }
        }
        let unreported = unseen.iter().filter(|end| !view.pipes.knows(**end)).count() as u64;
        let children = self.spawned_children(process, view).count() as u64;
        let running =
            self.spawned_children(process, view).filter(|child| view.sessions.is_alive(child));
        let running = running.count() as u64;
        Some(Census {
            descriptors,
            allowed: self.keeps.descriptors
                + self.keeps.per_child * children
                + running.saturating_mul(PER_RUNNING_CHILD)
                + unreported,
            zombies: self.zombies(process, pid, view)?,
        })
    }

    /// The zombies that a process should have reaped.
    fn zombies(&self, process: &str, pid: i32, view: &View<'_>) -> Option<Vec<String>> {
        let pids = zombie_children(pid)?;
        if pids.is_empty() {
            return Some(Vec::new());
        }
        let keeps =
            |child: &str| self.keeps.unjoined_zombies && !self.was_joined(process, child, view);
        let (named, unnamed): (Vec<i32>, Vec<i32>) =
            pids.into_iter().partition(|pid| view.sessions.name_of(*pid).is_some());
        let named = named.into_iter().filter_map(|pid| view.sessions.name_of(pid));
        let mut zombies: Vec<String> =
            named.filter(|child| !keeps(child)).map(str::to_owned).collect();
        // These are programs that the scenario itself has started, and children that never connected.
        let programs = self
            .own_steps(process, view)
            .filter(|(verb, _)| matches!(verb, Verb::Exec { .. }))
            .count();
        let silent = self
            .spawned_children(process, view)
            .filter(|child| !view.sessions.has_connected(child) && keeps(child))
            .count();
        let unnamed = unnamed.into_iter().skip(programs + silent);
        zombies.extend(unnamed.map(|pid| format!("pid {pid}")));
        Some(zombies)
    }

    /// The ends that a process owns. The ends that were given to it count even if its parent has not reported the end of the
    /// spawn yet.
    fn owned_ends(&self, process: &str, view: &View<'_>) -> BTreeSet<PipeEnd> {
        let starts_it = |verb: &Verb| matches!(verb, Verb::Spawn { child, .. } if child == process);
        let has_succeeded = |step: &usize| match &view.states[*step] {
            StepState::Pending => starts_it(&view.scenario.steps[*step].verb),
            state => state.is(&Outcome::Ok),
        };
        let exits = view.sessions.exits();
        let runs = |process: &str| matches!(exits.get(process), None | Some(ProcessExit::Running));
        let steps = self.index.steps_about_ends_of(view.scenario, process);
        let steps = steps.into_iter().filter(has_succeeded);
        let ownership = Ownership::replay_steps(view.scenario, steps, runs);
        ownership
            .all()
            .map(|(end, _)| end)
            .filter(|end| ownership.is_held_by(*end, process))
            .collect()
    }

    /// The steps of a process and of its tasks.
    fn own_steps<'v>(
        &'v self,
        process: &str,
        view: &'v View<'_>,
    ) -> impl Iterator<Item = (&'v Verb, &'v StepState)> + use<'a, 'v> {
        let steps = self.index.own_steps(process).iter();
        steps.map(|step| (&view.scenario.steps[*step].verb, &view.states[*step]))
    }

    /// The children that a process has started.
    fn spawned_children<'v>(
        &'v self,
        process: &str,
        view: &'v View<'_>,
    ) -> impl Iterator<Item = &'v str> + use<'a, 'v> {
        self.own_steps(process, view).filter_map(|(verb, state)| match verb {
            Verb::Spawn { child, .. } if state.is(&Outcome::Ok) => Some(child.as_str()),
            _ => None,
        })
    }

    /// Whether a join of a child has returned how the child ended.
    fn was_joined(&self, process: &str, name: &str, view: &View<'_>) -> bool {
        self.own_steps(process, view).any(|(verb, state)| {
            let has_ended = |outcome: &Outcome| *outcome != Outcome::Running;
            matches!(verb, Verb::Join { child } if child == name)
                && matches!(state, StepState::Completed { outcome, .. } if has_ended(outcome))
        })
    }
}
