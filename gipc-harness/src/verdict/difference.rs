//! How a trace differs from the prediction apart from the outcomes of steps: processes that should not exist, that were left
//! behind, or that ended differently; and steps that returned for another reason.

use crate::scenario::{Outcome, Scenario, Step, Verb};
use crate::trace::{Causes, Leftover, Observation, ProcessExit, StepState, Trace, outcome_text};

/// How many differences are listed.
const MAX_DIFFERENCES: usize = 8;

/// One difference between a trace and the prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The difference as a sentence that is the same in every run.
    pub summary: String,
    /// The same with what differs from run to run, such as process ids, for a person who reads about this run.
    pub detail: String,
}

impl Difference {
    fn plain(summary: String) -> Self {
        Self { detail: summary.clone(), summary }
    }
}

/// A trace and the prediction to compare it with.
pub(super) struct Differences<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) observation: &'a Observation,
    pub(super) predicted: &'a Trace,
    /// The trace of the observation, completed with the exits that the system does not show.
    pub(super) trace: &'a Trace,
    /// Whether the scenario is not one of the suite, so that its author may have meant what differs.
    pub(super) is_foreign: bool,
}

impl Differences<'_> {
    /// All differences, beginning with the likely cause of the others.
    pub(super) fn all(&self) -> Vec<Difference> {
        let all = self.unexpected_processes().chain(self.violations());
        all.chain(self.exits()).chain(self.causes()).take(MAX_DIFFERENCES).collect()
    }

    /// The processes that exist although their spawn returned an error.
    pub(super) fn refused_processes(&self) -> impl Iterator<Item = Difference> {
        self.existing_processes(|process| {
            self.spawn_of(process).is_some_and(|(index, _)| match &self.trace.steps[index] {
                StepState::Completed { outcome, .. } => *outcome != Outcome::Ok,
                _ => false,
            })
        })
    }

    /// The processes that exist although the model says that their spawn is refused.
    fn unexpected_processes(&self) -> impl Iterator<Item = Difference> {
        self.existing_processes(|process| !self.predicted.exits.contains_key(process))
    }

    fn existing_processes(
        &self,
        is_wanted: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = Difference> {
        let exits = self.trace.exits.iter();
        exits.filter(move |(process, _)| is_wanted(process)).map(|(process, exit)| {
            let pid = self.pid(process).map_or(String::new(), |pid| format!(" (pid {pid})"));
            let ended = match exit {
                ProcessExit::Running => "still ran at the end".to_owned(),
                exit => format!("ended: {exit}"),
            };
            let refused = self.spawn_of(process).map_or(String::new(), |(index, step)| {
                let outcome = outcome_text(&[], &self.trace.steps[index]);
                let (line, task, what) = (step.position.line, &step.task_id, step.what());
                match self.trace.steps[index] {
                    StepState::Completed { .. } if !self.predicted.exits.contains_key(process) => {
                        format!("line {line}, {task} {what}, returned {outcome} as it should, but ")
                    }
                    StepState::Completed { .. } => {
                        format!("line {line}, {task} {what}, returned {outcome}, but ")
                    }
                    _ => format!("line {line}, {task} {what}, did not return, but "),
                }
            });
            Difference {
                summary: format!("{refused}{process} began, and {ended}"),
                detail: format!("{refused}{process}{pid} began, and {ended}"),
            }
        })
    }

    /// The rules that the run broke without an effect on any outcome.
    pub(super) fn violations(&self) -> impl Iterator<Item = Difference> {
        self.trace.violations.iter().map(|violation| {
            let mut leftovers = self.observation.leftovers.iter();
            let leftover = leftovers
                .find(|leftover| violation.starts_with(&format!("{} was left", leftover.process)));
            match leftover {
                Some(leftover) => {
                    Difference { summary: violation.clone(), detail: self.describe(leftover) }
                }
                None => Difference::plain(violation.clone()),
            }
        })
    }

    /// A process that was left behind: where it was spawned, its parent, and what it breaks.
    fn describe(&self, leftover: &Leftover) -> String {
        let Leftover { process, pid, parent, is_zombie, command } = leftover;
        let name = match self.spawn_of(process) {
            Some((_, step)) => format!(
                "{process} (pid {pid}, spawned by {} in line {}: {command})",
                step.task_id.process, step.position.line
            ),
            None if self.observation.pids.contains_key(process) => {
                format!("{process} (pid {pid}: {command})")
            }
            None => format!("a process that no step spawned (pid {pid}: {command})"),
        };
        let parent = match parent {
            Some(parent) => format!("its parent {parent}"),
            None => "its parent, which had ended before it,".to_owned(),
        };
        let what = match is_zombie {
            true => format!("had ended, and {parent} did not reap it"),
            false => format!("still ran when main had ended; {parent} did not end it"),
        };
        let meant = match self.is_foreign && !is_zombie && self.spawn_of(process).is_some() {
            true => format!("; if it is meant to outlive main, write `# outlives: {process}`"),
            false => String::new(),
        };
        // LEAK-7
        format!(
            "{name} was left behind: it {what} (LEAK-7: when all is done, no process is left){meant}"
        )
    }

    fn exits(&self) -> impl Iterator<Item = Difference> {
        self.predicted.exits.iter().filter_map(|(process, expected)| {
            match self.trace.exits.get(process) {
                Some(exit) if exit == expected => None,
                Some(exit) => Some(format!("{process} ended with {exit}, not with {expected}")),
                None => Some(format!("{process} was never seen")),
            }
            .map(Difference::plain)
        })
    }

    fn causes(&self) -> impl Iterator<Item = Difference> {
        let model = Causes::new(self.scenario, self.predicted);
        let observed = Causes::new(self.scenario, self.trace);
        self.scenario.steps.iter().enumerate().filter_map(move |(index, step)| {
            let (model, observed) = (model.of(index), observed.of(index));
            let (task, what) = (&step.task_id, step.what());
            (model != observed).then(|| {
                Difference::plain(format!(
                    "{task} {what} came because \"{observed}\", not because \"{model}\""
                ))
            })
        })
    }

    fn pid(&self, process: &str) -> Option<i32> {
        self.observation.pids.get(process).copied()
    }

    fn spawn_of(&self, process: &str) -> Option<(usize, &Step)> {
        let mut steps = self.scenario.steps.iter().enumerate();
        steps.find(|(_, step)| matches!(&step.verb, Verb::Spawn { child, .. } if child == process))
    }
}
