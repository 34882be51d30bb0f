//! One run of the model: which step is released next, and the schedule that results.

use super::program::Program;
use super::state::{State, Transition};
use super::{Mutation, ReleaseOrder};
use crate::scenario::TaskId;
use crate::trace::{Release, Schedule, Trace};

/// How many times a task loses its priority in a random run. A few changes at random steps find most orders that
/// matter.
const PRIORITY_CHANGES: usize = 3;

/// Runs until no step is ready and nothing more happens.
pub(super) fn run<'p>(mut state: State<'p>, order: &ReleaseOrder) -> (State<'p>, Schedule) {
    let mut scheduler = Scheduler::new(state.program, order);
    let mut releases: Vec<Release> = Vec::new();
    loop {
        if let Some(step) = scheduler.next(&state) {
            releases.push(state.advance(Transition::Begin(step)));
        } else if let Some(more) = state.settle() {
            // What happens by itself belongs to the last release, since no step could be released in between.
            if let Some(last) = releases.last_mut() {
                last.extend(more);
            }
        } else {
            return (state, Schedule { releases });
        }
    }
}

/// Runs the program in file order, from its beginning to its end.
pub(super) fn run_in_file_order<'p>(program: &'p Program<'p>) -> (State<'p>, Schedule) {
    run(State::start(program), &ReleaseOrder::File)
}

/// The trace of a run.
pub(super) fn trace(program: &Program<'_>, order: &ReleaseOrder) -> Trace {
    run(State::start(program), order).0.trace()
}

/// Decides which of the steps that are ready is released next.
enum Scheduler<'o> {
    File,
    /// Each task has a priority; at some steps the task that is released falls behind all others.
    Random {
        random: fastrand::Rng,
        /// By task.
        priorities: Vec<u64>,
        changes: Vec<usize>,
        released: usize,
    },
    Given(std::slice::Iter<'o, TaskId>),
}

impl<'o> Scheduler<'o> {
    fn new(program: &Program<'_>, order: &'o ReleaseOrder) -> Self {
        match order {
            ReleaseOrder::File => Self::File,
            ReleaseOrder::Given(tasks) => Self::Given(tasks.iter()),
            ReleaseOrder::Random(seed) => {
                let mut random = fastrand::Rng::with_seed(*seed);
                let steps = program.steps.len();
                let changes = (0..PRIORITY_CHANGES).map(|_| random.usize(0..steps.max(1)));
                let changes = changes.collect();
                // By name, so that a seed gives the same order if lines of different tasks are exchanged.
                let mut by_name: Vec<usize> = (0..program.tasks.len()).collect();
                by_name.sort_by_key(|task| program.tasks[*task].id);
                let mut priorities = vec![0; by_name.len()];
                for task in by_name {
                    priorities[task] = random.u64(1 << 32..);
                }
                Self::Random { random, priorities, changes, released: 0 }
            }
        }
    }

    fn next(&mut self, state: &State<'_>) -> Option<usize> {
        let program = state.program;
        match self {
            Self::File => first_in_file(state),
            Self::Given(tasks) => {
                let named = tasks.next().and_then(|task| {
                    state.tasks.ready().find(|step| program.task_id(*step) == task)
                });
                named.or_else(|| first_in_file(state))
            }
            Self::Random { random, priorities, changes, released } => {
                let step =
                    state.tasks.ready().max_by_key(|step| priorities[program.steps[*step].task])?;
                *released += 1;
                if changes.contains(released) {
                    priorities[program.steps[step].task] = random.u64(..1 << 32);
                }
                Some(step)
            }
        }
    }
}

/// The first ready step in the file. Under a mutation, only one whose process has no step in progress.
fn first_in_file(state: &State<'_>) -> Option<usize> {
    let is_alone = |step: &usize| {
        let process = &state.program.processes[state.program.steps[*step].process];
        process.tasks.iter().all(|task| state.tasks.open_step(*task).is_none())
    };
    let mut ready = state.tasks.ready();
    if state.is(Mutation::OneTaskAtATime) { ready.find(is_alone) } else { ready.next() }
}
