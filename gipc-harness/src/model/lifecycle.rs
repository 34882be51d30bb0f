//! How processes start and end: spawn, exit, signals, joins, and closing the ends that a process held.

use super::Mutation;
use super::Unjoined;
use super::history::Fact;
use super::pipe::Wakeups;
use super::process::{Phase, Signals};
use super::state::State;
use crate::scenario::{ChildAct, Outcome, PipeEnd, Verb};
use crate::trace::{ProcessExit, StepState};
use ecow::EcoString;

/// The status of a program beside the library, once it is reaped.
const FOREIGN_EXIT: ProcessExit = ProcessExit::Code(7);

fn killed() -> ProcessExit {
    ProcessExit::Signal("SIGKILL".into())
}

impl State<'_> {
    pub(super) fn start_process(&mut self, process: usize) {
        self.processes[process].phase = Phase::Running;
        self.history.record(Fact::Exit(process, ProcessExit::Running));
        if let Some(races) = &mut self.races {
            races.process_started(process);
        }
        if process > 0 {
            self.release.starts.push(self.program.processes[process].name.to_owned());
        }
        self.start_tasks(process);
    }

    /// Starts the tasks of a process that may start now. A process without steps left returns.
    pub(super) fn start_tasks(&mut self, process: usize) {
        let info = &self.program.processes[process];
        let completed = info.own_task.map_or(0, |own| self.tasks.completed_steps(own));
        for task in &info.tasks {
            let is_due =
                info.own_task == Some(*task) || completed >= self.program.tasks[*task].starts_after;
            if is_due && !self.tasks.has_started(*task) {
                self.tasks.start(*task);
                if let Some(races) = &mut self.races {
                    races.task_started(*task, process, info.own_task);
                }
            }
        }
        if info.tasks.iter().all(|task| self.tasks.is_done(*task)) {
            self.return_from(process);
        }
    }

    fn return_from(&mut self, process: usize) {
        if !self.processes[process].is_running() {
            return;
        }
        let signallers = &self.program.processes[process].signallers;
        let is_signalled =
            || signallers.iter().any(|(task, position)| self.tasks.reaches(*task, *position));
        let takes_time = || is_signalled() || self.kills_children(process);
        if self.is_fine_grained && takes_time() {
            self.returning.insert(process);
        } else {
            self.finish_return(process);
        }
    }

    pub(super) fn finish_return(&mut self, process: usize) {
        let count = self.processes[process].ends.len() as u64;
        self.history.record(Fact::RemainingHandles(process, count));
        if self.kill_on_return == Some(process) {
            return self.begin_exit(process, killed());
        }
        if self.kills_children(process) {
            self.has_unjoined_children = true;
            if let Some(races) = &mut self.races {
                races.report_race(None);
            }
            let children = self.running_children(process).collect::<Vec<_>>();
            children.into_iter().for_each(|child| self.begin_exit(child, killed()));
        }
        self.end_itself(process, ProcessExit::Code(0), None);
    }

    /// Ends a process that returns, or that performs this `exit` step.
    pub(super) fn end_itself(&mut self, process: usize, exit: ProcessExit, step: Option<usize>) {
        if !self.processes[process].is_running() {
            return;
        }
        let joins = match self.program.choices.unjoined {
            _ if self.program.processes[process].is_program => false,
            Unjoined::Joined => true,
            Unjoined::JoinedOnReturn => step.is_none(),
            Unjoined::Left | Unjoined::Killed => false,
        };
        if joins && self.has_running_child(process) {
            self.processes[process].phase = Phase::Waiting(exit, step);
        } else {
            self.begin_exit(process, exit);
        }
    }

    pub(super) fn running_children(&self, process: usize) -> impl Iterator<Item = usize> + '_ {
        let children = self.program.processes[process].children.iter().copied();
        children.filter(move |child| {
            self.processes[*child].parent == Some(process) && self.processes[*child].is_alive()
        })
    }

    fn has_running_child(&self, process: usize) -> bool {
        self.running_children(process).next().is_some()
    }

    /// Whether a process kills children when it returns.
    pub(super) fn kills_children(&self, process: usize) -> bool {
        self.program.choices.unjoined == Unjoined::Killed
            && !self.program.processes[process].is_program
            && self.has_running_child(process)
    }

    pub(super) fn spawn(&mut self, step: usize, handles: &[EcoString]) {
        let info = self.program.step(step);
        let Some(child) = info.child else { return };
        let is_started = match self.program.verb(step) {
            Verb::Spawn { program: Some(program), .. } => self.make_streams(step, program),
            _ => true,
        };
        if !is_started {
            return;
        }
        if self.refuses_thread(step) {
            self.processes[child].is_refused = true;
            let ends: Vec<_> =
                handles.iter().flat_map(|handle| self.held_ends(info.process, handle)).collect();
            return self.refuse_spawn(step, Outcome::Misuse, &ends);
        }
        let ends = match self.ends_to_give(info.process, handles) {
            Ok(ends) => ends,
            Err((_, ends)) if self.is_ok_by_file(step) => ends,
            Err((outcome, ends)) => return self.refuse_spawn(step, outcome, &ends),
        };
        // Parent and child use descriptors of their own to tell each other when they end.
        let free = self.processes[info.process].free_descriptors;
        let is_too_few = free.is_some_and(|free| free < self.program.choices.start_needs);
        if is_too_few && !self.is_ok_by_file(step) {
            return self.refuse_spawn(step, Outcome::Os("EMFILE".into()), &ends);
        }
        self.processes[child].parent = Some(info.process);
        let starts_group = matches!(self.program.verb(step), Verb::Spawn { in_group: true, .. });
        self.processes[child].group = match starts_group && !self.is(Mutation::GroupIsOfTheParent) {
            true => child,
            false => self.processes[info.process].group,
        };
        if self.is(Mutation::SignalsAreInherited) {
            self.processes[child].signals = self.processes[info.process].signals.inherited();
        }
        let shared = self.shared_ends(step);
        for end in ends {
            if self.is(Mutation::LockTravels) {
                self.pipes[end.pipe].lock(end.side);
            }
            if !shared.contains(&end) && !self.is(Mutation::GivenStays) {
                self.processes[info.process].ends.remove(&end);
                self.processes[info.process].return_descriptor();
            }
            self.processes[child].ends.insert(end);
        }
        // The child starts before its parent goes on, because the parent may return then.
        self.start_process(child);
        self.complete(step, Outcome::Ok);
    }

    pub(super) fn close_ends(&mut self, process: usize, ends: &[PipeEnd]) {
        for end in ends {
            self.processes[process].ends.remove(end);
            if !self.is(Mutation::CloseKeeps) {
                self.processes[process].return_descriptor();
            }
            if self.is_held_elsewhere(process, *end) {
                continue;
            }
            let wakeups = match self.is_still_shared(*end) {
                true => self.leave_pipe(process, *end),
                false => self.pipes[end.pipe].close(end.side),
            };
            self.wake(wakeups);
        }
    }

    /// Withdraws what a process was doing at an end that it no longer uses.
    fn leave_pipe(&mut self, process: usize, end: PipeEnd) -> Wakeups {
        let program = self.program;
        self.pipes[end.pipe].leave(end.side, |step| program.is_of(step, process))
    }

    /// Whether another process has a copy of an end that it was not given. Only under a mutation.
    fn is_held_elsewhere(&self, process: usize, end: PipeEnd) -> bool {
        let mutation = if end.is_writer() {
            Mutation::WritersAreInherited
        } else {
            Mutation::ReadersAreInherited
        };
        let mut others = self.processes.iter().enumerate();
        self.is(mutation)
            && (self.has_foreign_program
                || others.any(|(other, state)| other != process && state.is_alive()))
    }

    /// Ends a process: its open steps stay open, its ends are closed, and the steps that wait for it continue.
    pub(super) fn begin_exit(&mut self, process: usize, exit: ProcessExit) {
        match self.processes[process].phase {
            Phase::Running | Phase::Waiting(..) => {}
            _ => return,
        }
        self.returning.remove(&process);
        self.record_exit(process, matches!(exit, ProcessExit::Signal(_)));
        if let Phase::Waiting(_, Some(step)) = self.processes[process].phase {
            self.history.record(Fact::Step(step, StepState::completed(Outcome::Ok)));
        }
        self.has_unjoined_children |= self.has_running_child(process);
        for task in &self.program.processes[process].tasks {
            if let Some(open) = self.tasks.stop(*task) {
                self.timers.cancel(open);
                self.untils.remove(&open);
                self.finishing.remove(&open);
            }
        }
        for child in &self.program.processes[process].children {
            self.forget_exit_status(*child);
        }
        let ends: Vec<PipeEnd> = self.processes[process].ends.iter().copied().collect();
        if self.is_fine_grained {
            for end in ends {
                let wakeups = self.leave_pipe(process, end);
                self.wake(wakeups);
            }
            self.processes[process].phase = Phase::Exiting(exit);
            self.exiting.insert(process);
            return;
        }
        // The process counts as ended before others learn that its ends are closed.
        self.end_process(process, exit.clone());
        self.close_ends(process, &ends);
        self.notify_joins(process, &exit);
        self.end_waiting_parent(process);
    }

    /// Ends an exiting process that has closed all its ends.
    pub(super) fn finish_exit(&mut self, process: usize) {
        if let Phase::Exiting(exit) = self.processes[process].phase.clone() {
            self.exiting.remove(&process);
            self.end_process(process, exit.clone());
            self.notify_joins(process, &exit);
            self.end_waiting_parent(process);
        }
    }

    /// Ends the parent of a child if the parent waits for its children and this was the last one.
    fn end_waiting_parent(&mut self, child: usize) {
        let Some(parent) = self.processes[child].parent else { return };
        let Phase::Waiting(exit, _) = self.processes[parent].phase.clone() else { return };
        if !self.has_running_child(parent) {
            self.begin_exit(parent, exit);
        }
    }

    fn end_process(&mut self, process: usize, exit: ProcessExit) {
        self.history.record(Fact::Exit(process, exit.clone()));
        self.processes[process].phase = Phase::Ended(exit);
        self.release.exits.push(self.program.processes[process].name.to_owned());
        self.forget_exit_status(process);
    }

    /// Forgets how a process ended once no step can ask any more, so that states that differ only in that become equal.
    pub(super) fn forget_exit_status(&mut self, process: usize) {
        let users = &self.program.processes[process].status_users;
        let is_needed = users.iter().any(|(task, position)| self.tasks.reaches(*task, *position));
        if !is_needed && matches!(self.processes[process].phase, Phase::Ended(_)) {
            let state = &mut self.processes[process];
            state.phase = Phase::Forgotten;
            state.signals = Signals::default();
            state.is_reaped = false;
        }
    }

    /// Records that a process that has ended is reaped, by this step or earlier.
    fn reap(&mut self, process: usize) {
        let signallers = &self.program.processes[process].signallers;
        self.processes[process].is_reaped =
            signallers.iter().any(|(task, position)| self.tasks.reaches(*task, *position));
    }

    fn notify_joins(&mut self, process: usize, exit: &ProcessExit) {
        let joins = std::mem::take(&mut self.processes[process].joins);
        let count = match () {
            () if self.is(Mutation::JoinIsLost) || self.is_lost_child(process) => 0,
            () if self.is(Mutation::SecondJoinIsLost) => 1,
            () => usize::MAX,
        };
        for join in joins.into_iter().take(count) {
            let outcome = match self.program.verb(join) {
                Verb::Child { act: ChildAct::Reaped, .. } if self.is(Mutation::ZombiesStay) => {
                    continue;
                }
                Verb::Child { act: ChildAct::Stall | ChildAct::Reaped, .. } => Outcome::Ok,
                _ => self.join_outcome(exit),
            };
            if !matches!(self.program.verb(join), Verb::Child { act: ChildAct::Stall, .. }) {
                self.reap(process);
            }
            self.complete(join, outcome);
        }
    }

    pub(super) fn join(&mut self, step: usize) {
        let Some(child) = self.program.step(step).child else { return };
        if self.is_expired(step) {
            return;
        }
        match self.processes[child].exit().cloned() {
            Some(_) if self.is(Mutation::JoinIsLost) => {}
            Some(_) if self.is_lost_child(child) => {}
            Some(exit) => {
                self.reap(child);
                self.complete(step, self.join_outcome(&exit));
            }
            None => self.processes[child].joins.push(step),
        }
    }

    fn join_outcome(&self, exit: &ProcessExit) -> Outcome {
        match exit {
            ProcessExit::Code(_) | ProcessExit::Failed if self.is(Mutation::CodeIsLost) => {
                Outcome::Exit(0)
            }
            ProcessExit::Code(code) => Outcome::Exit(*code),
            ProcessExit::Signal(_) if self.is(Mutation::SignalIsKill) => {
                Outcome::Signal("SIGKILL".into())
            }
            ProcessExit::Signal(name) => Outcome::Signal(name.clone()),
            ProcessExit::Failed => Outcome::Raised,
            ProcessExit::Unseen | ProcessExit::Running => Outcome::Running,
        }
    }

    pub(super) fn ask_child(&mut self, step: usize, act: ChildAct) {
        let child = self.program.step(step).child;
        let exit = match child {
            Some(child) => self.processes[child].exit().cloned(),
            None => Some(FOREIGN_EXIT),
        };
        let outcome = match (act, exit) {
            (ChildAct::Terminate, _) => return self.signal(step, "SIGTERM"),
            (ChildAct::Drop, None) if self.is(Mutation::DropKills) => {
                if let Some(child) = child {
                    self.begin_exit(child, killed());
                }
                Outcome::Ok
            }
            (ChildAct::Drop, _) => Outcome::Ok,
            (ChildAct::Alive, Some(_)) if self.is(Mutation::AlwaysAlive) => Outcome::Yes,
            (ChildAct::Reap, Some(_)) if self.is(Mutation::ForeignStatusIsLost) => Outcome::Exit(0),
            (ChildAct::Reaped, _) if self.is(Mutation::ZombiesStay) => return,
            (ChildAct::Alive, None) => Outcome::Yes,
            (ChildAct::Alive, Some(_)) => Outcome::No,
            (ChildAct::Code, None) => Outcome::Running,
            (ChildAct::Code | ChildAct::Reap, Some(exit)) => self.join_outcome(&exit),
            (ChildAct::Stall | ChildAct::Reaped, Some(_)) => Outcome::Ok,
            (ChildAct::Stall | ChildAct::Reaped | ChildAct::Reap, None) => {
                if let Some(child) = child {
                    self.processes[child].joins.push(step);
                }
                return;
            }
        };
        if let (ChildAct::Reap | ChildAct::Reaped, Some(child)) = (act, child) {
            self.reap(child);
        }
        self.complete(step, outcome);
    }
}
