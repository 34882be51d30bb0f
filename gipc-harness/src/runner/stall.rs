//! Collects the evidence for a stall from the run state and the kernel.

use super::run_state::RunState;
use crate::proc::pipe_holders::{self, Access};
use crate::proc::process_tree;
use crate::proc::signals::{SignalMasks, names};
use crate::proc::snapshot::ProcSnapshot;
use crate::scenario::Verb;
use crate::trace::{EndState, GhostInput, Ownership, SignalView, StallEvidence, StepState, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// Fills in what can be seen now: the trace, the holders of the pipe ends, and the call that each process sleeps in.
pub(super) fn collect(
    state: &RunState<'_>,
    supervisor: Option<i32>,
    mut evidence: StallEvidence,
) -> StallEvidence {
    let pids = state.sessions.alive_pids();
    evidence.trace = state.trace();
    // A helper process of the implementation may hold an end that it inherited.
    let descendants = supervisor.and_then(process_tree::descendants);
    let all_pids: Option<Vec<i32>> =
        descendants.map(|all| all.into_iter().map(|process| process.pid).collect());
    let all_pids = all_pids.unwrap_or_else(|| pids.clone());
    (evidence.holders, evidence.fill_levels) = state.pipe_holders(&all_pids);
    forget_closed_halves(state, &mut evidence);
    evidence.fully_known_ends = match evidence.holders.is_empty() {
        true => BTreeSet::new(),
        false => state.pipes.known_ends().chain(state.pipes.socket_ends()).collect(),
    };
    evidence.signals = signals(state, &evidence.trace);
    let spawned = state.steps.spawned_children();
    let unconnected = spawned.filter(|child| !state.sessions.has_connected(child));
    evidence.unconnected = unconnected.map(str::to_owned).collect();
    evidence.ghost_inputs = ghost_inputs(state, &all_pids);
    let blocked_in = ProcSnapshot::take(&pids).blocked_in(&ProcSnapshot::take(&pids));
    evidence.blocked_in =
        blocked_in.into_iter().map(|(pid, call)| (state.display_name(pid), call)).collect();
    evidence
}

/// Corrects the holders of sockets. A socket stays one descriptor when one of its directions is closed; the process that
/// closed the direction then holds only the other one.
fn forget_closed_halves(state: &RunState<'_>, evidence: &mut StallEvidence) {
    let ownership = Ownership::replay(state.scenario, &evidence.trace);
    let closed_by = |end| match ownership.state(end) {
        Some(EndState::Closed(task_id)) => task_id.split('/').next(),
        _ => None,
    };
    let all = evidence.holders.clone();
    evidence.holders.retain(|holder| {
        let is_half_open = all.iter().any(|other| {
            other.process == holder.process
                && other.descriptor == holder.descriptor
                && ownership.is_held_by(other.end, &holder.process)
        });
        closed_by(holder.end) != Some(holder.process.as_str()) || !is_half_open
    });
}

/// The signal state of each living process that a step signals or that waits for a child, whose end the library may learn
/// from a signal.
fn signals(state: &RunState<'_>, trace: &Trace) -> BTreeMap<String, SignalView> {
    let steps = state.scenario.steps.iter().zip(&trace.steps);
    let concerned = steps.flat_map(|(step, outcome)| match &step.verb {
        Verb::Kill { .. } => BTreeSet::new(),
        Verb::Join { .. } | Verb::Child { .. } if *outcome == StepState::Pending => {
            [step.task_id.process.as_str()].into()
        }
        verb => state.scenario.signalled_by(verb).into_iter().collect(),
    });
    let view = |process: &str| {
        let (pid, _) = state.sessions.pid_and_control(process)?;
        let masks = SignalMasks::read(pid).filter(|_| state.sessions.is_alive(process))?;
        let view = SignalView {
            pending: names(masks.pending),
            blocked: names(masks.blocked),
            caught: names(masks.caught),
            ignored: names(masks.ignored),
        };
        Some((process.to_owned(), view))
    };
    concerned.filter_map(view).collect()
}

/// The descriptors that keep the input of a program beside the library open, in processes other than the one that started
/// it.
fn ghost_inputs(state: &RunState<'_>, pids: &[i32]) -> Vec<GhostInput> {
    let mut inputs = Vec::new();
    for pid in pids {
        let Some((ghost, starter)) = state.ghost(*pid) else { continue };
        let Some(pipe) = pipe_holders::pipe_of(*pid, 0) else { continue };
        let holders = pipe_holders::holders(pids, &BTreeSet::from([pipe]));
        let holders = holders.iter().filter(|holder| holder.access == Access::Write);
        let named = holders.map(|holder| (state.display_name(holder.pid), holder.fd));
        inputs.extend(
            named.filter(|(process, _)| *process != starter).map(|(process, descriptor)| {
                GhostInput { ghost: ghost.clone(), process, descriptor }
            }),
        );
    }
    inputs
}
