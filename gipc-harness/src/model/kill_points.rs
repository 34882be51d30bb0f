//! Fault injection: the moments at which a process can be killed from outside, and what the others may then see.
//!
//! A kill while a step begins races with the step itself, so several outcomes are allowed.

use super::history::Fact;
use super::program::Program;
use super::simulation::run;
use super::state::{State, Transition};
use super::{CAPACITY_MAX, CAPACITY_MIN, Choices, ReleaseOrder};
use crate::scenario::{Outcome, Scenario, Side, Verb};
use crate::trace::{Allowed, InjectionPoint, Moment, ProcessExit, Release, Schedule, StepState};
use std::collections::BTreeSet;

/// How far a step had got when its process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It had no effect yet.
    Nothing,
    /// It had written some bytes of a message.
    Partial,
    /// It had its effect, but its process was gone before it could report that.
    Unreported,
    /// It had completed.
    Completed,
    /// It had completed, and its process was about to return if it was the last step.
    Returning,
}

/// Lists the moments at which a process can be killed: when each step begins, and when it has completed.
///
/// The list leaves out:
///
/// - `main`;
/// - a process that spawns, and a kill after which another process would return before its children, since each
///   implementation decides what happens to those;
/// - a process that is signalled by its process id, since the id may belong to another process by then;
/// - the begin of a step that completes another step of its own process, since it is a race how far each of the two gets.
pub(super) fn injection_points(scenario: &Scenario, choices: Choices) -> Vec<InjectionPoint> {
    let program = Program::new(scenario, CAPACITY_MIN, choices);
    let (end, schedule) = run(State::start(&program), &ReleaseOrder::File);
    let trace = end.into_trace();
    let mut excluded = BTreeSet::from([Some(0)]);
    for (index, step) in scenario.steps.iter().enumerate() {
        let info = program.step(index);
        match &step.verb {
            Verb::Spawn { .. } => excluded.insert(Some(info.process)),
            Verb::Signal { .. } => excluded.insert(info.child),
            Verb::SignalGroup { .. } => {
                let leader = info.child.into_iter();
                let members = leader.flat_map(|leader| &program.processes[leader].group_members);
                excluded.extend(members.map(|member| Some(*member)));
                true
            }
            _ => false,
        };
    }
    let mut points = Vec::new();
    for release in &schedule.releases {
        let process = program.step(release.step).process;
        let verb = program.verb(release.step);
        if excluded.contains(&Some(process)) || matches!(verb, Verb::Until { .. }) {
            continue;
        }
        let is_other_step_of_process =
            |step: &usize| *step != release.step && program.step(*step).process == process;
        if !release.completes.iter().any(is_other_step_of_process) {
            points.push(InjectionPoint { step: release.step, moment: Moment::Begin });
        }
        let is_completed = matches!(trace.steps[release.step], StepState::Completed { .. });
        if is_completed && !ends_process(verb) {
            points.push(InjectionPoint { step: release.step, moment: Moment::End });
        }
    }
    points.retain(|point| {
        let mut runs = progresses(&program, *point).iter();
        runs.all(|progress| {
            !KilledRun::new(&program, *point, *progress).run().0.has_unjoined_children
        })
    });
    points
}

/// What may happen if a process is killed at this point, and the schedule that leads there.
pub(super) fn allowed_if_killed(
    scenario: &Scenario,
    choices: Choices,
    point: InjectionPoint,
) -> (Allowed, Schedule) {
    let mut traces = Vec::new();
    let mut first_schedule = None;
    // Bytes that are still being written with small pipes may already be in the pipe with large ones.
    for capacity in [CAPACITY_MIN, CAPACITY_MAX] {
        let program = Program::new(scenario, capacity, choices);
        for progress in progresses(&program, point) {
            let (state, schedule) = KilledRun::new(&program, point, *progress).run();
            first_schedule.get_or_insert(schedule);
            let trace = state.into_trace();
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
    }
    (Allowed { traces, complete: true, races: Vec::new() }, first_schedule.unwrap_or_default())
}

/// How far the step may have got when its process is killed at this point.
fn progresses(program: &Program<'_>, point: InjectionPoint) -> &'static [Progress] {
    use Progress::{Completed, Nothing, Partial, Returning, Unreported};
    match (point.moment, program.verb(point.step)) {
        (Moment::End, _) => &[Returning, Completed],
        (Moment::Begin, Verb::Put { .. }) => &[Nothing, Partial, Unreported, Returning, Completed],
        (Moment::Begin, _) => &[Nothing, Unreported, Returning, Completed],
    }
}

fn ends_process(verb: &Verb) -> bool {
    matches!(verb, Verb::Exit { .. } | Verb::Raise)
}

/// A run in file order in which one process is killed.
struct KilledRun<'p> {
    state: State<'p>,
    point: InjectionPoint,
    progress: Progress,
    is_killed: bool,
}

impl<'p> KilledRun<'p> {
    fn new(program: &'p Program<'p>, point: InjectionPoint, progress: Progress) -> Self {
        let mut state = State::start(program);
        // It is a race whether a process that is killed at its last step has already returned.
        let may_return = !matches!(progress, Progress::Returning | Progress::Unreported);
        state.kill_on_return = (!may_return).then_some(program.step(point.step).process);
        Self { state, point, progress, is_killed: false }
    }

    fn run(mut self) -> (State<'p>, Schedule) {
        let mut releases: Vec<Release> = Vec::new();
        loop {
            let ready = self.state.tasks.ready().next();
            let Some(mut release) = self.next_release(ready) else {
                return (self.state, Schedule { releases });
            };
            if self.is_due() {
                release.extend(self.kill_after_step());
            }
            if self.is_killed && self.is_unreported() {
                release.completes.retain(|step| *step != self.point.step);
            }
            match releases.last_mut() {
                Some(last) if ready.is_none() => last.extend(release),
                _ => releases.push(release),
            }
        }
    }

    fn next_release(&mut self, ready: Option<usize>) -> Option<Release> {
        let Some(step) = ready else { return self.state.settle() };
        let is_begin = step == self.point.step && self.point.moment == Moment::Begin;
        let precedes_effect = matches!(self.progress, Progress::Nothing | Progress::Partial);
        if is_begin && precedes_effect && !self.is_killed {
            return Some(self.kill_before_step(step));
        }
        Some(self.state.advance(Transition::Begin(step)))
    }

    /// Whether the process must be killed now, after its step has had its effect.
    fn is_due(&self) -> bool {
        let task = self.state.program.step(self.point.step).task;
        !self.is_killed
            && self.state.tasks.has_begun(task, self.point.step)
            && (self.point.moment == Moment::Begin || self.state.tasks.open_step(task).is_none())
    }

    fn kill_before_step(&mut self, step: usize) -> Release {
        let program = self.state.program;
        self.state.tasks.release(step);
        // An exit completes when its process ends, and a kill ends the process as well.
        let state = match ends_process(program.verb(step)) {
            true => StepState::completed(Outcome::Ok),
            false => StepState::Pending,
        };
        self.state.history.record(Fact::Step(step, state));
        if let (Progress::Partial, Verb::Put { .. }) = (self.progress, program.verb(step)) {
            if let Some(pipe) = self.state.usable_pipe(step, Side::Writer) {
                self.state.pipes[pipe].truncate();
            }
        }
        self.kill()
    }

    fn kill_after_step(&mut self) -> Release {
        let release = self.kill();
        if self.is_unreported() {
            self.state.history.record(Fact::Step(self.point.step, StepState::Pending));
        }
        release
    }

    /// Whether the kill prevents the step from completing although it had its effect.
    fn is_unreported(&self) -> bool {
        self.progress == Progress::Unreported
            && !ends_process(self.state.program.verb(self.point.step))
    }

    fn kill(&mut self) -> Release {
        self.is_killed = true;
        let process = self.state.program.step(self.point.step).process;
        self.state.release.step = self.point.step;
        self.state.begin_exit(process, ProcessExit::Signal("SIGKILL".into()));
        std::mem::take(&mut self.state.release)
    }
}
