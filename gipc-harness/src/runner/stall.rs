//! Collects the evidence for a stall from the run state and the kernel.

use super::run_state::RunState;
use crate::proc::process_tree;
use crate::proc::snapshot::ProcSnapshot;
use crate::trace::StallEvidence;
use std::collections::BTreeSet;

/// Fills in what can be seen now: the trace, the holders of the pipe ends, and what each process sleeps in.
pub(super) fn collect(
    state: &RunState<'_>,
    supervisor: Option<i32>,
    mut evidence: StallEvidence,
) -> StallEvidence {
    let pids = state.sessions.alive_pids();
    evidence.trace = state.trace();
    // A helper process of the implementation may hold an end that it inherited.
    let descendants = supervisor.and_then(process_tree::descendants);
    let all_pids = descendants.map(|all| all.into_iter().map(|process| process.pid).collect());
    (evidence.holders, evidence.fill_levels) =
        state.pipe_holders(&all_pids.unwrap_or_else(|| pids.clone()));
    evidence.fully_known_ends = match evidence.holders.is_empty() {
        true => BTreeSet::new(),
        false => state.pipes.known_ends(),
    };
    let blocked_in = ProcSnapshot::take(&pids).blocked_in(&ProcSnapshot::take(&pids));
    evidence.blocked_in =
        blocked_in.into_iter().map(|(pid, call)| (state.display_name(pid), call)).collect();
    evidence
}
