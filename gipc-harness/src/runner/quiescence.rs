//! When nothing is heard: is everybody still, or is somebody only slow?
//!
//! Time triggers a look and never answers. The answer is the kernel's (all threads asleep), or that of the
//! loops (they turned, and nothing came of it); patience is what is left where neither can be had.

use super::Settings;
use super::run_state::RunState;
use crate::proc::process_tree;
use crate::proc::snapshot::{self, ProcSnapshot, Sleep};
use crate::trace::EvidenceTier;
use gipc_agent::Control;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Quiescence {
    /// Nothing moves, and this is the kind of proof.
    All(EvidenceTier),
    /// Only some do.
    Partial(PartialQuiescence),
    /// Something moves, or nobody can say.
    None,
}

/// A look that showed some asleep and some not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartialQuiescence {
    /// Those who could move, all of them processes of the scenario; and how one knows.
    pub(super) moving: BTreeMap<String, String>,
    look: ProcSnapshot,
}

impl PartialQuiescence {
    /// Whether all others have slept from the look until now. What was seen in between was then so all the time.
    pub(super) fn lasts(&self, cast: &RunState<'_>, supervisor: Option<i32>) -> bool {
        let now = below(supervisor).and_then(|now| part(cast, &self.look, now));
        now.is_some_and(|now| now.moving.keys().all(|role| self.moving.contains_key(role)))
    }
}

/// Classified spell of silence.
pub(super) struct QuiescenceDetector {
    trigger: Duration,
    patience: Duration,
    since: Instant,
    looks: u32,
    /// The numbers of the pings that were sent.
    asked: Vec<u64>,
    /// What all loops were asked, where there is no other way to see whether they are still.
    rounds: Option<PingRounds>,
}

/// All loops are asked twice, if nothing comes in between.
struct PingRounds {
    /// How much had been heard before.
    events: u64,
    first: u64,
    second: Option<u64>,
}

/// So many looks at least before turns of loops are taken for silence: what the kernel does not show may be a timer.
const LOOKS: u32 = 5;

impl QuiescenceDetector {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            trigger: settings.trigger,
            patience: settings.patience,
            since: Instant::now(),
            looks: 0,
            asked: Vec::new(),
            rounds: None,
        }
    }

    /// Something was heard: the silence is over.
    pub(super) fn heard(&mut self) {
        self.since = Instant::now();
        self.looks = 0;
    }

    /// How long to listen before the next look: longer each time, for a look costs those who are slow.
    pub(super) fn pause(&self) -> Duration {
        self.trigger * 2_u32.pow(self.looks.min(4))
    }

    pub(super) fn is_out_of_patience(&self) -> bool {
        self.since.elapsed() > self.patience
    }

    /// Looks whether anything can still move by itself.
    pub(super) fn look(&mut self, cast: &mut RunState<'_>, supervisor: Option<i32>) -> Quiescence {
        self.looks += 1;
        let (before, after) = (below(supervisor), below(supervisor));
        let looks = before.as_ref().zip(after.as_ref());
        let seen = |compare: fn(&ProcSnapshot, &ProcSnapshot) -> Sleep| {
            looks.map_or(Sleep::Unknown, |(before, after)| compare(before, after))
        };
        match (seen(snapshot::frozen), seen(snapshot::frozen_but_helpers)) {
            (Sleep::Asleep(_), _) => Quiescence::All(EvidenceTier::Kernel),
            (Sleep::Unknown, _) | (_, Sleep::Asleep(_)) if self.turned(cast) => {
                Quiescence::All(EvidenceTier::Turns)
            }
            _ if self.is_out_of_patience() => Quiescence::All(EvidenceTier::Patience),
            _ => {
                let part = before.zip(after).and_then(|(before, after)| part(cast, &before, after));
                part.map_or(Quiescence::None, Quiescence::Partial)
            }
        }
    }

    /// Whether every loop has turned twice and nothing came of it. Proves something only where all are loops, all are
    /// here, and no step has a limit that may still pass.
    fn turned(&mut self, cast: &mut RunState<'_>) -> bool {
        if !cast.is_all_loops() || cast.expects_somebody() || cast.may_ring() {
            return false;
        }
        let events = cast.events;
        match self.rounds.as_mut().filter(|rounds| rounds.events == events) {
            None => {
                let first = ask(cast);
                self.rounds = Some(PingRounds { events, first, second: None });
            }
            Some(PingRounds { second: Some(second), .. }) => {
                return self.looks >= LOOKS && cast.has_all_answered(*second);
            }
            Some(rounds) if cast.has_all_answered(rounds.first) => {
                rounds.second = Some(ask(cast));
            }
            Some(_) => {}
        }
        false
    }

    /// Whether a process that has begun a step is blocked in it: its loop has turned twice since, or all its threads
    /// sleep. `None` where neither can be observed. Call it again after the next thing that was heard, and say
    /// whether that was nothing: only then the kernel is asked about a loop.
    pub(super) fn blocks(
        &mut self,
        cast: &mut RunState<'_>,
        process: &str,
        silent: bool,
    ) -> Option<bool> {
        let session = cast.sessions.get(process)?;
        let (pid, control) = (session.pid, session.control);
        if control == ControlChannel::Loop {
            let answered = cast.answered(process);
            // The turn of the first answer may have begun before the step did; the second did not.
            match self.asked[..] {
                [] => self.asked.push(cast.ping(process)),
                [first] if answered >= first => self.asked.push(cast.ping(process)),
                [_, second] if answered >= second => return Some(true),
                _ => {}
            }
            if !silent {
                return Some(false);
            }
        }
        // Whose step has a time limit sleeps with a timer, and waits all the same.
        match snapshot::asleep(&snapshot::look(&[pid]), &snapshot::look(&[pid])) {
            Sleep::Asleep(_) => Some(true),
            // A loop that is blocked itself never answers, and a starved one will.
            Sleep::Unknown if control == ControlChannel::Thread => None,
            Sleep::Awake(_) | Sleep::Unknown => Some(false),
        }
    }
}

/// Who moves, where all of those are processes of the scenario, and all of them have come. Anybody else may be a part of
/// how an implementation works, and let somebody go on.
fn part(
    cast: &RunState<'_>,
    before: &ProcSnapshot,
    look: ProcSnapshot,
) -> Option<PartialQuiescence> {
    let roles: BTreeMap<i32, &String> =
        cast.sessions.iter().map(|(role, session)| (session.pid, role)).collect();
    let movers = snapshot::movers(before, &look).filter(|_| !cast.expects_somebody())?;
    let named = |(pid, why)| Some(((*roles.get(&pid)?).clone(), why));
    let moving = movers.into_iter().map(named).collect::<Option<_>>()?;
    Some(PartialQuiescence { moving, look })
}

/// Asks every loop that is here; who answers does so with this number or a larger one.
pub(super) fn ask(cast: &mut RunState<'_>) -> u64 {
    let all: Vec<String> = cast.sessions.keys().cloned().collect();
    let numbers: Vec<u64> = all.iter().map(|process| cast.ping(process)).collect();
    numbers.into_iter().min().unwrap_or(0)
}

/// What each process sleeps in, in words; nothing of those who do not, or where the system does not show it.
pub(super) fn calls(pids: &[i32]) -> BTreeMap<i32, String> {
    snapshot::calls(&snapshot::look(pids), &snapshot::look(pids))
}

/// A look at all that is below the supervisor, also what has not said hello, and at the supervisor itself: who waits until it
/// has read what he prints is not still while it has not.
fn below(supervisor: Option<i32>) -> Option<ProcSnapshot> {
    let members = process_tree::below(supervisor?)?;
    let pids: Vec<i32> = members.iter().map(|member| member.pid).chain(supervisor).collect();
    Some(snapshot::look(&pids))
}
