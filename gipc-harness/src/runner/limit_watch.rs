//! Measures how long the steps with a time limit take, and how long their processes sleep in them without interruption.
//!
//! Only sleep that the kernel proves counts: two snapshots of the process are equal, and all its threads sleep in both.

use super::sessions::Sessions;
use super::step_table::StepTable;
use crate::proc::snapshot::{ProcSnapshot, Sleep, TimerPolicy};
use crate::scenario::{ChildAct, Scenario, Verb};
use crate::trace::{BlockedIn, LimitTime};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The time limits of a run.
#[derive(Default)]
pub(super) struct LimitWatch {
    /// When each step with a time limit was sent to its agent.
    sent: BTreeMap<usize, Instant>,
    times: BTreeMap<usize, LimitTime>,
    /// The processes that were asleep in a step with a time limit when they were last looked at.
    asleep: BTreeMap<String, LongSleep>,
}

/// A sleep that has not ended yet.
struct LongSleep {
    since: Instant,
    snapshot: ProcSnapshot,
    /// The steps with a time limit that were open when it began.
    steps: BTreeSet<usize>,
}

impl LimitWatch {
    /// Records that a step is about to be sent.
    pub(super) fn note_sent(&mut self, step: usize) {
        self.sent.insert(step, Instant::now());
    }

    /// Records that the end of a step was reported.
    pub(super) fn note_end(&mut self, step: usize) {
        if let Some(sent) = self.sent.get(&step) {
            let us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.time_of(step).at_most_us = Some(us);
        }
    }

    fn time_of(&mut self, step: usize) -> &mut LimitTime {
        self.times.entry(step).or_insert(LimitTime { step, ..LimitTime::default() })
    }

    /// Looks at the processes that are in a step with a time limit.
    pub(super) fn look(&mut self, scenario: &Scenario, steps: &StepTable<'_>, sessions: &Sessions) {
        let open = open_limits(scenario, steps);
        self.asleep.retain(|process, _| open.contains_key(process.as_str()));
        for (process, open) in open {
            let pid = sessions.pid_and_control(process).map(|(pid, _)| pid);
            if let Some(pid) = pid.filter(|_| sessions.is_alive(process)) {
                self.look_at(process, pid, open);
            }
        }
    }

    fn look_at(&mut self, process: &str, pid: i32, open: BTreeSet<usize>) {
        let seen = Instant::now();
        let snapshot = ProcSnapshot::take(&[pid]);
        if let Some(sleep) = self.asleep.get(process).filter(|it| it.lasts_until(&snapshot)) {
            let slept = u64::try_from((seen - sleep.since).as_micros()).unwrap_or(u64::MAX);
            for step in sleep.steps.clone() {
                let time = self.time_of(step);
                time.asleep_us = time.asleep_us.max(slept);
            }
        } else {
            let since = Instant::now();
            self.asleep.insert(process.to_owned(), LongSleep { since, snapshot, steps: open });
        }
    }

    pub(super) fn into_times(self) -> Vec<LimitTime> {
        self.times.into_values().collect()
    }
}

impl LongSleep {
    /// Whether the process has slept until a later snapshot. A process that is stopped does not count, since it does not
    /// notice that a limit expires.
    fn lasts_until(&self, later: &ProcSnapshot) -> bool {
        match self.snapshot.sleep_until(later, TimerPolicy::TimersIgnored) {
            Sleep::Asleep(calls) => {
                !calls.is_empty() && calls.values().all(|call| *call != BlockedIn::Stopped)
            }
            Sleep::Awake(_) | Sleep::Unknown => false,
        }
    }
}

/// The steps with a time limit that have begun and not ended, by process. Leaves out a process that a `stall` blocks as a
/// whole: its limits expire when the `stall` ends.
fn open_limits<'s>(
    scenario: &'s Scenario,
    steps: &StepTable<'_>,
) -> BTreeMap<&'s str, BTreeSet<usize>> {
    let mut open: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut stalled = BTreeSet::new();
    for step in steps.open_steps() {
        let spec = &scenario.steps[*step];
        let process = spec.task_id.process.as_str();
        if matches!(spec.verb, Verb::Child { act: ChildAct::Stall, .. }) {
            stalled.insert(process);
        } else if spec.within_ms.is_some() && steps.has_begun(*step) {
            open.entry(process).or_default().insert(*step);
        }
    }
    open.retain(|process, _| !stalled.contains(process));
    open
}
