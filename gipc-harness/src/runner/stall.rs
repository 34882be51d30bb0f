//! A stop, of all or of a part: what proves it, and what is written down of it. Lets nothing go, and decides nothing.

use super::executor::Execution;
use super::quiescence::{self, Quiescence, QuiescenceDetector};
use crate::proc::process_tree;
use crate::trace::{EvidenceTier, Release, StallEvidence};
use gipc_agent::Control;
use std::collections::BTreeSet;

impl Execution<'_> {
    /// What a look proves, if nothing was on its way to us: what had been said before is heard first. Where only a part
    /// is still, `enough` says whether the steps that can never end are all that is waited for.
    pub(super) async fn stop(
        &mut self,
        quiet: Quiescence,
        enough: impl Fn(&Self, &BTreeSet<usize>) -> bool,
    ) -> Option<StallEvidence> {
        let stop = match &quiet {
            Quiescence::All(tier) => StallEvidence { tier: *tier, ..StallEvidence::default() },
            Quiescence::Partial(part) => StallEvidence {
                tier: EvidenceTier::Part,
                moving: part.moving.clone(),
                ..StallEvidence::default()
            },
            Quiescence::None => return None,
        };
        if !self.is_silent().await {
            return None;
        }
        let Quiescence::Partial(part) = quiet else { return Some(stop) };
        let seen = self.evidence(stop.clone());
        let found = enough(self, &(self.settings.find_deadlocked)(self.scenario, &seen))
            && part.lasts(&self.cast, self.supervisor.pid())
            && self.is_silent().await;
        found.then_some(stop)
    }

    /// Whether nothing more comes of what was on its way.
    async fn is_silent(&mut self) -> bool {
        let before = self.cast.events;
        let mut watch = QuiescenceDetector::new(self.settings);
        while !self.cast.is_over() && self.next(&mut watch).await {}
        self.cast.events == before
    }

    /// Whether all that a release waits for is among these steps, or behind them.
    pub(super) fn waits_for(
        &self,
        release: &Release,
        ends: &[usize],
        knot: &BTreeSet<usize>,
    ) -> bool {
        let stuck = |role: &String| {
            knot.iter().any(|step| self.scenario.steps[*step].task_id.process == *role)
        };
        let mut open = ends.iter().filter(|step| self.cast.is_open(**step)).peekable();
        open.peek().is_some()
            && open.all(|step| knot.contains(step))
            && release.exits.iter().all(|role| !self.cast.is_here(role) || stuck(role))
    }

    /// Whether all that is open is among these steps.
    pub(super) fn is_all_open(&self, knot: &BTreeSet<usize>) -> bool {
        let open = |step: &usize| self.cast.is_open(*step);
        !knot.is_empty()
            && (0..self.scenario.steps.len()).filter(open).all(|step| knot.contains(&step))
    }

    /// Keeps the finding of the first stop, from which later ones follow. Its evidence is made anew at later stops as
    /// long as it lasts, since only then all that wait for each other are there.
    pub(super) async fn note_stop(&mut self, stop: StallEvidence) {
        if let Some(first) = self.stop.take() {
            let lasts = first.late.iter().all(|step| self.cast.is_open(*step));
            // Who moved then may be still now, and is then shown with the others.
            let first = match stop.tier {
                EvidenceTier::Kernel if lasts => {
                    StallEvidence { tier: stop.tier, moving: stop.moving, ..first }
                }
                _ => first,
            };
            self.stop = Some(if lasts { self.evidence(first) } else { first });
            return;
        }
        let mut stop = self.evidence(stop);
        self.cast.find_who_hung_up(&stop.calls);
        // Only now may a loop be asked: a question wakes it, and could cure what is to be seen.
        let open: Vec<usize> =
            (0..self.scenario.steps.len()).filter(|step| self.cast.is_open(*step)).collect();
        let mut watch = QuiescenceDetector::new(self.settings);
        let n = quiescence::ask(&mut self.cast);
        while !self.cast.is_over() && self.next(&mut watch).await {}
        for (role, session) in &self.cast.sessions {
            if self.cast.is_here(role) && session.control == ControlChannel::Loop {
                stop.turns.insert(role.clone(), self.cast.answered(role) >= n);
            }
        }
        stop.cured = open.into_iter().filter(|step| self.cast.has_ended(*step)).collect();
        self.stop = Some(stop);
    }

    fn evidence(&self, mut stop: StallEvidence) -> StallEvidence {
        let pids = self.cast.pids();
        stop.then = self.cast.so_far();
        // A helper of the implementation may hold what it inherited.
        let below = self.supervisor.pid().and_then(process_tree::below);
        let all = below.map(|all| all.into_iter().map(|member| member.pid).collect());
        (stop.held, stop.bytes) = self.cast.held(&all.unwrap_or_else(|| pids.clone()));
        stop.known = match stop.held.is_empty() {
            true => BTreeSet::new(),
            false => self.cast.pipes.names(),
        };
        let calls = quiescence::calls(&pids).into_iter();
        stop.calls = calls.map(|(pid, call)| (self.cast.role(pid), call)).collect();
        stop
    }
}
