//! When nothing is heard: is everybody still, or is somebody only slow?
//!
//! Time triggers a look and never answers. The answer is the kernel's (all threads asleep), or that of the
//! loops (they turned, and nothing came of it); patience is what is left where neither can be had.

use super::Settings;
use super::cast::Cast;
use super::quiet::{self, Frozen, Look};
use super::tree;
use crate::adapter::protocol::Control;
use crate::trace::Tier;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Nothing moves, and this is the kind of proof.
    Still(Tier),
    /// Only some do.
    Part(Part),
    /// Something moves, or nobody can say.
    Moving,
}

/// A look that showed some asleep and some not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Those who could move, all of them processes of the scenario; and how one knows.
    pub(super) moving: BTreeMap<String, String>,
    look: Look,
}

impl Part {
    /// Whether all others have slept from the look until now. What was seen in between was then so all the time.
    pub(super) fn lasts(&self, cast: &Cast<'_>, keeper: Option<i32>) -> bool {
        let now = below(keeper).and_then(|now| part(cast, &self.look, now));
        now.is_some_and(|now| now.moving.keys().all(|role| self.moving.contains_key(role)))
    }
}

/// One spell of silence.
pub(super) struct Watch {
    trigger: Duration,
    patience: Duration,
    since: Instant,
    looks: u32,
    /// The numbers of the pings that were sent.
    asked: Vec<u64>,
    /// What all loops were asked, where there is no other way to see whether they are still.
    rounds: Option<Rounds>,
}

/// All loops are asked twice, if nothing comes in between.
struct Rounds {
    /// How much had been heard before.
    events: u64,
    first: u64,
    second: Option<u64>,
}

/// So many looks at least before turns of loops are taken for silence: what the kernel does not show may be a timer.
const LOOKS: u32 = 5;

impl Watch {
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
    pub(super) fn look(&mut self, cast: &mut Cast<'_>, keeper: Option<i32>) -> Quiet {
        self.looks += 1;
        let (before, after) = (below(keeper), below(keeper));
        let looks = before.as_ref().zip(after.as_ref());
        let seen = |compare: fn(&Look, &Look) -> Frozen| {
            looks.map_or(Frozen::Unreadable, |(before, after)| compare(before, after))
        };
        match (seen(quiet::frozen), seen(quiet::frozen_but_helpers)) {
            (Frozen::Yes(_), _) => Quiet::Still(Tier::Kernel),
            (Frozen::Unreadable, _) | (_, Frozen::Yes(_)) if self.turned(cast) => {
                Quiet::Still(Tier::Turns)
            }
            _ if self.is_out_of_patience() => Quiet::Still(Tier::Patience),
            _ => {
                let part = before.zip(after).and_then(|(before, after)| part(cast, &before, after));
                part.map_or(Quiet::Moving, Quiet::Part)
            }
        }
    }

    /// Whether every loop has turned twice and nothing came of it. Proves something only where all are loops, all are
    /// here, and no step has a limit that may still pass.
    fn turned(&mut self, cast: &mut Cast<'_>) -> bool {
        if !cast.is_all_loops() || cast.expects_somebody() || cast.may_ring() {
            return false;
        }
        let events = cast.events;
        match self.rounds.as_mut().filter(|rounds| rounds.events == events) {
            None => {
                let first = ask(cast);
                self.rounds = Some(Rounds { events, first, second: None });
            }
            Some(Rounds { second: Some(second), .. }) => {
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
        cast: &mut Cast<'_>,
        process: &str,
        silent: bool,
    ) -> Option<bool> {
        let actor = cast.actors.get(process)?;
        let (pid, control) = (actor.pid, actor.control);
        if control == Control::Loop {
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
        match quiet::asleep(&quiet::look(&[pid]), &quiet::look(&[pid])) {
            Frozen::Yes(_) => Some(true),
            // A loop that is blocked itself never answers, and a starved one will.
            Frozen::Unreadable if control == Control::Thread => None,
            Frozen::No(_) | Frozen::Unreadable => Some(false),
        }
    }
}

/// Who moves, where all of those are processes of the scenario, and all of them have come. Anybody else may be a part of
/// how an implementation works, and let somebody go on.
fn part(cast: &Cast<'_>, before: &Look, look: Look) -> Option<Part> {
    let roles: BTreeMap<i32, &String> =
        cast.actors.iter().map(|(role, actor)| (actor.pid, role)).collect();
    let movers = quiet::movers(before, &look).filter(|_| !cast.expects_somebody())?;
    let named = |(pid, why)| Some(((*roles.get(&pid)?).clone(), why));
    let moving = movers.into_iter().map(named).collect::<Option<_>>()?;
    Some(Part { moving, look })
}

/// Asks every loop that is here; who answers does so with this number or a larger one.
pub(super) fn ask(cast: &mut Cast<'_>) -> u64 {
    let all: Vec<String> = cast.actors.keys().cloned().collect();
    let numbers: Vec<u64> = all.iter().map(|process| cast.ping(process)).collect();
    numbers.into_iter().min().unwrap_or(0)
}

/// What each process sleeps in, in words; nothing of those who do not, or where the system does not show it.
pub(super) fn calls(pids: &[i32]) -> BTreeMap<i32, String> {
    quiet::calls(&quiet::look(pids), &quiet::look(pids))
}

/// A look at all that is below the keeper, also what has not said hello, and at the keeper itself: who waits until it
/// has read what he prints is not still while it has not.
fn below(keeper: Option<i32>) -> Option<Look> {
    let members = tree::below(keeper?)?;
    let pids: Vec<i32> = members.iter().map(|member| member.pid).chain(keeper).collect();
    Some(quiet::look(&pids))
}
