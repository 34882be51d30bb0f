//! One run of the model: decides which step is released next, and records the resulting schedule.

use super::program::Program;
use super::state::{State, Transition};
use super::{Mutation, ReleaseOrder};
use crate::scenario::TaskId;
use crate::trace::{Release, Schedule, Trace};

/// How many times a task loses its priority in a random run. A few changes at random steps find most orders that
/// matter.
const PRIORITY_CHANGES: usize = 3;

/// Runs until no step is ready and nothing more happens. Returns the last state, and the schedule of the run.
pub(super) fn run<'p>(state: State<'p>, order: &ReleaseOrder) -> (State<'p>, Schedule) {
    let mut releases: Vec<Release> = Vec::new();
    let end = run_with(state, order, |event| match (event, releases.last_mut()) {
        (Event::Released(release), _) => releases.push(release),
        // What happens without a release belongs to the last release, since no step could be released in between.
        (Event::Settled(more), Some(last)) => last.extend(more),
        (Event::Settled(_), None) => {}
    });
    (end, Schedule { releases })
}

/// Runs like [`run`], without a schedule.
pub(super) fn run_to_end<'p>(state: State<'p>, order: &ReleaseOrder) -> State<'p> {
    run_with(state, order, |_| {})
}

/// The trace of a run.
pub(super) fn trace(program: &Program<'_>, order: &ReleaseOrder) -> Trace {
    run_to_end(State::start(program), order).into_trace()
}

/// One part of a run.
enum Event {
    /// A step was released, with these effects.
    Released(Release),
    /// No step could be released, and this happened without a release.
    Settled(Release),
}

fn run_with<'p>(
    mut state: State<'p>,
    order: &ReleaseOrder,
    mut observe: impl FnMut(Event),
) -> State<'p> {
    let mut scheduler = Scheduler::new(state.program, order);
    loop {
        if let Some(step) = scheduler.next(&state) {
            observe(Event::Released(state.advance(Transition::Begin(step))));
        } else if let Some(more) = state.settle() {
            observe(Event::Settled(more));
        } else {
            return state;
        }
    }
}

/// Decides which of the ready steps is released next.
enum Scheduler<'o> {
    File,
    /// Each task has a priority; at some steps the task that is released falls behind all others.
    Random {
        random: fastrand::Rng,
        /// One for each task.
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
                let steps = program.step_count();
                let changes = (0..PRIORITY_CHANGES).map(|_| random.usize(0..steps.max(1)));
                let changes = changes.collect();
                // The tasks are sorted by name, so that a seed gives the same order if lines of different tasks are
                // exchanged.
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
                    state.tasks.ready().max_by_key(|step| priorities[program.step(*step).task])?;
                *released += 1;
                if changes.contains(released) {
                    priorities[program.step(step).task] = random.u64(..1 << 32);
                }
                Some(step)
            }
        }
    }
}

/// The first ready step in the file. Under a mutation, only a step whose process has no other step in progress.
fn first_in_file(state: &State<'_>) -> Option<usize> {
    let is_alone = |step: &usize| {
        let process = &state.program.processes[state.program.step(*step).process];
        process.tasks.iter().all(|task| state.tasks.open_step(*task).is_none())
    };
    let mut ready = state.tasks.ready();
    if state.is(Mutation::OneTaskAtATime) { ready.find(is_alone) } else { ready.next() }
}
