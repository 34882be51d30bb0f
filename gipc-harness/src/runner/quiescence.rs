//! Quiescence detection: when nothing arrives, finds out whether no process can move any more or one is only slow.
//!
//! Silence for some time only starts an examination. The answer comes from the kernel (all threads sleep) or from the event
//! loops (they turned, and no step completed). The timeout is the last resort if neither can answer.

use super::run_state::RunState;
use super::settings::Settings;
use crate::proc::snapshot::{ProcSnapshot, Sleep, TimerPolicy};
use crate::trace::EvidenceTier;
use gipc_agent::ControlChannel;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The result of an examination.
#[derive(Debug)]
pub(super) enum Quiescence {
    /// Nothing moves; how strong the proof is.
    All(EvidenceTier),
    /// Some processes are quiet, and others may move.
    Partial(PartialQuiescence),
    /// A process moves, or the system does not show whether one does.
    None,
}

/// The processes that may move, found by an examination. All others were asleep.
#[derive(Debug)]
pub(super) struct PartialQuiescence {
    /// For each of them, the observation that shows it. All of them are processes of the scenario.
    still_running: BTreeMap<String, String>,
    snapshot: ProcSnapshot,
}

impl PartialQuiescence {
    /// Finds the processes that may move between a snapshot and a later one. Returns `None` unless all of them are processes
    /// of the scenario and no process has yet to connect: any other process may be part of how the implementation works.
    fn between(
        state: &RunState<'_>,
        before: &ProcSnapshot,
        snapshot: ProcSnapshot,
    ) -> Option<Self> {
        let awake = before.awake_processes(&snapshot).filter(|_| !state.expects_a_process())?;
        let named = awake
            .into_iter()
            .map(|(pid, why)| Some((state.sessions.name_of(pid)?.to_owned(), why)));
        Some(Self { still_running: named.collect::<Option<_>>()?, snapshot })
    }

    pub(super) fn still_running(&self) -> &BTreeMap<String, String> {
        &self.still_running
    }

    /// Whether all other processes have slept since the examination. Then everything that was seen since then held all the
    /// time.
    pub(super) fn still_holds(&self, state: &RunState<'_>, supervisor: Option<i32>) -> bool {
        let now = snapshot_of_run(supervisor);
        let now = now.and_then(|now| Self::between(state, &self.snapshot, now));
        now.is_some_and(|now| {
            now.still_running.keys().all(|process| self.still_running.contains_key(process))
        })
    }
}

/// Detects quiescence in successive periods of silence.
pub(super) struct QuiescenceDetector {
    quiet_period: Duration,
    timeout: Duration,
    /// When the silence began.
    since: Instant,
    /// The number of examinations in this silence.
    examinations: u32,
    /// The pings that [`Self::is_blocked`] sent.
    sent_pings: Vec<u64>,
    rounds: Option<PingRounds>,
}

/// Successive rounds of pings to all loops, without any activity since the first one was sent.
struct PingRounds {
    /// The activity of the run before the first round.
    activity: u64,
    /// The ping number of the round that was sent last.
    last: u64,
    /// How many rounds are still to be sent.
    remaining: u64,
}

/// The minimum number of bytes of a large message that move while every loop turns once: the writer fills a page, or the
/// reader takes one.
const BYTES_PER_ROUND: u64 = 4096;

/// The number of examinations before turns of the loops count as evidence. Before that, a timer that the kernel does not
/// show may still wake something.
const MIN_EXAMINATIONS: u32 = 7;

/// The number of examinations after which the delay to the next one does not double any more.
const MAX_DOUBLINGS: u32 = 6;

/// The first examinations of a silence, this many, end at once if a thread runs: the harness itself may just have woken it.
const SHORT_EXAMINATIONS: u32 = 2;

/// The first examination comes after the quiet period divided by this. If it shows that a process moves, little time was
/// lost.
const FIRST_DELAY: u32 = 4;

/// How much each process of the run adds to the first delay, since it also makes the examination longer.
const DELAY_PER_PROCESS: Duration = Duration::from_micros(200);

impl QuiescenceDetector {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            quiet_period: settings.quiet_period,
            timeout: settings.timeout,
            since: Instant::now(),
            examinations: 0,
            sent_pings: Vec::new(),
            rounds: None,
        }
    }

    /// Begins a new silence, since there was activity.
    pub(super) fn reset(&mut self) {
        self.since = Instant::now();
        self.examinations = 0;
    }

    /// How long to wait for an event before the next examination, in a run with so many processes. The delay doubles each
    /// time, because an examination costs processor time that slow processes need.
    pub(super) fn delay(&self, processes: usize) -> Duration {
        let processes = u32::try_from(processes).unwrap_or(u32::MAX);
        let first = self.quiet_period / FIRST_DELAY + DELAY_PER_PROCESS.saturating_mul(processes);
        first * 2_u32.pow(self.examinations.min(MAX_DOUBLINGS))
    }

    /// Whether the silence is longer than the timeout.
    pub(super) fn has_timed_out(&self) -> bool {
        self.since.elapsed() > self.timeout
    }

    /// Examines whether any process of the run can still move by itself.
    pub(super) fn examine(
        &mut self,
        state: &mut RunState<'_>,
        supervisor: Option<i32>,
    ) -> Quiescence {
        self.examinations += 1;
        // The report of this end is still to come, although no process can move.
        if state.sessions.has_unreported_end() && !self.has_timed_out() {
            return Quiescence::None;
        }
        let before = snapshot_of_run(supervisor);
        let is_moving = before.as_ref().is_some_and(ProcSnapshot::has_running_thread);
        if is_moving && self.examinations <= SHORT_EXAMINATIONS {
            return Quiescence::None;
        }
        let snapshots = before.zip(snapshot_of_run(supervisor));
        let sleep = |timers: TimerPolicy| {
            let snapshots = snapshots.as_ref();
            snapshots.map_or(Sleep::Unknown, |(before, after)| before.sleep_until(after, timers))
        };
        // The second question is asked only if the first one leaves it open: each of them reads files of all processes.
        let helpers_ignored =
            || matches!(sleep(TimerPolicy::HelperTimersIgnored), Sleep::Asleep(_));
        match sleep(TimerPolicy::AnyTimerWakes) {
            Sleep::Asleep(_) => Quiescence::All(EvidenceTier::Kernel),
            Sleep::Unknown if self.have_loops_turned(state) => {
                Quiescence::All(EvidenceTier::LoopTurns)
            }
            Sleep::Awake(_) if helpers_ignored() && self.have_loops_turned(state) => {
                Quiescence::All(EvidenceTier::LoopTurns)
            }
            _ if self.has_timed_out() => Quiescence::All(EvidenceTier::Timeout),
            _ => snapshots
                .and_then(|(before, after)| PartialQuiescence::between(state, &before, after))
                .map_or(Quiescence::None, Quiescence::Partial),
        }
    }

    /// Whether every loop has turned without any activity so often that something would have completed: twice, and once more
    /// for each part of a message that may still be moving. This is evidence only if loops serve all processes, all
    /// processes have connected, no open step has a time limit that may still expire, and all processes that count as ended
    /// have ended.
    fn have_loops_turned(&mut self, state: &mut RunState<'_>) -> bool {
        if !state.sessions.are_all_loops()
            || state.expects_a_process()
            || state.steps.has_open_time_limit()
            || state.sessions.has_uncertain_end()
        {
            return false;
        }
        let activity = state.activity();
        match self.rounds.as_mut().filter(|rounds| rounds.activity == activity) {
            None => {
                let remaining = 1 + state.steps.bytes_in_transit().div_ceil(BYTES_PER_ROUND);
                self.rounds = Some(PingRounds { activity, last: state.ping_all(), remaining });
                false
            }
            Some(PingRounds { remaining: 0, last, .. }) => {
                self.examinations >= MIN_EXAMINATIONS && state.have_all_answered(*last)
            }
            Some(_) => false,
        }
    }

    /// Sends the next round of pings if all loops have answered the last one. Must be called after each event.
    pub(super) fn continue_rounds(&mut self, state: &mut RunState<'_>) {
        let activity = state.activity();
        let rounds = self.rounds.as_mut().filter(|rounds| rounds.activity == activity);
        let rounds = rounds.filter(|rounds| rounds.remaining > 0);
        if let Some(rounds) = rounds.filter(|rounds| state.have_all_answered(rounds.last)) {
            rounds.last = state.ping_all();
            rounds.remaining -= 1;
        }
    }

    /// Whether a process that has begun a step is blocked in it: since then its loop has turned twice, or all its threads
    /// sleep. `None` if neither can be observed.
    ///
    /// Must be called again after each event. `was_silent` says that there was no event; only then the kernel is asked about
    /// a process that has a loop.
    pub(super) fn is_blocked(
        &mut self,
        state: &mut RunState<'_>,
        process: &str,
        was_silent: bool,
    ) -> Option<bool> {
        let (pid, control) = state.sessions.pid_and_control(process)?;
        if control == ControlChannel::Loop {
            let answered = state.pings.last_answer(process);
            // The turn that answers the first ping may have begun before the step did. The turn that answers the second did
            // not.
            match self.sent_pings[..] {
                // Do not ping: a ping would wake the process for another reason than the signal, and it would then notice
                // the signal only in its next turn.
                [] if !was_silent && state.steps.was_signalled(process) && is_awake(pid) => {}
                [] => self.sent_pings.push(state.ping(process)),
                [first] if answered >= first => self.sent_pings.push(state.ping(process)),
                [_, second] if answered >= second => return Some(true),
                _ => {}
            }
            if !was_silent {
                return Some(false);
            }
        }
        // A process in a step with a time limit sleeps with a timer, and still is blocked.
        let before = ProcSnapshot::take(&[pid]);
        match before.sleep_until(&ProcSnapshot::take(&[pid]), TimerPolicy::TimersIgnored) {
            Sleep::Asleep(_) => Some(true),
            // A blocked loop never answers, and a loop that only lacks processor time answers later.
            Sleep::Unknown if control == ControlChannel::Thread => None,
            Sleep::Awake(_) | Sleep::Unknown => Some(false),
        }
    }
}

/// Whether the system shows that a process is not asleep.
fn is_awake(pid: i32) -> bool {
    let before = ProcSnapshot::take(&[pid]);
    let sleep = before.sleep_until(&ProcSnapshot::take(&[pid]), TimerPolicy::TimersIgnored);
    matches!(sleep, Sleep::Awake(_))
}

/// Whether all processes below the supervisor, and the supervisor itself, sleep without a timer. False if the system does
/// not show it.
pub(super) fn are_all_asleep(supervisor: Option<i32>) -> bool {
    let snapshots = snapshot_of_run(supervisor).zip(snapshot_of_run(supervisor));
    snapshots.is_some_and(|(before, after)| {
        matches!(before.sleep_until(&after, TimerPolicy::AnyTimerWakes), Sleep::Asleep(_))
    })
}

/// Takes a snapshot of all processes below the supervisor, connected or not, and of the supervisor itself: a process that
/// waits until the supervisor has read its output is not quiet before that.
fn snapshot_of_run(supervisor: Option<i32>) -> Option<ProcSnapshot> {
    ProcSnapshot::take_below(supervisor?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_awake_while_it_runs_and_not_once_it_sleeps() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = ProcSnapshot::take(&[own]);
        let now = before.sleep_until(&ProcSnapshot::take(&[own]), TimerPolicy::TimersIgnored);
        if now == Sleep::Unknown {
            return; // the system does not show it
        }
        assert!(is_awake(own), "this process is running the test");
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(sleeper.id()).unwrap();
        while is_awake(pid) {
            std::thread::yield_now();
        }
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
