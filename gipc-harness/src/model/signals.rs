//! The effect of a signal on one process, and on a process group.

use super::Mutation;
use super::state::State;
use crate::scenario::Outcome;
use crate::trace::ProcessExit;

impl State<'_> {
    /// Sends a signal to a process, if the process still exists.
    pub(super) fn signal(&mut self, step: usize, signal: &str) {
        if let Some(child) = self.program.step(step).child {
            self.deliver_signal(child, signal);
        }
        self.complete(step, Outcome::Ok);
    }

    /// Sends a signal to the id of a process. No process has that id once the process is reaped.
    pub(super) fn signal_by_id(&mut self, step: usize, signal: &str) {
        let child = self.program.step(step).child;
        match child.is_some_and(|child| self.processes[child].is_reaped) {
            true => self.complete(step, Outcome::Os("ESRCH".into())),
            false => self.signal(step, signal),
        }
    }

    /// Sends a signal to all processes of a group at once. The group exists as long as one of its processes is left, even as
    /// a zombie.
    pub(super) fn signal_group(&mut self, step: usize, signal: &str) {
        let Some(leader) = self.program.step(step).child else { return };
        let members = self.group(leader);
        let is_left = |member: &usize| {
            self.processes[*member].is_alive() || self.processes[*member].may_be_zombie()
        };
        if !members.iter().any(is_left) {
            return self.complete(step, Outcome::Os("ESRCH".into()));
        }
        let reaches_one = self.is(Mutation::GroupHasOneProcess);
        for member in members.into_iter().filter(|member| !reaches_one || *member == leader) {
            if self.processes[member].is_alive() {
                self.deliver_signal(member, signal);
            }
        }
        self.complete(step, Outcome::Ok);
    }

    /// Whether all processes of a group have ended and some may not be reaped yet: those without a parent are reaped at some
    /// time after their end.
    pub(super) fn group_may_be_gone(&self, leader: usize) -> bool {
        let members = self.group(leader);
        !members.iter().any(|member| self.processes[*member].is_alive())
            && members.iter().any(|member| self.processes[*member].may_be_zombie())
    }

    /// The processes that were started in the group of this first process.
    fn group(&self, leader: usize) -> Vec<usize> {
        let members = self.program.processes[leader].group_members.iter().copied();
        members.filter(|member| self.processes[*member].group == leader).collect()
    }

    fn deliver_signal(&mut self, process: usize, signal: &str) {
        let is_trapped = self.processes[process].signals.is_trapped(signal);
        if is_trapped && self.is(Mutation::Interrupted) {
            self.begin_exit(process, ProcessExit::Failed);
        }
        if is_trapped {
            let is_counted =
                !self.processes[process].has_ended() && !self.is(Mutation::TrapsAreLost);
            self.processes[process].signals.caught += u64::from(is_counted);
        } else if self.processes[process].signals.is_fatal(signal)
            && !self.is(Mutation::SignalsIgnored)
        {
            self.begin_exit(process, ProcessExit::Signal(signal.into()));
        }
    }
}
